"""labels.txt: valid files, and the errors with file, line and reason. No TensorFlow."""

import os
import tracemalloc

import pytest

from datasets import dataset_info, splits
from slim import _checks, _files

LIMIT = dataset_info.MAX_CLASSES


def read(tmp_path, content):
    (tmp_path / "labels.txt").write_bytes(content)
    return dataset_info.read_label_file(str(tmp_path))


@pytest.mark.parametrize(
    "content, names",
    [
        (b"0:a\n1:b\n", {0: "a", 1: "b"}),
        (b"\xef\xbb\xbf0:a\r\n\r\n1:b\r\n", {0: "a", 1: "b"}),
        ("0:Größe: groß\n".encode(), {0: "Größe: groß"}),
        (b"7:a\n3:a", {7: "a", 3: "a"}),  # gaps, and two classes "crane" as ImageNet has them
        (b"0: \n", {0: " "}),  # a class directory may have this name
        (b" 007 :tab\there\n", {7: "tab\there"}),
        (b"%d:a\n" % (LIMIT - 1), {LIMIT - 1: "a"}),
        (b"", {}),
    ],
)
def test_valid_label_files_are_read(tmp_path, content, names):
    assert read(tmp_path, content) == names


@pytest.mark.parametrize(
    "line, reason",
    [
        (b"1000000000:b", f"'1000000000:b' has a label of {LIMIT} or more"),
        (b"%d:b" % LIMIT, f"has a label of {LIMIT} or more"),
        (b"9" * 5000 + b":b", "has a label of"),
        ("²:a".encode(), "'²:a' is not of the form label:name"),
        ("٣:a".encode(), "'٣:a' is not of the form label:name"),
        (b"-1:a", "'-1:a' is not of the form label:name"),
        (b"+1:a", "is not of the form label:name"),
        (b"1_0:a", "is not of the form label:name"),
        (b"1.0:a", "is not of the form label:name"),
        (b":a", "is not of the form label:name"),
        (b"a", "is not of the form label:name"),
        (b"1:", "'1:' has no name, or one with control characters"),
        (b"1:\x1b[2J", r"'1:\\x1b\[2J' has no name, or one with control characters"),
        (b"1:a\0", "has no name, or one with control characters"),
        (b"0:again", "'0:again' repeats the label 0"),
        (b"00:again", "'00:again' repeats the label 0"),
        ("1:Größe".encode("latin-1"), "it is not UTF-8 text; save the file as UTF-8"),
        ("1:a".encode("utf-16"), "it is not UTF-8 text"),
        (b"1:" + b"a" * (1 << 16), "it is longer than 65536 bytes"),
    ],
)
def test_invalid_line_is_reported_with_its_number(tmp_path, line, reason):
    with pytest.raises(_checks.UserError, match=f"labels.txt, line 3: .*{reason}") as caught:
        read(tmp_path, b"0:a\n\n" + line + b"\n")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_labels_file_that_is_a_fifo_is_rejected(tmp_path):
    os.mkfifo(tmp_path / "labels.txt")
    with pytest.raises(_checks.UserError, match=r"labels.txt cannot be read: not a regular file"):
        dataset_info.read_label_file(str(tmp_path))


def test_huge_label_allocates_no_memory(tmp_path):
    spec = splits.DatasetSpec("toy", "toy", "%s.tfrecord")
    (tmp_path / "train.tfrecord").write_bytes(bytes(16))
    (tmp_path / "labels.txt").write_text("0:a\n1000000000:b\n")
    tracemalloc.start()
    try:
        with pytest.raises(_checks.UserError, match="line 2: .* has a label of 1000000 or more"):
            splits._classes(spec, None, str(tmp_path), None)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_endless_line_is_not_read_into_memory(tmp_path):
    with open(tmp_path / "long", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(_checks.UserError, match="long, line 1: it is longer than 65536 bytes"):
        list(_files.read_text_lines(str(tmp_path / "long")))
