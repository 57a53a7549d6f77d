"""The formats, from a checkpoint with the recipe's weights."""

import numpy as np
import pytest
import tensorflow as tf

from classifier import label_kinds
from classifier.checkpoints import sources
from classifier.config import formats, options
from classifier.config.export import ExportConfig
from classifier.export import run as exporting
from classifier.inference import model
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from slim import _checks, checkpoints
from tests.conformance import builds

NAMES = tuple(f"digit {index}" for index in range(10))


def make_run(directory, name="lenet", channels=1, **more):
    """Writes the files of a training run; returns the directory."""
    network = builds.shared_network(name)
    checkpoints.save(directory / "model.ckpt-7", network.store.named_variables)
    info = ModelInfo(
        model_name=name,
        num_classes=builds.example(name).num_classes,
        image_size=tuple(network.images.shape[1:3]),
        num_channels=channels,
        **{"preprocessing_name": name, "label_names": NAMES} | more,
    )
    RunDirectory(str(directory)).write_model_info(info)
    return directory


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("lenet"))


def export_to(directory, run, *formats, **values):
    exporting.run(
        options.build(
            ExportConfig,
            checkpoint_path=str(run),
            output_dir=str(directory),
            formats=formats,
            **values,
        )
    )
    return directory


def classifier_of(run):
    return model.InferenceModel(
        RunDirectory(str(run)).read_model_info(), sources.open_checkpoint(str(run))
    )


def read(path):
    return tf.compat.v1.GraphDef.FromString(path.read_bytes())


def test_the_options_and_the_table_have_the_same_formats():
    assert tuple(exporting.FORMATS) == tuple(formats.FORMATS)


IMAGES = np.random.default_rng(5).integers(0, 256, [3, 40, 33, 1]).astype(np.uint8)


@pytest.mark.parametrize(
    "input_type, encode",
    [
        ("uint8_image", tf.constant),
        pytest.param(
            "encoded_image",
            lambda images: tf.stack([tf.io.encode_png(p) for p in images]),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_preprocessing_inside_a_frozen_graph(lenet, tmp_path, capsys, input_type, encode):
    inputs = encode(IMAGES)
    export_to(tmp_path, lenet, "frozen_pb", input_type=input_type)
    assert f"input input:0 {inputs.dtype.name} [any" in capsys.readouterr().out
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(read(tmp_path / "lenet.pb"), name="")
        actual = session.run("Predictions/Reshape_1:0", {"input:0": inputs.numpy()})
    # By hand: evaluation centres a 28 x 28 window, then (x - 128) / 128.
    prepared = (IMAGES[:, 6:34, 2:30].astype(np.float32) - 128) / 128
    expected = classifier_of(lenet)(prepared)["probabilities"].numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("fold", [pytest.param(True, marks=pytest.mark.slow), False])
def test_frozen_graphs_count_their_ops(tmp_path, capsys, fold):
    run = make_run(
        tmp_path.with_name(f"{tmp_path.name}-run"), "mobilenet_v1_025", 3, label_names=()
    )
    export_to(tmp_path, run, "frozen_pb", fold_batch_norm=fold, batch_size=2)
    stdout = capsys.readouterr().out
    kinds = [node.op for node in read(tmp_path / "mobilenet_v1_025.pb").node]
    assert f"{len(kinds)} ops" in stdout
    assert ("FusedBatchNormV3" in kinds) == (not fold)
    assert ("before folding" in stdout) == fold
    assert "input input:0 float32 [2, 224, 224, 3]" in stdout


def test_input_type_needs_a_checkpoint():
    with pytest.raises(_checks.UserError, match="input_type=.* needs checkpoint_path"):
        options.build(ExportConfig, output_file="f", input_type="uint8_image")


def test_labels_have_one_line_per_logit(tmp_path, capsys):
    names = ("a, b", "c\nd", *map(str, range(8)))
    run = make_run(tmp_path / "run", label_names=names)
    export_to(tmp_path / "out", run, "frozen_pb")
    lines = (tmp_path / "out" / "labels.txt").read_text().splitlines()
    assert lines == ["a, b", "c d", *map(str, range(8))]
    assert f"labels {tmp_path / 'out' / 'labels.txt'}" in capsys.readouterr().out


def test_no_labels_file_without_class_names(tmp_path):
    run = make_run(tmp_path / "run", label_names=())
    export_to(tmp_path / "out", run, "frozen_pb")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".slim", "README.md", "lenet.pb", "model_info.json",
    ]  # fmt: skip


def test_saved_model_signatures_match_the_checkpoint(exported):
    signatures = tf.saved_model.load(str(exported().version)).signatures
    files = tf.stack([tf.io.encode_png(each) for each in IMAGES])
    answer = signatures["serving_default"](image_bytes=files)
    assert sorted(answer) == ["classes", "logits", "probabilities"]
    best = answer["probabilities"].numpy().argmax(axis=1)
    assert answer["classes"].numpy().tolist() == [NAMES[index].encode() for index in best]
    examples = [example(encoded) for encoded in files.numpy()]
    same = signatures["tf_example"](examples=tf.constant(examples))
    np.testing.assert_array_equal(same["logits"], answer["logits"])
    # LeNet's last layer is fully connected: logits are features times weights.
    features = signatures["features"](image_bytes=files)["features"].numpy()
    values = classifier_of(exported().run).values()
    logits = features @ values["LeNet/fc4/weights"] + values["LeNet/fc4/biases"]
    np.testing.assert_allclose(logits, answer["logits"], rtol=1e-4, atol=1e-5)


def example(encoded):
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    features = tf.train.Features(feature={"image/encoded": value})
    return tf.train.Example(features=features).SerializeToString()


def test_features_of_a_convolutional_network(tmp_path):
    run = make_run(tmp_path / "run", "mobilenet_v1_025", 3, label_names=())
    images = tf.zeros([2, 224, 224, 3])
    assert classifier_of(run).features(images).shape == [2, 256]


@pytest.mark.parametrize("name", ["Predictions", "predictions"])
def test_probabilities_are_read_from_the_end_point(name):
    assert label_kinds.ONE_CLASS.probabilities(tf.zeros([1, 2]), {name: "it"}) == "it"


def test_probabilities_default_to_softmax():
    np.testing.assert_allclose(
        label_kinds.ONE_CLASS.probabilities(tf.zeros([1, 2]), {}), [[0.5, 0.5]]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet_v1_50", "alexnet_v2"])
def test_networks_without_an_end_point_called_predictions(tmp_path, name):
    run = make_run(tmp_path.with_name(f"{tmp_path.name}-run"), name, 3, label_names=())
    export_to(tmp_path, run, "frozen_pb", "saved_model")
    loaded = tf.saved_model.load(str(tmp_path / "saved_model" / "1")).signatures["image_tensor"]
    answer = loaded(images=tf.zeros([2, 224, 224, 3]))
    np.testing.assert_allclose(tf.nn.softmax(answer["logits"]), answer["probabilities"], atol=1e-5)
