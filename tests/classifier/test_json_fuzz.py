"""Damaged JSON files of our own by the thousand: one line each, in no time, and nothing is lost."""

import hashlib
import json
import os
import random
import shutil
import time
import types

import pytest

from classifier.checkpoints import sources
from classifier.cli import flags
from classifier.config.prediction import PredictConfig
from classifier.config.strategy import StrategyOptions
from classifier.export import model_card
from classifier.inference import predict
from classifier.metrics_file import MetricsFile
from classifier.resolve import class_weights, cluster, resume
from classifier.run_directory import ModelInfo, RunDirectory
from classifier.training.hooks import curves
from datasets import conversion_journal, dataset_factory, dataset_info
from slim import _checks, checkpoints, nan_restores, run_lock
from slim.checkpoints import _listing
from tests import memory
from tests.classifier import json_mutations

MANY, FEW, SAMPLE = 3000, 10, 6
MOST_SECONDS = 10
MOST_BYTES = 1 << 30  # that reading may add

INFO = ModelInfo(
    model_name="lenet",
    num_classes=3,
    label_names=("a", "b", "c"),
    image_size=(28, 28),
    num_channels=1,
    preprocessing_name="lenet",
    moving_average_decay=0.9,
    dataset_name="digits",
    versions={"tensorflow": "2.21.0"},
)
EVALUATION = {"checkpoint": "run/model.ckpt-7", "step": 7, "split": "test", "accuracy": 0.9, "k": 3,
              "recall_at_k": 1.0, "macro_recall": 0.8, "loss": 0.3, "num_images": 9}  # fmt: skip
METRICS = [{"step": step, "epoch": 0.5, "loss": 1.0, "accuracy": 0.5} for step in (2, 4, 6)] + [
    {"step": step, "eval_accuracy": 0.5, "eval_k": 3, "eval_loss": 1.0, "time": 5.5}
    for step in (4, 6)
]
RESTORES = [
    {"step": 4, "failed_step": 6, "skipped": 3},
    {"step": 8, "failed_step": 8, "skipped": 1},
]
HOLDER = {"pid": 5, "host": "h", "since": "2026-01-01 00:00:00+00:00"}
TF_CONFIG = {
    "cluster": {"chief": ["a:1"], "worker": ["b:2"]},
    "task": {"type": "worker", "index": 0},
}


def text_of(values):
    return (json.dumps(values, indent=1) + "\n").encode()


class Readers:
    """For each kind of file: an intact one, and what is done with a damaged one."""

    def __init__(self, folder, digits):
        self.folder, self.digits = folder, digits

    def model_info(self, content):
        if content is None:
            return text_of(INFO.to_dict())
        (self.folder / "model_info.json").write_bytes(content)
        info = sources.read_model_info(RunDirectory(str(self.folder)))
        assert info is None or (
            len(info.label_names) in (0, info.num_classes)
            and type(info.use_grayscale) is bool
            and all(1 <= side <= 1 << 14 for side in info.image_size)
        )
        return None

    def config(self, content):
        options = {"dataset_dir": "d", "batch_size": 8, "trainable_scopes": ["a"], "seed": 1}
        resolved = INFO.to_dict() | {"num_samples": 9, "class_weights": [1.0, 2.0]}
        config = {"options": options, "resolved": resolved}
        if content is None:
            return text_of(config)
        (self.folder / "config.json").write_bytes(content)
        old = RunDirectory(str(self.folder)).read_config()
        values = {"options": dict.fromkeys(_option_names(), 1), "resolved": config["resolved"]}
        new = types.SimpleNamespace(to_dict=lambda: values)
        changes = resume.changed_options(old, new)
        assert all(str(change).isprintable() and len(str(change)) < 400 for change in changes)
        model_card._run_options(RunDirectory(str(self.folder)))
        return None

    def dataset_info(self, content):
        path = self.folder / "digits" / "dataset_info.json"
        if content is None:
            shutil.copytree(self.digits, path.parent)
            return path.read_bytes()
        path.write_bytes(content)
        assert dataset_info.read_complete(str(path.parent)) is None or content
        actual = dataset_factory.get_metadata("digits", "train", str(path.parent))
        assert actual.num_samples == 1437
        assert actual.num_classes == len(actual.labels_to_names)
        return None

    def best(self, content):
        folder = self.folder / "best"
        tensors = {"weights": [1.0]}
        if content is None:
            checkpoints.Checkpoints(self.folder).save_best(4, tensors, "accuracy", 0.5)
            return (folder / "best.json").read_bytes()
        shutil.rmtree(folder)
        folder.mkdir()
        for name in ("model.ckpt-4.index", "model.ckpt-4.data-00000-of-00001"):
            (folder / name).write_bytes(b"4")
        (folder / "best.json").write_bytes(content)
        record = checkpoints.best(self.folder)
        checkpoints.Checkpoints(self.folder).save_best(6, tensors, "accuracy", 0.6)
        is_beaten = record is not None and (record["metric"], record["value"] < 0.6) == (
            "accuracy",
            True,
        )
        if not is_beaten:
            assert (folder / "model.ckpt-4.index").read_bytes() == b"4"
        if record is None:
            assert (folder / "best.json.damaged").read_bytes() == content
        return None

    def journal(self, content):
        work = self.folder / "work"
        if content is None:
            self.shards = {}
            work.mkdir()
            lines = ["fingerprint"]
            for name in ("a", "b"):
                data = name.encode() * 9
                shard = {"file": name, "num_samples": 3, "bytes": 9,
                         "sha256": hashlib.sha256(data).hexdigest()}  # fmt: skip
                lines.append({"file": name, "shard": shard, "per_class": [1, 2],
                              "bad": [["x.jpg", "too large"]]})  # fmt: skip
                self.shards[name] = data
            return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        for name, data in self.shards.items():
            (work / name).write_bytes(data)
        (work / "journal.jsonl").write_bytes(content)
        journal = conversion_journal.Journal(str(work), "fingerprint", 2)
        assert set(journal.done) <= set(self.shards)
        again = conversion_journal.Journal(str(work), "fingerprint", 2)
        assert again.done == journal.done
        return None

    def metrics(self, content):
        if content is None:
            return b"".join(json.dumps(line).encode() + b"\n" for line in METRICS)
        for path in self.folder.glob("metrics.jsonl*"):
            path.unlink()
        path = self.folder / "metrics.jsonl"
        path.write_bytes(content)
        metrics = MetricsFile(str(path))
        metrics.rewind(6)
        kept = path.read_bytes()
        intact = {json.dumps(line).encode() for line in METRICS}
        assert all(line in kept for line in content.split(b"\n")[:-1] if line in intact)
        assert all(line in content for line in kept.splitlines())
        assert len(metrics.read()) == len(kept.splitlines())
        best = max(metrics.evaluations(), key=lambda line: line["eval_accuracy"], default=None)
        assert best is None or 0 <= best["eval_accuracy"] <= 1
        for line in metrics.read():
            for names in curves.PLOTS.values():
                assert all(isinstance(line[name], float) for name in names if name in line)
        return None

    def nan_restores(self, content):
        if content is None:
            return text_of(RESTORES)
        (self.folder / nan_restores.FILE).write_bytes(content)
        assert 0 <= nan_restores.NanRestores(str(self.folder), 9).skipped(1 << 40) < 1 << 50
        return None

    def train_lock(self, content):
        if content is None:
            return text_of(HOLDER)
        (self.folder / "train.lock").write_bytes(content)
        with open(self.folder / "train.lock", encoding="utf-8", errors="replace") as file:
            holder = run_lock._holder(file)
        assert holder.isprintable()
        assert len(holder) < 5000
        return None

    def eval_json(self, content):
        if content is None:
            return text_of(EVALUATION)
        (self.folder / "eval.json").write_bytes(content)
        run = RunDirectory(str(self.folder))
        path = str(self.folder / "eval.json")
        evaluation = model_card.find_evaluation(path, run, "run/model.ckpt-7", 7)
        assert all(isinstance(value, (int, float)) for value in evaluation.metrics.values())
        return None

    def class_weights(self, content):
        if content is None:
            return text_of({"a": 1, "b": 2.5, "c": 0})
        (self.folder / "w.json").write_bytes(content)
        weights = class_weights.read(str(self.folder / "w.json"), ("a", "b", "c"))
        assert len(weights) == 3
        assert all(0 <= weight < float("inf") for weight in weights)
        return None

    def tf_config(self, content):
        if content is None:
            return text_of(TF_CONFIG)
        environment = {"TF_CONFIG": os.fsdecode(content)}
        assert cluster.resolve(StrategyOptions(worker_replicas=2), environment).task in (0, 1)
        return None

    def state(self, content):
        if content is None:
            (self.folder / "run").mkdir()
            for name in ("model.ckpt-3.index", "model.ckpt-7.index"):
                (self.folder / "run" / name).touch()
            _listing.write_state(
                str(self.folder / "run"), ["model.ckpt-3", "model.ckpt-7"], [1.0, 2.0], 1.0
            )
            return (self.folder / "run" / "checkpoint").read_bytes()
        (self.folder / "run" / "checkpoint").write_bytes(content)
        actual = _listing.list_checkpoints(str(self.folder / "run"))
        assert set(actual.names) == {"model.ckpt-3", "model.ckpt-7"}
        return None


def _option_names():
    from classifier.config import options
    from classifier.config.training import TrainConfig

    return options.by_name(TrainConfig)


KINDS = [name for name in vars(Readers) if not name.startswith("_")]


def fuzz(kind, count, folder, digits, first):
    """Tries damaged files; returns how many were refused."""
    read = getattr(Readers(folder, digits), kind)
    intact, refused = read(None), 0
    earlier = memory.reset_peak()
    for number in range(first, first + count):
        content = json_mutations.mutated(intact, random.Random(number))
        begun = time.monotonic()
        try:
            read(content)
        except (_checks.UserError, _checks.RunError) as error:
            refused += 1
            text = str(error)
            assert text.isprintable(), (number, content[:500], text)
            assert len(text) < 2000, (number, content[:500], text)
        except Exception as error:
            raise AssertionError(f"{kind} {number}: {content[:2000]!r}") from error
        assert time.monotonic() - begun < MOST_SECONDS, number
    assert (memory.peak_kilobytes() - earlier) * 1024 < MOST_BYTES
    return refused


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_damaged_files(kind, tmp_path, digits):
    fuzz(kind, FEW, tmp_path, digits, first=1_000_000)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_damaged_files(kind, tmp_path, digits):
    fuzz(kind, MANY, tmp_path, digits, first=0)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1 << 20, 200 << 20])
@pytest.mark.parametrize("part", [b"[],", b'{"a":1},', b"9", b'"",', b"\n", b'"', b"\\u0000"])
def test_large_files_do_not_fill_memory(tmp_path, part, size):
    info = text_of(INFO.to_dict() | {"later": []})
    (tmp_path / "model_info.json").write_bytes(
        info.replace(b"[]", b"[" + part * (size // len(part)))
    )
    begun, earlier = time.monotonic(), memory.reset_peak()
    with pytest.raises(_checks.UserError, match=r"model_info\.json cannot be used"):
        RunDirectory(str(tmp_path)).read_model_info()
    assert time.monotonic() - begun < MOST_SECONDS
    assert (memory.peak_kilobytes() - earlier) * 1024 < MOST_BYTES


FILES = ("model_info.json", "config.json", "metrics.jsonl", "best/best.json", "checkpoint")


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory, digits):
    """A run of two steps that evaluated itself."""
    from classifier.config.training import TrainConfig
    from classifier.training import run as training

    folder = tmp_path_factory.mktemp("finished") / "run"
    assert flags.main(TrainConfig, training.run, "", _train_argv(folder, digits, 2)) == 0
    return folder


def _train_argv(folder, digits, steps):
    config = {"train_dir": folder, "dataset_name": "digits", "dataset_dir": digits, "batch_size": 8,
             "model_name": "lenet", "max_number_of_steps": steps, "optimizer": "momentum",
             "save_summaries_secs": 0, "eval_every_steps": 1, "log_every_n_steps": 1}  # fmt: skip
    return ["train", *(f"--{name}={value}" for name, value in config.items())]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_scripts_answer_a_damaged_file_in_a_line(
    finished_run, digits, tmp_path, name, evaluate, capsys
):
    from classifier.config.training import TrainConfig
    from classifier.training import run as training

    intact = (finished_run / name).read_bytes()
    image = next(iter((digits / "samples").iterdir()))
    for number in range(SAMPLE):
        run = tmp_path / str(number)
        shutil.copytree(finished_run, run)
        content = json_mutations.mutated(intact, random.Random(number))
        (run / name).write_bytes(content)
        best = {path.name: path.read_bytes() for path in (run / "best").glob("model.ckpt-*")}
        record = checkpoints.best(run)
        argv = ["p", f"--checkpoint_path={run}", f"--images={image}"]
        answers = [
            flags.main(PredictConfig, predict.run, "", argv),
            evaluate(run).code,
            flags.main(TrainConfig, training.run, "", _train_argv(run, digits, 3)),
        ]
        captured = capsys.readouterr()
        assert set(answers) <= {0, 1, 2}, (number, content)
        assert "Traceback" not in captured.err
        assert all(line.isprintable() for line in captured.err.splitlines())
        if record is None:  # nobody knows how good it is
            for file, data in best.items():
                assert (run / "best" / file).read_bytes() == data
        shutil.rmtree(run)
