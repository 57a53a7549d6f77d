"""`slim-checkpoints average` against NumPy."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import averaging, sources
from classifier.config import options
from classifier.config.checkpoints import AverageConfig
from classifier.inference.model import InferenceModel
from classifier.model_info import Calibration
from classifier.run_directory import RunDirectory
from slim import _checks, checkpoints

STEPS = (10, 20, 30)


def values_at(step, dtype=np.float32, **changes):
    rng = np.random.default_rng(step)
    return {
        "Net/weights": rng.normal(size=(3, 4)).astype(dtype),
        "Net/weights/ExponentialMovingAverage": rng.normal(size=(3, 4)).astype(dtype),
        "count": np.int32(step),
        "global_step": np.int64(step),
    } | changes


@pytest.fixture
def run(tmp_path):
    for step in STEPS:
        checkpoints.save(tmp_path / "run" / f"model.ckpt-{step}", values_at(step))
    return str(tmp_path / "run")


def average(paths, output, **more):
    values = {"checkpoint_path": (paths,) if isinstance(paths, str) else paths, **more}
    averaging.average(options.build(AverageConfig, output=str(output), **values))
    reader = checkpoints.read(str(output))
    return {name: reader.get(name) for name in reader.variables()}


def expected(steps):
    each = [values_at(step) for step in steps]
    means = {
        n: np.mean([v[n] for v in each], axis=0, dtype=np.float64) for n in each[0] if "N" in n
    }
    return each[-1] | {name: value.astype(np.float32) for name, value in means.items()}


@pytest.mark.parametrize("more, steps", [({}, STEPS), ({"last": 2}, STEPS[1:])])
def test_the_last_checkpoints_of_a_directory(run, tmp_path, more, steps):
    averaged, reference = average(run, tmp_path / "new" / "model.ckpt-30", **more), expected(steps)
    assert averaged.keys() == reference.keys()
    for name, value in reference.items():
        np.testing.assert_array_equal(averaged[name], value, err_msg=name)
        assert averaged[name].dtype == value.dtype


def test_checkpoints_by_name_whatever_their_order(run, tmp_path):
    averaged = average((f"{run}/model.ckpt-30", f"{run}/model.ckpt-10.index"), tmp_path / "a" / "m")
    np.testing.assert_array_equal(averaged["Net/weights"], expected((10, 30))["Net/weights"])
    assert averaged["global_step"] == averaged["count"] == 30


def test_half_precision_is_averaged_in_double(tmp_path):
    for step in STEPS:
        values = values_at(step, tf.bfloat16.as_numpy_dtype)
        checkpoints.save(tmp_path / "run" / f"model.ckpt-{step}", values)
    averaged = average(str(tmp_path / "run"), tmp_path / "new" / "m")["Net/weights"]
    assert averaged.dtype == tf.bfloat16.as_numpy_dtype
    exact = np.mean([values_at(s, tf.bfloat16.as_numpy_dtype)["Net/weights"].astype(np.float64)
                     for s in STEPS], axis=0)  # fmt: skip
    np.testing.assert_array_equal(averaged, exact.astype(averaged.dtype))


@pytest.mark.parametrize("changes, text", [
    ({"Net/biases": np.ones(2)}, "Net/biases is in .*-40 and not in .*-30"),
    ({"Net/weights": np.ones((3, 5), np.float32)},
     r"Net/weights is float32 \[3, 5\] in .*-40 and float32 \[3, 4\] in .*-30"),
])  # fmt: skip
def test_what_differs_is_named(run, tmp_path, changes, text):
    checkpoints.save(f"{run}/model.ckpt-40", values_at(40, **changes))
    with pytest.raises(_checks.UserError, match=f"cannot be averaged: .*{text}"):
        average(run, tmp_path / "new" / "m")
    assert not (tmp_path / "new").exists()


def test_outputs_that_are_refused(run, tmp_path):
    with pytest.raises(_checks.UserError, match="whose run would resume from it"):
        average(run, f"{run}/model.ckpt-99")
    with pytest.raises(_checks.UserError, match="existing checkpoint, which is never replaced"):
        average(run, f"{run}/model.ckpt-10")
    with pytest.raises(_checks.UserError, match="not a directory with at least two checkpoints"):
        average(f"{run}/model.ckpt-10", tmp_path / "new" / "m")
    with pytest.raises(_checks.UserError, match="last has no effect with several paths"):
        average(("a", "b"), tmp_path / "new" / "m", last=3)


def test_the_average_is_a_model(lenet_run, tmp_path):
    info = RunDirectory(str(lenet_run)).read_model_info()
    calibrated = dataclasses.replace(
        info, calibration=Calibration(temperature=2.0, rejection_threshold=0.1)
    )
    RunDirectory(str(tmp_path)).write_model_info(calibrated)
    reader = checkpoints.read(checkpoints.latest(str(lenet_run)))
    weights = {name: reader.get(name) for name in reader.variables()}
    for factor in (1, 3):
        scaled = {name: (value * factor).astype(value.dtype) for name, value in weights.items()}
        checkpoints.save(tmp_path / f"model.ckpt-{factor}", scaled)
    average(str(tmp_path), tmp_path / "new" / "model.ckpt-3")
    opened = sources.open_checkpoint(str(tmp_path / "new"))
    assert opened.info == info
    for name, value in InferenceModel(info, opened).values().items():
        np.testing.assert_array_equal(value, 2 * weights[name], err_msg=name)
    RunDirectory(str(tmp_path / "new")).write_model_info(
        dataclasses.replace(info, model_name="cifarnet")
    )
    with pytest.raises(_checks.UserError, match="describes another model. Use another directory"):
        average(str(tmp_path), tmp_path / "new" / "model.ckpt-4")
