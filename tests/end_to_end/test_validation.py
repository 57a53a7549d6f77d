"""Evaluation during training: metrics, the best checkpoint, early stopping, resuming."""

import json
import shutil

import commands
import pytest
import tensorflow as tf

STEPS, EVAL_STEPS = commands.STEPS, commands.EVAL_STEPS


def evaluations(train_dir):
    """Returns the lines of metrics.jsonl that have an evaluation, by step."""
    lines = [json.loads(line) for line in (train_dir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line for line in lines if "eval_accuracy" in line}


def train(train_dir, digits, steps, **more):
    """Trains, or resumes, and returns the output."""
    flags = commands.train_flags(train_dir, digits, steps, **commands.RUN | more)
    return commands.run("train_image_classifier", *flags).stdout


def test_evaluates_at_each_interval_and_at_the_end(trained_with_output):
    train_dir, output = trained_with_output
    lines = evaluations(train_dir)
    assert list(lines) == [EVAL_STEPS, STEPS]
    assert all(line["eval_num_images"] == 360 for line in lines.values())
    assert output.count("validation accuracy") == 2
    assert f"step {EVAL_STEPS} evaluated on validation, best so far" in output


def test_one_event_file_has_all_evaluations(trained):
    steps = []
    for path in (trained / "eval").glob("events.out.tfevents.*"):
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        events = [tf.compat.v1.Event.FromString(record) for record in records]
        steps.append({event.step for event in events if event.summary.value})
    assert steps == [{EVAL_STEPS, STEPS}]


def test_metrics_equal_those_of_the_evaluation_script(trained, digits, tmp_path):
    checkpoint = trained / f"model.ckpt-{STEPS}"
    report, _ = commands.evaluate(checkpoint, digits, tmp_path / "eval.json")
    line = evaluations(trained)[STEPS]
    assert line["eval_accuracy"] == report["accuracy"]
    assert line["eval_loss"] == pytest.approx(report["loss"], rel=1e-5)


def test_accuracy_without_averaging_equals_that_of_the_raw_weights(
    trained_with_output, digits, tmp_path
):
    train_dir, output = trained_with_output
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(f"{train_dir}/model.ckpt-{STEPS}{suffix}", tmp_path)
    info = json.loads((train_dir / "model_info.json").read_text())
    (tmp_path / "model_info.json").write_text(json.dumps(info | {"moving_average_decay": None}))
    checkpoint = tmp_path / f"model.ckpt-{STEPS}"
    report, _ = commands.evaluate(checkpoint, digits, tmp_path / "eval.json")
    line = evaluations(train_dir)[STEPS]
    assert line["eval_raw_accuracy"] == report["accuracy"]
    assert line["eval_raw_loss"] == pytest.approx(report["loss"], rel=1e-5)
    assert line["eval_raw_loss"] != line["eval_loss"]
    assert f"without moving averages: accuracy {report['accuracy']:.3f}" in output


def test_best_checkpoint_is_kept(trained):
    record = json.loads((trained / "best" / "best.json").read_text())
    best = max(evaluations(trained).values(), key=lambda line: line["eval_accuracy"])
    assert (record["step"], record["value"]) == (best["step"], best["eval_accuracy"])
    name = f"model.ckpt-{best['step']}.data-00000-of-00001"
    assert (trained / "best" / name).read_bytes() == (trained / name).read_bytes()


def test_best_checkpoint_is_evaluated_without_the_runs_flags(run, digits, tmp_path):
    record = json.loads((run / "best" / "best.json").read_text())
    _, output = commands.evaluate(run / "best", digits, tmp_path / "eval.json")
    assert f"validation accuracy {record['value']:.3f} (360 of 360 images)" in output


@pytest.mark.slow
def test_evaluation_missing_after_a_crash_is_run_on_resume(run, digits):
    expected = evaluations(run)[STEPS]
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:-1]))
    assert STEPS not in evaluations(run)
    train(run, digits, STEPS)
    assert evaluations(run)[STEPS] | {"time": 0} == expected | {"time": 0}


@pytest.mark.slow
def test_early_stopping_ends_the_run_also_when_it_is_resumed(tmp_path, digits):
    more = {"learning_rate": 1e-30, "early_stopping_patience": 2, "moving_average_decay": ""}
    output = train(tmp_path, digits, 500, **more)
    assert "stopped early at step 90: accuracy did not improve in 2 evaluations (best" in output
    assert list(evaluations(tmp_path)) == [30, 60, 90]
    assert "stopped early at step 90" in train(tmp_path, digits, 500, **more)
    assert list(evaluations(tmp_path)) == [30, 60, 90]


@pytest.mark.parametrize(
    "flags, message",
    [
        (
            "--early_stopping_patience=2",
            "needs --eval_every_epochs or --eval_every_steps",
        ),
        ("--eval_every_epochs=1 --eval_split_name=dev", "dev"),
    ],
)
def test_early_stopping_without_evaluations_or_an_unknown_split_is_an_error(
    tmp_path, digits, flags, message
):
    base = commands.train_flags(tmp_path / "run", digits, 5)
    assert message in commands.error("train_image_classifier", *base, *flags.split())
