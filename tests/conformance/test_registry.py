"""Each row of the registry is complete and agrees with the network's record."""

import pytest

from nets import nets_factory
from tests.conformance import builds, checks, exemptions, record, reference


@pytest.mark.parametrize(
    "records",
    [reference.LAYOUTS, reference.GOLDENS, reference.TRAINING],
    ids=lambda path: path.name,
)
def test_every_record_belongs_to_a_network_of_the_registry(records):
    assert set(reference.names(records)) <= set(nets_factory.NETWORKS)


def test_forty_layouts_were_obtained_from_tf_slim():
    assert sum(map(reference.is_from_tf_slim, reference.names(reference.LAYOUTS))) == 40


def test_missing_layout_error_names_the_command():
    command = "python -m tests.conformance.record squeezenet$"
    with pytest.raises(FileNotFoundError, match=f"squeezenet has no recorded layout, .*{command}"):
        reference.layout("squeezenet")


def test_exemptions_name_existing_networks_and_checks():
    tests = "".join(path.read_text("utf-8") for path in reference.FOLDER.glob("test_*.py"))
    for name, excused in exemptions.EXEMPTIONS.items():
        assert name in nets_factory.NETWORKS
        for check, reason in excused.items():
            assert f"def {check}(" in tests
            assert len(reason) > 10


@pytest.mark.parametrize("name", nets_factory.NETWORKS)
def test_row_names_existing_functions_and_the_records_shape(name):
    spec = nets_factory.NETWORKS[name]
    assert callable(spec.build)
    assert spec.build_arg_scope(weight_decay=builds.WEIGHT_DECAY)
    if reference.has_layout(name):
        layout = reference.layout(name)
        video = layout["input_shape"][1:2] if spec.input_rank == 5 else []
        size = [spec.image_size, spec.image_size]
        assert layout["input_shape"] == [1, *video, *size, spec.channels]
        assert layout["default_image_size"] == spec.image_size
    network = nets_factory.get_network_fn(name, 7)
    assert network.default_image_size == spec.image_size
    assert nets_factory.networks_map[name].default_image_size == spec.image_size


@pytest.mark.parametrize(
    "name", checks.networks("test_shapes_below_the_heads_depend_on_the_classes", "heads")
)
def test_shapes_below_the_heads_depend_on_the_classes(name):
    num_classes, shape = builds.example(name)
    usual = builds.graph(name, True).variables
    other = builds.graph_of(name, True, num_classes + 6, (2, *shape)).variables
    assert list(usual) == list(other)
    changed = {key for key in usual if usual[key][0] != other[key][0]}
    heads = nets_factory.NETWORKS[name].heads
    below = {key for key in usual if key.startswith(tuple(f"{head}/" for head in heads))}
    assert changed, "no variable depends on the number of classes"
    assert changed <= below, f"not below heads={heads}: {sorted(changed - below)}"
    for head in heads:
        assert any(key.startswith(f"{head}/") for key in changed), f"nothing changes below {head}"


def test_recorded_layout_has_the_form_of_tf_slims():
    layout = reference.layout("lenet")
    assert record.recorded_layout("lenet") == {**layout, "origin": "recorded"}


def test_recording_does_not_overwrite_tf_slims_layouts(monkeypatch, capsys):
    before = (reference.LAYOUTS / "lenet.json.gz").read_bytes()
    monkeypatch.setattr("sys.argv", ["record", "lenet"])
    assert record.main() == 2
    assert "was obtained from TF-Slim and is not overwritten" in capsys.readouterr().err
    assert (reference.LAYOUTS / "lenet.json.gz").read_bytes() == before


def test_recording_writes_a_new_layout(monkeypatch, tmp_path):
    monkeypatch.setattr(reference, "LAYOUTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["record", "cifarnet", "--num_classes=5"])
    assert record.main() == 0
    layout = reference.read_json(tmp_path / "cifarnet.json.gz")
    assert (layout["origin"], layout["end_points"]["Logits"]) == ("recorded", [1, 5])


def test_writing_a_layout_again_yields_the_same_bytes(tmp_path):
    path = tmp_path / "cifarnet.json.gz"
    reference.write_json(path, reference.layout("cifarnet"))
    assert path.read_bytes() == (reference.LAYOUTS / "cifarnet.json.gz").read_bytes()
