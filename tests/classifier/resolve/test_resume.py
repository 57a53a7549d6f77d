"""Resuming a run with other options."""

import subprocess
import sys

import pytest

from slim import checkpoints
from tests import source_tree


@pytest.mark.parametrize("change", [{"optimizer": "adam"}, {"batch_size": 16}])
def test_another_optimizer_or_batch_size_is_an_error_and_changes_nothing(
    train, existing_run, change
):
    before = {path: path.read_bytes() for path in existing_run.iterdir() if path.is_file()}
    done = train(existing_run, max_number_of_steps=3, **change)
    assert done.code == 2
    assert len(done.err) == 1
    assert next(iter(change)) in done.err[0]
    assert {path: path.read_bytes() for path in existing_run.iterdir() if path.is_file()} == before


def test_a_run_without_a_checkpoint_starts_over(train, tmp_path):
    failed = train(tmp_path, labels_offset=1)
    assert failed.code == 2
    assert "labels_offset=0" in failed.err[0]
    assert (tmp_path / "config.json").exists()
    done = train(tmp_path, labels_offset=0, batch_size=4)
    assert (done.code, done.err) == (0, [])
    assert "Starting at step 0 from scratch" in done.out
    assert not [line for line in done.out if "changed since" in line]


@pytest.mark.parametrize(
    "change, differing",
    [
        (
            {"optimizer": "adam"},
            ("missing: LeNet/conv1/weights/Adam, ", "unused: LeNet/conv1/biases/Momentum, "),
        ),
        pytest.param(
            {"model_name": "cifarnet"},
            ("missing: CifarNet/", "unused: LeNet/conv1/"),
            marks=pytest.mark.slow,
        ),
        (
            {"train_image_size": 32},
            ("LeNet/fc3/weights: checkpoint shape [3136, 1024], network shape [4096,",),
        ),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_another_network_or_optimizer_is_an_error_without_config_json(
    train, existing_run, change, differing
):
    (existing_run / "config.json").unlink()
    done = train(existing_run, max_number_of_steps=3, **change)
    (line,) = done.err
    assert done.code == 2
    reason = "contains a run with another network, optimizer or dataset"
    assert f"{reason}: {existing_run}/model.ckpt-2: " in line
    assert all(words in line for words in differing)
    assert f"--checkpoint_path={existing_run}; to start over" in line
    assert "--restart" in line
    assert "strict" not in line
    assert "skip_mismatched" not in line


def test_another_compute_dtype_is_an_error(train, existing_run):
    done = train(existing_run, max_number_of_steps=3, compute_dtype="float16")
    assert done.code == 2
    assert "compute_dtype: float32 -> float16" in done.err[0]


def test_a_run_past_its_last_step_is_complete(train, existing_run):
    done = train(existing_run, max_number_of_steps=1)
    assert (done.code, done.err) == (0, [])
    assert done.out[-1] == f"{existing_run} is already complete: 2 steps"


def snapshot(directory):
    """Returns the paths below a directory, with content and time of each file."""
    return {
        str(path): path.is_file() and (path.read_bytes(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
    }


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param(
            {
                "eval_every_steps": 1,
                "early_stopping_patience": 1,
                "max_number_of_steps": 9,
                "summarize_images": True,
                "plot_curves": True,
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=["ended", "stopped early"],
)
def test_a_complete_run_is_not_changed(train, tmp_path, flags):
    if "plot_curves" in flags:
        pytest.importorskip("matplotlib")
    run = tmp_path / "run"
    flags = {"optimizer": "sgd", "save_summaries_secs": 600, "learning_rate": 1e-9} | flags
    assert train(run, **flags).code == 0
    before = snapshot(run)
    assert any("events.out" in path for path in before)
    done = train(run, **flags | {"learning_rate": 0.5})
    assert (done.code, done.err) == (0, [])
    assert "complete" in done.out[-1] or "stopped early" in done.out[-1]
    assert snapshot(run) == before


@pytest.mark.slow
def test_resume_writes_the_missing_model_info_of_the_best_checkpoint(train, tmp_path):
    flags = {"eval_every_steps": 2}
    assert train(tmp_path, **flags).code == 0
    model_info = tmp_path / "best" / "model_info.json"
    expected = model_info.read_bytes()
    model_info.unlink()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if "eval_accuracy" not in line]
    (tmp_path / "metrics.jsonl").write_text("".join(kept))
    assert train(tmp_path, **flags).code == 0
    assert model_info.read_bytes() == expected


@pytest.mark.slow
def test_the_same_global_batch_on_more_clones_resumes(existing_run, digits):
    code = (
        "import sys, train_image_classifier\n"
        "from deployment import strategies\n"
        "strategies.split_cpu(2)\n"
        "sys.exit(train_image_classifier.main())"
    )
    options = {
        "train_dir": existing_run, "dataset_name": "digits", "dataset_dir": digits,
        "model_name": "lenet", "optimizer": "momentum", "save_summaries_secs": 0,
        "max_number_of_steps": 3, "num_clones": 2, "batch_size": 4,
    }  # fmt: skip
    flags = [f"--{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [sys.executable, "-c", code, *flags], cwd=source_tree.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert checkpoints.read(checkpoints.latest(existing_run)).get("global_step") == 3
