"""`--compute_dtype`: half precision reaches the accuracy of float32 on the digits."""

import json

import commands
import pytest

STEPS = 400


def accuracy(folder, digits, dtype):
    flags = commands.train_flags(folder, digits, STEPS, compute_dtype=dtype, batch_size=32)
    commands.run("train_image_classifier", *flags)
    report = folder / "eval.json"
    commands.run(
        "eval_image_classifier",
        f"--checkpoint_path={folder}",
        "--dataset_split_name=validation",
        f"--dataset_dir={digits}",
        f"--eval_json={report}",
    )
    return json.loads(report.read_text())["accuracy"]


@pytest.mark.slow
def test_the_accuracy_is_that_of_float32(tmp_path, digits):
    wanted = accuracy(tmp_path / "float32", digits, "float32")
    for dtype in ("bfloat16", "float16"):
        found = accuracy(tmp_path / dtype, digits, dtype)
        assert abs(found - wanted) <= 0.01, (dtype, found, wanted)
    assert wanted > 0.95


@pytest.mark.slow
def test_a_short_run_in_float16_says_its_scale(tmp_path, digits):
    more = {"compute_dtype": "float16", "log_every_n_steps": 1}
    commands.run("train_image_classifier", *commands.train_flags(tmp_path, digits, 3, **more))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    scales = [line["loss_scale"] for line in lines]
    assert scales[0] == 2.0**15
    skipped = [line["gradient_norm"] == 0 for line in lines]
    assert (
        scales[1:]
        == [scale / 2 if skip else scale for scale, skip in zip(scales, skipped, strict=True)][:2]
    )
