"""Datasets from a directory of images: layouts, splits, and the report of bad files."""

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
    local_images,
    verify,
    workers,
)
from slim import _checks
from tests.datasets import image_folder, sample_files


def examples(directory, split, name="folder"):
    dataset = dataset_factory.get_dataset(name, split, str(directory))
    for record in tf.data.TFRecordDataset(list(dataset.data_sources)):
        yield tf.train.Example.FromString(record.numpy()).features.feature


def filenames(directory, split):
    return [f["image/filename"].bytes_list.value[0].decode() for f in examples(directory, split)]


def tree(directory, **classes):
    """Writes the given number of images per class; returns the directory."""
    for name, count in classes.items():
        image_folder.write(
            str(directory / name),
            {f"{number}.jpg": sample_files.jpeg(8, 9, number) for number in range(count)},
        )
        os.makedirs(directory / name, exist_ok=True)
    return str(directory)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    source = tmp_path_factory.mktemp("mixed")
    return str(source), image_folder.mixed_200(str(source))


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


def test_on_bad_image_skip_lists_and_skips_bad_files(mixed, converted):
    _, reasons = mixed
    out, lines = converted
    listed = bad_files(out)
    assert set(listed) == set(reasons)
    for path, reason in reasons.items():
        assert reason in listed[path], path
    assert sorted(os.listdir(out)) == [
        ".slim",
        "bad_files.csv",
        "dataset_info.json",
        "folder_train-00000-of-00001.tfrecord",
        "folder_validation-00000-of-00001.tfrecord",
        "labels.txt",
    ]
    assert any("12 bad files skipped, listed in" in line for line in lines)
    assert "  1 of 4 classes have no images: 3 (leer)" in lines
    info = dataset_info.read(out)
    assert info.classes == (" ", "hund 犬", "katze", "leer")
    assert info.num_bad_files == 12
    assert info.decoding == "upright"
    assert sum(split.num_samples for split in info.splits.values()) == 188
    assert dataset_info.read_label_file(out) == info.labels_to_names


def test_every_good_image_is_in_one_split_and_decodable(mixed, converted):
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
    assert lines[-1] == f"{out} is valid"
    classes = dataset_info.read(out).classes
    for features in examples(out, "validation"):
        name = features["image/filename"].bytes_list.value[0].decode()
        assert name.split("/")[0] == classes[features["image/class/label"].int64_list.value[0]]


def test_on_bad_image_error_lists_all_bad_files_and_writes_no_dataset(mixed, tmp_path):
    source, reasons = mixed
    with pytest.raises(_checks.UserError) as caught:
        folder.convert(str(tmp_path / "out"), source_dir=source)
    first, *lines = str(caught.value).splitlines()
    assert first == (
        f"12 of 200 files cannot be used, listed in {tmp_path}/out/bad_files.csv; nothing else was"
        " written. Repair or remove them, or skip them with on_bad_image='skip'"
    )
    assert lines[-1] == "1 of 4 classes have 0 readable images: 'leer'"
    assert len(lines) == 13
    for path, reason in reasons.items():
        (line,) = [line for line in lines if line.startswith(f"{path}: ")]
        assert reason in line
    assert sorted(os.listdir(tmp_path / "out")) == [".slim", "bad_files.csv"]
    assert set(bad_files(tmp_path / "out")) == set(reasons)


def test_bad_files_csv_is_removed_after_success(tmp_path):
    source = tree(tmp_path / "src", a=3, b=3)
    (tmp_path / "src" / "a" / "bad.jpg").write_bytes(b"")
    out = str(tmp_path / "out")
    with pytest.raises(_checks.UserError, match="1 of 7 files cannot be used"):
        folder.convert(out, source_dir=source)
    os.remove(tmp_path / "src" / "a" / "bad.jpg")
    folder.convert(out, source_dir=source)
    assert "bad_files.csv" not in os.listdir(out)


def test_long_list_of_bad_files_is_truncated(tmp_path):
    image_folder.write(str(tmp_path / "src"), {f"a/{number:02d}.jpg": b"" for number in range(60)})
    with pytest.raises(_checks.UserError) as caught:
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))
    lines = str(caught.value).splitlines()
    assert lines[51].startswith("... and 10 more in ")
    assert lines[52:] == [
        "1 of 1 classes have 0 readable images: 'a'",
        "Split 'train' has 0 readable images",
        "Split 'validation' has 0 readable images",
    ]


def test_empty_classes_are_one_line(tmp_path):
    image_folder.write(str(tmp_path / "src"), {f"a/{n}.jpg": sample_files.jpeg() for n in range(3)})
    for number in range(300):
        (tmp_path / "src" / f"b{number:03d}").mkdir()
    with pytest.raises(_checks.UserError) as caught:
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))
    assert str(caught.value) == (
        "300 of 301 classes have 0 readable images: 'b000', 'b001', 'b002', 'b003', 'b004',"
        " ... (295 more)"
    )


def test_split_without_images_is_an_error_even_with_skip(tmp_path):
    image_folder.write(str(tmp_path / "src"), {f"a/{n}.jpg": b"" for n in range(20)})
    with pytest.raises(_checks.UserError, match="Split 'train' has 0 readable images"):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"), on_bad_image="skip")


def test_conversion_with_and_without_workers_is_identical(mixed, converted, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_MIN_FOR_WORKERS", 1000)
    folder.convert(str(tmp_path), source_dir=mixed[0], on_bad_image="skip")
    assert dataset_info.read(str(tmp_path)) == dataset_info.read(converted[0])


# ---- splits --------------------------------------------------------------------------------------


def test_split_is_stratified_and_reproducible(tmp_path):
    source = tree(tmp_path / "src", a=40, b=20)
    names_by_seed = {}
    for seed in (0, 0, 1):
        out = tmp_path / f"out{len(names_by_seed)}{seed}"
        info = folder.convert(
            str(out), source_dir=source, validation_fraction=0.25, split_seed=seed
        )
        assert info.splits["train"].per_class == (30, 15)
        assert info.splits["validation"].per_class == (10, 5)
        names = filenames(out, "train"), filenames(out, "validation")
        assert names_by_seed.setdefault(seed, names) == names
    assert names_by_seed[0] != names_by_seed[1]
    labels = [name[0] for name in names_by_seed[0][0]]
    assert sum(a != b for a, b in itertools.pairwise(labels)) > 5, "not shuffled"


def test_validation_fraction_0_writes_no_validation_split(tmp_path):
    source = tree(tmp_path / "src", a=2, b=2)
    info = folder.convert(str(tmp_path / "out"), source_dir=source, validation_fraction=0.0)
    assert list(info.splits) == ["train"]


def test_small_fraction_holds_out_one_image(tmp_path):
    source = tree(tmp_path / "src", a=3, b=2)
    info = folder.convert(str(tmp_path / "out"), source_dir=source, validation_fraction=0.01)
    assert info.splits["validation"].num_samples == 1


@pytest.mark.parametrize("val", ["validation", "val"])
def test_source_with_splits_keeps_them(tmp_path, val):
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
    with pytest.raises(_checks.UserError, match="no effect: .* has the splits.*use only those"):
        folder.convert(
            str(tmp_path / "o"), source_dir=str(tmp_path / "src"), validation_fraction=0.1
        )


def test_split_without_files_is_rejected_before_reading_images(tmp_path):
    tree(tmp_path / "src" / "train", ant=3)
    tree(tmp_path / "src" / "test", ant=0)
    (tmp_path / "src" / "train" / "ant" / "bad.jpg").write_bytes(b"")
    with pytest.raises(_checks.UserError, match=r"^Split 'test' has no images in .*src$"):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))
    assert os.listdir(tmp_path / "out") == []


def test_other_files_next_to_class_directories_are_ignored(tmp_path):
    tree(tmp_path / "src" / "train", ant=3, bee=2)
    tree(tmp_path / "src" / "test", bee=2)
    (tmp_path / "src" / "train" / "labels.csv").write_text("x,y")
    info = folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))
    assert info.classes == ("ant", "bee")
    assert list(info.splits) == ["train", "test"]
    (tmp_path / "src" / "train" / "lost.jpg").write_bytes(sample_files.jpeg())
    with pytest.raises(_checks.UserError, match="train has 1 images outside the class directories"):
        folder.convert(str(tmp_path / "other"), source_dir=str(tmp_path / "src"))


@pytest.mark.parametrize(
    "names", [("Test", "Train"), ("test", "validation"), ("training", "valid"), ("TRAIN",)]
)
def test_split_directories_are_never_used_as_classes(tmp_path, names):
    for name in names:
        tree(tmp_path / "src" / name, ant=3, bee=2)
    with pytest.raises(
        _checks.UserError,
        match=f"has {', '.join(names)}, which contain directories and no images",
    ):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))


def test_class_may_have_the_name_of_a_split(tmp_path):
    source = tree(tmp_path / "src", train=3, car=3)
    info = folder.convert(str(tmp_path / "out"), source_dir=source)
    assert info.classes == ("car", "train")


@pytest.mark.parametrize("other", ["valid", "validation val"])
def test_unknown_split_names_are_rejected(tmp_path, other):
    for name in ("train", *other.split()):
        tree(tmp_path / "src" / name, a=1)
    with pytest.raises(
        _checks.UserError, match="has the split 'train' among .* must be called train"
    ):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))


def test_class_missing_in_train_is_rejected(tmp_path):
    tree(tmp_path / "src" / "train", ant=3, bees=2)
    tree(tmp_path / "src" / "test", bee=2)
    with pytest.raises(
        _checks.UserError,
        match="Split 'test' has classes that 'train' lacks: bee; did you mean 'bees'",
    ):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))


# ---- layouts -------------------------------------------------------------------------------------


def test_subdirectories_and_links_belong_to_the_class(tmp_path):
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


def test_pipe_is_a_bad_file(tmp_path):
    source = tree(tmp_path / "src", a=3)
    os.mkfifo(tmp_path / "src" / "a" / "pipe")
    with pytest.raises(
        _checks.UserError, match=r"pipe: cannot be read: not a regular file \(a FIFO\)"
    ):
        folder.convert(str(tmp_path / "out"), source_dir=source)


def test_empty_classes_hidden_files_and_cyclic_links(tmp_path):
    source = tree(tmp_path / "src", a=6, alone=1, empty=0, **{".thumbnails": 2})
    (tmp_path / "src" / ".DS_Store").write_bytes(b"not an image")
    (tmp_path / "src" / "a" / ".hidden.jpg").write_bytes(b"not an image")
    os.symlink(tmp_path / "src", tmp_path / "src" / "a" / "round")
    loop = tmp_path / "src" / "a" / "loop"
    os.symlink(loop, loop)
    with pytest.raises(_checks.UserError) as caught:
        folder.convert(str(tmp_path / "out"), source_dir=source)
    assert str(caught.value).splitlines()[1:] == [
        f"{loop}: cannot be read: Too many levels of symbolic links",
        "1 of 3 classes have 0 readable images: 'empty'",
    ]
    loop.unlink()
    (tmp_path / "src" / "empty").rmdir()
    (tmp_path / "src" / "a" / "round").unlink()
    info = folder.convert(str(tmp_path / "out"), source_dir=source)
    assert info.classes == ("a", "alone")
    assert info.splits["validation"].num_samples == 1
    names = [name for split in info.splits for name in filenames(tmp_path / "out", split)]
    assert sorted(names) == [*(f"a/{number}.jpg" for number in range(6)), "alone/0.jpg"]


def test_file_names_that_are_not_utf8_are_escaped(tmp_path):
    source = tree(tmp_path / "src", a=2)
    strange = os.path.join(os.fsencode(source), b"a", b"caf\xe9.jpg")
    with open(strange, "wb") as file:
        file.write(sample_files.jpeg())
    with open(os.path.join(os.fsencode(source), b"a", b"bad\xe9.jpg"), "wb") as file:
        file.write(b"")
    out = str(tmp_path / "out")
    folder.convert(out, source_dir=source, validation_fraction=0.0, on_bad_image="skip")
    assert sorted(filenames(out, "train")) == ["a/0.jpg", "a/1.jpg", "a/caf\\udce9.jpg"]
    with open(os.path.join(out, "bad_files.csv"), "rb") as file:
        assert b"bad\xe9.jpg" in file.read()


@pytest.mark.parametrize(
    "files, expected",
    [
        ({}, r"No class directories in .* \(0 subdirectories, 0 images\)\. Expected: SRC/<class>"),
        ({"a.jpg": b"x", "b.png": b"x"}, r"0 subdirectories, 2 images"),
        (
            {"a/1.jpg": b"x", "c.jpg": b"x"},
            "has 1 images outside the class directories, such as 'c",
        ),
        (
            {"a\nb/1.jpg": b"x", "c/1.jpg": b"x"},
            r"directory 'a\\nb' has a control character\. Rename it",
        ),
        ({"a/1.jpg": b"x"}, "validation_fraction=0.1 of 1 images leaves none for training"),
    ],
)
def test_other_layouts_are_rejected(tmp_path, files, expected):
    os.makedirs(tmp_path / "src")
    image_folder.write(str(tmp_path / "src"), files)
    with pytest.raises(_checks.UserError, match=expected):
        folder.convert(str(tmp_path / "out"), source_dir=str(tmp_path / "src"))
    assert not (tmp_path / "out").exists()


def test_missing_source_dir_is_rejected(tmp_path):
    with pytest.raises(
        _checks.UserError, match="'folder' needs source_dir, a directory with SRC/<class>/<image>"
    ):
        folder.convert(str(tmp_path / "out"))
    with pytest.raises(_checks.UserError, match="source_dir='nowhere' is not a directory"):
        folder.convert(str(tmp_path / "out"), source_dir="nowhere")


@pytest.mark.parametrize(
    "option, expected",
    [
        ({"validation_fraction": 1.5}, "validation_fraction=1.5 must lie between 0 and 1"),
        ({"max_pixels": 0}, "max_pixels=0 must be positive"),
        ({"on_bad_image": "ignore"}, "on_bad_image='ignore' is not known"),
    ],
)
def test_invalid_options_are_rejected(tmp_path, option, expected):
    with pytest.raises(_checks.UserError, match=expected):
        folder.convert(str(tmp_path / "o"), source_dir=tree(tmp_path / "s", a=4, b=4), **option)


def test_max_pixels_limits_the_size(tmp_path):
    source = tree(tmp_path / "src", a=4, b=4)
    (tmp_path / "src" / "a" / "large.jpg").write_bytes(sample_files.jpeg(20, 20))
    with pytest.raises(_checks.UserError, match="has 20 x 20 pixels, more than max_pixels=399"):
        folder.convert(str(tmp_path / "out"), source_dir=source, max_pixels=399)
    folder.convert(str(tmp_path / "out"), source_dir=source, max_pixels=400)


def test_large_dataset_has_several_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(local_images, "SHARD_BYTES", 2000)
    source = tree(tmp_path / "src", a=10, b=10)
    info = folder.convert(str(tmp_path / "out"), source_dir=source)
    files = [shard.file for shard in info.splits["train"].shards]
    assert len(files) > 3
    assert files[1] == f"folder_train-00001-of-{len(files):05d}.tfrecord"
    assert len(list(examples(tmp_path / "out", "train"))) == 18


def test_unbalanced_split_is_reported(tmp_path):
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


def test_classes_missing_in_a_split_are_reported(tmp_path):
    lines = []
    source = tree(tmp_path / "src", a=5, b=5, c=5)
    out = str(tmp_path / "out")
    download_and_convert.run("folder", out, lines.append, source_dir=source)
    assert len(filenames(out, "validation")) == 2
    (missing,) = set("abc") - {name[0] for name in filenames(out, "validation")}
    assert f"  warning: validation has no images of 1 of 3 classes: {missing}" in lines
    assert not any("train has no images" in line for line in lines)


# ---- download_and_convert ------------------------------------------------------------------------


def test_second_run_with_other_options_is_rejected(tmp_path):
    source = tree(tmp_path / "src", a=4, b=4)
    out = str(tmp_path / "out")
    lines = []
    download_and_convert.run("folder", out, lines.append, source_dir=source, split_seed=3)
    download_and_convert.run("folder", out, lines.append, source_dir=source, split_seed=3)
    assert lines[-1] == f"{out} is already complete: 7 train, 1 validation images of 2 classes"
    with pytest.raises(_checks.UserError, match="converted with split_seed=3, not 4. Use another"):
        download_and_convert.run("folder", out, lines.append, source_dir=source, split_seed=4)
    other = tree(tmp_path / "other", a=4)
    with pytest.raises(_checks.UserError, match="converted with source_dir='.*src', not '.*other'"):
        download_and_convert.run("folder", out, lines.append, source_dir=other)


@pytest.mark.parametrize("change", ["more", "fewer", "another size", "another class"])
def test_second_run_with_changed_images_is_rejected(tmp_path, change):
    source = tree(tmp_path / "src", a=4, b=4)
    (tmp_path / "src" / "notes.txt").write_text("not an image")
    out = str(tmp_path / "out")
    lines = []
    download_and_convert.run("folder", out, lines.append, source_dir=source)
    os.utime(tmp_path / "src" / "a" / "1.jpg")
    (tmp_path / "src" / "notes.txt").write_text("not an image either")
    download_and_convert.run("folder", out, lines.append, source_dir=source)
    assert "already complete" in lines[-1]
    count = 8
    if change == "more":
        (tmp_path / "src" / "a" / "new.jpg").write_bytes(sample_files.jpeg(8, 9, 50))
        count = 9
    elif change == "fewer":
        (tmp_path / "src" / "a" / "1.jpg").unlink()
        count = 7
    elif change == "another size":
        (tmp_path / "src" / "a" / "1.jpg").write_bytes(sample_files.jpeg(18, 19, 50))
    else:
        os.rename(tmp_path / "src" / "a", tmp_path / "src" / "fox")
    expected = (
        rf"src' has changed since .*out' was converted \(8 files then, {count} now\)\. Remove"
    )
    with pytest.raises(_checks.UserError, match=expected):
        download_and_convert.run("folder", out, lines.append, source_dir=source)


def test_second_run_with_other_image_limits_is_rejected(tmp_path):
    source = tree(tmp_path / "src", a=4, b=4)
    out = str(tmp_path / "out")

    def run(**options):
        download_and_convert.run("folder", out, lambda line: None, source_dir=source, **options)

    run()
    run(on_bad_image="skip")  # no image is bad
    with pytest.raises(_checks.UserError, match="converted with max_pixels=.*, not 9. Use another"):
        run(max_pixels=9)
    (tmp_path / "src" / "a" / "bad.jpg").write_bytes(b"")
    out = str(tmp_path / "other")
    run(on_bad_image="skip")
    run()
    with pytest.raises(_checks.UserError, match="converted with on_bad_image='skip', not 'error'"):
        run(on_bad_image="error")


def test_options_of_other_datasets_are_rejected(tmp_path):
    with pytest.raises(
        _checks.UserError,
        match="max_pixels, split_seed cannot be used with the dataset 'mnist'. Its options",
    ):
        download_and_convert.run("mnist", str(tmp_path), split_seed=1, max_pixels=3)
    with pytest.raises(_checks.UserError, match="with the dataset 'digits'. Its options: none"):
        download_and_convert.run("digits", str(tmp_path), source_dir="x")
    with pytest.raises(_checks.UserError, match="source_dir cannot be used with dataset_name='ver"):
        download_and_convert.run("verify", str(tmp_path), source_dir="x")


def test_options_of_each_row_match_the_converter():
    for spec in dataset_factory.DATASETS.values():
        module = importlib.import_module(spec.module, "datasets")
        parameters = inspect.signature(module.convert).parameters
        assert set(spec.options) == set(parameters) - {"dataset_dir"}, spec.name


@pytest.mark.parametrize("name", dataset_factory.DATASETS)
def test_get_split_of_each_module_reads_its_own_dataset(name):
    module = importlib.import_module(dataset_factory.DATASETS[name].module, "datasets")
    assert list(inspect.signature(module.get_split).parameters)[-3:] == [
        "split_name",
        "dataset_dir",
        "file_pattern",
    ]
    with pytest.raises(_checks.UserError, match=f"'/no' does not .*--dataset_name={name} "):
        module.get_split("train", "/no")


def test_get_split_reads_through_the_decoder(converted):
    dataset = folder.get_split("validation", converted[0])
    assert dataset.decoder.list_items() == list(dataset.items_to_descriptions)
    assert dataset.num_classes == 4
    record = next(iter(tf.data.TFRecordDataset(list(dataset.data_sources))))
    image, label = dataset.decoder.decode(record, ["image", "label"])
    assert image.shape[2] == 3
    assert 0 <= int(label) < 4
