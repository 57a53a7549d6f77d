"""Evaluation inside training: the numbers, the best checkpoint, early stopping, resuming."""

import json
import shutil

import commands
import pytest
import tensorflow as tf

RUN = {"eval_every_epochs": 20 / 89.8125, "moving_average_decay": 0.9, "log_every_n_steps": 20}


def evaluations(train_dir):
    lines = [json.loads(line) for line in (train_dir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line for line in lines if "eval_accuracy" in line}


def train(train_dir, digits, steps, **more):
    flags = commands.train_flags(train_dir, digits, steps, **RUN | more)
    return commands.run("train_image_classifier", *flags).stdout


def evaluated(checkpoint, digits, report):
    """Returns what the evaluation script finds."""
    commands.run(
        "eval_image_classifier",
        f"--checkpoint_path={checkpoint}",
        "--dataset_split_name=validation",
        f"--dataset_dir={digits}",
        f"--eval_json={report}",
    )
    return json.loads(report.read_text())


@pytest.fixture(scope="module")
def validated(tmp_path_factory, digits):
    """A run of 50 steps that evaluates each 20, and what it said."""
    train_dir = tmp_path_factory.mktemp("validated") / "run"
    return train_dir, train(train_dir, digits, 50)


def test_it_evaluates_on_time_and_at_the_end(validated):
    train_dir, said = validated
    found = evaluations(train_dir)
    assert list(found) == [20, 40, 50]
    assert all(line["eval_num_images"] == 360 for line in found.values())
    assert said.count("validation accuracy") == 3
    assert "step 20 evaluated on validation, best so far" in said


def test_one_event_file_has_all_evaluations(validated):
    train_dir, _ = validated
    steps = []
    for path in (train_dir / "eval").glob("events.out.tfevents.*"):  # of other scripts too
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        events = [tf.compat.v1.Event.FromString(record) for record in records]
        steps.append({event.step for event in events if event.summary.value})
    assert {20, 40, 50} in steps


def test_the_numbers_are_those_of_the_evaluation_script(validated, digits, tmp_path):
    train_dir, _ = validated
    wanted = evaluated(f"{train_dir}/model.ckpt-50", digits, tmp_path / "eval.json")
    found = evaluations(train_dir)[50]
    assert found["eval_accuracy"] == wanted["accuracy"]
    assert found["eval_loss"] == pytest.approx(wanted["loss"], rel=1e-5)


@pytest.mark.slow
def test_the_accuracy_without_averaging_stands_beside_it(validated, digits, tmp_path):
    train_dir, said = validated
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(f"{train_dir}/model.ckpt-50{suffix}", tmp_path)
    info = json.loads((train_dir / "model_info.json").read_text())
    (tmp_path / "model_info.json").write_text(json.dumps(info | {"moving_average_decay": None}))
    wanted = evaluated(f"{tmp_path}/model.ckpt-50", digits, tmp_path / "eval.json")
    found = evaluations(train_dir)[50]
    assert found["eval_raw_accuracy"] == wanted["accuracy"]
    assert found["eval_raw_loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    assert found["eval_raw_loss"] != found["eval_loss"]
    assert f"without moving averages: accuracy {wanted['accuracy']:.3f}" in said


def test_the_best_checkpoint_is_kept(validated):
    train_dir, _ = validated
    record = json.loads((train_dir / "best" / "best.json").read_text())
    best = max(evaluations(train_dir).values(), key=lambda line: line["eval_accuracy"])
    assert (record["step"], record["value"]) == (best["step"], best["eval_accuracy"])
    name = f"model.ckpt-{best['step']}.data-00000-of-00001"
    assert (train_dir / "best" / name).read_bytes() == (train_dir / name).read_bytes()


def test_the_best_checkpoint_needs_no_flags_again(validated, digits):
    train_dir, _ = validated
    record = json.loads((train_dir / "best" / "best.json").read_text())
    done = commands.run(
        "eval_image_classifier",
        f"--checkpoint_path={train_dir}/best",
        "--dataset_split_name=validation",
        f"--dataset_dir={digits}",
    )
    assert f"validation accuracy {record['value']:.3f} (360 of 360 images)" in done.stdout


@pytest.mark.slow
def test_an_evaluation_that_a_crash_left_out_is_made_up_for(validated, digits):
    train_dir, _ = validated
    wanted = evaluations(train_dir)[50]
    lines = (train_dir / "metrics.jsonl").read_text().splitlines(keepends=True)
    (train_dir / "metrics.jsonl").write_text("".join(lines[:-1]))
    assert 50 not in evaluations(train_dir)
    train(train_dir, digits, 50)
    found = evaluations(train_dir)[50]
    assert {**found, "time": 0} == {**wanted, "time": 0}


@pytest.mark.slow
def test_early_stopping_ends_the_run_and_holds_when_it_is_called_again(tmp_path, digits):
    more = {"learning_rate": 1e-30, "early_stopping_patience": 2, "moving_average_decay": ""}
    said = train(tmp_path, digits, 500, **more)
    assert "stopped early at step 60: accuracy did not improve in 2 evaluations (best" in said
    assert list(evaluations(tmp_path)) == [20, 40, 60]
    assert "stopped early at step 60" in train(tmp_path, digits, 500, **more)
    assert list(evaluations(tmp_path)) == [20, 40, 60]


def test_patience_needs_evaluations_and_a_split(tmp_path, digits):
    base = commands.train_flags(tmp_path, digits, 5)
    failed = commands.run("train_image_classifier", *base, "--early_stopping_patience=2", code=2)
    assert "counts evaluations, and there are none: set --eval_every_epochs" in failed.stderr
    failed = commands.run(
        "train_image_classifier", *base, "--eval_every_epochs=1", "--eval_split_name=dev", code=2
    )
    assert "dev" in failed.stderr
    assert failed.stderr.count("\n") == 1
