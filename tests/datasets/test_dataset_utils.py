"""The helpers of programs that write TF-Slim's datasets."""

import contextlib
import functools
import http.server
import io
import tarfile
import threading

import pytest
import tensorflow as tf

from datasets import dataset_utils, imagenet, imagenet_classes
from slim import _checks


@pytest.fixture
def server(tmp_path):
    """A directory and the address under which a server on this machine has its files."""
    directory = tmp_path / "served"
    directory.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield directory, f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


@pytest.mark.parametrize(
    "feature, kind, expected",
    [
        (dataset_utils.int64_feature(3), "int64_list", [3]),
        (dataset_utils.int64_feature([3, 4]), "int64_list", [3, 4]),
        (dataset_utils.float_feature(0.5), "float_list", [0.5]),
        (dataset_utils.float_list_feature((0.5, 2)), "float_list", [0.5, 2]),
        (dataset_utils.bytes_feature(b"a"), "bytes_list", [b"a"]),
        (dataset_utils.bytes_list_feature([b"a", b"b"]), "bytes_list", [b"a", b"b"]),
    ],
)
def test_features(feature, kind, expected):
    assert feature.WhichOneof("kind") == kind
    assert list(getattr(feature, kind).value) == expected


def test_examples_have_the_features_of_tf_slim():
    example = dataset_utils.image_to_tfexample(b"data", b"png", 2, 3, 1)
    values = {
        key: (feature.bytes_list.value or feature.int64_list.value)[0]
        for key, feature in example.features.feature.items()
    }
    assert values == {
        "image/encoded": b"data", "image/format": b"png", "image/class/label": 1,
        "image/height": 2, "image/width": 3,
    }  # fmt: skip


def test_label_files_may_have_another_name(tmp_path):
    names = {0: "cat", 1: "a:b"}
    assert not dataset_utils.has_labels(tmp_path, "names.txt")
    dataset_utils.write_label_file(names, tmp_path, filename="names.txt")
    assert dataset_utils.has_labels(tmp_path, "names.txt")
    assert not dataset_utils.has_labels(tmp_path)
    assert dataset_utils.read_label_file(tmp_path, "names.txt") == names


def test_shards_are_opened_under_their_names(tmp_path):
    with contextlib.ExitStack() as stack:
        writers = dataset_utils.open_sharded_output_tfrecords(stack, f"{tmp_path}/a", 2)
        for number, writer in enumerate(writers):
            writer.write(b"%d" % number)
    for number in range(2):
        (record,) = tf.data.TFRecordDataset(f"{tmp_path}/a-0000{number}-of-00002")
        assert record.numpy() == b"%d" % number


def tarball(path, **members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_archives_are_extracted_without_replacing_files(server, tmp_path, capsys):
    served, url = server
    tarball(served / "photos.tgz", photos__a=b"new", photos__b=b"b")
    target = tmp_path / "data"
    (target / "photos").mkdir(parents=True)
    (target / "photos" / "a").write_bytes(b"old")
    for _ in range(2):  # a notebook's cell may run twice
        dataset_utils.download_and_uncompress_tarball(f"{url}/photos.tgz?raw=1", target)
        files = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
        assert files == {"photos.tgz", "photos/a", "photos/b"}
    assert (target / "photos" / "a").read_bytes() == b"old"


def test_a_missing_or_unsafe_archive_is_an_error(server, tmp_path):
    served, url = server
    with pytest.raises(_checks.RunError, match="no.zip"):
        dataset_utils.download_and_uncompress_zipfile(f"{url}/no.zip", tmp_path / "data")
    tarball(served / "bad.tgz", **{"..__escaped": b"x"})
    with pytest.raises(_checks.RunError, match="escaped"):
        dataset_utils.download_and_uncompress_tarball(f"{url}/bad.tgz", tmp_path / "data")
    assert not (tmp_path / "escaped").exists()


def test_names_of_imagenets_classes():
    synsets = imagenet_classes.synsets()
    names = imagenet.create_readable_names_for_imagenet_labels()
    assert (len(synsets), len(names)) == (1000, 1001)
    assert list(synsets) == sorted(synsets)
    # Known from ILSVRC2012 and TF-Slim's published networks.
    assert (names[0], names[1], names[1000]) == (
        "background", "tench, Tinca tinca", "toilet tissue, toilet paper, bathroom tissue"
    )  # fmt: skip
    assert (names[286], names[968]) == ("Egyptian cat", "espresso")
    assert synsets["n02124075"] == "Egyptian cat"
