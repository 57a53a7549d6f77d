"""Visual Wake Words from archives in the layout of COCO 2014."""

import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf

from datasets import (
    dataset_factory,
    dataset_info,
    download,
    download_and_convert,
    verify,
    visualwakewords,
)
from slim import _checks
from tests.datasets import sample_files

# (category, left, top, width, height, area) in images of 40 x 20 pixels
OBJECTS = {
    0: [("person", 4.0, 2.0, 8.0, 10.0, 60.0)],
    1: [("person", 0.0, 0.0, 2.0, 2.0, 4.0)],  # 0.5 % of the image: not above the threshold
    2: [("dog", 0.0, 0.0, 40.0, 20.0, 800.0)],
    3: [],
    4: [("dog", 1.0, 1.0, 9.0, 9.0, 80.0), ("person", 0.0, 0.0, 20.0, 10.0, 4.1)],
}
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]


def annotations(split, offset):
    ids = {each["name"]: each["id"] for each in CATEGORIES}
    return {
        "images": [
            {"id": offset + n, "file_name": name(split, offset + n), "height": 20, "width": 40}
            for n in OBJECTS
        ],
        "categories": CATEGORIES,
        "annotations": [
            {
                "image_id": offset + n,
                "category_id": ids[category],
                "bbox": box,
                "area": area,
            }
            for n, objects in OBJECTS.items()
            for category, *box, area in objects
        ],
    }


def name(split, number):
    return f"COCO_{split}2014_{number:012d}.jpg"


def archives(count):
    """Returns name -> content of archives with images that show persons in turn."""
    contents, texts = {}, {}
    for split in ("train", "val"):
        names = [name(split, number) for number in range(count)]
        members = {
            f"{split}2014/{each}": sample_files.jpeg(20, 40, number)
            for number, each in enumerate(names)
        }
        contents[f"{split}2014.zip"] = sample_files.zip_bytes(members)
        labeled = {
            "images": [
                {"id": number, "file_name": each, "height": 20, "width": 40}
                for number, each in enumerate(names)
            ],
            "categories": CATEGORIES,
            "annotations": [
                {"image_id": number, "category_id": 1, "bbox": [0.0, 0.0, 20.0, 10.0], "area": 9.0}
                for number in range(0, count, 2)
            ],
        }
        texts[f"annotations/instances_{split}2014.json"] = json.dumps(labeled).encode()
    return contents | {"annotations_trainval2014.zip": sample_files.zip_bytes(texts)}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes the three archives; returns their contents, and the images by name."""
    photos, contents, texts = {}, {}, {}
    for split, offset in (("train", 100), ("val", 200)):
        part = {name(split, offset + n): sample_files.jpeg(20, 40, offset + n) for n in OBJECTS}
        photos |= part
        contents[f"{split}2014.zip"] = sample_files.zip_bytes(
            {f"{split}2014/{each}": data for each, data in part.items()}
        )
        text = json.dumps(annotations(split, offset)).encode()
        texts[f"annotations/instances_{split}2014.json"] = text
    contents["annotations_trainval2014.zip"] = sample_files.zip_bytes(texts)
    use(tmp_path, monkeypatch, contents)
    return contents, photos


def use(directory, monkeypatch, contents):
    for each, content in contents.items():
        (directory / each).write_bytes(content)
    monkeypatch.setattr(
        visualwakewords,
        "FILES",
        [
            download.RemoteFile(each, (), len(content), hashlib.sha256(content).hexdigest())
            for each, content in contents.items()
        ],
    )


def convert(tmp_path, out="out", **options):
    directory = f"{tmp_path}-{out}"
    download_and_convert.run(
        "visualwakewords", directory, lambda line: None, source_dir=str(tmp_path), **options
    )
    verify.run(directory, lambda line: None)
    return directory


def records(directory, split):
    dataset = dataset_factory.get_dataset("visualwakewords", split, directory)
    for serialized in tf.data.TFRecordDataset(list(dataset.data_sources)):
        features = tf.train.Example.FromString(serialized.numpy()).features.feature
        yield features["image/source_id"].bytes_list.value[0].decode(), features


def labels(directory, split="train"):
    return {
        int(number) % 100: features["image/class/label"].int64_list.value[0]
        for number, features in records(directory, split)
    }


def test_images_are_labeled_by_persons(files, tmp_path):
    directory = convert(tmp_path)
    info = dataset_info.read(directory)
    assert info.classes == ("background", "person")
    assert info.splits["train"].shards[0].file == "train.record-00000-of-00005"
    assert info.splits["val"].shards[4].file == "val.record-00004-of-00005"
    assert labels(directory) == labels(directory, "val") == {0: 1, 1: 0, 2: 0, 3: 0, 4: 1}
    examples = dict(records(directory, "train"))
    features = examples["100"]
    # As in TF-Slim's converter.
    assert set(features) == {
        "image/height",
        "image/width",
        "image/filename",
        "image/source_id",
        "image/key/sha256",
        "image/encoded",
        "image/format",
        "image/class/label",
        "image/object/bbox/xmin",
        "image/object/bbox/xmax",
        "image/object/bbox/ymin",
        "image/object/bbox/ymax",
        "image/object/area",
    }
    encoded = files[1][name("train", 100)]
    assert features["image/encoded"].bytes_list.value == [encoded]
    assert features["image/format"].bytes_list.value == [b"jpeg"]
    digest = hashlib.sha256(encoded).hexdigest().encode()
    assert features["image/key/sha256"].bytes_list.value == [digest]
    sides = {side: features[f"image/object/bbox/{side}"].float_list.value for side in SIDES}
    assert {side: round(values[0], 4) for side, values in sides.items()} == {
        "xmin": 0.1,
        "ymin": 0.1,
        "xmax": 0.3,
        "ymax": 0.6,
    }
    assert features["image/object/area"].float_list.value == [60.0]
    assert not examples["102"]["image/object/bbox/xmin"].float_list.value


SIDES = ("xmin", "ymin", "xmax", "ymax")


def test_category_and_threshold_decide_the_labels(files, tmp_path):
    dogs = convert(tmp_path, "dogs", foreground_class_of_interest="dog")
    assert labels(dogs) == {0: 0, 1: 0, 2: 1, 3: 0, 4: 1}
    assert dataset_info.read_label_file(dogs) == {0: "background", 1: "dog"}
    large = convert(tmp_path, "large", small_object_area_threshold=0.05)
    assert labels(large) == {0: 1, 1: 0, 2: 0, 3: 0, 4: 0}
    small = convert(tmp_path, "small", small_object_area_threshold=0.0)
    assert labels(small) == {0: 1, 1: 1, 2: 0, 3: 0, 4: 1}
    with pytest.raises(
        _checks.UserError, match="with foreground_class_of_interest='dog', not 'person'"
    ):
        convert(tmp_path, "dogs", foreground_class_of_interest="person")


def test_unknown_category_suggests_the_nearest(files, tmp_path):
    with pytest.raises(
        _checks.UserError,
        match="foreground_class_of_interest='persn' is not known; did you mean 'person'",
    ):
        convert(tmp_path, foreground_class_of_interest="persn")
    with pytest.raises(_checks.UserError, match="small_object_area_threshold=2 must lie between"):
        convert(tmp_path, small_object_area_threshold=2)


def test_missing_images_are_reported(files, tmp_path, monkeypatch):
    contents, photos = files
    kept = {f"train2014/{each}": data for each, data in photos.items() if each.endswith("03.jpg")}
    use(tmp_path, monkeypatch, contents | {"train2014.zip": sample_files.zip_bytes(kept)})
    with pytest.raises(
        _checks.RunError, match="lacks 4 of the 5 annotated images, such as COCO_tra"
    ):
        convert(tmp_path)


GOOD = json.dumps(annotations("train", 100))


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"{}",
        b"[]",
        b'{"images": 3}',
        None,
        b"",
        b"\xff",
        b'{"x":' + b"[" * 1_000_000,
        GOOD.replace('"height": 20', '"height": 0').encode(),
        GOOD.replace('"height": 20', '"height": "20"').encode(),
        GOOD.replace('"height": 20', '"height": 1e400').encode(),
        GOOD.replace('"height": 20', '"height": ' + "9" * 5000).encode(),
        GOOD.replace('"id": 101', '"id": 100').encode(),
        GOOD.replace("[4.0, 2.0, 8.0, 10.0]", "[4.0, 2.0]").encode(),
        GOOD.replace("[4.0, 2.0, 8.0, 10.0]", "[4.0, 2.0, NaN, 1.0]").encode(),
        GOOD.replace('"area": 60.0', '"area": null').encode(),
        GOOD.replace('"file_name"', '"file"').encode(),
    ],
)
def test_invalid_annotations_are_reported(files, tmp_path, monkeypatch, text):
    entries = {} if text is None else {"annotations/instances_train2014.json": text}
    broken = sample_files.zip_bytes({"annotations/other.json": b"{}", **entries})
    use(tmp_path, monkeypatch, files[0] | {"annotations_trainval2014.zip": broken})
    with pytest.raises(
        _checks.RunError, match="instances_train2014.json in the annotation archive cannot be"
    ):
        convert(tmp_path)


def test_bad_images_are_rejected_or_skipped(files, tmp_path, monkeypatch):
    contents, photos = files
    images = {f"val2014/{each}": data for each, data in photos.items() if "val" in each}
    images[f"val2014/{name('val', 203)}"] = b"<html>"
    use(tmp_path, monkeypatch, contents | {"val2014.zip": sample_files.zip_bytes(images)})
    with pytest.raises(_checks.UserError, match=r"val2014.zip:val2014/COCO_val2014_0+203.jpg: is"):
        convert(tmp_path)
    directory = convert(tmp_path, on_bad_image="skip")
    assert sorted(labels(directory, "val")) == [0, 1, 2, 4]
    # The shard of the bad image would be empty; the others are renumbered.
    files = [shard.file for shard in dataset_info.read(directory).splits["val"].shards]
    assert files == [f"val.record-{number:05d}-of-00004" for number in range(4)]


def test_tf_slim_records_are_readable(tmp_path):
    example = tf.train.Example()
    feature = example.features.feature
    for key, value in {
        "image/filename": b"COCO_val2014_000000000042.jpg",
        "image/source_id": b"42",
        "image/key/sha256": b"00",
        "image/encoded": sample_files.jpeg(20, 40),
        "image/format": b"jpeg",
    }.items():
        feature[key].bytes_list.value.append(value)
    for key, value in {"image/height": 20, "image/width": 40, "image/class/label": 1}.items():
        feature[key].int64_list.value.append(value)
    for number, side in enumerate((*SIDES, "area")):
        prefix = "image/object/" if side == "area" else "image/object/bbox/"
        feature[prefix + side].float_list.value.append(number / 10)
    for number in range(10):
        with tf.io.TFRecordWriter(str(tmp_path / f"val.record-{number:05d}-of-00010")) as writer:
            writer.write(example.SerializeToString())
    (tmp_path / "labels.txt").write_text("0:background\n1:person\n")
    dataset = dataset_factory.get_dataset("visualwakewords", "val", str(tmp_path))
    assert (dataset.num_samples, dataset.usual_samples, dataset.num_classes) == (10, 40_504, 2)
    assert dataset.labels_to_names == {0: "background", 1: "person"}
    record = next(iter(tf.data.TFRecordDataset(list(dataset.data_sources))))
    image, label, boxes = dataset.decoder.decode(record, ["image", "label", "object/bbox"])
    assert image.shape == (20, 40, 3)
    assert int(label) == 1
    assert np.allclose(boxes, [[0.1, 0.0, 0.3, 0.2]])
    verify.run(str(tmp_path), lambda line: None)
