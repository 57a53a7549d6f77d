"""Grad-CAM against other computations, and its files."""

import json
import types

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import slim
from classifier.cli import flags
from classifier.config.prediction import PredictConfig
from classifier.inference import explanations, predict
from classifier.inference.grad_cam import GradCam
from slim import _checks
from tests.user_files import unchanged


def toy(network, shape=(4, 5, 3), is_video=False):
    """Returns what `GradCam` uses of a model."""
    return types.SimpleNamespace(
        network=network,
        store=slim.VariableStore(seed=0),
        image_shape=shape,
        image_size=shape[:2],
        is_video=is_video,
        info=types.SimpleNamespace(model_name="toy"),
    )


def linear(weights):
    """Returns a network that averages its last end point and multiplies it."""

    def network(images):
        first = 2 * images
        last = tf.nn.relu(images)
        logits = tf.reduce_mean(last, axis=[1, 2]) @ weights
        side = tf.reduce_sum(images, axis=-1, keepdims=True)
        points = {"first": first, "last": last, "pooled": last[:, :1, :1], "side": side}
        return logits, points | {"Logits": logits}

    return network


def test_the_map_of_a_linear_head_is_its_weighted_sum():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, 6)).astype(np.float32)
    images = rng.normal(size=(7, 4, 5, 3)).astype(np.float32)
    classes = rng.integers(6, size=7)
    grad_cam = GradCam(toy(linear(weights)))
    assert grad_cam.end_point == "last"  # neither the later one without influence nor the pooled
    maps = grad_cam(tf.constant(images), tf.constant(classes)).numpy()
    for image, each, heat_map in zip(images, classes, maps, strict=True):
        expected = np.maximum(np.maximum(image, 0) @ weights[:, each], 0)
        np.testing.assert_allclose(heat_map, expected / max(expected.max(), 1e-30), atol=1e-5)


def test_nothing_that_speaks_for_a_class_is_a_map_of_zeros():
    weights = -np.ones([3, 2], np.float32)
    maps = GradCam(toy(linear(weights)))(tf.ones([1, 4, 5, 3]), tf.constant([0], tf.int64))
    assert not maps.numpy().any()


@pytest.mark.parametrize(
    "end_point, message",
    [
        ("Logits", r"explain_end_point=Logits is not an end point of toy with a height"),
        ("pooled", "Allowed: .*last"),
        ("side", r"explain_end_point=side has no influence on the logits of toy"),
    ],
)
def test_an_end_point_that_cannot_be_explained_is_rejected(end_point, message):
    with pytest.raises(_checks.UserError, match=message):
        GradCam(toy(linear(np.ones([3, 2], np.float32))), end_point)


def test_networks_without_height_and_width_are_rejected():
    def flat(images):
        logits = tf.reduce_sum(images, axis=[1, 2])
        return logits, {"Logits": logits}

    with pytest.raises(_checks.UserError, match="no end point of toy has a height and a width"):
        GradCam(toy(flat))
    with pytest.raises(_checks.UserError, match="Grad-CAM needs a network for images; toy expects"):
        GradCam(toy(flat, is_video=True))


@pytest.mark.parametrize("end_point", ["pool2", "conv2"])
def test_maps_of_lenet_equal_the_derivative_by_hand(lenet_classifier, end_point):
    images = np.random.default_rng(1).normal(size=(3, 28, 28, 1)).astype(np.float32)
    classes = np.array([3, 0, 9])
    values = lenet_classifier.values()
    w3, b3 = values["LeNet/fc3/weights"], values["LeNet/fc3/biases"]
    w4 = values["LeNet/fc4/weights"]
    pooled = lenet_classifier.output("pool2", tf.constant(images)).numpy()
    hidden = pooled.reshape(3, -1) @ w3 + b3
    gradients = ((hidden > 0) * w4[:, classes].T) @ w3.T
    gradients = gradients.reshape(pooled.shape)
    features = pooled
    if end_point == "conv2":  # the gradient of a maximum goes to its place
        features = lenet_classifier.output("conv2", tf.constant(images)).numpy()
        upsampled = pooled.repeat(2, axis=1).repeat(2, axis=2)
        is_largest = features == upsampled
        gradients = gradients.repeat(2, axis=1).repeat(2, axis=2) * is_largest
        # Of equal maxima, zeros after ReLU, only the first gets it.
        blocks = is_largest.reshape(3, 7, 2, 7, 2, 64).transpose(0, 1, 3, 5, 2, 4)
        blocks = blocks.reshape(3, 7, 7, 64, 4)
        first = np.arange(4) == blocks.argmax(-1)[..., np.newaxis]
        first = first.reshape(3, 7, 7, 64, 2, 2).transpose(0, 1, 4, 2, 5, 3)
        gradients = gradients * first.reshape(features.shape)
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    expected = np.maximum((weights * features).sum(-1), 0)
    expected /= np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-30)
    assert expected.any()
    heat_maps = GradCam(lenet_classifier, end_point)(tf.constant(images), tf.constant(classes))
    np.testing.assert_allclose(heat_maps, expected, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_overlay_is_colored_where_the_map_points(channels):
    image = np.random.default_rng(0).normal(size=(20, 30, channels))
    heat = np.zeros([4, 6])
    heat[:2, :3] = 1
    drawn = np.asarray(explanations.overlay(image, heat), np.int64)
    assert min(drawn.shape[:2]) >= explanations.MIN_SIDE
    color = drawn.max(-1) - drawn.min(-1)
    height, width = color.shape
    assert color[: height // 3, : width // 3].min() > 50
    assert color[-height // 3 :, -width // 3 :].max() <= 2  # of rounding


@pytest.fixture
def explained(lenet_run, capsys):
    """Runs prediction with explanations; flags as keywords."""

    def run(images, **more):
        values = {"checkpoint_path": lenet_run, "top_k": 1} | more
        argv = ["predict", *(f"--{name}={value}" for name, value in values.items())]
        code = flags.main(PredictConfig, predict.run, "", [*argv, *map(str, images)])
        return int(code), capsys.readouterr()

    return run


def test_each_image_has_an_overlay_and_its_class(digits, explained, tmp_path):
    odd, bad, directory = tmp_path / "a b/ü(1).png", tmp_path / "bad.png", tmp_path / "maps"
    odd.parent.mkdir()
    PIL.Image.new("RGBA", (40, 30), (250, 0, 0, 90)).save(odd)
    bad.write_bytes(b"bad")
    seven = digits / "samples" / "7_seven.png"
    code, captured = explained([bad, seven, odd], explain_dir=directory, batch_size=2)
    assert code == 1  # for the bad one
    written = {path.name for path in directory.iterdir()} - {".slim"}
    stems = ["00001_7_seven", "00002_ü_1_"]
    assert written == {f"{stem}{end}" for stem in stems for end in (".jpg", ".json")}
    for stem, path in zip(stems, (seven, odd), strict=True):
        values = json.loads((directory / f"{stem}.json").read_text("utf-8"))
        assert (values["file"], values["end_point"]) == (str(path), "pool2")
        assert f"{path}: {values['class']} {values['probability']:.4f}" in captured.out
        with PIL.Image.open(directory / f"{stem}.jpg") as overlay:
            assert overlay.size == (224, 224)


def test_the_end_point_is_an_option(digits, explained, tmp_path):
    seven = digits / "samples" / "7_seven.png"
    overlays = []
    for name in ("conv1", "conv2"):
        directory = tmp_path / name
        assert explained([seven], explain_dir=directory, explain_end_point=name)[0] == 0
        values = json.loads((directory / "00001_7_seven.json").read_text())
        assert values["end_point"] == name
        overlays.append((directory / "00001_7_seven.jpg").read_bytes())
    assert overlays[0] != overlays[1]
    code, captured = explained([seven], explain_end_point="conv1")
    assert code == 2
    assert "--explain_end_point=conv1 has no effect without --explain_dir" in captured.err


def test_explanations_replace_only_explanations(digits, explained, tmp_path):
    seven, directory = digits / "samples" / "7_seven.png", tmp_path / "mine"
    directory.mkdir()
    (directory / "00001_7_seven.jpg").write_bytes(b"mine")
    with unchanged(tmp_path):
        code, captured = explained([seven], explain_dir=directory)
    assert code == 2
    assert "holds files that slim did not create: 00001_7_seven.jpg" in captured.err
    (directory / "00001_7_seven.jpg").unlink()
    assert explained([seven], explain_dir=directory)[0] == 0
    before = (directory / "00001_7_seven.jpg").read_bytes()
    assert explained([seven], explain_dir=directory)[0] == 0
    assert (directory / "00001_7_seven.jpg").read_bytes() == before
