"""A folder of pictures: what is found in it, how it is split, and what is said of the bad ones."""

import csv
import importlib
import inspect
import itertools
import os

import pytest
import tensorflow as tf

from datasets import (
    dataset_factory,
    dataset_info,
    download_and_convert,
    folder,
    verify,
    workers,
)
from slim import _checks
from tests.datasets import archives_in_the_true_format as made
from tests.datasets import picture_folder


def examples(directory, split, name="folder"):
    dataset = dataset_factory.get_dataset(name, split, str(directory))
    for record in tf.data.TFRecordDataset(list(dataset.data_sources)):
        yield tf.train.Example.FromString(record.numpy()).features.feature


def filenames(directory, split):
    return [f["image/filename"].bytes_list.value[0].decode() for f in examples(directory, split)]


def tree(directory, **classes):
    """Writes so many pictures of each class; returns the folder."""
    for name, count in classes.items():
        picture_folder.write(
            str(directory / name),
            {f"{number}.jpg": made.jpeg(8, 9, number) for number in range(count)},
        )
        os.makedirs(directory / name, exist_ok=True)
    return str(directory)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    source = tmp_path_factory.mktemp("mixed")
    return str(source), picture_folder.mixed_200(str(source))


def bad_files(directory):
    with open(os.path.join(directory, "bad_files.csv"), encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "reason"]
    return dict(rows)


@pytest.fixture(scope="module")
def converted(mixed, tmp_path_factory):
    out = str(tmp_path_factory.mktemp("out") / "new")
    lines = []
    download_and_convert.run("folder", out, lines.append, source_dir=mixed[0], on_bad_image="skip")
    return out, lines


def test_mixed_folder_with_skip(mixed, converted):
    _, reasons = mixed
    out, lines = converted
    found = bad_files(out)
    assert set(found) == set(reasons)
    for path, reason in reasons.items():
        assert reason in found[path], path
    assert sorted(os.listdir(out)) == [
        ".slim",
        "bad_files.csv",
        "dataset_info.json",
        "folder_train-00000-of-00001.tfrecord",
        "folder_validation-00000-of-00001.tfrecord",
        "labels.txt",
    ]
    assert any("12 bad files left out, listed in" in line for line in lines)
    assert "  class 3 (leer) has no image" in lines
    info = dataset_info.read(out)
    assert info.classes == (" ", "hund 犬", "katze", "leer")
    assert info.num_bad_files == 12
    assert sum(split.num_samples for split in info.splits.values()) == 188
    assert dataset_info.read_label_file(out) == info.labels_to_names


def test_every_good_picture_is_in_one_split_and_decodes(mixed, converted):
    source, reasons = mixed
    out, _ = converted
    everything = {
        os.path.relpath(os.path.join(root, name), source)
        for root, _, names in os.walk(source)
        for name in names
        if not name.startswith(".h") and name != "Thumbs.db"
    }
    names = filenames(out, "train") + filenames(out, "validation")
    assert len(names) == 188
    assert set(names) == everything - {os.path.relpath(path, source) for path in reasons}
    lines = []
    verify.run(out, lines.append)
    assert lines[-1] == f"{out} is in order"
    classes = dataset_info.read(out).classes
    for features in examples(out, "validation"):
        name = features["image/filename"].bytes_list.value[0].decode()
        assert name.split("/")[0] == classes[features["image/class/label"].int64_list.value[0]]


def test_mixed_folder_with_error_lists_all_and_writes_nothing(mixed, tmp_path):
    source, reasons = mixed
    with pytest.raises(_checks.UserError) as caught:
        folder.convert(str(tmp_path / "out"), source_dir=source)
    first, *lines = str(caught.value).splitlines()
    assert first == (
        f"12 of 200 files cannot be used, all are in {tmp_path}/out/bad_files.csv; nothing else was"
        " written. Repair or remove them, or leave them out with on_bad_image='skip'"
    )
    assert lines[-1] == "Class 'leer' has 0 readable images"
    assert len(lines) == 13
    for path, reason in reasons.items():
        (line,) = [line for line in lines if line.startswith(f"{path}: ")]
        assert reason in line
    assert sorted(os.listdir(tmp_path / "out")) == [".slim", "bad_files.csv"]
    assert set(bad_files(tmp_path / "out")) == set(reasons)


def test_bad_files_csv_goes_when_all_is_well(tmp_path):
    source = tree(tmp_path / "src", a=3, b=3)
    (tmp_path / "src" / "a" / "bad.jpg").write_bytes(b"")
    out = str(tmp_path / "out")
    with pytest.raises(_checks.UserError, match="1 of 7 files cannot be used"):
        folder.convert(out, source_dir=source)
    os.remove(tmp_path / "src" / "a" / "bad.jpg")
    folder.convert(out, source_dir=source)
    assert "bad_files.csv" not in os.listdir(out)


def test_more_bad_files_than_one_reads(tmp_path):
    picture_folder.write(
        str(tmp_path / "src"), {f"a/{number:02d}.jpg": b"" for number in range(60)}
    )
    with pytest.raises(_checks.UserError) as caught:
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))
    lines = str(caught.value).splitlines()
    assert lines[51].startswith("... and 10 more in ")
    assert lines[52:] == [
        "Class 'a' has 0 readable images",
        "Split 'train' has 0 readable images",
        "Split 'validation' has 0 readable images",
    ]


def test_a_split_without_a_picture_is_an_error_with_skip_too(tmp_path):
    picture_folder.write(str(tmp_path / "src"), {f"a/{n}.jpg": b"" for n in range(20)})
    with pytest.raises(_checks.UserError, match="Split 'train' has 0 readable images"):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"), on_bad_image="skip")


def test_workers_and_no_workers_make_the_same(mixed, converted, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_MIN_FOR_WORKERS", 1000)
    folder.convert(str(tmp_path), source_dir=mixed[0], on_bad_image="skip")
    assert dataset_info.read(str(tmp_path)) == dataset_info.read(converted[0])


# ---- splits --------------------------------------------------------------------------------------


def test_stratified_and_repeatable(tmp_path):
    source = tree(tmp_path / "src", a=40, b=20)
    made_of = {}
    for seed in (0, 0, 1):
        out = tmp_path / f"out{len(made_of)}{seed}"
        info = folder.convert(
            str(out), source_dir=source, validation_fraction=0.25, split_seed=seed
        )
        assert info.splits["train"].per_class == (30, 15)
        assert info.splits["validation"].per_class == (10, 5)
        names = filenames(out, "train"), filenames(out, "validation")
        assert made_of.setdefault(seed, names) == names
    assert made_of[0] != made_of[1]
    labels = [name[0] for name in made_of[0][0]]
    assert sum(a != b for a, b in itertools.pairwise(labels)) > 5, "not mixed"


def test_no_validation(tmp_path):
    source = tree(tmp_path / "src", a=2, b=2)
    info = folder.convert(str(tmp_path / "out"), source_dir=source, validation_fraction=0.0)
    assert list(info.splits) == ["train"]


def test_a_small_fraction_holds_one_out(tmp_path):
    source = tree(tmp_path / "src", a=3, b=2)
    info = folder.convert(str(tmp_path / "out"), source_dir=source, validation_fraction=0.01)
    assert info.splits["validation"].num_samples == 1


@pytest.mark.parametrize("val", ["validation", "val"])
def test_a_folder_with_splits(tmp_path, val):
    tree(tmp_path / "src" / "train", ant=3, bee=2)
    tree(tmp_path / "src" / "test", bee=2)
    tree(tmp_path / "src" / val, bee=1, ant=1)
    info = folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))
    assert info.classes == ("ant", "bee")
    assert {name: split.per_class for name, split in info.splits.items()} == {
        "train": (3, 2),
        "validation": (1, 1),
        "test": (0, 2),
    }
    assert sorted(filenames(tmp_path / "out", "test")) == ["test/bee/0.jpg", "test/bee/1.jpg"]
    with pytest.raises(
        _checks.UserError, match="no use: .* has the splits.*convert source_dir=.*/train'"
    ):
        folder.convert(
            str(tmp_path / "o"), source_dir=str(tmp_path / "src"), validation_fraction=0.1
        )


def test_a_split_without_files_is_refused_before_any_is_read(tmp_path):
    tree(tmp_path / "src" / "train", ant=3)
    tree(tmp_path / "src" / "test", ant=0)
    (tmp_path / "src" / "train" / "ant" / "bad.jpg").write_bytes(b"")
    with pytest.raises(_checks.UserError, match=r"^Split 'test' has no images in .*src$"):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))
    assert os.listdir(tmp_path / "out") == []


def test_files_that_are_no_pictures_beside_the_classes_of_a_split(tmp_path):
    tree(tmp_path / "src" / "train", ant=3, bee=2)
    tree(tmp_path / "src" / "test", bee=2)
    (tmp_path / "src" / "train" / "labels.csv").write_text("x,y")
    info = folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))
    assert info.classes == ("ant", "bee")
    assert list(info.splits) == ["train", "test"]
    (tmp_path / "src" / "train" / "lost.jpg").write_bytes(made.jpeg())
    with pytest.raises(_checks.UserError, match="train has 1 images outside the class folders"):
        folder.convert(str(tmp_path / "other"), source_dir=str(tmp_path / "src"))


@pytest.mark.parametrize(
    "names", [("Test", "Train"), ("test", "validation"), ("training", "valid"), ("TRAIN",)]
)
def test_splits_are_never_taken_for_classes(tmp_path, names):
    for name in names:
        tree(tmp_path / "src" / name, ant=3, bee=2)
    with pytest.raises(
        _checks.UserError,
        match=f"has {', '.join(names)}, which hold folders and no images: splits are called train",
    ):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))


def test_classes_may_be_called_like_splits(tmp_path):
    source = tree(tmp_path / "src", train=3, car=3)
    info = folder.convert(str(tmp_path / "out"), source_dir=source)
    assert info.classes == ("car", "train")


@pytest.mark.parametrize("other", ["valid", "validation val"])
def test_splits_by_other_names(tmp_path, other):
    for name in ("train", *other.split()):
        tree(tmp_path / "src" / name, a=1)
    with pytest.raises(_checks.UserError, match="has the split 'train' beside .* are called train"):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))


def test_classes_of_the_splits_must_agree(tmp_path):
    tree(tmp_path / "src" / "train", ant=3, bees=2)
    tree(tmp_path / "src" / "test", bee=2)
    with pytest.raises(
        _checks.UserError,
        match="Split 'test' has classes that 'train' has not: bee; did you mean 'bees'",
    ):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))


# ---- what a folder may look like -----------------------------------------------------------------


def test_folders_in_a_class_and_links(tmp_path):
    source = tree(tmp_path / "src", a=1, b=2)
    tree(tmp_path / "src" / "a" / "more", deep=2)
    os.symlink(tmp_path / "src" / "b" / "0.jpg", tmp_path / "src" / "a" / "linked.jpg")
    os.symlink(tmp_path / "src" / "a", tmp_path / "src" / "a" / "round")
    out = tmp_path / "out"
    info = folder.convert(str(out), source_dir=source, validation_fraction=0.0)
    assert info.classes == ("a", "b")
    assert sorted(filenames(out, "train")) == [
        "a/0.jpg",
        "a/linked.jpg",
        "a/more/deep/0.jpg",
        "a/more/deep/1.jpg",
        "b/0.jpg",
        "b/1.jpg",
    ]


def test_pipes_and_unreadable_files_are_bad_files(tmp_path):
    source = tree(tmp_path / "src", a=3)
    os.mkfifo(tmp_path / "src" / "a" / "pipe")
    with pytest.raises(_checks.UserError, match="pipe: cannot be read: it is no regular file"):
        folder.convert(str(tmp_path / "out"), source_dir=source)


def test_empty_classes_hidden_files_and_links_in_a_circle(tmp_path):
    source = tree(tmp_path / "src", a=6, alone=1, empty=0, **{".thumbnails": 2})
    (tmp_path / "src" / ".DS_Store").write_bytes(b"no picture")
    (tmp_path / "src" / "a" / ".hidden.jpg").write_bytes(b"no picture")
    os.symlink(tmp_path / "src", tmp_path / "src" / "a" / "round")
    loop = tmp_path / "src" / "a" / "loop"
    os.symlink(loop, loop)
    with pytest.raises(_checks.UserError) as caught:
        folder.convert(str(tmp_path / "out"), source_dir=source)
    assert str(caught.value).splitlines()[1:] == [
        f"{loop}: cannot be read: Too many levels of symbolic links",
        "Class 'empty' has 0 readable images",
    ]
    loop.unlink()
    (tmp_path / "src" / "empty").rmdir()
    (tmp_path / "src" / "a" / "round").unlink()
    info = folder.convert(str(tmp_path / "out"), source_dir=source)
    assert info.classes == ("a", "alone")
    assert info.splits["validation"].num_samples == 1
    found = [name for split in info.splits for name in filenames(tmp_path / "out", split)]
    assert sorted(found) == [*(f"a/{number}.jpg" for number in range(6)), "alone/0.jpg"]


def test_names_that_are_no_utf8(tmp_path):
    source = tree(tmp_path / "src", a=2)
    strange = os.path.join(os.fsencode(source), b"a", b"caf\xe9.jpg")
    with open(strange, "wb") as file:
        file.write(made.jpeg())
    with open(os.path.join(os.fsencode(source), b"a", b"bad\xe9.jpg"), "wb") as file:
        file.write(b"")
    out = str(tmp_path / "out")
    folder.convert(out, source_dir=source, validation_fraction=0.0, on_bad_image="skip")
    assert sorted(filenames(out, "train")) == ["a/0.jpg", "a/1.jpg", "a/caf\\udce9.jpg"]
    with open(os.path.join(out, "bad_files.csv"), "rb") as file:
        assert b"bad\xe9.jpg" in file.read()


@pytest.mark.parametrize(
    "files, told",
    [
        ({}, r"No class folders in .* \(found 0 sub-folders, 0 images\)\. Expected SRC/<class>"),
        ({"a.jpg": b"x", "b.png": b"x"}, r"found 0 sub-folders, 2 images"),
        ({"a/1.jpg": b"x", "c.jpg": b"x"}, "has 1 images outside the class folders, such as 'c"),
        ({"a\nb/1.jpg": b"x", "c/1.jpg": b"x"}, "has a character that no label may have: rename"),
        ({"a/1.jpg": b"x"}, "validation_fraction=0.1 of 1 images leaves none for training"),
    ],
)
def test_folders_that_are_laid_out_otherwise(tmp_path, files, told):
    os.makedirs(tmp_path / "src")
    picture_folder.write(str(tmp_path / "src"), files)
    with pytest.raises(_checks.UserError, match=told):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))
    assert not (tmp_path / "out").exists()


def test_no_folder(tmp_path):
    with pytest.raises(_checks.UserError, match="'folder' needs source_dir: SRC/<class>/<image>"):
        folder.convert(str(tmp_path / "out"))
    with pytest.raises(_checks.UserError, match="source_dir='nowhere' is not a folder"):
        folder.convert(str(tmp_path / "out"), source_dir="nowhere")


@pytest.mark.parametrize(
    "option, told",
    [
        ({"validation_fraction": 1.5}, "validation_fraction=1.5 must lie between 0 and 1"),
        ({"max_pixels": 0}, "max_pixels=0 must be positive"),
        ({"on_bad_image": "ignore"}, "on_bad_image='ignore' is not known"),
    ],
)
def test_options_out_of_range(tmp_path, option, told):
    with pytest.raises(_checks.UserError, match=told):
        folder.convert(str(tmp_path / "o"), source_dir=tree(tmp_path / "s", a=4, b=4), **option)


def test_max_pixels_acts(tmp_path):
    source = tree(tmp_path / "src", a=4, b=4)
    (tmp_path / "src" / "a" / "large.jpg").write_bytes(made.jpeg(20, 20))
    with pytest.raises(_checks.UserError, match="has 20 x 20 pixels, more than max_pixels=399"):
        folder.convert(str(tmp_path / "out"), source_dir=source, max_pixels=399)
    folder.convert(str(tmp_path / "out"), source_dir=source, max_pixels=400)


def test_large_datasets_have_several_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_SHARD_BYTES", 2000)
    source = tree(tmp_path / "src", a=10, b=10)
    info = folder.convert(str(tmp_path / "out"), source_dir=source)
    files = [shard.file for shard in info.splits["train"].shards]
    assert len(files) > 3
    assert files[1] == f"folder_train-00001-of-{len(files):05d}.tfrecord"
    assert len(list(examples(tmp_path / "out", "train"))) == 18


def test_an_unbalanced_split_is_told(tmp_path):
    lines = {}
    for count in (10, 11):
        source = tree(tmp_path / f"src{count}", a=count, b=1)
        lines[count] = []
        download_and_convert.run(
            "folder",
            str(tmp_path / f"out{count}"),
            lines[count].append,
            source_dir=source,
            validation_fraction=0.0,
        )
    assert not any("is unbalanced" in line for line in lines[10])
    assert "  warning: train is unbalanced: 'a' has 11 images, 'b' has 1" in lines[11]


def test_classes_that_a_split_lacks_are_told(tmp_path):
    lines = []
    source = tree(tmp_path / "src", a=5, b=5, c=5)
    out = str(tmp_path / "out")
    download_and_convert.run("folder", out, lines.append, source_dir=source)
    assert len(filenames(out, "validation")) == 2
    (absent,) = set("abc") - {name[0] for name in filenames(out, "validation")}
    assert f"  warning: validation has no image of 1 of 3 classes: {absent}" in lines
    assert not any("train has no image" in line for line in lines)


# ---- through the front door ----------------------------------------------------------------------


def test_a_second_run_with_other_options_is_refused(tmp_path):
    source = tree(tmp_path / "src", a=4, b=4)
    out = str(tmp_path / "out")
    lines = []
    download_and_convert.run("folder", out, lines.append, source_dir=source, split_seed=3)
    download_and_convert.run("folder", out, lines.append, source_dir=source, split_seed=3)
    assert lines[-1] == f"{out} is already complete: 7 train, 1 validation images of 2 classes"
    with pytest.raises(_checks.UserError, match="made with split_seed=3, not 4; choose another"):
        download_and_convert.run("folder", out, lines.append, source_dir=source, split_seed=4)
    other = tree(tmp_path / "other", a=4)
    with pytest.raises(_checks.UserError, match="made with source_dir='.*src', not '.*other'"):
        download_and_convert.run("folder", out, lines.append, source_dir=other)


@pytest.mark.parametrize("change", ["more", "fewer", "another size", "another class"])
def test_a_second_run_with_other_pictures_is_refused(tmp_path, change):
    source = tree(tmp_path / "src", a=4, b=4)
    (tmp_path / "src" / "notes.txt").write_text("no picture")
    out = str(tmp_path / "out")
    lines = []
    download_and_convert.run("folder", out, lines.append, source_dir=source)
    os.utime(tmp_path / "src" / "a" / "1.jpg")
    (tmp_path / "src" / "notes.txt").write_text("no picture either")
    download_and_convert.run("folder", out, lines.append, source_dir=source)
    assert "already complete" in lines[-1]
    count = 8
    if change == "more":
        (tmp_path / "src" / "a" / "new.jpg").write_bytes(made.jpeg(8, 9, 50))
        count = 9
    elif change == "fewer":
        (tmp_path / "src" / "a" / "1.jpg").unlink()
        count = 7
    elif change == "another size":
        (tmp_path / "src" / "a" / "1.jpg").write_bytes(made.jpeg(18, 19, 50))
    else:
        os.rename(tmp_path / "src" / "a", tmp_path / "src" / "fox")
    told = f"src' has changed: it has {count} files, dataset_dir='.*out' was made of 8 and not"
    with pytest.raises(_checks.UserError, match=told):
        download_and_convert.run("folder", out, lines.append, source_dir=source)


def test_a_second_run_with_other_rules_for_pictures_is_refused(tmp_path):
    source = tree(tmp_path / "src", a=4, b=4)
    out = str(tmp_path / "out")

    def run(**options):
        download_and_convert.run("folder", out, lambda line: None, source_dir=source, **options)

    run()
    run(on_bad_image="skip")  # there was none
    with pytest.raises(_checks.UserError, match="made with max_pixels=.*, not 9; choose another"):
        run(max_pixels=9)
    (tmp_path / "src" / "a" / "bad.jpg").write_bytes(b"")
    out = str(tmp_path / "other")
    run(on_bad_image="skip")
    run()
    with pytest.raises(_checks.UserError, match="made with on_bad_image='skip', not 'error'"):
        run(on_bad_image="error")


def test_options_of_other_datasets_are_refused(tmp_path):
    with pytest.raises(
        _checks.UserError,
        match="max_pixels, split_seed cannot be used with the dataset 'mnist': it takes source_dir",
    ):
        download_and_convert.run("mnist", str(tmp_path), split_seed=1, max_pixels=3)
    with pytest.raises(_checks.UserError, match="with the dataset 'digits': it takes none"):
        download_and_convert.run("digits", str(tmp_path), source_dir="x")
    with pytest.raises(_checks.UserError, match="source_dir cannot be used with 'verify'"):
        download_and_convert.run("verify", str(tmp_path), source_dir="x")


def test_rows_and_converters_agree_about_the_options():
    for spec in dataset_factory.DATASETS.values():
        module = importlib.import_module(spec.module, "datasets")
        parameters = inspect.signature(module.convert).parameters
        assert set(spec.options) == set(parameters) - {"dataset_dir"}, spec.name


def test_get_split_reads_through_the_decoder(converted):
    dataset = folder.get_split("validation", converted[0])
    assert dataset.decoder.list_items() == list(dataset.items_to_descriptions)
    assert dataset.num_classes == 4
    record = next(iter(tf.data.TFRecordDataset(list(dataset.data_sources))))
    image, label = dataset.decoder.decode(record, ["image", "label"])
    assert image.shape[2] == 3
    assert 0 <= int(label) < 4
