"""Facts about splits, and the errors for wrong directories, splits and shards."""

import dataclasses
import json
import os
import random
import re

import pytest

from datasets import dataset_factory, dataset_info, splits
from datasets.location import Location
from slim import _checks
from slim._problems import as_flags
from slim.data import records as record_files

SPEC = splits.DatasetSpec(
    "toy", "unused", "toy_%s-*.tfrecord", num_classes=2, split_sizes={"train": 77}
)


def records(count):
    """Returns `count` records of one byte each; `read_metadata` does not verify checksums."""
    return (b"\x01" + bytes(16)) * count


def write_shards(directory, counts=(2, 3), split="train", with_info=True):
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


def read(directory, split="train", file_pattern=None, spec=SPEC):
    return splits.read_metadata(spec, split, str(directory), file_pattern)


def test_facts_from_dataset_info(tmp_path):
    split = read(write_shards(tmp_path))
    assert split.num_samples == 5
    assert split.shard_counts == (2, 3)
    assert split.num_channels == 3
    assert split.labels_to_names == {0: "cat", 1: "dog"}
    assert [path.rsplit("/", 1)[1] for path in split.data_sources] == [
        "toy_train-00000-of-00002.tfrecord",
        "toy_train-00001-of-00002.tfrecord",
    ]


@pytest.mark.parametrize("pattern", [None, "toy_%s-*"])
def test_directory_of_another_dataset_is_rejected(tmp_path, pattern):
    spec = dataclasses.replace(SPEC, name="imagenet")
    assert_rejected(
        write_shards(tmp_path),
        f"dataset_dir='{tmp_path}' holds the dataset 'toy', not 'imagenet'. Use dataset_name=",
        spec=spec,
        file_pattern=pattern,
    )


def test_facts_of_tf_slim_records_without_dataset_info(tmp_path):
    write_shards(tmp_path, with_info=False)
    split = read(tmp_path)
    assert (split.num_samples, split.shard_counts, split.num_classes) == (5, (2, 3), 2)
    assert (split.labels_to_names, split.num_channels) == ({}, 3)
    assert read(tmp_path, spec=dataclasses.replace(SPEC, num_channels=1)).num_channels == 1
    dataset_info.write_label_file({0: "a: b", 1: "ü"}, str(tmp_path))
    split = read(tmp_path, spec=dataclasses.replace(SPEC, num_classes=None, split_sizes={}))
    assert (split.num_samples, split.shard_counts, split.num_classes) == (5, (2, 3), 2)
    assert split.labels_to_names == {0: "a: b", 1: "ü"}


def test_brackets_in_the_directory_name_are_not_wildcards(tmp_path):
    directory = tmp_path / "a[1]*b ü"
    directory.mkdir()
    write_shards(directory, with_info=False)
    assert read(directory).num_samples == 5


def test_file_pattern_selects_other_files(tmp_path):
    write_shards(tmp_path)
    (tmp_path / "mine_train.records").write_bytes(records(4))
    split = read(tmp_path, file_pattern="mine_%s.records")
    assert (split.num_samples, split.shard_counts) == (4, (4,))
    split = read(tmp_path, file_pattern="toy_train-00001-*")
    assert (split.num_samples, split.shard_counts) == (3, (3,))


def assert_rejected(directory, message, **kwargs):
    with pytest.raises(_checks.UserError) as caught:
        read(directory, **kwargs)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_directory_and_file_are_rejected(tmp_path):
    assert_rejected(
        tmp_path / "no",
        "/no' does not exist. Create it with: python download_and_convert_data.py --dataset",
    )
    (tmp_path / "file").write_text("")
    assert_rejected(tmp_path / "file", "/file' is a file; a directory is needed")


@pytest.mark.parametrize("with_info", [True, False])
def test_unknown_split_suggests_the_nearest(tmp_path, with_info):
    write_shards(tmp_path, with_info=with_info)
    assert_rejected(
        tmp_path,
        f"Split 'tain' not in {tmp_path}; found: train; did you mean 'train'?",
        split="tain",
    )
    assert_rejected(tmp_path, f"Split 'test' not in {tmp_path}; found: train", split="test")


def test_directory_without_matching_files_lists_its_entries(tmp_path):
    assert_rejected(
        tmp_path, f"No files match toy_train-*.tfrecord in {tmp_path}; the directory holds: nothing"
    )
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text("")
    assert_rejected(tmp_path, "the directory holds: a.txt, b.txt")
    assert_rejected(tmp_path, "No files match x_train in", file_pattern="x_%s")


@pytest.mark.parametrize(
    "names, split, hint",
    [
        (["train.tfrecord", "val.tfrecord"], "train", ". To read its TFRecord files, pass {}"),
        (["train.tfrecord"], "validation", ". With {}, its splits are: train"),
        (["data.tfrecords"], "train", ". With {}, its splits are: data"),
        (["own-train-00000-of-00001"], "train", ". To read its TFRecord files, pass {}"),
        (["own_2_train0.tfrecord", "own_2_train1.tfrecord"], "train", None),
        (["[a]training.record", "[a]testing.record"], "training", None),
        (["cat5.training-01.records", "cat5.training-02.records"], "test", "its splits are: tr"),
    ],
)
def test_other_names_of_shards_are_answered_with_their_pattern(tmp_path, names, split, hint):
    for name in ("labels.txt", "README", *names):
        (tmp_path / name).write_bytes(records(3))
    for spec in (SPEC, dataset_factory.get_spec("flowers")):
        with pytest.raises(_checks.UserError, match=f"No files match {spec.name}_") as caught:
            read(tmp_path, split, spec=spec)
    pattern = re.search(r"--file_pattern='(.*?)'", as_flags(caught.value))[1]
    hint = hint or ". To read its TFRecord files, pass {}"
    assert hint.format(f"--file_pattern='{pattern}'") in as_flags(caught.value)
    assert "%s" in pattern
    name = re.search("its splits are: (.*)", str(caught.value))
    (tmp_path / "labels.txt").write_text("0:a\n")
    spec = dataset_factory.get_spec("folder")
    metadata = splits.read_metadata(spec, name[1] if name else split, str(tmp_path), pattern)
    assert set(map(os.path.basename, metadata.data_sources)) <= set(names)
    assert metadata.num_samples == 3 * len(metadata.data_sources)
    (tmp_path / "labels.txt").unlink()
    with pytest.raises(_checks.UserError, match="No files match folder_"):
        dataset_factory.get_metadata("folder", split, str(tmp_path))


@pytest.mark.parametrize("name", ["labels.txt", "label_map.pbtxt", "my_label_map.pbtxt"])
def test_class_names_of_other_records_are_read_or_suggested(tmp_path, name):
    (tmp_path / "train.tfrecord").write_bytes(records(3))
    text = "1:cat\n" if name.endswith("txt") and "map" not in name else "item {id: 1 name: 'cat'}"
    (tmp_path / name).write_text(text)
    location = Location("folder", str(tmp_path), file_pattern="%s.tfrecord")
    if name.startswith("my"):
        with pytest.raises(_checks.UserError, match="The number of classes in .* is unkn") as error:
            dataset_factory.metadata_at(location, "train")
        assert f"Pass --labels_file='{tmp_path}/{name}', or add labels" in as_flags(error.value)
        location = dataclasses.replace(location, labels_file=str(tmp_path / name))
    metadata = dataset_factory.metadata_at(location, "train")
    assert (metadata.num_classes, metadata.labels_to_names) == (2, {1: "cat"})


@pytest.mark.parametrize("name, split", [("flowers", "train"), ("mnist", "test")])
def test_own_records_with_the_names_of_a_known_dataset_are_counted(tmp_path, name, split):
    spec = dataset_factory.get_spec(name)
    shard = (spec.file_pattern % split).replace("*", "00000-of-00001")
    (tmp_path / shard).write_bytes(records(30))
    metadata = dataset_factory.get_metadata(name, split, str(tmp_path))
    assert (metadata.num_samples, metadata.shard_counts) == (30, (30,))
    os.truncate(tmp_path / shard, 17 * 30 - 1)
    with pytest.raises(_checks.RunError, match="is truncated inside record 29"):
        dataset_factory.get_metadata(name, split, str(tmp_path))


def test_names_of_classes_may_repeat_in_records(tmp_path):
    (tmp_path / "train.tfrecord").write_bytes(records(3))
    (tmp_path / "labels.txt").write_text("0:crane\n1:crane\n")
    metadata = dataset_factory.get_metadata("folder", "train", str(tmp_path), "%s.tfrecord")
    assert metadata.labels_to_names == {0: "crane", 1: "crane"}


@pytest.mark.parametrize("with_info", [True, False])
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_missing_shard_is_named(tmp_path, with_info, missing):
    write_shards(tmp_path, (1, 2, 3), with_info=with_info)
    (tmp_path / f"toy_train-0000{missing}-of-00003.tfrecord").unlink()
    assert_rejected(
        tmp_path, f"toy_train-0000{missing}-of-00003.tfrecord missing in {tmp_path}. Copy the shard"
    )


@pytest.mark.parametrize("with_info", [True, False])
def test_empty_shard_is_named(tmp_path, with_info):
    write_shards(tmp_path, with_info=with_info)
    (tmp_path / "toy_train-00001-of-00002.tfrecord").write_bytes(b"")
    assert_rejected(
        tmp_path, f"toy_train-00001-of-00002.tfrecord in {tmp_path} is empty (0 bytes): re-copy or"
    )


def test_shard_of_unexpected_size_is_rejected(tmp_path):
    write_shards(tmp_path)
    (tmp_path / "toy_train-00001-of-00002.tfrecord").write_bytes(records(2))
    assert_rejected(
        tmp_path,
        f"toy_train-00001-of-00002.tfrecord in {tmp_path} has 34 bytes,"
        " but dataset_info.json has 51 (3 records): re-copy or rebuild this shard",
    )


def test_split_without_records_is_rejected(tmp_path):
    write_shards(tmp_path, ())
    assert_rejected(tmp_path, f"Split 'train' in {tmp_path} has no records")


def test_unknown_number_of_classes_is_rejected(tmp_path):
    write_shards(tmp_path, with_info=False)
    spec = dataclasses.replace(SPEC, num_classes=None)
    assert_rejected(
        tmp_path,
        f"The number of classes in {tmp_path} is unknown. Pass labels_file, or add labels.txt",
        spec=spec,
    )


def test_bad_line_of_labels_file_is_named(tmp_path):
    write_shards(tmp_path, with_info=False)
    (tmp_path / "labels.txt").write_text("0:a\n\none:b\n")
    assert_rejected(tmp_path, "labels.txt, line 3: 'one:b' is not of the form label:name")


def test_unknown_dataset_suggests_the_nearest():
    with pytest.raises(
        _checks.UserError, match="dataset_name='digit' is not known; did you mean 'digits'"
    ):
        dataset_factory.get_metadata("digit", "train", "/tmp")
    for name, spec in dataset_factory.DATASETS.items():
        assert spec.name == name


# ---- dataset_info.json ---------------------------------------------------------------------------


def test_info_round_trip(tmp_path):
    write_shards(tmp_path)
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
def test_inconsistent_info_is_rejected(tmp_path, change, message):
    write_shards(tmp_path)
    path = tmp_path / dataset_info.FILE_NAME
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))
    assert_rejected(tmp_path, message)
    assert_rejected(tmp_path, "dataset_info.json cannot be used: ")
    assert not dataset_info.is_complete(str(tmp_path))


def test_garbage_info_is_rejected(tmp_path):
    write_shards(tmp_path)
    (tmp_path / dataset_info.FILE_NAME).write_bytes(b"\xff{")
    assert_rejected(tmp_path, "dataset_info.json cannot be used: ")


def test_info_of_the_first_version_is_read(tmp_path):
    split = {"num_samples": 2, "per_class": [1, 1], "shards": [
        {"file": "a.tfrecord", "num_samples": 2, "bytes": 9, "sha256": "0"}]}  # fmt: skip
    fields = {"name": "toy", "classes": ["a", "b"], "num_channels": 3, "splits": {"train": split}}
    (tmp_path / dataset_info.FILE_NAME).write_text(json.dumps(fields | {"later": [1]}))
    info = dataset_info.read(str(tmp_path))
    assert (info.num_bad_files, info.splits["train"].per_class) == (0, (1, 1))


def test_shard_that_is_not_a_regular_file_is_rejected(tmp_path):
    write_shards(tmp_path)
    (shard, *_) = sorted(tmp_path.glob("*tfrecord*"))
    shard.unlink()
    for create, kind in (
        (shard.mkdir, "a directory"),
        (lambda: os.mkfifo(shard), "a FIFO"),
        (lambda: shard.symlink_to("nowhere"), "a link"),
    ):
        create()
        message = f"is not a regular file: {shard.name} is {kind}. Re-copy or rebuild this shard"
        assert_rejected(tmp_path, message)
        with pytest.raises((_checks.UserError, OSError)):
            record_files.find_records(str(shard))
        shard.rmdir() if kind == "a directory" else shard.unlink()


def test_inconsistent_info_is_not_written(tmp_path):
    info = dataset_info.DatasetInfo("toy", (), 3, {})
    with pytest.raises(ValueError, match="dataset info of 'toy': classes must be distinct names"):
        dataset_info.write(info, str(tmp_path))
    assert not list(tmp_path.iterdir())


# ---- stratified_split ----------------------------------------------------------------------------


@pytest.mark.parametrize("held_out", [0, 1, 17, 50, 99, 100])
def test_stratified_split_keeps_class_proportions(held_out):
    rng = random.Random(held_out)
    labels = [rng.choice([0, 0, 0, 1, 1, 2, 5]) for _ in range(100)]
    kept, held = splits.stratified_split(labels, held_out, seed=3)
    assert sorted(kept + held) == list(range(100))
    assert len(held) == held_out
    for label in set(labels):
        count = sum(labels[i] == label for i in held)
        assert abs(count - labels.count(label) * held_out / 100) < 1


def test_seed_decides_which_of_equal_classes_are_held_out():
    labels = [index // 5 for index in range(1000)]
    chosen = []
    for seed in range(20):
        _, held = splits.stratified_split(labels, 100, seed)
        chosen.append({labels[index] for index in held})
        assert len(chosen[-1]) == 100
    assert len({frozenset(classes) for classes in chosen}) == 20
    # Of 2,000 draws of one half, each half of the classes gets 1,000 +- 22.
    assert 900 < sum(label < 100 for classes in chosen for label in classes) < 1100


def test_stratified_split_depends_only_on_the_seed():
    labels = [i % 3 for i in range(60)]
    split = splits.stratified_split(labels, 12, seed=0)
    assert split == splits.stratified_split(labels, 12, seed=0)
    assert split != splits.stratified_split(labels, 12, seed=1)
    with pytest.raises(_checks.UserError, match="num_held_out=61 must lie between 0 and 60"):
        splits.stratified_split(labels, 61, seed=0)
