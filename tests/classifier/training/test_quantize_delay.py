"""Quantization-aware training (`--quantize_delay`), and its evaluation and export."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import sources
from classifier.checkpoints.commands import inspect
from classifier.config import options
from classifier.config.checkpoints import InspectConfig
from classifier.config.export import ExportConfig
from classifier.config.training import TrainConfig
from classifier.export import run as exporting
from classifier.inference import model
from classifier.resolve import resume
from classifier.resolve import training as resolve
from classifier.run_directory import RunDirectory
from slim import _checks, checkpoints
from tests.classifier import split_metadata
from tests.classifier.exports import config, needs

RANGES = {"conv1": (0, 1.5), "conv2": (0, 2.5), "fc3": (0, 4), "fc4": (-3, 5)}
# Distance between two of the 256 values of the logits.
STEP = 1.001 * 8 / 255


def resolved(**values):
    flags = {"train_dir": "run", "dataset_dir": "data", "model_name": "lenet"}
    return resolve.resolve_training(
        options.build(TrainConfig, **flags | values),
        split_metadata.Dataset(),
    )


def test_quantize_delay_is_in_the_resolved_run():
    assert not resolved().model.quantized
    assert resolved(quantize_delay=0).model.quantized
    assert resolved(quantize_delay=9).to_dict()["resolved"]["quantized"]
    with pytest.raises(_checks.UserError, match="quantize_delay=-2 must lie between -1 and"):
        resolved(quantize_delay=-2)


@pytest.mark.parametrize("before, after", [({}, 0), ({"quantize_delay": 5}, -1)])
def test_quantization_must_not_change_on_resume(before, after):
    old = json.loads(json.dumps(resolved(**before).to_dict()))  # as config.json has it
    changes = resume.changed_options(old, resolved(quantize_delay=after))
    with pytest.raises(_checks.UserError, match=r"quantize_delay: (-1 -> 0|5 -> -1)"):
        resume.refuse_changes(changes, "run")
    assert not resume.changed_options(old, resolved(**before))


def losses(run_dir):
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def trained(train, run_dir, **more):
    result = train(run_dir, log_every_n_steps=1, learning_rate=0.01, **more)
    assert (result.code, result.err) == (0, [])
    return result


def saved(run_dir):
    reader = checkpoints.read(checkpoints.find(str(run_dir)))
    return {name: reader.get(name) for name in reader.variables()}


def assert_same_bits(actual, expected):
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert actual[name].tobytes() == value.tobytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"accumulate_steps": 2}, {"steps_per_loop": 2}])
def test_rounding_starts_after_the_delay(train, tmp_path, more):
    loss_curves = {}
    for delay in (-1, 0, 2):
        run_dir = tmp_path / str(delay)
        trained(train, run_dir, max_number_of_steps=4, quantize_delay=delay, **more)
        loss_curves[delay] = losses(run_dir)
    for step, loss in loss_curves[-1].items():
        assert (loss_curves[2][step] == loss) is (step <= 2)
        assert loss_curves[0][step] != loss
    epochs = 2 * 8 * more.get("accumulate_steps", 1) / 1437
    trained(train, tmp_path / "e", max_number_of_steps=4, quantize_delay_epochs=epochs, **more)
    assert losses(tmp_path / "e") == loss_curves[2]
    ranges = {name: value for name, value in saved(tmp_path / "2").items() if "act_quant" in name}
    assert set(ranges) == {
        f"LeNet/{each}/act_quant/{end}" for each in RANGES for end in ("min", "max")
    }
    assert all(value not in (-6, 6) for value in ranges.values()), "a range was not updated"
    assert not any("act_quant" in name for name in saved(tmp_path / "-1"))


@pytest.mark.slow
def test_resume_restores_ranges_bit_identically(train, tmp_path):
    more = {"quantize_delay": 1, "moving_average_decay": 0.9, "optimizer": "adam"}
    trained(train, tmp_path / "uninterrupted", max_number_of_steps=4, **more)
    trained(train, tmp_path / "resumed", max_number_of_steps=2, **more)
    trained(train, tmp_path / "resumed", max_number_of_steps=4, **more)
    expected = saved(tmp_path / "uninterrupted")
    assert_same_bits(saved(tmp_path / "resumed"), expected)
    assert "LeNet/fc3/act_quant/max/ExponentialMovingAverage" in expected


@pytest.mark.slow
def test_quantization_with_half_precision_and_recomputed_gradients(train, tmp_path):
    more = {"model_name": "mobilenet_v1_025", "train_image_size": 32, "max_number_of_steps": 3}
    curves = {}
    for name, own in {
        "plain": {},
        "recomputed": {"recompute_gradients": True},
        "half": {"compute_dtype": "bfloat16"},
    }.items():
        trained(train, tmp_path / name, quantize_delay=1, **more, **own)
        curves[name] = list(losses(tmp_path / name).values())
    np.testing.assert_allclose(curves["recomputed"], curves["plain"], rtol=1e-3)
    # The updates of so small a batch amplify the rounding of bfloat16.
    np.testing.assert_allclose(curves["half"][0], curves["plain"][0], rtol=0.1)
    assert np.isfinite(curves["half"]).all()


@pytest.mark.slow
def test_fine_tuning_initializes_ranges_from_scratch(train, tmp_path):
    trained(train, tmp_path / "float")
    start = {"checkpoint_path": tmp_path / "float", "quantize_delay": 0, "max_number_of_steps": 1}
    summary = "restored 8, skipped 0, missing 0, unused"
    result = trained(train, tmp_path / "fine", **start)
    assert "quantization: weights and outputs rounded to 8 bits after 0 steps" in result.out
    assert any(summary in line for line in result.out), result.out
    # Only the weights of a run with ranges are restored.
    start["checkpoint_path"] = tmp_path / "fine"
    result = trained(train, tmp_path / "finer", **start)
    assert any(summary in line for line in result.out), result.out


@pytest.mark.slow
def test_evaluation_during_training_rounds(train, evaluate, tmp_path):
    more = {"quantize_delay": 0, "moving_average_decay": 0.9, "eval_every_steps": 20}
    trained(train, tmp_path, max_number_of_steps=20, **more)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    (during,) = [json.loads(line) for line in lines if "eval_loss" in line]
    eval_losses = {}
    for name, more in {
        "plain": {},
        "rounded": {"quantize": True},
        "not": {"quantize": False},
    }.items():
        result = evaluate(tmp_path, eval_json=tmp_path / f"{name}.json", **more)
        assert (result.code, result.err) == (0, [])
        eval_losses[name] = json.loads((tmp_path / f"{name}.json").read_text())["loss"]
        assert ("rounded to 8 bits" in result.out[0]) is (name != "not")
    assert eval_losses["plain"] == eval_losses["rounded"] == during["eval_loss"]
    assert eval_losses["plain"] != eval_losses["not"]


@pytest.fixture(scope="module")
def quantized_run(lenet_run, lenet_classifier, tmp_path_factory):
    """A run directory of training with quantize_delay."""
    values = {name: tf.Variable(value) for name, value in lenet_classifier.values().items()}
    for layer, bounds in RANGES.items():
        for end, bound in zip(("min", "max"), bounds, strict=True):
            values[f"LeNet/{layer}/act_quant/{end}"] = tf.Variable(float(bound))
    run_dir = tmp_path_factory.mktemp("quantized_run")
    checkpoints.save(run_dir / "model.ckpt-7", values)
    info = dataclasses.replace(lenet_classifier.info, quantized=True)
    RunDirectory(str(run_dir)).write_model_info(info)
    return run_dir


@pytest.fixture(scope="module")
def quantized_classifier(quantized_run):
    info = RunDirectory(str(quantized_run)).read_model_info()
    return model.InferenceModel(info, sources.open_checkpoint(str(quantized_run)))


IMAGES = np.random.default_rng(3).uniform(-1, 1, [2, 28, 28, 1]).astype(np.float32)


def reference_logits(values, images):
    """Returns LeNet's logits with weights and outputs rounded by TensorFlow's own ops."""

    def layer(net, name, compute, activation):
        weights = values[f"LeNet/{name}/weights"]
        most = np.abs(weights).reshape(-1, weights.shape[-1]).max(axis=0)
        weights = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            weights, -most, most, narrow_range=True
        )
        net = activation(compute(net, weights) + values[f"LeNet/{name}/biases"])
        return tf.quantization.fake_quant_with_min_max_vars(net, *map(float, RANGES[name]))

    net = tf.constant(images)
    for name in ("conv1", "conv2"):
        net = layer(net, name, lambda x, w: tf.nn.conv2d(x, w, 1, "SAME"), tf.nn.relu)
        net = tf.nn.max_pool2d(net, 2, 2, "VALID")
    net = layer(tf.reshape(net, [len(images), -1]), "fc3", tf.matmul, tf.nn.relu)
    return layer(net, "fc4", tf.matmul, tf.identity)


def test_the_model_of_a_quantized_run_rounds(quantized_run, lenet_classifier, quantized_classifier):
    expected = reference_logits(lenet_classifier.values(), IMAGES)
    actual = quantized_classifier(IMAGES)["logits"]
    assert np.abs(actual - expected).max() < STEP
    assert np.mean(np.abs(actual - expected) < 1e-5) > 0.8
    assert np.abs(actual - lenet_classifier(IMAGES)["logits"]).max() > STEP


def test_a_checkpoint_without_ranges_is_an_error(lenet_run, lenet_classifier):
    info = dataclasses.replace(lenet_classifier.info, quantized=True)
    with pytest.raises(
        _checks.UserError, match="has no quantization ranges for 4 layers: quantize needs a run"
    ):
        model.InferenceModel(info, sources.open_checkpoint(str(lenet_run)))


def test_ranges_are_listed_apart_from_network_variables(quantized_run, capsys):
    inspect(InspectConfig(checkpoint_path=str(quantized_run)))
    output = capsys.readouterr().out
    assert "network variables: 8, " in output
    assert "quantization ranges: 8, 8 values" in output


@pytest.mark.slow
def test_ranges_are_in_the_int8_file(quantized_run, digits, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    more = {"check_images": 1, "calibration_images": 2, "max_drop": 100.0}
    flags = {"formats": ("tflite_int8",), "dataset_dir": str(digits)} | more
    exporting.run(config(quantized_run, tmp_path, **flags))
    lite = interpreter.Interpreter(str(tmp_path / "lenet_int8.tflite"))
    lite.allocate_tensors()
    zero_points = {}
    for tensor in lite.get_tensor_details():
        scales, zeros = (tensor["quantization_parameters"][k] for k in ("scales", "zero_points"))
        if len(scales) == 1 and tensor["dtype"] == np.int8:
            zero_points[float(scales[0])] = int(zeros[0])
    for low, high in RANGES.values():
        scale = (high - low) / 255
        (nearest,) = [each for each in zero_points if abs(each - scale) < 1e-5 * scale]
        assert zero_points[nearest] == round(-128 - low / scale)


def test_a_frozen_graph_rounds(quantized_run, tmp_path, capsys):
    exporting.run(config(quantized_run, tmp_path, formats=("frozen_pb",), check_images=2))
    assert "same class for 10 of 10 images" in capsys.readouterr().out
    graph = tf.compat.v1.GraphDef.FromString((tmp_path / "lenet.pb").read_bytes())
    ops = [node.op for node in graph.node]
    assert ops.count("FakeQuantWithMinMaxVars") == len(RANGES)
    assert "Round" not in ops, "the weights are rounded already"
    assert (
        "the weights, rounded to 8 bits like the activations"
        in (tmp_path / "README.md").read_text()
    )


@pytest.mark.slow
def test_other_formats_that_round(quantized_run, quantized_classifier, tmp_path, capsys):
    needs("tflite")
    names = ("saved_model", "tflite", "weights_h5")
    exporting.run(config(quantized_run, tmp_path, formats=names, check_images=2))
    assert capsys.readouterr().out.count("same class for 10 of 10 images") == len(names)
    signatures = tf.saved_model.load(str(tmp_path / "saved_model" / "1")).signatures
    actual = signatures["image_tensor"](images=tf.constant(IMAGES))["logits"]
    np.testing.assert_allclose(actual, quantized_classifier(IMAGES)["logits"], atol=STEP)


def test_the_weights_as_they_were_trained(quantized_run, lenet_classifier, tmp_path):
    asked = {"formats": ("keras",), "check_images": 2}
    with pytest.raises(_checks.UserError, match="formats=keras does not support the rounding"):
        exporting.run(config(quantized_run, tmp_path, **asked))
    exporting.run(config(quantized_run, tmp_path, **asked, quantize=False))
    loaded = tf.keras.models.load_model(tmp_path / "lenet.keras", compile=False)
    expected = lenet_classifier(IMAGES)["logits"]
    np.testing.assert_allclose(loaded(IMAGES, training=False), expected, atol=1e-4)


def test_a_graph_without_weights_rounds_weights_that_are_fed(
    quantized_run, quantized_classifier, tmp_path
):
    path = tmp_path / "graph.pb"
    flags = {"model_name": "lenet", "quantize": True, "labels_offset": 991, "use_grayscale": True}
    exporting.run(options.build(ExportConfig, output_file=str(path), **flags))
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    assert [node.op for node in graph.node].count("FakeQuantWithMinMaxVars") == len(RANGES)
    fed = {f"{name}/read:0": value for name, value in saved(quantized_run).items()}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph, name="")
        output = "LeNet/fc4/act_quant/FakeQuantWithMinMaxVars:0"
        actual = session.run(output, {"input:0": IMAGES, **fed})
    np.testing.assert_allclose(actual, quantized_classifier(IMAGES)["logits"], atol=STEP)


@pytest.mark.slow
def test_a_trained_lenet_loses_at_most_a_point(train, evaluate, digits, tmp_path, capsys):
    pytest.importorskip("ai_edge_litert")
    accuracy = {}
    for delay in (-1, 100):
        run_dir = tmp_path / str(delay)
        more = {"max_number_of_steps": 300, "batch_size": 32, "quantize_delay": delay}
        assert train(run_dir, learning_rate=0.01, **more).code == 0
        evaluate(run_dir, eval_json=run_dir / "eval.json")
        accuracy[delay] = json.loads((run_dir / "eval.json").read_text())["accuracy"]
    flags = {"formats": ("tflite_int8",), "dataset_dir": str(digits), "check_images": 360}
    exporting.run(config(tmp_path / "100", tmp_path / "out", **flags))
    output = capsys.readouterr().out
    exported = float(output.split("accuracy ")[1].split(" %")[0]) / 100
    print(accuracy, exported)
    assert accuracy[-1] > 0.95
    assert min(accuracy[100], exported) >= accuracy[-1] - 0.01
