"""A run that is resumed by another command than it was begun with."""

import subprocess
import sys

import pytest

from slim import checkpoints
from tests import source_tree


@pytest.fixture
def begun(train, tmp_path):
    """A run of two steps, eight images each."""
    assert train(tmp_path / "run").code == 0
    return tmp_path / "run"


@pytest.mark.parametrize("change", [{"optimizer": "adam"}, {"batch_size": 16}])
def test_another_optimizer_or_batch_is_refused_and_nothing_is_touched(train, begun, change):
    before = {path: path.read_bytes() for path in begun.iterdir() if path.is_file()}
    done = train(begun, max_number_of_steps=3, **change)
    assert done.code == 2
    assert len(done.err) == 1
    assert next(iter(change)) in done.err[0]
    assert {path: path.read_bytes() for path in begun.iterdir() if path.is_file()} == before


def test_a_run_without_a_checkpoint_begins_anew(train, tmp_path):
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
        ({"model_name": "cifarnet"}, ("missing: CifarNet/", "unused: LeNet/conv1/")),
        (
            {"train_image_size": 32},
            ("LeNet/fc3/weights: checkpoint shape [3136, 1024], network shape [4096,",),
        ),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_without_config_json_the_weights_tell_that_it_is_another_run(
    train, begun, change, differing
):
    (begun / "config.json").unlink()
    done = train(begun, max_number_of_steps=3, **change)
    (line,) = done.err
    assert done.code == 2
    reason = "contains a run with another network, optimizer or dataset"
    assert f"{reason}: {begun}/model.ckpt-2: " in line
    assert all(words in line for words in differing)
    assert f"--checkpoint_path={begun}; to start over" in line
    assert "--restart" in line
    assert "strict" not in line
    assert "skip_mismatched" not in line


def test_another_compute_dtype_is_refused(train, begun):
    done = train(begun, max_number_of_steps=3, compute_dtype="float16")
    assert done.code == 2
    assert "compute_dtype: float32 -> float16" in done.err[0]


def test_an_end_that_has_passed_is_complete(train, begun):
    done = train(begun, max_number_of_steps=1)
    assert (done.code, done.err) == (0, [])
    assert done.out[-1] == f"{begun} is already complete: 2 steps"


def everything(folder):
    """Returns the paths below a folder, with content and time of each file."""
    return {
        str(path): path.is_file() and (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize(
    "values",
    [
        {},
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
def test_a_complete_run_is_not_changed(train, tmp_path, values):
    if "plot_curves" in values:
        pytest.importorskip("matplotlib")
    run = tmp_path / "run"
    values = {"optimizer": "sgd", "save_summaries_secs": 600, "learning_rate": 1e-9} | values
    assert train(run, **values).code == 0
    before = everything(run)
    assert any("events.out" in path for path in before)
    done = train(run, **values | {"learning_rate": 0.5})
    assert (done.code, done.err) == (0, [])
    assert "complete" in done.out[-1] or "stopped early" in done.out[-1]
    assert everything(run) == before


@pytest.mark.slow
def test_a_run_killed_between_the_best_checkpoint_and_its_description_makes_up_for_it(
    train, tmp_path
):
    evaluated = {"eval_every_steps": 2}
    assert train(tmp_path, **evaluated).code == 0
    described = tmp_path / "best" / "model_info.json"
    wanted = described.read_bytes()
    described.unlink()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if "eval_accuracy" not in line]
    (tmp_path / "metrics.jsonl").write_text("".join(kept))
    assert train(tmp_path, **evaluated).code == 0
    assert described.read_bytes() == wanted


@pytest.mark.slow
def test_as_many_images_on_more_clones_go_on(begun, digits):
    code = (
        "import sys, train_image_classifier\n"
        "from deployment import model_deploy\n"
        "model_deploy.split_cpu(2)\n"
        "sys.exit(train_image_classifier.main())"
    )
    values = {
        "train_dir": begun, "dataset_name": "digits", "dataset_dir": digits, "model_name": "lenet",
        "optimizer": "momentum", "save_summaries_secs": 0, "max_number_of_steps": 3,
        "num_clones": 2, "batch_size": 4,
    }  # fmt: skip
    flags = [f"--{name}={value}" for name, value in values.items()]
    done = subprocess.run(
        [sys.executable, "-c", code, *flags], cwd=source_tree.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert checkpoints.read(checkpoints.latest(begun)).get("global_step") == 3
