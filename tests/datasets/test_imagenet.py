"""ImageNet from archives and class directories, with names and boxes from several files."""

import base64
import io
import os
import zlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from datasets import (
    dataset_factory,
    dataset_info,
    download_and_convert,
    imagenet,
    imagenet_sources,
    matlab,
    verify,
)
from slim import _checks
from tests.datasets import image_folder, sample_files

SYNSETS = ("n01440764", "n02012849", "n02119789", "n03126707")
# scipy.io.savemat of an array of structs "synsets", as in meta.mat of the devkit: numbers 1 to 4,
# their ids and words, a matrix or nothing for "children"; and of an array "other" before it.
META = (
    bytes(124)
    + b"\x00\x01IM"
    + base64.b85decode(
        "4*&oFG5`Poc%0*7U|<LUVm2V=0AfA{2w;Ws8G)D?N`u7mOEOZ6fHV&fOE4e+Ba~)>(g1<&0^1J&000*O"
        "004NL<6~f8*ucWTzy_o_fS8E^0$8DZpcDfm6te?yab;d{YDqCro`r!ADsBP9o<6~0LC!`7hDPz8E)3y*"
        "KmrcR^NUi7;k@LG%$$^>)I11}52_z#KOdU?j7S&+c#y<l`W=w;vtZHBiKJct%Fi<}GBmU_x3EMq$Af@5"
        "5@_at_}Q5y3TgQjItpQ>IR&Z33b~2NMfoL}#US$xkj!JlVjcq$&57g=a>9cNNk4hvVQ6AvU~XnYf;l{B"
        "=798+q~;}O=qR`s9o}|$ek!Ip*!;tU<{yw*%uxOdX3D|^W)21E1em5ROpw!w1p#wd(aZtylZz7bQYr8U"
        "43Mjz1xY`7;b3fNWM*z)K1jj=0Isbw%>"
    )
)
WORDS = {
    "n01440764": "tench, Größe",
    "n02012849": "crane",
    "n02119789": "kit fox, Vulpes macrotis",
    "n03126707": "crane",
}


def images_by_class(per_class=3):
    """Returns class -> {file name: bytes}; including a PNG, a CMYK and a rotated JPEG image."""
    images = {
        synset: {
            f"{synset}_{number}.JPEG": sample_files.jpeg(20, 30, 10 * place + number)
            for number in range(per_class)
        }
        for place, synset in enumerate(SYNSETS)
    }
    good = image_folder.good_images()
    images["n01440764"]["n01440764_0.JPEG"] = good["plain.png"]
    images["n02012849"]["n02012849_0.JPEG"] = good["cmyk.jpg"]
    images["n02119789"]["n02119789_0.JPEG"] = good["rotated.jpg"]
    return images


VALIDATION = [("n02119789", 0), ("n01440764", 1), ("n03126707", 2), ("n02119789", 3)]


def validation_name(number):
    return f"ILSVRC2012_val_{number + 1:08d}.JPEG"


def write_archives(directory, devkit=True):
    inner = {
        f"{synset}.tar": sample_files.tar_bytes(files, "w")
        for synset, files in images_by_class().items()
    }
    validation = {validation_name(n): sample_files.jpeg(20, 30, 90 + n) for _, n in VALIDATION}
    files = {
        "ILSVRC2012_img_train.tar": sample_files.tar_bytes(inner, "w"),
        "ILSVRC2012_img_val.tar": sample_files.tar_bytes(dict(reversed(validation.items())), "w"),
    }
    if devkit:
        numbers = {"n02119789": 1, "n01440764": 2, "n02012849": 3, "n03126707": 4}
        truth = "".join(f"{numbers[synset]}\n" for synset, _ in VALIDATION).encode()
        files["ILSVRC2012_devkit_t12.tar.gz"] = sample_files.tar_bytes(
            {
                "ILSVRC2012_devkit_t12/data/meta.mat": META,
                "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": truth,
                "ILSVRC2012_devkit_t12/readme.txt": b"read me",
            }
        )
    image_folder.write(str(directory), files)
    return str(directory)


def write_directories(directory, validation="validation"):
    files = {
        f"train/{synset}/{name}": content
        for synset, photos in images_by_class().items()
        for name, content in photos.items()
    }
    for synset, n in VALIDATION:
        files[f"{validation}/{synset}/{validation_name(n)}"] = sample_files.jpeg(20, 30, 90 + n)
    image_folder.write(str(directory), files)
    return str(directory)


def convert(source, out):
    download_and_convert.run("imagenet", str(out), lambda line: None, source_dir=source)
    verify.run(str(out), lambda line: None)
    return dataset_info.read(str(out))


def records(directory, split):
    dataset = dataset_factory.get_dataset("imagenet", split, str(directory))
    for serialized in tf.data.TFRecordDataset(list(dataset.data_sources)):
        yield tf.train.Example.FromString(serialized.numpy()).features.feature


def texts(features, key):
    return [value.decode() for value in features[key].bytes_list.value]


# As in TF-Slim's converter.
FEATURES = {
    "image/height",
    "image/width",
    "image/colorspace",
    "image/channels",
    "image/class/label",
    "image/class/synset",
    "image/class/text",
    "image/object/bbox/xmin",
    "image/object/bbox/xmax",
    "image/object/bbox/ymin",
    "image/object/bbox/ymax",
    "image/object/bbox/label",
    "image/format",
    "image/filename",
    "image/encoded",
}


def test_archives_are_converted(tmp_path):
    info = convert(write_archives(tmp_path / "src"), tmp_path / "out")
    assert info.classes == (
        "background",
        "tench, Größe",
        "crane (n02012849)",
        "kit fox, Vulpes macrotis",
        "crane (n03126707)",
    )
    assert info.splits["train"].per_class == (0, 3, 3, 3, 3)
    assert info.splits["validation"].per_class == (0, 1, 0, 2, 1)
    assert info.splits["train"].shards[1].file == "train-00001-of-00012"
    assert info.splits["validation"].shards[0].file == "validation-00000-of-00004"
    files_by_name = {
        name: data for files in images_by_class().values() for name, data in files.items()
    }
    for features in records(tmp_path / "out", "train"):
        assert set(features) == FEATURES
        (name,) = texts(features, "image/filename")
        (synset,) = texts(features, "image/class/synset")
        assert name.startswith(synset)
        assert features["image/class/label"].int64_list.value == [SYNSETS.index(synset) + 1]
        assert texts(features, "image/class/text") == [WORDS[synset]]
        assert texts(features, "image/format") == ["JPEG"]
        assert texts(features, "image/colorspace") == ["RGB"]
        assert features["image/channels"].int64_list.value == [3]
        encoded = features["image/encoded"].bytes_list.value[0]
        same = encoded == files_by_name[name]
        assert same == (name not in ("n01440764_0.JPEG", "n02012849_0.JPEG"))
        with PIL.Image.open(io.BytesIO(encoded)) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
    truth = {validation_name(n): synset for synset, n in VALIDATION}
    for features in records(tmp_path / "out", "validation"):
        (name,) = texts(features, "image/filename")
        assert texts(features, "image/class/synset") == [truth[name]]


@pytest.mark.parametrize("validation", ["validation", pytest.param("val", marks=pytest.mark.slow)])
def test_class_directories_equal_archives(tmp_path, validation):
    source = write_directories(tmp_path / "src", validation)
    (tmp_path / "src" / "LOC_synset_mapping.txt").write_text(
        "".join(f"{synset} {words}\n" for synset, words in WORDS.items())
    )
    from_directories = convert(source, tmp_path / "out")
    from_archives = convert(write_archives(tmp_path / "archives"), tmp_path / "out2")
    assert from_directories == from_archives


@pytest.mark.parametrize("validation", ["validation", pytest.param("val", marks=pytest.mark.slow)])
def test_unpacked_validation_archive_is_converted(tmp_path, validation):
    source = write_directories(tmp_path / "src")
    for _, n in VALIDATION:
        (name,) = (tmp_path / "src" / "validation").glob(f"*/{validation_name(n)}")
        os.renames(name, tmp_path / "src" / "flat" / validation_name(n))
    os.rename(tmp_path / "src" / "flat", tmp_path / "src" / validation)
    with pytest.raises(
        _checks.UserError, match=f"The classes of {validation} are unknown: .* needs ILSVRC2012_d"
    ):
        imagenet.convert(str(tmp_path / "out"), source_dir=source)
    labels = tmp_path / "src" / imagenet_sources.VALIDATION_LABELS
    labels.write_text("".join(f"{synset}\n" for synset, _ in VALIDATION))
    from_directory = convert(source, tmp_path / "out")
    archives = write_archives(tmp_path / "archives", devkit=False)
    (tmp_path / "archives" / imagenet_sources.VALIDATION_LABELS).write_text(labels.read_text())
    assert from_directory == convert(archives, tmp_path / "out2")
    labels.write_text("n02119789\n")
    with pytest.raises(
        _checks.UserError, match="has 4 images, but the list of their classes has 1 labels"
    ):
        imagenet.convert(str(tmp_path / "other"), source_dir=source)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_split_without_images_is_rejected_before_reading(tmp_path, split):
    source = write_directories(tmp_path / "src")
    os.rename(tmp_path / "src" / split, tmp_path / "gone")
    (tmp_path / "src" / split).mkdir()
    with pytest.raises(
        _checks.UserError, match=f"{split} has no images in class directories such as"
    ):
        imagenet.convert(str(tmp_path / "out"), source_dir=source)
    assert not (tmp_path / "out").exists()


def test_lists_allow_blank_lines_and_report_invalid_ones(tmp_path):
    source = write_directories(tmp_path / "src")
    names = tmp_path / "src" / "LOC_synset_mapping.txt"
    names.write_text("".join(f"{synset} {words}\n\n" for synset, words in WORDS.items()))
    listed = tmp_path / "src" / imagenet_sources.BOXES_CSV
    listed.write_text("\nn01440764_1.JPEG,0,0,1,1\n\n")
    info = convert(source, tmp_path / "out")
    assert info.classes[1] == WORDS["n01440764"]
    assert sum(len(boxes(features)) for features in records(tmp_path / "out", "train")) == 1
    listed.write_text("n01440764_1.JPEG,0,0,1,1\n\nn01440764_1.JPEG,0,0,1\n")
    with pytest.raises(_checks.UserError, match=r"boxes.csv, line 3: 'n0.*,0,1' is not an image"):
        imagenet.convert(str(tmp_path / "other"), source_dir=source)
    listed.write_text("image,xmin,ymin,xmax,ymax\n")
    with pytest.raises(_checks.UserError, match="boxes.csv, line 1: 'image,xmin"):
        imagenet.convert(str(tmp_path / "other"), source_dir=source)
    names.write_text("n01440764 tench\nn02012849\n")
    with pytest.raises(_checks.UserError, match="mapping.txt, line 2: 'n02012849' is not an id"):
        imagenet.convert(str(tmp_path / "other"), source_dir=source)


def test_class_names_default_to_synsets(tmp_path):
    info = convert(write_directories(tmp_path / "src"), tmp_path / "out")
    assert info.classes == ("background", *SYNSETS)
    assert texts(next(records(tmp_path / "out", "train")), "image/class/text")[0] in SYNSETS


def test_validation_labels_are_read_from_a_list(tmp_path):
    source = write_archives(tmp_path / "src", devkit=False)
    with pytest.raises(
        _checks.UserError,
        match="The classes of ILSVRC2012_img_val.tar are unknown: .* needs ILSVRC2012_devkit_t12",
    ):
        imagenet.convert(str(tmp_path / "out"), source_dir=source)
    labels = tmp_path / "src" / imagenet_sources.VALIDATION_LABELS
    labels.write_text("".join(f"{synset}\n" for synset, _ in VALIDATION))
    info = convert(source, tmp_path / "out")
    assert info.splits["validation"].per_class == (0, 1, 0, 2, 1)
    labels.write_text("n02119789\n")
    with pytest.raises(
        _checks.UserError, match="has 4 images, but the list of their classes has 1 labels"
    ):
        imagenet.convert(str(tmp_path / "other"), source_dir=source)


def test_single_split_is_converted(tmp_path):
    source = write_directories(tmp_path / "src")
    os.rename(tmp_path / "src" / "validation", tmp_path / "gone")
    assert list(convert(source, tmp_path / "out").splits) == ["train"]


# ---- boxes ---------------------------------------------------------------------------------------

XML = """<annotation><filename>%s</filename><size><width>200</width><height>100</height></size>
<object><name>n02119789</name><bndbox><xmin>20</xmin><ymin>10</ymin><xmax>100</xmax>
<ymax>50</ymax></bndbox></object>
<object><name>kit_fox</name><bndbox><xmin>300</xmin><ymin>90</ymin><xmax>150</xmax>
<ymax>-9</ymax></bndbox></object>
<object><name>n01440764</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax>
<ymax>2</ymax></bndbox></object>
<object><name>n02119789</name><bndbox><xmin>250</xmin><ymin>1</ymin><xmax>260</xmax>
<ymax>2</ymax></bndbox></object>
</annotation>"""


def boxes(features):
    sides = [
        features[f"image/object/bbox/{side}"].float_list.value
        for side in ("xmin", "ymin", "xmax", "ymax")
    ]
    return np.array(sides, np.float64).T.round(4).tolist()


def test_boxes_are_read_from_annotations(tmp_path):
    source = write_archives(tmp_path / "src")
    annotations = {
        "n02119789/n02119789_1.xml": XML.encode(),
        "n09999999/n09999999_1.xml": b"of a class without images",
    }
    (tmp_path / "src" / "ILSVRC2012_bbox_train_v2.tar.gz").write_bytes(
        sample_files.tar_bytes(annotations)
    )
    convert(source, tmp_path / "out")
    features_by_name = {
        texts(features, "image/filename")[0]: features
        for features in records(tmp_path / "out", "train")
    }
    features = features_by_name["n02119789_1.JPEG"]
    assert boxes(features) == [[0.1, 0.1, 0.5, 0.5], [0.75, 0.0, 1.0, 0.9]]
    assert features["image/object/bbox/label"].int64_list.value == [3, 3]
    assert boxes(features_by_name["n02119789_2.JPEG"]) == []
    dataset = imagenet.get_split("train", str(tmp_path / "out"))
    items = ["label_text", "object/bbox", "object/label"]
    for record in tf.data.TFRecordDataset(list(dataset.data_sources)):
        text, bboxes, bbox_labels = dataset.decoder.decode(record, items)
        if text.numpy().decode().startswith("kit") and len(bboxes):
            assert bboxes.numpy().astype(float).round(4).tolist() == [
                [0.1, 0.1, 0.5, 0.5],
                [0.0, 0.75, 0.9, 1.0],
            ]
            assert bbox_labels.numpy().tolist() == [3, 3]
        else:
            assert bboxes.shape == (0, 4)
    assert set(dataset.items_to_descriptions) == {"image", "label", "filename", *items}


def test_boxes_are_read_from_tf_slim_csv(tmp_path):
    source = write_directories(tmp_path / "src")
    (tmp_path / "src" / imagenet_sources.BOXES_CSV).write_text(
        "n01440764_1.JPEG,0.0060,0.2620,0.7545,0.9940\nn01440764_1.JPEG,0,0,1,1\n"
    )
    convert(source, tmp_path / "out")
    actual = [boxes(f) for f in records(tmp_path / "out", "train") if boxes(f)]
    assert actual == [[[0.006, 0.262, 0.7545, 0.994], [0.0, 0.0, 1.0, 1.0]]]


BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>]>" + XML.replace("<folder>", "<folder>&a;")


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"<annotation>", "no element found"),
        (b"<annotation/>", "could not convert"),
        (XML.encode()[:200], "unclosed token|no element found|mismatched"),
        (BOMB.encode(), "it has a DOCTYPE, which is not allowed"),
        (XML.encode("utf-16"), "codec can't decode"),
        (XML.replace("<width>", "<width>nan").encode(), "could not convert"),
        (
            XML.replace("<width>", "<width>1e400").encode(),
            r"its size is inf x 100\.0|could not convert",
        ),
        (b"<a>" * 300_000, "no element found|nested"),
        (b"\xff", "codec can't decode"),
    ],
)
def test_unreadable_annotation_is_reported(tmp_path, content, expected):
    source = write_directories(tmp_path / "src")
    (tmp_path / "src" / "ILSVRC2012_bbox_train_v2.tar.gz").write_bytes(
        sample_files.tar_bytes({"n01440764/n01440764_1.xml": content})
    )
    with pytest.raises(
        _checks.RunError, match=f"Boxes ILSVRC2012_bbox.*_1.xml cannot be read: .*({expected})"
    ):
        imagenet.convert(str(tmp_path / "out"), source_dir=source)


def test_annotation_with_entities_is_rejected(tmp_path):
    source = write_directories(tmp_path / "src")
    (tmp_path / "src" / "ILSVRC2012_bbox_train_v2.tar.gz").write_bytes(
        sample_files.tar_bytes({"n01440764/n01440764_1.xml": BOMB.encode()})
    )
    with pytest.raises(_checks.RunError, match="it has a DOCTYPE, which is not allowed"):
        imagenet.convert(str(tmp_path / "out"), source_dir=source)


# ---- errors --------------------------------------------------------------------------------------


def test_missing_source_dir_is_rejected(tmp_path):
    with pytest.raises(
        _checks.UserError, match="'imagenet' needs source_dir: ImageNet can only be"
    ):
        imagenet.convert(str(tmp_path / "out"))
    with pytest.raises(
        _checks.UserError, match="No ImageNet in source_dir=.*. It needs ILSVRC2012_img_train.tar"
    ):
        imagenet.convert(str(tmp_path / "out"), source_dir=str(tmp_path))


def test_validation_class_missing_in_train_is_rejected(tmp_path):
    source = write_directories(tmp_path / "src")
    image_folder.write(source, {"validation/n00000001/x.JPEG": sample_files.jpeg()})
    with pytest.raises(
        _checks.UserError, match="'validation' has classes that 'train' lacks: n00000001"
    ):
        imagenet.convert(str(tmp_path / "out"), source_dir=source)


def test_archive_with_unexpected_members_is_rejected(tmp_path):
    image_folder.write(
        str(tmp_path), {"ILSVRC2012_img_train.tar": sample_files.tar_bytes({"cats.tar": b"x"}, "w")}
    )
    with pytest.raises(
        _checks.RunError, match="contains 'cats.tar'. Expected: only archives such as"
    ):
        imagenet.convert(str(tmp_path / "out"), source_dir=str(tmp_path))


def test_devkit_with_missing_files_is_reported(tmp_path):
    source = write_archives(tmp_path / "src")
    (tmp_path / "src" / imagenet_sources.DEVKIT).write_bytes(
        sample_files.tar_bytes({"a/b.txt": b"x"})
    )
    with pytest.raises(_checks.RunError, match=r"lacks meta.mat or ILSVRC2012_validation_ground_"):
        imagenet.convert(str(tmp_path / "out"), source_dir=source)


@pytest.mark.parametrize(
    "line, expected",
    [
        (b"n1.JPEG,0,0,nan,1", "line 2: 'n1.JPEG,0,0,nan,1' is not an image and xmin"),
        (b"n1.JPEG,0.5,0,0.4,1", "line 2: .* is not an image and xmin"),
        (b"n1.JPEG,0,-1,1,1", "line 2: .* is not an image and xmin"),
        (b"n1.JPEG,0,0,1e400,1", "line 2: .* is not an image and xmin"),
        (b"\xe4,0,0,1,1", "line 2: it is not UTF-8 text; save"),
        (b'"' + b"x" * 200_000, "line 2: it is longer than 65536 bytes"),
    ],
)
def test_invalid_line_of_box_list_is_reported(tmp_path, line, expected):
    (tmp_path / imagenet_sources.BOXES_CSV).write_bytes(b"n1.JPEG,0,0,1,1\n" + line)
    with pytest.raises(_checks.UserError, match=f"boxes.csv, {expected}"):
        imagenet_sources.read_boxes(str(tmp_path), {"n1": "n01440764"})


@pytest.mark.parametrize(
    "truth", [b"1\nx\n", b"9" * 5000, b"5\n", b"1\n" * 3 + b"0", META[:128], b"\xff"]
)
def test_devkit_with_damaged_labels_is_reported(tmp_path, truth):
    (tmp_path / imagenet_sources.DEVKIT).write_bytes(
        sample_files.tar_bytes({"meta.mat": META, "ILSVRC2012_validation_ground_truth.txt": truth})
    )
    with pytest.raises(_checks.RunError, match="has a damaged list of classes or of validation"):
        imagenet_sources._validation_labels("x.tar", str(tmp_path))


def test_unreadable_validation_labels_are_reported(tmp_path, monkeypatch):
    (tmp_path / imagenet_sources.VALIDATION_LABELS).write_bytes(b"\xff\n")
    with pytest.raises(_checks.UserError, match="is not UTF-8. Expected: one class per line"):
        imagenet_sources._validation_labels("x.tar", str(tmp_path))
    monkeypatch.setattr(imagenet_sources, "_MAX_LABELS_BYTES", 1)
    with pytest.raises(_checks.UserError, match="labels.txt cannot be read: larger than 1 bytes"):
        imagenet_sources._validation_labels("x.tar", str(tmp_path))


def test_matlab_structs_are_read():
    structs = matlab.read_structs(META, "synsets")
    assert {each["WNID"]: each["words"] for each in structs} == WORDS
    assert [each["ILSVRC2012_ID"] for each in structs] == [[1], [2], [3], [4]]
    assert structs[1]["children"] == [3, 1000]
    with pytest.raises(_checks.RunError, match="has no array of structs 'classes'"):
        matlab.read_structs(META, "classes")
    with pytest.raises(_checks.RunError, match="has no array of structs 'other'"):
        matlab.read_structs(META, "other")


@pytest.mark.parametrize(
    "damage, expected",
    [
        (META[:300], "it ends inside an element"),
        (bytes(128) + b"\x0f\0\0\0\x05\0\0\0hello", "Error -3 while decompressing"),
        (bytes(128) + b"\x0e\0\0\0\x08\0\0\0" + bytes(8), "index out of range"),
    ],
)
def test_damaged_matlab_file_is_reported(damage, expected):
    with pytest.raises(_checks.RunError, match=rf"Not a MATLAB 5 file \({expected}"):
        matlab.read_structs(damage, "synsets")


def matrix(kind, *parts):
    """Returns the element of a matrix: its kind, no shape, no name, and the parts."""
    body = element(6, bytes([kind]) + bytes(7)) + element(5, b"") + element(1, b"")
    return element(14, body + b"".join(parts))


def element(kind, data):
    size = len(data).to_bytes(4, "little")
    return kind.to_bytes(4, "little") + size + data + bytes(-len(data) % 8)


def test_matlab_reader_has_limits():
    width = (8).to_bytes(4, "little")
    nested = matrix(2, element(5, width), element(1, b"a" * 8))
    for _ in range(2000):
        nested = matrix(2, element(5, width), element(1, b"a" * 8), nested)
    cells = matrix(2, element(5, width), element(1, b"a" * 8), element(1, b"") * 100_001)
    fields = matrix(2, element(5, b"\x01\0\0\0"), element(1, b"a" * 1_000_000))
    for data, expected in (
        (nested, "it is nested deeper than 10 levels"),
        (cells, "it has more than 100 fields or 100000 cells"),
        (fields, "it has more than 100 fields or 100000 cells"),
        (bytes(8_000_001), "it has more than 8000000 bytes"),
    ):
        with pytest.raises(_checks.RunError, match=expected):
            matlab.read_structs(bytes(128) + data, "synsets")


def test_mutated_matlab_files_only_raise_run_errors():
    rng = np.random.default_rng(0)
    inflated = b"".join(_inflated(META))
    for _ in range(300):
        data = bytearray(META[:128] + inflated)
        for at in rng.integers(128, len(data), 3):
            data[at] = rng.integers(256)
        try:
            matlab.read_structs(bytes(data), "synsets")
        except _checks.RunError:
            continue


def _inflated(content):
    at = 128
    while at < len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        yield zlib.decompress(content[at + 8 : at + 8 + size])
        at += 8 + size


# ---- records from TF-Slim's converter ------------------------------------------------------------


@pytest.mark.parametrize("num_boxes", [0, 2])
def test_tf_slim_records_are_readable(tmp_path, num_boxes):
    example = tf.train.Example()
    feature = example.features.feature
    for key, value in {
        "image/colorspace": b"RGB",
        "image/class/synset": b"n01440764",
        "image/class/text": b"tench, Tinca tinca",
        "image/format": b"JPEG",
        "image/filename": b"n01440764_1.JPEG",
        "image/encoded": sample_files.jpeg(20, 30),
    }.items():
        feature[key].bytes_list.value.append(value)
    for key, value in {
        "image/height": 20,
        "image/width": 30,
        "image/channels": 3,
        "image/class/label": 1,
    }.items():
        feature[key].int64_list.value.append(value)
    for side, value in {"xmin": 0.1, "ymin": 0.2, "xmax": 0.3, "ymax": 0.4}.items():
        feature[f"image/object/bbox/{side}"].float_list.value.extend([value] * num_boxes)
    feature["image/object/bbox/label"].int64_list.value.extend([1] * num_boxes)
    assert set(feature) == FEATURES
    for number in range(128):
        with tf.io.TFRecordWriter(str(tmp_path / f"validation-{number:05d}-of-00128")) as writer:
            writer.write(example.SerializeToString())
    dataset = dataset_factory.get_dataset("imagenet", "validation", str(tmp_path))
    assert (dataset.num_samples, dataset.num_classes) == (128, 1001)
    assert len(dataset.data_sources) == 128
    record = next(iter(tf.data.TFRecordDataset(list(dataset.data_sources))))
    image, label, name, text, bboxes, bbox_labels = dataset.decoder.decode(
        record, ["image", "label", "filename", "label_text", "object/bbox", "object/label"]
    )
    assert image.shape == (20, 30, 3)
    assert (int(label), name, text) == (1, b"n01440764_1.JPEG", b"tench, Tinca tinca")
    assert bboxes.numpy().astype(float).round(4).tolist() == [[0.2, 0.1, 0.4, 0.3]] * num_boxes
    assert bbox_labels.numpy().tolist() == [1] * num_boxes
