"""MNIST, CIFAR-10 and flowers: from a server with archives in the true format to records."""

import dataclasses
import gzip
import hashlib
import io
import os
import struct

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from datasets import (
    cifar10,
    conversion,
    dataset_factory,
    dataset_info,
    download,
    download_and_convert,
    flowers,
    mnist,
    verify,
)
from slim import _checks
from tests.datasets import archives_in_the_true_format as made


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def server():
    with made.served({}) as state:
        yield state


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    defaults = download.Downloader.__init__.__kwdefaults__ | {"wait": 0.0}
    monkeypatch.setattr(download.Downloader.__init__, "__kwdefaults__", defaults)


def serve_mnist(server, monkeypatch, files):
    for name, content in files.items():
        server.files[f"/mnist/{name}"] = content
    monkeypatch.setattr(mnist, "PLACES", (f"{server.url}/gone/", f"{server.url}/mnist/"))
    facts = {name: (len(content), sha256(content)) for name, content in files.items()}
    monkeypatch.setattr(mnist, "FILES", facts)


def serve(server, monkeypatch, module, content):
    name = module.FILE.name
    server.files[f"/b/{name}"] = content
    urls = (f"{server.url}/a/{name}", f"{server.url}/b/{name}")
    file = download.RemoteFile(name, urls, len(content), sha256(content))
    monkeypatch.setattr(module, "FILE", file)


def records(name, split, directory):
    dataset = dataset_factory.get_dataset(name, split, str(directory))
    for serialized in tf.data.TFRecordDataset(list(dataset.data_sources)):
        yield tf.train.Example.FromString(serialized.numpy()).features.feature


def pixels(features):
    with PIL.Image.open(io.BytesIO(features["image/encoded"].bytes_list.value[0])) as image:
        return np.asarray(image)


def label(features):
    return features["image/class/label"].int64_list.value[0]


# ---- MNIST and CIFAR-10 --------------------------------------------------------------------------


def test_mnist(server, monkeypatch, tmp_path, capsys):
    files, arrays = made.mnist_files()
    serve_mnist(server, monkeypatch, files)
    out = str(tmp_path / "out")
    lines = []
    download_and_convert.run("mnist", out, lines.append)
    assert lines[0] == f"Wrote mnist to {out}: 20 train, 10 test images of 10 classes"
    assert sorted(os.listdir(out)) == [
        ".slim",
        "dataset_info.json",
        "labels.txt",
        "mnist_test.tfrecord",
        "mnist_train.tfrecord",
    ]
    for split, (images, labels) in arrays.items():
        found = list(records("mnist", split, out))
        assert [label(features) for features in found] == labels.tolist()
        assert all((pixels(f) == image).all() for f, image in zip(found, images, strict=True))
        assert set(found[0]) == {
            "image/encoded",
            "image/format",
            "image/class/label",
            "image/height",
            "image/width",
        }
        assert found[0]["image/format"].bytes_list.value == [b"png"]
    assert dataset_info.read_label_file(out)[6] == "six"
    assert len(server.asked) == 8, "each file: the first place has not got it, the second has"
    verify.run(out, lines.append)
    download_and_convert.run("mnist", out, lines.append)
    assert "already complete" in lines[-1]
    assert len(server.asked) == 8


def test_mnist_from_a_folder(server, monkeypatch, tmp_path):
    files, _ = made.mnist_files()
    serve_mnist(server, monkeypatch, files)
    source = tmp_path / "source"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_bytes(content)
    download_and_convert.run(
        "mnist", str(tmp_path / "out"), lambda line: None, source_dir=str(source)
    )
    assert server.asked == []
    assert (source / "train-images-idx3-ubyte.gz").exists()
    os.remove(source / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(_checks.UserError, match="mnist cannot be made from source_dir=.*t10k-labe"):
        mnist.convert(str(tmp_path / "other"), source_dir=str(source))
    assert os.listdir(tmp_path / "other") == []


@pytest.mark.parametrize(
    "name, content, told",
    [
        (
            "train-images-idx3-ubyte",
            b"\0\0\x08\x03" + bytes(20),
            "is not laid out as a",
        ),
        ("train-images-idx3-ubyte", b"\0\0", "is not laid out as a file of MNIST"),
        ("train-labels-idx1-ubyte", struct.pack(">II", 0x801, 3) + b"\0\1\2", "has 3 labels; as"),
        (
            "train-labels-idx1-ubyte",
            struct.pack(">II", 0x801, 20) + bytes(19) + b"\n",
            "train-labels-idx1-ubyte has a label that is not below 10",
        ),
        (
            "t10k-images-idx3-ubyte",
            struct.pack(">IIII", 0x803, 10, 14, 14) + bytes(1960),
            "has 10 pictures of 14 x 14 and",
        ),
    ],
)
def test_mnist_files_laid_out_otherwise(server, monkeypatch, tmp_path, name, content, told):
    files, _ = made.mnist_files()
    files[f"{name}.gz"] = gzip.compress(content)
    serve_mnist(server, monkeypatch, files)
    with pytest.raises(_checks.RunError, match=told):
        mnist.convert(str(tmp_path))
    assert not dataset_info.is_complete(str(tmp_path))


def test_cifar10(server, monkeypatch, tmp_path):
    archive, arrays = made.cifar10_archive()
    serve(server, monkeypatch, cifar10, archive)
    out = str(tmp_path / "out")
    download_and_convert.run("cifar10", out, lambda line: None)
    assert sorted(os.listdir(out)) == [
        ".slim",
        "cifar10_test.tfrecord",
        "cifar10_train.tfrecord",
        "dataset_info.json",
        "labels.txt",
    ]
    for split, (images, labels) in arrays.items():
        found = list(records("cifar10", split, out))
        assert [label(features) for features in found] == labels.tolist()
        assert all((pixels(f) == image).all() for f, image in zip(found, images, strict=True))
    assert tuple(dataset_info.read_label_file(out).values()) == made.CIFAR_CLASSES
    verify.run(out, lambda line: None)


@pytest.mark.parametrize(
    "name, content",
    [
        ("data_batch_3.bin", None),
        ("data_batch_3.bin", bytes(3072)),
        ("test_batch.bin", b"\x0a" + bytes(3072)),
        ("test_batch.bin", b""),
    ],
)
def test_cifar10_laid_out_otherwise(server, monkeypatch, tmp_path, name, content):
    folder = "cifar-10-batches-bin"
    batches = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    entries = {f"{folder}/{batch}": bytes(2 * 3073) for batch in batches} | {
        f"{folder}/{name}": content
    }
    entries = {path: content for path, content in entries.items() if content is not None}
    serve(server, monkeypatch, cifar10, made.tar_bytes(entries))
    with pytest.raises(_checks.RunError, match=f"{name} of the archive is missing or is not laid"):
        cifar10.convert(str(tmp_path))


def test_a_hostile_archive_writes_nothing_outside(server, monkeypatch, tmp_path):
    serve(server, monkeypatch, cifar10, made.tar_bytes({"../../../evil": b"x"}))
    with pytest.raises(_checks.RunError, match="member '../../..': its path leads out"):
        cifar10.convert(str(tmp_path / "a" / "b"))
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name == "evil"]


def test_no_pickle():
    with open(cifar10.__file__) as file:
        assert "import pickle" not in file.read()


# ---- flowers -------------------------------------------------------------------------------------


def test_flowers(server, monkeypatch, tmp_path):
    archive, photos = made.flowers_archive(per_class=8)
    serve(server, monkeypatch, flowers, archive)
    monkeypatch.setattr(flowers, "NUM_VALIDATION", 10)
    out = str(tmp_path / "out")
    download_and_convert.run("flowers", out, lambda line: None)
    names = sorted(os.listdir(out))
    assert [name for name in names if "train" in name] == [
        f"flowers_train_{number:05d}-of-00005.tfrecord" for number in range(5)
    ]
    assert len(names) == 13
    seen = {}
    for split, count in (("train", 30), ("validation", 10)):
        found = list(records("flowers", split, out))
        assert len(found) == count
        for features in found:
            name = features["image/filename"].bytes_list.value[0].decode()
            seen[name] = split
            encoded = features["image/encoded"].bytes_list.value[0]
            assert encoded == photos[f"flower_photos/{name}"], "good bytes pass as they are"
            assert features["image/format"].bytes_list.value == [b"jpg"]
            assert made.FLOWERS[label(features)] == name.split("/")[0]
    assert len(seen) == 40
    verify.run(out, lambda line: None)


def test_flowers_wants_photographs(server, monkeypatch, tmp_path):
    serve(server, monkeypatch, flowers, made.tar_bytes({"flower_photos/daisy/1.jpg": made.jpeg()}))
    with pytest.raises(_checks.RunError, match="has 1 photographs in flower_photos/<class>/;"):
        flowers.convert(str(tmp_path))


def test_the_order_of_flowers_is_that_of_the_first_python():
    # Python 2.7: random.seed(0); names = range(10); random.shuffle(names)
    drawn = [0.8444218515250481, 0.7579544029403025, 0.420571580830845]
    order = list(range(10))
    for last, value in zip((9, 8, 7), drawn, strict=True):
        chosen = int(value * (last + 1))
        order[last], order[chosen] = order[chosen], order[last]
    assert flowers.shuffle(list(range(10)))[7:] == order[7:]


# ---- records as the original's converters write them ---------------------------------------------


@dataclasses.dataclass(frozen=True)
class Original:
    """What an original's converter writes: file, features, format, size, and its constants."""

    name: str
    files: dict
    format: bytes
    shape: tuple
    sizes: dict
    num_classes: int


ORIGINALS = [
    Original(
        "mnist",
        {"train": ["mnist_train.tfrecord"], "test": ["mnist_test.tfrecord"]},
        b"png",
        (28, 28, 1),
        {"train": 60000, "test": 10000},
        10,
    ),
    Original(
        "cifar10",
        {"train": ["cifar10_train.tfrecord"], "test": ["cifar10_test.tfrecord"]},
        b"png",
        (32, 32, 3),
        {"train": 50000, "test": 10000},
        10,
    ),
    Original(
        "flowers",
        {
            split: [f"flowers_{split}_{n:05d}-of-00005.tfrecord" for n in range(5)]
            for split in ("train", "validation")
        },
        b"jpg",
        (20, 30, 3),
        {"train": 3320, "validation": 350},
        5,
    ),
]


def by_hand(original, number):
    """Returns an Example built feature by feature, and its picture."""
    height, width, channels = original.shape
    image = made.photo(height, width, number)[..., :channels]
    format = "JPEG" if original.format == b"jpg" else "PNG"
    encoded = made.encoded(PIL.Image.fromarray(image.squeeze()), format)
    example = tf.train.Example()
    feature = example.features.feature
    feature["image/encoded"].bytes_list.value.append(encoded)
    feature["image/format"].bytes_list.value.append(original.format)
    feature["image/class/label"].int64_list.value.append(number % original.num_classes)
    feature["image/height"].int64_list.value.append(height)
    feature["image/width"].int64_list.value.append(width)
    return example, image


@pytest.mark.parametrize("original", ORIGINALS, ids=lambda original: original.name)
def test_records_of_the_original_read_unchanged(original, tmp_path):
    (tmp_path / "labels.txt").write_text(
        "".join(f"{n}:name {n}\n" for n in range(original.num_classes))
    )
    images = {}
    for files in original.files.values():
        for file in files:
            with tf.io.TFRecordWriter(str(tmp_path / file)) as writer:
                for number in range(3):
                    example, images[number] = by_hand(original, number)
                    writer.write(example.SerializeToString())
    for split, files in original.files.items():
        dataset = dataset_factory.get_dataset(original.name, split, str(tmp_path))
        assert dataset.num_samples == original.sizes[split]
        assert dataset.num_classes == original.num_classes
        assert list(dataset.shard_names) == files
        assert dataset.labels_to_names[1] == "name 1"
        for number, record in enumerate(tf.data.TFRecordDataset(list(dataset.data_sources))):
            number %= 3
            image, found, name = dataset.decoder.decode(record)
            assert image.shape == original.shape
            tolerance = 40 if original.format == b"jpg" else 0
            assert np.abs(image.numpy().astype(int) - images[number]).max() <= tolerance
            assert (int(found), name.numpy()) == (number % original.num_classes, b"")
    lines = []
    verify.run(str(tmp_path), lines.append)
    assert lines[-1].endswith("is in order")


def test_downloads_of_a_failed_conversion_are_kept(server, monkeypatch, tmp_path):
    archive, _ = made.cifar10_archive()
    serve(server, monkeypatch, cifar10, archive)
    out = str(tmp_path)

    def failing(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(conversion, "run", failing)
        with pytest.raises(_checks.RunError, match="could not be written: .*No space left"):
            download_and_convert.run("cifar10", out, lambda line: None)
    kept = os.listdir(os.path.join(out, conversion.DOWNLOADS))
    assert sorted(kept) == [".slim", cifar10.FILE.name]
    asked = len(server.asked)
    download_and_convert.run("cifar10", out, lambda line: None)
    assert len(server.asked) == asked
    assert not os.path.exists(os.path.join(out, conversion.DOWNLOADS))
