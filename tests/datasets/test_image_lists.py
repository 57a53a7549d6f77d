"""Lists of images and files of class names: what is read, and what is refused in one line."""

import json
import os

import pytest

from datasets import (
    download_and_convert,
    image_list,
    image_tree,
    label_names,
    list_rows,
    local_images,
)
from datasets.location import Location
from slim import _checks
from tests.datasets import image_folder, local_sources, sample_files


def written(directory, name, text):
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


ROWS = [("a.png", ("cat",), ""), ("b c.png", ("dog", "7"), "")]


@pytest.mark.parametrize(
    "name, text",
    [
        ("l.csv", "path,label\na.png,cat\nb c.png,dog;7\n"),
        ("l.csv", "\ufefflabel,FILE\r\ncat,a.png\r\ndog|7|dog,b c.png\r\n"),
        ("l.csv", 'a.png,cat\n\n"b c.png","dog; 7"\n'),
        ("l.tsv", "image\tlabels\na.png\tcat\nb c.png\tdog;7\n"),
        ("l.jsonl", '{"path": "a.png", "label": "cat"}\n{"file": "b c.png", "labels": ["dog", 7]}'),
    ],
)
def test_formats_have_the_same_rows(tmp_path, name, text):
    rows = list_rows.read(written(tmp_path, name, text))
    assert [(row.path, row.labels, row.split) for row in rows] == ROWS


def test_parquet_has_the_same_rows(tmp_path):
    pandas = pytest.importorskip("pandas", reason="reads Parquet")
    pytest.importorskip("pyarrow", reason="reads Parquet")
    frame = pandas.DataFrame({"path": ["a.png", "b c.png"], "label": [["cat"], ["dog", "7"]]})
    frame.to_parquet(tmp_path / "l.parquet")
    rows = list_rows.read(str(tmp_path / "l.parquet"))
    assert [(row.path, row.labels, row.split) for row in rows] == ROWS


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("l.txt", "a.png,cat", "is not a list of images: its name must end in one of .csv, .tsv"),
        ("l.csv", "", "l.csv has no rows"),
        ("l.csv", b"\xff\xfe,x", "is not UTF-8 text; save the file as UTF-8"),
        ("l.csv", "path,label\n,cat\n", "row 2: it has no path"),
        ("l.csv", "path,label\na.png\n", "row 2: it has 1 columns; path and label are needed"),
        ("l.csv", "a,b,c,d,e\n", "row 1: the first row must name the columns path and label"),
        ("l.csv", "path,label\na.png,;\n", "row 2: it has no label"),
        ("l.csv", 'path,label\n"a.png,cat\n', "l.csv after row "),
        ("l.csv", "path,label\nhttp://a/b.png,cat\n", "'http://a/b.png' is a URL; images must be "),
        ("l.csv", "path,label\na.png,c\x07t\n", "its label is empty or has control characters"),
        ("l.csv", "path,label,split\na.png,cat,t\x07\n", "row 2: its split is not a name"),
        (
            "l.csv",
            "path,label\na.png," + ";".join(map(str, range(2000))),
            "it has 2000 labels; at ",
        ),
        ("l.jsonl", "[1]\n", "row 1: it is not a JSON object"),
        ("l.jsonl", '{"path": "a\\u0000b", "label": 1}', "row 1: its path is not valid text"),
        ("l.jsonl", '{"path": "a", "label": {}}', "its label is a dict; allowed: text or an int"),
        ("l.jsonl", '{"path": "a", "label": 1e999}', "its label is a float; allowed: text or an"),
        ("l.jsonl", '{"path": "a", "label": 1' + "0" * 30 + "}", "its label is out of range"),
        ("l.jsonl", '{"path": "a"}', "row 1: it has no label"),
        ("l.jsonl", '{"path": "a", "label": 1, "path": "b"}', "row 1: it has a key more than once"),
        ("l.csv", "path,label\na.png,cat,dog\n", "row 2: it has 3 columns, the first row has 2; s"),
    ],
)
def test_an_invalid_list_is_one_line(tmp_path, name, text, message):
    with pytest.raises(_checks.UserError) as error:
        list_rows.read(written(tmp_path, name, text))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_list_that_is_no_file_is_an_error(tmp_path):
    with pytest.raises(_checks.UserError, match="cannot be read"):
        list_rows.read(str(tmp_path / "missing.csv"))


@pytest.fixture
def images(tmp_path):
    content = sample_files.jpeg()
    image_folder.write(str(tmp_path), {f"{name}.jpg": content for name in "abcd"})
    return tmp_path


@pytest.mark.parametrize(
    "text, names, message",
    [
        (
            "a.jpg,x\nb.jpg,y;z\n",
            None,
            "row 2: 'b.jpg' has 2 labels (y, z). To train on several la",
        ),
        ("a.jpg,x\n./a.jpg,y\n", None, "row 2: './a.jpg' is in row 1 too. Remove one of them"),
        ("a.jpg,x\ne.jpg,y\n", None, "1 of 2 images are not in "),
        ("a.jpg,x,train\nb.jpg,y,\n", None, "row 2: it has no split, but others have"),
        ("a.jpg,x,test\n", None, "has no row of the split 'train'; its splits: test"),
        ("a.jpg,cat\nb.jpg,dgo\n", ["cat", "dog"], "lacks 'dgo'; did you mean 'dog'"),
    ],
)
def test_a_list_that_does_not_fit_its_images_is_one_line(images, text, names, message):
    with pytest.raises(_checks.UserError) as error:
        image_list.read(written(images, "l.csv", text), None, names)
    assert message in str(error.value)


def test_several_labels_are_sorted_and_numbers_may_be_labels(images):
    path = written(images, "l.csv", "a.jpg,dog;cat\nb.jpg,0\nc.jpg,cat\n")
    classes, parts = image_list.read(path, None, ["cat", "dog"], multi_label=True)
    assert classes == ["cat", "dog"]
    assert [item.label for item in parts[""]] == [(0, 1), (0,), (0,)]
    assert [item.filename for item in parts[""]] == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("names.txt", "cat\ndog\n", {0: "cat", 1: "dog"}),
        ("labels.txt", "1:dog\n0:cat\n", {0: "cat", 1: "dog"}),
        (
            "label_map.pbtxt",
            "# a map\nitem {\n id: 1\n name: 'n01'\n display_name: \"it\\'s\"\n}\n"  # noqa: ISC004
            "item { id: 2 name: \"dog\" keypoints { id: 9 label: 'x' } frequency: RARE }",
            {1: "it's", 2: "dog"},
        ),
    ],
)
def test_files_of_class_names(tmp_path, name, text, expected):
    assert label_names.read(written(tmp_path, name, text)) == expected


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("names.txt", "", "has no class names"),
        ("names.txt", "cat\ncat\n", "has the name 'cat' more than once"),
        ("names.txt", "c\x07t\n", "a name with control characters"),
        ("m.pbtxt", b"\xff", "is not UTF-8 text; save the file as UTF-8"),
        ("m.pbtxt", "item { id: 1 name: 'a'", "is not a label map: 1:"),
        ("m.pbtxt", "item { id: 1 name: 'a' id: 2 name: 'b' }", "is not a label map: 1:"),
        ("m.pbtxt", "item { id: 1 name: 'a' } items { id: 2 name: 'b' }", "label map: 1:2"),
        ("m.pbtxt", "item {" * 9000, "is not a label map: "),
        ("m.pbtxt", "item { id: 1 name: '\\377' }", "is not a label map: "),
        ("m.pbtxt", "item { name: 'a' }", "item 1: it needs a name and an id from 0 to"),
        ("m.pbtxt", "item { id: -1 name: 'a' }", "item 1: it needs a name and an id from 0 to"),
        ("m.pbtxt", "item { id: 1 name: 'a' } item { id: 1 name: 'b' }", "it repeats the id 1"),
    ],
)
def test_an_invalid_file_of_class_names_is_one_line(tmp_path, name, text, message):
    with pytest.raises(_checks.UserError) as error:
        label_names.read(written(tmp_path, name, text), unique=True)
    assert message in str(error.value)


def test_a_missing_label_map_is_an_error(tmp_path):
    with pytest.raises(_checks.UserError, match="cannot be read: No such file"):
        label_names.read(str(tmp_path / "missing.pbtxt"))


def test_a_directory_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    def deny(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(_checks.UserError, match=f"{tmp_path} cannot be read: Permission denied"):
        image_tree.read(str(tmp_path))


def test_deep_directories_and_compressed_archives_are_errors(tmp_path, monkeypatch):
    monkeypatch.setattr(image_tree, "_MAX_DEPTH", 3)
    (tmp_path / "a/b/c/d/e").mkdir(parents=True)
    with pytest.raises(_checks.UserError, match="is nested more than 3 levels deep"):
        image_tree.read(str(tmp_path))
    for name, start, kind in (("x.tgz", b"\x1f\x8b", "gzip"), ("x.bz2", b"BZh", "bzip2")):
        with pytest.raises(_checks.UserError, match=kind):
            image_tree.read(written(tmp_path, name, start + bytes(600)))
    with pytest.raises(_checks.UserError, match="is neither a directory, a zip nor a tar "):
        image_tree.read(written(tmp_path, "x.zip", b"nothing"))


@pytest.mark.parametrize(
    "location, message",
    [
        (Location("list"), "dataset_name=list needs dataset_file"),
        (Location("folder"), "dataset_name=folder needs dataset_dir"),
        (Location("list", None, "missing.csv"), "dataset_file='missing.csv' does not exist"),
    ],
)
def test_a_location_without_images_is_an_error(location, message):
    with pytest.raises(_checks.UserError, match=message):
        local_images.read(location)


def tree(directory, splits=("",)):
    content = sample_files.jpeg()
    names = [f"{s}{c}/{n}.jpg" for s in splits for c in "ab" for n in range(6)]
    image_folder.write(str(directory), dict.fromkeys(names, content))
    return str(directory)


def names_of(location):
    parts = local_images.read(location).splits
    return {split: {item.filename for item in part.items} for split, part in parts.items()}


def test_each_image_is_held_out_in_one_fold(tmp_path):
    directory = tree(tmp_path)
    folds = [names_of(Location("folder", directory, folds=3, fold=fold)) for fold in range(3)]
    every = folds[0]["train"] | folds[0]["validation"]
    assert len(every) == 12
    assert sorted(name for fold in folds for name in fold["validation"]) == sorted(every)
    for fold in folds:
        assert not fold["train"] & fold["validation"]
        assert [sum(name[0] == c for name in fold["validation"]) for c in "ab"] == [2, 2]
    other = names_of(Location("folder", directory, folds=3, fold=0, split_seed=1))
    assert other != folds[0]


@pytest.mark.parametrize(
    "splits, values, message",
    [
        (
            ("train/", "validation/"),
            {"folds": 2},
            "folds=2 has no effect: .* has the split v",
        ),
        (("",), {"folds": 20}, "folds=20 exceeds the 12 images in "),
        (("train/",), {"validation_fraction": 0.5}, "validation_fraction has no effect: .*train"),
        (("",), {"validation_fraction": 0.99}, "of 12 images leaves none for training"),
    ],
)
def test_splits_that_cannot_be_made_are_errors(tmp_path, splits, values, message):
    with pytest.raises(_checks.UserError, match=message):
        local_images.read(Location("folder", tree(tmp_path, splits), **values))


def test_unknown_and_empty_splits_are_errors(tmp_path):
    location = Location("folder", tree(tmp_path))
    with pytest.raises(_checks.UserError, match="Split 'valdation' not in .*did you mean 'vali"):
        local_images.metadata(location, "valdation")
    (tmp_path / "empty/train/a").mkdir(parents=True)
    location = Location("folder", str(tmp_path / "empty"))
    with pytest.raises(_checks.UserError, match="Split 'train' has no images in "):
        local_images.metadata(location, "train")


def test_a_file_of_class_names_decides_the_labels(tmp_path):
    directory = tree(tmp_path / "images")
    names = written(tmp_path, "names.txt", "z\nb\na\n")
    images = local_images.read(Location("folder", directory, labels_file=names))
    assert images.classes == ("z", "b", "a")
    labels = {item.filename[0]: item.label for item in images.splits["train"].items}
    assert labels == {"a": 2, "b": 1}
    few = written(tmp_path, "few.txt", "a\n")
    with pytest.raises(_checks.UserError, match="classes that the file of class names lacks: b"):
        local_images.read(Location("folder", directory, labels_file=few))


def test_system_files_of_other_machines_are_ignored(tmp_path):
    directory = tree(tmp_path)
    image_folder.write(directory, {"__MACOSX/a/._0.jpg": b"x", "a/.DS_Store": b"x"})
    assert local_images.read(Location("folder", directory)).classes == ("a", "b")


def test_json_lists_and_csv_lists_of_one_directory_are_equal(tmp_path):
    names = local_sources.write_images(str(tmp_path), photos=3)
    local_sources.write_list(str(tmp_path / "l.csv"), names)
    lines = [json.dumps({"path": name, "label": name.split("/")[0]}) for name in names]
    written(tmp_path, "l.jsonl", "\n".join(lines))
    one, other = (image_list.read(str(tmp_path / each)) for each in ("l.csv", "l.jsonl"))
    assert one == other


def test_a_list_is_converted_once(images, tmp_path_factory):
    target = str(tmp_path_factory.mktemp("records") / "data")
    file = written(images, "l.csv", "a.jpg,x\nb.jpg,y\nc.jpg,y\nd.jpg,x\n")
    names = written(images, "names.txt", "y\nx\n")
    lines = []

    def convert(**more):
        values = {"dataset_file": file, "labels_file": names} | more
        return download_and_convert.convert("list", target, lines.append, **values)

    info = convert()
    assert info.classes == ("y", "x")
    assert {name: split.num_samples for name, split in info.splits.items()} == {
        "train": 3,
        "validation": 1,
    }
    assert convert() == info
    assert "is already complete" in lines[-1]
    other = written(images, "other.txt", "x\ny\n")
    with pytest.raises(_checks.UserError, match="holds 'list' converted with labels_file="):
        convert(labels_file=other)
    written(images, "l.csv", "a.jpg,x\nb.jpg,y\nc.jpg,y\n")
    with pytest.raises(_checks.UserError, match=r"l.csv' has changed since .* \(4 files then, 3 "):
        convert()
    with pytest.raises(_checks.UserError, match="dataset_name='list' needs dataset_file, a lis"):
        download_and_convert.convert("list", f"{target}2", lines.append)
