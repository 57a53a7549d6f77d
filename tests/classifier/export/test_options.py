"""TF-Slim's options of the export script each change the graph."""

import pytest
import tensorflow as tf
from google.protobuf import text_format

from classifier.config import options
from classifier.config.export import ExportConfig
from classifier.export import run as exporting


@pytest.fixture
def graph(tmp_path):
    """Writes a graph; returns the shapes of its input and variables."""

    def write(**values):
        path = tmp_path / "graph.pb"
        flags = {"model_name": "lenet", "output_file": str(path)} | values
        exporting.run(options.build(ExportConfig, **flags))
        if flags.get("write_text_graphdef"):
            nodes = text_format.Parse(path.read_text(), tf.compat.v1.GraphDef()).node
        else:
            nodes = tf.compat.v1.GraphDef.FromString(path.read_bytes()).node
        shapes = {
            node.name: [side.size for side in node.attr["shape"].shape.dim]
            for node in nodes
            if node.op in ("Placeholder", "VariableV2")
        }
        return shapes.pop("input"), shapes

    return write


CLASSES = "LeNet/fc4/biases"


def test_classes_and_channels(graph, digits):
    shape, variables = graph()
    assert (shape, variables[CLASSES]) == ([-1, 28, 28, 3], [1001])
    assert graph(labels_offset=1)[1][CLASSES] == [1000]
    assert graph(dataset_name="cifar10")[1][CLASSES] == [10]
    assert graph(dataset_name="cifar10", num_classes=12)[1][CLASSES] == [12]
    shape, variables = graph(dataset_name="digits", dataset_dir=str(digits))
    assert (shape, variables[CLASSES]) == ([-1, 28, 28, 1], [10])
    shape, variables = graph(use_grayscale=True)
    assert shape == [-1, 28, 28, 1]
    assert variables["LeNet/conv1/weights"] == [5, 5, 1, 32]
    # This preprocessing returns color images, also for digits.
    digits = {"dataset_name": "digits", "dataset_dir": str(digits)}
    assert graph(**digits, preprocessing_name="vgg")[0] == [-1, 28, 28, 3]


def test_network_and_images(graph, tmp_path):
    assert "CifarNet/conv1/weights" in graph(model_name="cifarnet")[1]
    shape, variables = graph(image_size=(32, 36))
    assert shape == [-1, 32, 36, 3]
    assert variables["LeNet/fc3/weights"] == [8 * 9 * 64, 1024]
    assert graph(batch_size=4)[0] == [4, 28, 28, 3]


def test_text(graph, tmp_path):
    binary = graph()
    assert graph(write_text_graphdef=True) == binary
    assert (tmp_path / "graph.pb").read_text().startswith("node {")
    elsewhere = tmp_path / "elsewhere.pb"
    exporting.run(options.build(ExportConfig, model_name="lenet", output_file=str(elsewhere)))
    assert elsewhere.exists()


@pytest.mark.slow
def test_videos(graph):
    for frames in (8, 16):
        shape, _ = graph(model_name="s3dg", is_video_model=True, num_frames=frames)
        assert shape == [-1, frames, 224, 224, 3]
