"""Where a dataset is, by the options of the scripts."""

import os

import pytest

from classifier.config import options
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.training import TrainConfig
from classifier.resolve.dataset_source import RecordedSource, location_of
from datasets import dataset_factory, folder
from slim import _checks
from tests.datasets import image_folder, sample_files

REQUIRED = {
    TrainConfig: {"train_dir": "run"},
    EvalConfig: {"checkpoint_path": "run"},
    ExportConfig: {"checkpoint_path": "run", "output_dir": "export"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A directory of images, a list and a file of class names for it, and its TFRecords with
    other names."""
    root = tmp_path_factory.mktemp("source")
    names = [f"images/{c}/{n}.jpg" for c in "ab" for n in range(6)]
    image_folder.write(str(root), dict.fromkeys(names, sample_files.jpeg()))
    (root / "list.csv").write_text("images/a/0.jpg,x\nimages/b/0.jpg,y\n")
    (root / "names.txt").write_text("b\na\n")
    folder.convert(str(root / "records"), source_dir=str(root / "images"))
    os.remove(root / "records" / "dataset_info.json")
    for split in ("train", "validation"):
        (shard,) = (root / "records").glob(f"folder_{split}-*")
        shard.rename(root / "records" / f"{split}.record")
    return root


def images(config_class, values, recorded=None):
    """Returns what a script reads: for each split the names and labels, or the shards."""
    config = options.build(config_class, **REQUIRED[config_class], **values)
    data = config.data
    location = location_of(data.dataset_name, data.dataset_dir, config.source, recorded=recorded)
    splits = {}
    for name in dataset_factory.split_names(location):
        metadata = dataset_factory.metadata_at(location, name)
        rows = [(item.filename, item.label) for item in metadata.items]
        splits[name] = rows or [os.path.basename(path) for path in metadata.data_sources]
    return splits


@pytest.mark.parametrize("config_class", REQUIRED)
def test_each_option_changes_the_images(root, config_class):
    directory = {"dataset_name": "folder", "dataset_dir": str(root / "images")}
    plain = images(config_class, directory)
    assert {split: len(rows) for split, rows in plain.items()} == {"train": 11, "validation": 1}
    seen = [plain]
    for more in (
        {"labels_file": str(root / "names.txt")},
        {"validation_fraction": 0.5},
        {"split_seed": 3},
        {"folds": 2, "fold": 0},
        {"folds": 2, "fold": 1},
        {"folds": 3, "fold": 0},
    ):
        seen.append(images(config_class, directory | more))
    listed = {"dataset_name": "list", "dataset_file": str(root / "list.csv")}
    seen.append(images(config_class, listed | {"validation_fraction": 0.5}))
    assert len(seen[-1]["train"]) == 1
    records = {"dataset_name": "folder", "dataset_dir": str(root / "records")}
    seen.append(images(config_class, records | {"file_pattern": "%s.record"}))
    assert seen[-1] == {"train": ["train.record"], "validation": ["validation.record"]}
    for number, each in enumerate(seen):
        assert each not in seen[:number]


RECORDED = {"dataset_name": "folder", "split_seed": 3, "validation_fraction": 0.5}


def test_the_options_of_the_run_are_the_defaults(root):
    directory = {"dataset_name": "folder", "dataset_dir": str(root / "images")}
    recorded = RecordedSource(**RECORDED, dataset_dir=str(root / "images"))
    own = images(EvalConfig, directory | {"split_seed": 3, "validation_fraction": 0.5})
    assert images(EvalConfig, directory, recorded) == own
    with pytest.raises(_checks.UserError, match="split_seed=4 contradicts the run of the model: 3"):
        images(EvalConfig, directory | {"split_seed": 4}, recorded)
    elsewhere = RecordedSource(**RECORDED, dataset_dir="elsewhere")
    assert images(EvalConfig, directory, elsewhere) == images(EvalConfig, directory)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"folds": 3}, "folds and fold need each other"),
        ({"folds": 3, "fold": 3}, "fold=3 must be below folds=3"),
        ({"folds": 3, "fold": 1, "validation_fraction": 0.1}, "folds and validation_fraction are "),
        ({"file_pattern": "a.tfrecord"}, "file_pattern=a.tfrecord needs %s, for the split"),
        (
            {"file_pattern": "%s.x", "dataset_file": "l.csv"},
            "file_pattern and dataset_file are m",
        ),
    ],
)
def test_contradictions_are_errors(values, message):
    with pytest.raises(_checks.UserError, match=message):
        options.build(EvalConfig, checkpoint_path="run", **values)
