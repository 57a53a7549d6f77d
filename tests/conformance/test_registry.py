"""Each row of the registry is complete and agrees with the network's layout."""

import pytest

from nets import nets_factory
from tests.conformance import builds, checks, exemptions, record, reference


def test_rows_and_layouts_are_the_same_networks():
    rows, layouts = set(nets_factory.NETWORKS), set(reference.names(reference.LAYOUTS))
    assert not rows - layouts, (
        f"no layout: python -m tests.conformance.record {sorted(rows - layouts)}"
    )
    assert not layouts - rows, f"not in nets_factory.NETWORKS: {sorted(layouts - rows)}"


def test_the_forty_of_the_original_are_not_recorded_from_ours():
    layouts = map(reference.layout, reference.names(reference.LAYOUTS))
    assert sum(layout["origin"] == "original" for layout in layouts) == 40


@pytest.mark.parametrize("folder", [reference.GOLDENS, reference.TRAINING], ids=lambda f: f.name)
def test_numbers_are_of_networks_in_the_registry(folder):
    assert set(reference.names(folder)) <= set(nets_factory.NETWORKS)


def test_exemptions_are_of_networks_and_checks_that_exist():
    tests = "".join(path.read_text("utf-8") for path in reference.FOLDER.glob("test_*.py"))
    for name, excused in exemptions.EXEMPTIONS.items():
        assert name in nets_factory.NETWORKS
        for check, reason in excused.items():
            assert f"def {check}(" in tests
            assert len(reason) > 10


@pytest.mark.parametrize("name", nets_factory.NETWORKS)
def test_row_names_what_exists(name):
    spec = nets_factory.NETWORKS[name]
    assert callable(spec.build)
    assert spec.build_arg_scope(weight_decay=builds.WEIGHT_DECAY)
    layout = reference.layout(name)
    video = layout["input_shape"][1:2] if spec.input_rank == 5 else []
    size = [spec.image_size, spec.image_size]
    assert layout["input_shape"] == [1, *video, *size, spec.channels]
    assert layout["default_image_size"] == spec.image_size
    network = nets_factory.get_network_fn(name, 7)
    assert network.default_image_size == spec.image_size
    assert nets_factory.networks_map[name].default_image_size == spec.image_size


@pytest.mark.parametrize(
    "name", checks.networks("test_heads_are_what_changes_with_the_classes", "heads")
)
def test_heads_are_what_changes_with_the_classes(name):
    layout = reference.layout(name)
    usual = builds.graph(name, True).variables
    shape = (2, *layout["input_shape"][1:])
    other = builds.graph_of(name, True, layout["num_classes"] + 6, shape).variables
    assert list(usual) == list(other)
    changed = {key for key in usual if usual[key][0] != other[key][0]}
    heads = nets_factory.NETWORKS[name].heads
    below = {key for key in usual if key.startswith(tuple(f"{head}/" for head in heads))}
    assert changed, "no variable depends on the number of classes"
    assert changed <= below, f"not below heads={heads}: {sorted(changed - below)}"
    for head in heads:
        assert any(key.startswith(f"{head}/") for key in changed), f"nothing changes below {head}"


def test_recording_a_network_gives_the_layout_that_the_checks_want():
    layout = reference.layout("lenet")
    assert record.recorded_layout("lenet", num_classes=10) == {**layout, "origin": "recorded"}


def test_recording_leaves_the_layouts_of_the_original_alone(monkeypatch, capsys):
    before = (reference.LAYOUTS / "lenet.json.gz").read_bytes()
    monkeypatch.setattr("sys.argv", ["record", "lenet"])
    assert record.main() == 2
    assert "was obtained from the original and stays" in capsys.readouterr().err
    assert (reference.LAYOUTS / "lenet.json.gz").read_bytes() == before


def test_recording_writes_a_layout_that_was_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(reference, "LAYOUTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["record", "cifarnet", "--num_classes=5"])
    assert record.main() == 0
    layout = reference.read_json(tmp_path / "cifarnet.json.gz")
    assert (layout["origin"], layout["end_points"]["Logits"]) == ("recorded", [1, 5])


def test_a_layout_is_written_to_the_same_bytes(tmp_path):
    path = tmp_path / "cifarnet.json.gz"
    reference.write_json(path, reference.layout("cifarnet"))
    assert path.read_bytes() == (reference.LAYOUTS / "cifarnet.json.gz").read_bytes()
