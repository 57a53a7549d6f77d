"""MNIST, CIFAR-10 and flowers: from a local server with archives in the real formats to records."""

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
from tests.datasets import sample_files


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def server():
    with sample_files.served({}) as state:
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


def test_mnist_is_downloaded_and_converted(server, monkeypatch, tmp_path, capsys):
    files, arrays = sample_files.mnist_files()
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
        examples = list(records("mnist", split, out))
        assert [label(features) for features in examples] == labels.tolist()
        assert all((pixels(f) == image).all() for f, image in zip(examples, images, strict=True))
        assert set(examples[0]) == {
            "image/encoded",
            "image/format",
            "image/class/label",
            "image/height",
            "image/width",
        }
        assert examples[0]["image/format"].bytes_list.value == [b"png"]
    assert dataset_info.read_label_file(out)[6] == "six"
    assert len(server.requests) == 8, "the first server lacks each file, the second has it"
    verify.run(out, lines.append)
    download_and_convert.run("mnist", out, lines.append)
    assert "already complete" in lines[-1]
    assert len(server.requests) == 8


def test_mnist_is_converted_from_source_dir(server, monkeypatch, tmp_path):
    files, _ = sample_files.mnist_files()
    serve_mnist(server, monkeypatch, files)
    source = tmp_path / "source"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_bytes(content)
    download_and_convert.run(
        "mnist", str(tmp_path / "out"), lambda line: None, source_dir=str(source)
    )
    assert server.requests == []
    assert (source / "train-images-idx3-ubyte.gz").exists()
    os.remove(source / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(_checks.UserError, match="lacks files of mnist: t10k-labels.*: missing"):
        mnist.convert(str(tmp_path / "other"), source_dir=str(source))
    assert os.listdir(tmp_path / "other") == []


@pytest.mark.parametrize(
    "name, content, expected",
    [
        (
            "train-images-idx3-ubyte",
            b"\0\0\x08\x03" + bytes(20),
            "is not in MNIST's format",
        ),
        ("train-images-idx3-ubyte", b"\0\0", "is not in MNIST's format. Download"),
        (
            "train-labels-idx1-ubyte",
            struct.pack(">II", 0x801, 3) + b"\0\1\2",
            "has 3 labels. Expected",
        ),
        (
            "train-labels-idx1-ubyte",
            struct.pack(">II", 0x801, 20) + bytes(19) + b"\n",
            "train-labels-idx1-ubyte has a label outside 0..9",
        ),
        (
            "t10k-images-idx3-ubyte",
            struct.pack(">IIII", 0x803, 10, 14, 14) + bytes(1960),
            "has 10 images of 14 x 14 and",
        ),
    ],
)
def test_malformed_mnist_files_are_rejected(server, monkeypatch, tmp_path, name, content, expected):
    files, _ = sample_files.mnist_files()
    files[f"{name}.gz"] = gzip.compress(content)
    serve_mnist(server, monkeypatch, files)
    with pytest.raises(_checks.RunError, match=expected):
        mnist.convert(str(tmp_path))
    assert not dataset_info.is_complete(str(tmp_path))


def test_cifar10_is_downloaded_and_converted(server, monkeypatch, tmp_path):
    archive, arrays = sample_files.cifar10_archive()
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
        examples = list(records("cifar10", split, out))
        assert [label(features) for features in examples] == labels.tolist()
        assert all((pixels(f) == image).all() for f, image in zip(examples, images, strict=True))
    assert tuple(dataset_info.read_label_file(out).values()) == sample_files.CIFAR_CLASSES
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
def test_malformed_cifar10_archive_is_rejected(server, monkeypatch, tmp_path, name, content):
    directory = "cifar-10-batches-bin"
    batches = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
    entries = {f"{directory}/{batch}": bytes(2 * 3073) for batch in batches} | {
        f"{directory}/{name}": content
    }
    entries = {path: content for path, content in entries.items() if content is not None}
    serve(server, monkeypatch, cifar10, sample_files.tar_bytes(entries))
    with pytest.raises(
        _checks.RunError, match=f"{name} is missing in the archive or is not in CIFAR"
    ):
        cifar10.convert(str(tmp_path))


def test_hostile_archive_writes_nothing_outside_the_directory(server, monkeypatch, tmp_path):
    serve(server, monkeypatch, cifar10, sample_files.tar_bytes({"../../../evil": b"x"}))
    with pytest.raises(_checks.RunError, match="member '../../..': its path leads outside"):
        cifar10.convert(str(tmp_path / "a" / "b"))
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name == "evil"]


def test_cifar10_does_not_use_pickle():
    with open(cifar10.__file__) as file:
        assert "import pickle" not in file.read()


# ---- flowers -------------------------------------------------------------------------------------


def test_flowers_are_downloaded_and_converted(server, monkeypatch, tmp_path):
    archive, photos = sample_files.flowers_archive(per_class=8)
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
        examples = list(records("flowers", split, out))
        assert len(examples) == count
        for features in examples:
            name = features["image/filename"].bytes_list.value[0].decode()
            seen[name] = split
            encoded = features["image/encoded"].bytes_list.value[0]
            assert encoded == photos[f"flower_photos/{name}"], "good images are copied unchanged"
            assert features["image/format"].bytes_list.value == [b"jpg"]
            assert sample_files.FLOWERS[label(features)] == name.split("/")[0]
    assert len(seen) == 40
    assert dataset_info.read(out).decoding == "stored"  # as in TF-Slim
    verify.run(out, lambda line: None)


def test_flowers_archive_with_too_few_images_is_rejected(server, monkeypatch, tmp_path):
    serve(
        server,
        monkeypatch,
        flowers,
        sample_files.tar_bytes({"flower_photos/daisy/1.jpg": sample_files.jpeg()}),
    )
    with pytest.raises(
        _checks.RunError, match="has 1 images in flower_photos/<class>/; more than 350"
    ):
        flowers.convert(str(tmp_path))


def test_order_of_flowers_is_that_of_python_2():
    # Python 2.7: random.seed(0); names = range(10); random.shuffle(names)
    drawn = [0.8444218515250481, 0.7579544029403025, 0.420571580830845]
    order = list(range(10))
    for last, value in zip((9, 8, 7), drawn, strict=True):
        index = int(value * (last + 1))
        order[last], order[index] = order[index], order[last]
    assert flowers.shuffle(list(range(10)))[7:] == order[7:]


# ---- records from TF-Slim's converters -----------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class TfSlimDataset:
    """What a TF-Slim converter writes: files, image format and shape, and its constants."""

    name: str
    files: dict
    format: bytes
    shape: tuple
    sizes: dict
    num_classes: int


TF_SLIM_DATASETS = [
    TfSlimDataset(
        "mnist",
        {"train": ["mnist_train.tfrecord"], "test": ["mnist_test.tfrecord"]},
        b"png",
        (28, 28, 1),
        {"train": 60000, "test": 10000},
        10,
    ),
    TfSlimDataset(
        "cifar10",
        {"train": ["cifar10_train.tfrecord"], "test": ["cifar10_test.tfrecord"]},
        b"png",
        (32, 32, 3),
        {"train": 50000, "test": 10000},
        10,
    ),
    TfSlimDataset(
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


def by_hand(source, number):
    """Returns an Example built feature by feature, and its image."""
    height, width, channels = source.shape
    image = sample_files.photo(height, width, number)[..., :channels]
    format = "JPEG" if source.format == b"jpg" else "PNG"
    encoded = sample_files.encoded(PIL.Image.fromarray(image.squeeze()), format)
    example = tf.train.Example()
    feature = example.features.feature
    feature["image/encoded"].bytes_list.value.append(encoded)
    feature["image/format"].bytes_list.value.append(source.format)
    feature["image/class/label"].int64_list.value.append(number % source.num_classes)
    feature["image/height"].int64_list.value.append(height)
    feature["image/width"].int64_list.value.append(width)
    return example, image


@pytest.mark.parametrize("source", TF_SLIM_DATASETS, ids=lambda source: source.name)
def test_tf_slim_records_are_readable(source, tmp_path):
    (tmp_path / "labels.txt").write_text(
        "".join(f"{n}:name {n}\n" for n in range(source.num_classes))
    )
    images = {}
    for files in source.files.values():
        for file in files:
            with tf.io.TFRecordWriter(str(tmp_path / file)) as writer:
                for number in range(3):
                    example, images[number] = by_hand(source, number)
                    writer.write(example.SerializeToString())
    for split, files in source.files.items():
        dataset = dataset_factory.get_dataset(source.name, split, str(tmp_path))
        assert dataset.num_samples == 3 * len(files)
        assert dataset.usual_samples == source.sizes[split]
        assert dataset.num_classes == source.num_classes
        assert list(dataset.shard_names) == files
        assert dataset.labels_to_names[1] == "name 1"
        for number, record in enumerate(tf.data.TFRecordDataset(list(dataset.data_sources))):
            number %= 3
            image, actual_label, name = dataset.decoder.decode(record)
            assert image.shape == source.shape
            tolerance = 40 if source.format == b"jpg" else 0
            assert np.abs(image.numpy().astype(int) - images[number]).max() <= tolerance
            assert (int(actual_label), name.numpy()) == (number % source.num_classes, b"")
    lines = []
    verify.run(str(tmp_path), lines.append)
    assert lines[-1].endswith("is valid")


def test_failed_conversion_keeps_its_downloads(server, monkeypatch, tmp_path):
    archive, _ = sample_files.cifar10_archive()
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
    num_requests = len(server.requests)
    download_and_convert.run("cifar10", out, lambda line: None)
    assert len(server.requests) == num_requests
    assert not os.path.exists(os.path.join(out, conversion.DOWNLOADS))
