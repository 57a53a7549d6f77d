"""Equal images and near-duplicates in several splits or classes."""

import io

import numpy as np
import PIL.Image
import pytest

from datasets import conversion_report, dataset_info, duplicates, folder, verify
from tests.datasets import sample_files

RADIUS = duplicates._RADIUS


def blobs(seed, side=96):
    """Returns a smooth random image."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return PIL.Image.fromarray(small).resize((side, side), PIL.Image.Resampling.BICUBIC)


def distance(one, two):
    values = [np.frombuffer(duplicates.fingerprint(each)[8:], np.uint8) for each in (one, two)]
    return int(np.bitwise_count(values[0] ^ values[1]).sum())


def recompressed(image, quality=85):
    return PIL.Image.open(io.BytesIO(sample_files.encoded(image, "JPEG", quality=quality)))


def test_size_compression_and_brightness_hardly_change_the_hash_and_other_images_do():
    for seed in range(20):
        image = blobs(seed)
        for other in (recompressed(image), image.resize((64, 64)), image.point(lambda x: x * 0.8)):
            assert distance(image, other) <= RADIUS
        assert distance(image, blobs(seed + 100)) > 4 * RADIUS
    assert duplicates.fingerprint(PIL.Image.new("RGB", (9, 9)))[8:] == bytes(8)


def by_brute_force(hashes, splits, labels):
    near = np.bitwise_count(hashes[:, np.newaxis] ^ hashes) <= RADIUS
    near &= (splits[:, np.newaxis] != splits) | (labels[:, np.newaxis] != labels)
    return {(i, j) for i, j in np.argwhere(near) if i < j}


def test_all_near_pairs_are_found():
    random = np.random.default_rng(0)
    hashes = random.integers(1, 1 << 63, 600, np.uint64)
    for index in range(300):  # half of them are up to 5 bits from another
        bits = random.choice(64, random.integers(0, 6), replace=False).astype(np.uint64)
        hashes[index + 300] = hashes[index] ^ np.bitwise_or.reduce(np.uint64(1) << bits, initial=0)
    splits, labels = random.integers(0, 2, 600), random.integers(0, 2, 600)
    actual = {tuple(pair) for pair in duplicates._near_pairs(hashes, splits, labels)}
    assert actual == by_brute_force(hashes, splits, labels)
    assert len(actual) > 100


@pytest.mark.slow
def test_time_does_not_grow_with_the_square_of_equal_hashes():
    hashes = np.full(100_000, 5, np.uint64) + (np.arange(100_000, dtype=np.uint64) << 60)
    labels = np.arange(100_000)
    assert len(duplicates._near_pairs(hashes, 0 * labels, labels)) < 2_000_000


@pytest.fixture
def photos(tmp_path):
    """A directory with an image that is equal in two classes, and two that are nearly equal."""
    directory = tmp_path / "photos"
    files = {}
    for number in range(6):
        files["train", "cat", f"{number}.png"] = (blobs(number), "PNG")
        files["train", "dog", f"{number}.png"] = (blobs(number + 10), "PNG")
        files["validation", "cat", f"{number}.png"] = (blobs(number + 20), "PNG")
    files["train", "dog", "same.bmp"] = (blobs(0), "BMP")
    files["validation", "cat", "near.jpg"] = (blobs(1), "JPEG")
    for path, (image, kind) in files.items():
        target = directory.joinpath(*path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(sample_files.encoded(image, kind))
    return str(directory)


def test_conversion_and_verify_report_pairs_with_names_splits_and_classes(photos, tmp_path):
    out = str(tmp_path / "out")
    info = folder.convert(out, source_dir=photos)
    lines = [line for line in conversion_report.lines(info, out) if "equal" in line]
    same = ("'train/cat/0.png' (train, cat)", "'train/dog/same.bmp' (train, dog)")
    near = ("'train/cat/1.png' (train, cat)", "'validation/cat/near.jpg' (validation, cat)")
    for line, kind, pair in zip(
        lines, ("equal images in different classes", "nearly equal images in different splits"),
        (same, near), strict=True,
    ):  # fmt: skip
        start, _, shown = line.partition(": 1 pair of ")
        assert start == "  warning"
        assert shown.startswith(f"{kind}: ")
        assert set(shown.removeprefix(f"{kind}: ").split(" and ")) == set(pair)
    verified = []
    verify.run(out, verified.append)
    assert [line for line in verified if "equal" in line] == lines
    assert dataset_info.read(out) == info
    assert dataset_info.read(out).warnings == ()


def test_duplicates_within_a_split_and_class_and_bad_images_are_not_compared():
    same = duplicates.fingerprint(blobs(0))
    images = [duplicates.Image("train", 0, name, same) for name in "ab"]
    images.append(duplicates.Image("test", 1, "bad", duplicates.NONE))
    assert list(duplicates.warnings(images, ["x", "y"])) == []
    assert list(duplicates.warnings([], [])) == []


def test_many_pairs_are_counted_and_a_few_are_named():
    images = [
        duplicates.Image(split, (0, 1), f"{split}{seed}", duplicates.fingerprint(blobs(seed)))
        for seed in range(9)
        for split in ("train", "test")
    ]
    (line,) = duplicates.warnings(images, ["x", "y"])
    assert line.startswith("9 pairs of equal images in different splits: ")
    assert line.count(" and ") == duplicates._LISTED
    assert line.endswith(("(test, x, y); ...", "(train, x, y); ..."))


def test_a_single_class_is_a_warning(tmp_path):
    for number in range(4):
        path = tmp_path / "photos" / "cat" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample_files.encoded(blobs(number), "PNG"))
    (tmp_path / "photos" / "__MACOSX" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "__MACOSX" / "cat" / "._0.png").write_bytes(b"no image")
    (tmp_path / "photos" / "cat" / "Thumbs.db").write_bytes(b"no image")
    out = str(tmp_path / "out")
    info = folder.convert(out, source_dir=str(tmp_path / "photos"))
    assert info.classes == ("cat",)
    text = "  warning: all images are of the class 'cat'; training needs two classes or more"
    assert text in conversion_report.lines(info, out)
