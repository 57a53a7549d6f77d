"""Names and shapes of each network: the contract of all networks, and equality with the record."""

import pytest

from tests.conformance import builds, checks, contract, record, reference


def assert_same(ours, expected):
    """Compares two lists and shows the first difference."""
    for index, (one, other) in enumerate(zip(ours, expected, strict=False)):
        assert one == other, f"number {index} of {len(expected)}"
    extra = ours[len(expected) :] or expected[len(ours) :]
    assert len(ours) == len(expected), f"first extra: {extra[:3]}"


def on_recorded(check):
    """Runs a test on every network with a record; the others are skipped with a reason."""
    names = checks.networks(check.__name__, "layout", needs_record=True)
    return pytest.mark.parametrize("name", names)(check)


@pytest.mark.parametrize("name", checks.networks("test_contract", "layout"))
def test_contract(name):
    problems = contract.problems(
        builds.graph(name, False),
        builds.graph(name, True),
        builds.example(name).num_classes,
        own_names=reference.is_from_tf_slim(name),
    )
    assert not problems, "\n".join(problems)


@on_recorded
def test_variables(name):
    graph, layout = builds.graph(name, False), reference.layout(name)
    assert_same([[key, *row] for key, row in graph.variables.items()], layout["variables"])
    assert graph.outside_model == layout["non_model_variables"]


@on_recorded
def test_variables_of_training(name):
    layout, training = reference.layout(name), builds.graph(name, True)
    train_only = record.train_only(builds.graph(name, False), training)
    assert_same(train_only, layout["train_only_variables"])
    # Drop path creates the global step, which is not a variable of the network.
    only = {key for key, _ in train_only} | set(training.outside_model)
    assert set(training.outside_model) <= {"global_step"}
    shared = [[key, *row] for key, row in training.variables.items() if key not in only]
    assert sorted(shared) == sorted(layout["variables"])


@on_recorded
def test_parameter_count(name):
    count = record.trainable_parameters(builds.graph(name, True))
    assert count == reference.layout(name)["trainable_parameters"]


@on_recorded
def test_end_points(name):
    graph, layout = builds.graph(name, False), reference.layout(name)
    ours = [(key, shape) for key, (shape, _) in graph.end_points.items()]
    assert_same(ours, list(layout["end_points"].items()))
    assert graph.logits_shape == [1, layout["num_classes"]]


@on_recorded
def test_end_points_of_training(name):
    graph, layout = builds.graph(name, True), reference.layout(name)
    ours = [(key, shape) for key, (shape, _) in graph.end_points.items()]
    assert_same(ours, list(layout["train_end_points"].items()))


@on_recorded
def test_op_names(name):
    graph, layout = builds.graph(name, False), reference.layout(name)
    ours = [(key, op) for key, (_, op) in graph.end_points.items()]
    assert_same(ours, list(layout["end_point_ops"].items()))
    assert graph.logits_op == layout["logits_op"]
