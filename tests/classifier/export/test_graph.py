"""A graph without weights: TF-Slim's names, and TensorFlow's `freeze_graph`."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from classifier import network
from classifier.config import options
from classifier.config.export import ExportConfig
from classifier.export import graph_def
from classifier.export import run as exporting
from classifier.resolve import graph as resolve_graph
from classifier.resolve.graph import graph
from slim import _checks, checkpoints
from tests.conformance import builds, reference

SLOW = [
    "alexnet_v2",
    "i3d",
    "inception_resnet_v2",
    "inception_v3",
    "mobilenet_v2_035",
    "mobilenet_v3_small",
    "nasnet_cifar",
    "pnasnet_mobile",
    "resnet_v1_50",
    "resnet_v2_50",
    "s3dg",
    "vgg_a",
]
H5 = {"checkpoint_path": "run", "output_dir": "o", "formats": ("weights_h5",)}
FAST = ["lenet", "cifarnet", "mobilenet_v1_025"]
FAMILIES = FAST + [pytest.param(name, marks=pytest.mark.slow) for name in SLOW]


def config(**values):
    return options.build(ExportConfig, **values)


def resolve(classes=1001, channels=None, **values):
    dataset = resolve_graph.Classes("imagenet", classes, channels)
    return resolve_graph.resolve_graph(config(output_file="f.pb", **values), dataset)


def written(name, path, as_text=False):
    """Writes the graph of a network's layout; returns it."""
    layout = reference.layout(name)
    shape = (None, *layout["input_shape"][1:])
    graph_def.write(
        resolve_graph.ResolvedGraph(name, layout["num_classes"], shape, str(path), as_text)
    )
    if as_text:
        return text_format.Parse(path.read_text(), tf.compat.v1.GraphDef())
    return tf.compat.v1.GraphDef.FromString(path.read_bytes())


@pytest.mark.parametrize("name", FAMILIES)
def test_ops_and_variables_have_tf_slims_names(name, tmp_path):
    layout = reference.layout(name)
    kinds = {node.name: node.op for node in written(name, tmp_path / "deep" / "net.pb").node}
    assert kinds["input"] == "Placeholder"
    assert set(layout["end_point_ops"].values()) | {layout["logits_op"]} <= set(kinds)
    variables = [key for key, kind in kinds.items() if kind == "VariableV2"]
    assert sorted(variables) == sorted([row[0] for row in layout["variables"]])


def run_with_input(graph, output, images):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph, name="")
        return session.run(f"{output}:0", {"input:0": images})


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST + SLOW)
def test_frozen_graph_matches_the_checkpoint(name, tmp_path):
    network = builds.network(name)
    checkpoint = checkpoints.save(tmp_path / "model.ckpt-1", network.store.named_variables)
    written(name, tmp_path / "graph.pb")
    output = reference.layout(name)["logits_op"]
    subprocess.run(
        [
            *(sys.executable, "-m", "tensorflow.python.tools.freeze_graph"),
            f"--input_graph={tmp_path / 'graph.pb'}",
            "--input_binary=true",
            f"--input_checkpoint={checkpoint}",
            f"--output_node_names={output}",
            f"--output_graph={tmp_path / 'frozen.pb'}",
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    frozen = tf.compat.v1.GraphDef.FromString((tmp_path / "frozen.pb").read_bytes())
    images = network.images.numpy()
    expected = network.function(network.images)[0].numpy()
    actual = run_with_input(frozen, output, images)
    assert np.abs(actual - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def test_text_format_contains_the_same_graph(tmp_path):
    assert written("lenet", tmp_path / "a.pb") == written("lenet", tmp_path / "a.pbtxt", True)


def test_command_without_dataset_writes_the_graph(tmp_path, capsys):
    path = tmp_path / "net.pb"
    assert exporting.run(config(model_name="mobilenet_v1_025", output_file=str(path))) is None
    stdout = capsys.readouterr().out
    assert "mobilenet_v1_025 without weights, 1001 classes, 137 variables" in stdout
    assert "logits MobilenetV1/Logits/SpatialSqueeze:0" in stdout
    assert f"freeze_graph --input_graph={path} --input_binary=true" in stdout
    assert "--output_node_names=MobilenetV1/Predictions/Reshape_1 " in stdout


@pytest.mark.slow
def test_network_without_probabilities_prints_its_logits(tmp_path, capsys):
    written("vgg_a", tmp_path / "graph.pb")
    stdout = capsys.readouterr().out
    assert "probabilities" not in stdout
    assert "logits vgg_a/fc8/squeezed:0" in stdout
    assert "--output_node_names=vgg_a/fc8/squeezed " in stdout


def test_defaults_are_tf_slims():
    actual = resolve()
    assert (actual.model_name, actual.num_classes) == ("inception_v3", 1001)
    assert actual.input_shape == (None, 299, 299, 3)
    assert not actual.as_text


def test_tf_slim_options_are_resolved():
    actual = resolve(
        model_name="lenet", classes=10, labels_offset=1, use_grayscale=True, image_size=(32, 30),
        batch_size=4, write_text_graphdef=True,
    )  # fmt: skip
    assert actual.num_classes == 9
    assert actual.input_shape == (4, 32, 30, 1)
    assert actual.as_text
    assert resolve(model_name="lenet", channels=1).input_shape[-1] == 1
    # Its preprocessing returns color images.
    assert resolve(model_name="inception_v3", channels=1).input_shape[-1] == 3
    video = resolve(model_name="i3d", is_video_model=True, num_frames=16)
    assert video.input_shape == (None, 16, 224, 224, 3)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"moving_average_decay": 0.9}, "moving_average_decay needs checkpoint_path"),
        ({"dataset_split_name": "a"}, "dataset_split_name needs checkpoint_path: a graph without"),
        ({"model_name": "i3d"}, "model_name=i3d expects videos. Add is_video_model"),
        (
            {"model_name": "lenet", "is_video_model": True},
            "expects images. Remove is_video_model",
        ),
        ({"classes": None}, "dataset_dir is required to read the classes of 'imagenet'"),
        ({"labels_offset": 1001}, "labels_offset=1001 removes all 1001 classes"),
    ],
)
def test_options_that_do_not_match_the_network_are_errors(values, message):
    with pytest.raises(_checks.UserError, match=message):
        resolve(**values)


@pytest.mark.parametrize(
    "values, message",
    [
        ({}, "checkpoint_path with output_dir is required, or output_file for a graph"),
        ({"output_dir": "o"}, "checkpoint_path with output_dir is required"),
        ({"checkpoint_path": "run"}, "output_dir is required with checkpoint_path"),
        (
            {"checkpoint_path": "run", "output_file": "f"},
            "output_file and checkpoint_path are mutually exclusive: use output_dir",
        ),
        (
            {"checkpoint_path": "run", "output_dir": "o", "write_text_graphdef": True},
            "write_text_graphdef needs output_file",
        ),
        ({"output_file": "f", "output_dir": "o"}, "output_dir needs checkpoint_path"),
        ({"output_file": "f", "formats": ("frozen_pb",)}, "formats needs checkpoint_path"),
        (
            {"output_file": "f", "fold_batch_norm": False},
            "fold_batch_norm=false has no effect without checkpoint_path",
        ),
        (H5 | {"fold_batch_norm": False}, "fold_batch_norm=false needs formats=frozen_pb"),
        (H5 | {"input_type": "uint8_image"}, "input_type=uint8_image needs formats=frozen_pb"),
        ({"output_file": "f", "num_frames": 3}, "num_frames needs is_video_model"),
    ],
)
def test_conflicting_options_are_errors(values, message):
    with pytest.raises(_checks.UserError, match=message) as caught:
        config(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "place", [{"output_file": "f"}, {"checkpoint_path": "c", "output_dir": "o"}]
)
def test_options_of_training_are_an_error(place):
    with pytest.raises(_checks.UserError, match="is_training must be false: exported models"):
        exporting.run(config(**place, is_training=True))


def test_classes_and_channels_are_read_from_the_dataset_directory(digits):
    data = {"dataset_name": "digits", "dataset_dir": str(digits)}
    actual = graph(config(output_file="f", model_name="lenet", **data))
    assert (actual.num_classes, actual.input_shape[-1]) == (10, 1)


def test_error_unrelated_to_image_size_is_not_translated():
    lenet = network.inference_network("lenet", 10)
    with (
        pytest.raises(ValueError, match="something else"),
        network.check_image_size("lenet", lenet, [None, 10, 10, 1]),
    ):
        raise ValueError("something else")


def test_too_small_image_size_is_an_error(tmp_path):
    too_small = resolve_graph.ResolvedGraph(
        "lenet", 10, (None, 3, 2, 1), str(tmp_path / "f"), False
    )
    with pytest.raises(
        _checks.UserError, match="image size 3x2 is not supported by lenet. Use its default, 28"
    ):
        graph_def.write(too_small)


@pytest.mark.parametrize("side", [2, 28, 32])
def test_other_network_errors_are_not_reported_as_image_size(tmp_path, monkeypatch, side):
    def mistaken(images):
        raise ValueError("another")

    monkeypatch.setattr(network, "inference_network", lambda *_: mistaken)
    resolved = resolve_graph.ResolvedGraph(
        "lenet", 10, (None, side, side, 1), str(tmp_path / "f"), False
    )
    with pytest.raises(ValueError, match="^another$"):
        graph_def.write(resolved)
