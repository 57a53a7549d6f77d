"""Variables and end points of each network, name by name, as the original made them."""

import pytest

from tests.conformance import builds, checks, record, reference


def assert_same(ours, wanted):
    """Compares two lists and shows the first difference."""
    for index, (our, want) in enumerate(zip(ours, wanted, strict=False)):
        assert our == want, f"number {index} of {len(wanted)}"
    assert len(ours) == len(wanted), (
        f"first beyond: {(ours[len(wanted) :] or wanted[len(ours) :])[:3]}"
    )


def on_all(check):
    """Runs a test on every network."""
    return pytest.mark.parametrize("name", checks.networks(check.__name__, "layout"))(check)


@on_all
def test_variables(name):
    graph, layout = builds.graph(name, False), reference.layout(name)
    assert_same([[key, *row] for key, row in graph.variables.items()], layout["variables"])
    assert graph.outside_model == layout["non_model_variables"]


@on_all
def test_variables_of_training(name):
    layout, training = reference.layout(name), builds.graph(name, True)
    more = record.train_only(builds.graph(name, False), training)
    assert_same(more, layout["train_only_variables"])
    # Drop path makes the global step, which is no variable of the network.
    only = {key for key, _ in more} | set(training.outside_model)
    assert set(training.outside_model) <= {"global_step"}
    shared = [[key, *row] for key, row in training.variables.items() if key not in only]
    assert sorted(shared) == sorted(layout["variables"])


@on_all
def test_parameter_count(name):
    count = record.trainable_parameters(builds.graph(name, True))
    assert count == reference.layout(name)["trainable_parameters"]


@on_all
def test_end_points(name):
    graph, layout = builds.graph(name, False), reference.layout(name)
    ours = [(key, shape) for key, (shape, _) in graph.end_points.items()]
    assert_same(ours, list(layout["end_points"].items()))
    assert graph.logits_shape == [1, layout["num_classes"]]


@on_all
def test_end_points_of_training(name):
    graph, layout = builds.graph(name, True), reference.layout(name)
    ours = [(key, shape) for key, (shape, _) in graph.end_points.items()]
    assert_same(ours, list(layout["train_end_points"].items()))


@on_all
def test_op_names(name):
    graph, layout = builds.graph(name, False), reference.layout(name)
    ours = [(key, op) for key, (_, op) in graph.end_points.items()]
    assert_same(ours, list(layout["end_point_ops"].items()))
    assert graph.logits_op == layout["logits_op"]
