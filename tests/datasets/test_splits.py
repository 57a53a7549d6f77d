"""The facts about splits, and what is said about wrong directories, splits and shards."""

import dataclasses
import json
import os
import random

import pytest

from datasets import dataset_factory, dataset_info, splits
from slim import _checks
from slim.data import records as record_files

SPEC = splits.DatasetSpec(
    "toy", "unused", "toy_%s-*.tfrecord", num_classes=2, split_sizes={"train": 77}
)


def records(count):
    return (
        b"\x01" + bytes(16)
    ) * count  # `count` records of one byte each; checksums are not looked at


def make(directory, counts=(2, 3), split="train", with_info=True):
    shards = []
    for number, count in enumerate(counts):
        name = f"toy_{split}-{number:05d}-of-{len(counts):05d}.tfrecord"
        (directory / name).write_bytes(records(count))
        shards.append(dataset_info.ShardInfo(name, count, 17 * count, "0" * 64))
    if with_info:
        total = sum(counts)
        split_info = dataset_info.SplitInfo(total, (total, 0), tuple(shards))
        info = dataset_info.DatasetInfo("toy", ("cat", "dog"), 3, {split: split_info})
        dataset_info.write(info, str(directory))
    return str(directory)


def facts(directory, split="train", file_pattern=None, spec=SPEC):
    return splits.read_facts(spec, split, str(directory), file_pattern)


def test_facts_from_dataset_info(tmp_path):
    found = facts(make(tmp_path))
    assert found.num_samples == 5
    assert found.shard_counts == (2, 3)
    assert found.num_channels == 3
    assert found.labels_to_names == {0: "cat", 1: "dog"}
    assert [path.rsplit("/", 1)[1] for path in found.data_sources] == [
        "toy_train-00000-of-00002.tfrecord",
        "toy_train-00001-of-00002.tfrecord",
    ]


@pytest.mark.parametrize("pattern", [None, "toy_%s-*"])
def test_another_dataset_than_the_directorys_is_refused(tmp_path, pattern):
    spec = dataclasses.replace(SPEC, name="imagenet")
    refused(
        make(tmp_path),
        f"dataset_dir='{tmp_path}' holds the dataset 'toy', not 'imagenet': choose dataset_name=",
        spec=spec,
        file_pattern=pattern,
    )


def test_facts_of_the_originals_records(tmp_path):
    make(tmp_path, with_info=False)
    found = facts(tmp_path)
    assert (found.num_samples, found.shard_counts, found.num_classes) == (77, (None, None), 2)
    assert (found.labels_to_names, found.num_channels) == ({}, None)
    dataset_info.write_label_file({0: "a: b", 1: "ü"}, str(tmp_path))
    found = facts(tmp_path, spec=dataclasses.replace(SPEC, num_classes=None, split_sizes={}))
    assert (found.num_samples, found.shard_counts, found.num_classes) == (5, (2, 3), 2)
    assert found.labels_to_names == {0: "a: b", 1: "ü"}


def test_brackets_in_the_directorys_name_do_not_count(tmp_path):
    directory = tmp_path / "a[1]*b ü"
    directory.mkdir()
    make(directory, with_info=False)
    assert facts(directory).num_samples == 77


def test_file_pattern(tmp_path):
    make(tmp_path)
    (tmp_path / "mine_train.records").write_bytes(records(4))
    found = facts(tmp_path, file_pattern="mine_%s.records")
    assert (found.num_samples, found.shard_counts) == (4, (4,))
    found = facts(tmp_path, file_pattern="toy_train-00001-*")
    assert (found.num_samples, found.shard_counts) == (3, (3,))


def refused(directory, message, **kwargs):
    with pytest.raises(_checks.UserError) as caught:
        facts(directory, **kwargs)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_directory(tmp_path):
    refused(
        tmp_path / "no",
        "/no' does not exist; make it with: python download_and_convert_data.py --dataset",
    )
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "/file' is a file; a directory is needed")


@pytest.mark.parametrize("with_info", [True, False])
def test_unknown_split(tmp_path, with_info):
    make(tmp_path, with_info=with_info)
    refused(
        tmp_path,
        f"Split 'tain' not in {tmp_path}; found: train; did you mean 'train'?",
        split="tain",
    )
    refused(tmp_path, f"Split 'test' not in {tmp_path}; found: train", split="test")


def test_no_files(tmp_path):
    refused(
        tmp_path, f"No files match toy_train-*.tfrecord in {tmp_path}; the directory holds: nothing"
    )
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text("")
    refused(tmp_path, "the directory holds: a.txt, b.txt")
    refused(tmp_path, "No files match x_train in", file_pattern="x_%s")


@pytest.mark.parametrize("with_info", [True, False])
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_missing_shard(tmp_path, with_info, lost):
    make(tmp_path, (1, 2, 3), with_info=with_info)
    (tmp_path / f"toy_train-0000{lost}-of-00003.tfrecord").unlink()
    refused(
        tmp_path, f"toy_train-0000{lost}-of-00003.tfrecord missing in {tmp_path}: copy the shard"
    )


@pytest.mark.parametrize("with_info", [True, False])
def test_empty_shard(tmp_path, with_info):
    make(tmp_path, with_info=with_info)
    (tmp_path / "toy_train-00001-of-00002.tfrecord").write_bytes(b"")
    refused(
        tmp_path, f"toy_train-00001-of-00002.tfrecord in {tmp_path} is empty (0 bytes): re-copy or"
    )


def test_shard_of_another_size(tmp_path):
    make(tmp_path)
    (tmp_path / "toy_train-00001-of-00002.tfrecord").write_bytes(records(2))
    refused(
        tmp_path,
        f"toy_train-00001-of-00002.tfrecord in {tmp_path} has 34 bytes,"
        " but dataset_info.json says 51 (3 records): re-copy or rebuild this shard",
    )


def test_empty_split(tmp_path):
    make(tmp_path, ())
    refused(tmp_path, f"Split 'train' in {tmp_path} has no records")


def test_nobody_knows_the_number_of_classes(tmp_path):
    make(tmp_path, with_info=False)
    spec = dataclasses.replace(SPEC, num_classes=None)
    refused(
        tmp_path,
        "says nowhere how many classes it has: it needs dataset_info.json or labels",
        spec=spec,
    )


def test_bad_labels_file(tmp_path):
    make(tmp_path, with_info=False)
    (tmp_path / "labels.txt").write_text("0:a\n\none:b\n")
    refused(tmp_path, "labels.txt, line 3: 'one:b' is not of the form label:name")


def test_unknown_dataset():
    with pytest.raises(
        _checks.UserError, match="dataset_name='digit' is not known; did you mean 'digits'"
    ):
        dataset_factory.get_facts("digit", "train", "/tmp")
    for name, spec in dataset_factory.DATASETS.items():
        assert spec.name == name


# ---- dataset_info.json ---------------------------------------------------------------------------


def test_info_survives_writing(tmp_path):
    make(tmp_path)
    info = dataset_info.read(str(tmp_path))
    dataset_info.write(info, str(tmp_path))
    assert dataset_info.read(str(tmp_path)) == info
    assert dataset_info.read(str(tmp_path / "no")) is None


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda d: d.pop("classes"), "the key 'classes' is missing"),
        (lambda d: d.update(splits=3), "splits is 3, expected an object"),
        (lambda d: d.update(classes="ab"), 'classes is "ab", expected a list'),
        (lambda d: d.update(classes=["a", 1]), "classes.1 is 1, expected a string"),
        (lambda d: d.update(classes=["a", "\udcff"]), "which is not valid Unicode"),
        (lambda d: d.update(num_channels=0), "num_channels is 0, expected a whole number of at"),
        (
            lambda d: d["splits"]["train"].update(num_samples=-1),
            "splits.train.num_samples is -1, expected a whole number of at least 0",
        ),
        (
            lambda d: d["splits"]["train"].update(per_class=[1.5, 3]),
            "splits.train.per_class.0 is 1.5, expected a whole numbe",
        ),
        (
            lambda d: d["splits"]["train"]["shards"][0].pop("sha256"),
            "the key 'splits.train.shards.0.sha256' is missing",
        ),
        (lambda d: d.update(classes=["cat", "cat"]), "classes must be distinct names"),
        (lambda d: d.update(classes=[]), "classes must be distinct names"),
        (
            lambda d: d["splits"]["train"].update(per_class=[1, 1]),
            "per_class of split 'train' does not add up",
        ),
        (
            lambda d: d["splits"]["train"].update(per_class=[5]),
            "per_class of split 'train' does not add up",
        ),
        (
            lambda d: d["splits"]["train"]["shards"].pop(),
            "the shards of split 'train' do not add up",
        ),
        (
            lambda d: d["splits"]["train"]["shards"][0].update(file="../x"),
            "shard '../x' is not a plain file name",
        ),
        (
            lambda d: d["splits"]["train"]["shards"][0].update(file="\x1b[2J"),
            r"shard '\x1b[2J' is not a plain file name",
        ),
        (
            lambda d: d["splits"].update({"\x1b[2J": d["splits"].pop("train")}),
            r"split '\x1b[2J' has a name that cannot be printed",
        ),
    ],
)
def test_bad_info_is_refused(tmp_path, change, message):
    make(tmp_path)
    path = tmp_path / dataset_info.FILE_NAME
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))
    refused(tmp_path, message)
    refused(tmp_path, "dataset_info.json cannot be used: ")
    assert not dataset_info.is_complete(str(tmp_path))


def test_garbage_info_is_refused(tmp_path):
    make(tmp_path)
    (tmp_path / dataset_info.FILE_NAME).write_bytes(b"\xff{")
    refused(tmp_path, "dataset_info.json cannot be used: ")


def test_an_info_of_the_first_version_is_read(tmp_path):
    split = {"num_samples": 2, "per_class": [1, 1], "shards": [
        {"file": "a.tfrecord", "num_samples": 2, "bytes": 9, "sha256": "0"}]}  # fmt: skip
    old = {"name": "toy", "classes": ["a", "b"], "num_channels": 3, "splits": {"train": split}}
    (tmp_path / dataset_info.FILE_NAME).write_text(json.dumps(old | {"later": [1]}))
    info = dataset_info.read(str(tmp_path))
    assert (info.num_bad_files, info.splits["train"].per_class) == (0, (1, 1))


def test_a_shard_that_is_no_file_is_refused(tmp_path):
    make(tmp_path)
    (shard, *_) = sorted(tmp_path.glob("*tfrecord*"))
    shard.unlink()
    for create, kind in (
        (shard.mkdir, "a directory"),
        (lambda: os.mkfifo(shard), "a FIFO"),
        (lambda: shard.symlink_to("nowhere"), "a link"),
    ):
        create()
        message = f"is no regular file: {shard.name} is {kind}. Re-copy or rebuild this shard"
        refused(tmp_path, message)
        with pytest.raises((_checks.UserError, OSError)):
            record_files.find_records(str(shard))
        shard.rmdir() if kind == "a directory" else shard.unlink()


def test_contradictory_info_is_not_written(tmp_path):
    info = dataset_info.DatasetInfo("toy", (), 3, {})
    with pytest.raises(ValueError, match="dataset info of 'toy': classes must be distinct names"):
        dataset_info.write(info, str(tmp_path))
    assert not list(tmp_path.iterdir())


# ---- stratified_split ----------------------------------------------------------------------------


@pytest.mark.parametrize("held_out", [0, 1, 17, 50, 99, 100])
def test_stratified_split_is_a_division_in_proportion(held_out):
    rng = random.Random(held_out)
    labels = [rng.choice([0, 0, 0, 1, 1, 2, 5]) for _ in range(100)]
    kept, held = splits.stratified_split(labels, held_out, seed=3)
    assert sorted(kept + held) == list(range(100))
    assert len(held) == held_out
    for label in set(labels):
        share = sum(labels[i] == label for i in held)
        assert abs(share - labels.count(label) * held_out / 100) < 1


def test_the_seed_decides_which_of_equal_classes_are_held_out():
    labels = [index // 5 for index in range(1000)]
    chosen = []
    for seed in range(20):
        _, held = splits.stratified_split(labels, 100, seed)
        chosen.append({labels[index] for index in held})
        assert len(chosen[-1]) == 100
    assert len({frozenset(classes) for classes in chosen}) == 20
    # Of 2,000 draws of one half, each half of the classes gets 1,000 +- 22.
    assert 900 < sum(label < 100 for classes in chosen for label in classes) < 1100


def test_stratified_split_depends_on_the_seed_alone():
    labels = [i % 3 for i in range(60)]
    division = splits.stratified_split(labels, 12, seed=0)
    assert division == splits.stratified_split(labels, 12, seed=0)
    assert division != splits.stratified_split(labels, 12, seed=1)
    with pytest.raises(_checks.UserError, match="num_held_out=61 must lie between 0 and 60"):
        splits.stratified_split(labels, 61, seed=0)
