"""`--compute_dtype`: half precision reaches the accuracy of float32 on the digits."""

import json

import commands
import pytest

STEPS = 400


def accuracy(run, digits, dtype):
    flags = commands.train_flags(run, digits, STEPS, compute_dtype=dtype, batch_size=32)
    commands.run("train_image_classifier", *flags)
    report, _ = commands.evaluate(run, digits, run / "eval.json")
    return report["accuracy"]


@pytest.mark.slow
def test_half_precision_reaches_the_accuracy_of_float32(tmp_path, digits):
    reference = accuracy(tmp_path / "float32", digits, "float32")
    assert reference > 0.95
    for dtype in ("bfloat16", "float16"):
        assert accuracy(tmp_path / dtype, digits, dtype) == pytest.approx(reference, abs=0.01), (
            dtype
        )


@pytest.mark.slow
def test_float16_run_logs_its_loss_scale(tmp_path, digits):
    more = {"compute_dtype": "float16", "log_every_n_steps": 1}
    commands.run("train_image_classifier", *commands.train_flags(tmp_path, digits, 3, **more))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    scales = [line["loss_scale"] for line in lines]
    assert scales[0] == 2.0**15
    # A step whose gradients overflow is skipped and halves the scale.
    assert scales[1:] == [
        line["loss_scale"] / (2 if line["gradient_norm"] == 0 else 1) for line in lines[:2]
    ]
