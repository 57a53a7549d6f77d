"""What workers compare before the first step."""

import json

import pytest

from classifier.cluster import facts
from classifier.config import options
from classifier.config.evaluation import EvalConfig
from classifier.config.training import TrainConfig
from classifier.resolve.evaluation import evaluation
from classifier.resolve.training import training_run
from classifier.run_directory import RunDirectory

TOGETHER = {"model_name": "lenet", "max_number_of_steps": 9, "worker_replicas": 2}


def of_worker(digits, **more):
    """Returns what a worker with these options sends."""
    values = {"train_dir": "/run", "dataset_name": "digits", "dataset_dir": str(digits)}
    config = options.build(TrainConfig, **values | TOGETHER | more)
    return json.loads(json.dumps(facts.of_run(training_run(config))))


@pytest.fixture(scope="module")
def first(digits):
    return of_worker(digits)


# Also run with processes: end_to_end/test_worker_faults.py.
DIFFERENT = {
    "batch_size": (16, "--batch_size differs: 32 on worker 0, 16 on worker 1"),
    "learning_rate": (0.5, "--learning_rate differs: 0.01 on worker 0, 0.5 on worker 1"),
    "seed": (7, "--seed differs: 0 on worker 0, 7 on worker 1"),
    "optimizer": ("adam", "--optimizer differs: rmsprop on worker 0, adam on worker 1"),
    "model_name": ("cifarnet", "--model_name differs: lenet on worker 0, cifarnet on worker 1"),
    "dataset_split_name": (
        "validation",
        "--dataset_split_name differs: train on worker 0, validation on worker 1",
    ),
    "max_number_of_steps": (8, "--max_number_of_steps differs: 9 on worker 0, 8 on worker 1"),
    "label_smoothing": (0.1, "--label_smoothing differs: 0.0 on worker 0, 0.1 on worker 1"),
    "moving_average_decay": (0.9, "--moving_average_decay differs: none on worker 0, 0.9 on wor"),
    "steps_per_loop": (2, "--steps_per_loop differs: 1 on worker 0, 2 on worker 1"),
    "compute_dtype": ("bfloat16", "--compute_dtype differs: float32 on worker 0, bfloat16 on w"),
    "trainable_scopes": (
        ("LeNet/fc3", "LeNet/fc4"),
        "--trainable_scopes differs: none on worker 0, LeNet/fc3,LeNet/fc4 on worker 1",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_different_option_is_named_with_both_values(name, digits, first):
    value, message = DIFFERENT[name]
    lines = facts.differences({0: first, 1: of_worker(digits, **{name: value})})
    assert len(lines) == 1
    assert lines[0].startswith(message)


def test_paths_logging_and_the_machine_may_differ(digits, first, tmp_path):
    (tmp_path / "data").symlink_to(digits)
    other = of_worker(
        tmp_path / "data",
        train_dir="/elsewhere",
        task=1,
        log_every_n_steps=3,
        save_interval_steps=5,
        plot_curves=True,
        num_preprocessing_threads=3,
        cluster="none",
        cluster_port=5,
    )
    assert not facts.differences({0: first, 1: other})


def test_versions_and_files_are_compared(first, digits, tmp_path):
    versions = first["versions"] | {"TensorFlow": "2.99.0", "slim": "0.1.0 (0)"}
    lines = facts.differences({0: first, 1: first, 2: first | {"versions": versions}})
    assert [line.partition(" ")[0] for line in lines] == ["TensorFlow", "slim"]
    assert lines[0].endswith("on workers 0, 1, 2.99.0 on worker 2")
    for file in digits.iterdir():
        if file.is_file():
            (tmp_path / file.name).symlink_to(file)
    records = tmp_path / "digits_train-00001-of-00002.tfrecord"
    content = records.read_bytes()
    records.unlink()
    (tmp_path / "dataset_info.json").unlink()
    records.write_bytes(content + content[: len(content)])
    lines = facts.differences({0: first, 1: of_worker(tmp_path)})
    assert any(line.startswith("dataset differs: 1437 images (") for line in lines)


def test_the_code_digest_depends_on_each_file(monkeypatch, tmp_path):
    packages = ["classifier", "slim"]
    for name in packages:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("1")
    monkeypatch.setattr(facts, "_PACKAGES", packages)
    monkeypatch.setattr(facts, "_ROOT", str(tmp_path))
    monkeypatch.setattr(facts, "_slim_directory", lambda: str(tmp_path / "slim"))
    digests = set()
    for name in ("", *packages):
        if name:
            (tmp_path / name / "a.py").write_text("2")
        digests.add(facts.code_digest.__wrapped__())
    assert len(digests) == 3


def test_long_values_are_compared_by_digest():
    values = ["x" * 2000, "x" * 1999 + "y"]
    short = [facts._short(value) for value in values]
    assert short[0] != short[1]
    assert max(map(len, short)) < 200


def test_an_evaluation_is_compared_too(digits, tmp_path):
    prefix = tmp_path / "model.ckpt-3"

    def of_evaluation(index=b"variables", **more):
        (tmp_path / "model.ckpt-3.index").write_bytes(index)
        values = {"checkpoint_path": str(prefix), "dataset_name": "digits", "model_name": "lenet"}
        config = options.build(EvalConfig, **values | {"dataset_dir": str(digits)} | more)
        resolved = evaluation(config, None, RunDirectory(str(tmp_path)))
        return json.loads(json.dumps(facts.of_evaluation(resolved, str(prefix))))

    first = of_evaluation()
    assert facts.differences({0: first, 1: of_evaluation(eval_json="/x", task=0)}) == []
    (line,) = facts.differences({0: first, 1: of_evaluation(batch_size=8)})
    assert line == "--batch_size differs: 100 on worker 0, 8 on worker 1"
    (line,) = facts.differences({0: first, 1: of_evaluation(index=b"others")})
    assert line.startswith("checkpoint differs: model.ckpt-3 (")
