"""Images that occur in several splits or classes: equal ones, and near-duplicates. No TensorFlow.

Near-duplicates have perceptual hashes that differ in few bits: the signs of the low frequencies of
a small grayscale image (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions", 2010), so that size, compression and brightness matter little.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image

from datasets.items import labels_of
from slim import _checks

SIZE = 16  # bytes of a fingerprint: 8 of the checksum of the pixels, 8 of the perceptual hash
NONE = bytes(SIZE)  # of an image that is not compared
_RADIUS = 3  # bits in which the hashes of near-duplicates may differ
_NEIGHBORS = 64  # images with which each is compared, in each order of the hashes
_SIDE, _FREQUENCIES = 32, 8
_MIN_DEVIATION = 8.0  # of gray values; the hash of a flat image is noise
_MAX_PAIRS = 1_000_000
_LISTED = 3
# The first cosines of the discrete cosine transform, [frequencies, side].
_COSINES = np.cos(np.pi * np.outer(np.arange(_FREQUENCIES), np.arange(_SIDE) + 0.5) / _SIDE).astype(
    np.float32
)


class Image(NamedTuple):
    """An image to compare: its split, class (or classes), name, and `fingerprint`."""

    split: str
    label: int | tuple[int, ...]
    name: str
    fingerprint: bytes


def fingerprint(image: PIL.Image.Image) -> bytes:
    """Returns the fingerprint of a decoded image: a checksum, and a perceptual hash (or zeros)."""
    gray = image.resize((_SIDE, _SIDE), PIL.Image.Resampling.BOX, reducing_gap=1.0).convert("L")
    start = zlib.crc32(f"{image.mode} {image.size}".encode())
    # Half of it is of the small image, which takes no time.
    checksums = zlib.crc32(image.tobytes(), start), zlib.crc32(gray.tobytes())
    return struct.pack(">II", *checksums) + _perceptual_hash(np.asarray(gray, np.float32))


def _perceptual_hash(gray: np.ndarray) -> bytes:
    if gray.std() < _MIN_DEVIATION:
        return bytes(8)
    frequencies = (_COSINES @ gray @ _COSINES.T).ravel()
    frequencies[0] = 0.0  # brightness
    return np.packbits(frequencies > np.median(frequencies)).tobytes()


def warnings(images: Sequence[Image], classes: Sequence[str]) -> Iterator[str]:
    """Yields a line for each kind of duplicates: equal or nearly equal, in several splits or
    classes. Each shows the number and a few pairs.

    Args:
      images: the images.
      classes: class names; labels beyond them are shown as numbers.
    """
    images = [image for image in images if image.fingerprint != NONE]
    if not images:
        return
    table = np.frombuffer(b"".join(image.fingerprint for image in images), ">u8").reshape(-1, 2)
    checksums, hashes = table.astype(np.uint64).T
    splits = _numbered([image.split for image in images])
    labels = _numbered([labels_of(image.label) for image in images])
    equal = _equal_pairs(checksums, splits, labels)
    near = _near_pairs(hashes, splits, labels)
    near = near[checksums[near[:, 0]] != checksums[near[:, 1]]]
    for kind, pairs in (("equal", equal), ("nearly equal", near)):
        for where, groups in (("splits", splits), ("classes", labels)):
            differ = pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]]
            if len(differ):
                shown = (
                    "{} and {}".format(*(_shown(images[i], classes) for i in pair))
                    for pair in differ[:_LISTED]
                )
                count = f"{len(differ)} pairs" if len(differ) > 1 else "1 pair"
                more = "; ..." if len(differ) > _LISTED else ""
                yield f"{count} of {kind} images in different {where}: {'; '.join(shown)}{more}"


def _shown(image: Image, classes: Sequence[str]) -> str:
    names = [
        classes[label] if 0 <= label < len(classes) else str(label)
        for label in labels_of(image.label)
    ]
    return f"{image.name!r} ({image.split}, {_checks.listed(names, most=5) or 'no class'})"


def _numbered(values: Sequence[object]) -> np.ndarray:
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def _firsts(*keys: np.ndarray) -> np.ndarray:
    """Returns the index of the first image of each combination of keys, sorted by the keys."""
    order = np.lexsort(keys[::-1])
    is_first = np.ones(len(order), bool)
    is_first[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    return order[is_first]


def _equal_pairs(checksums: np.ndarray, splits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns pairs of neighbors [number, 2] among equal images of different splits or classes."""
    firsts = _firsts(checksums, splits, labels)
    pairs = np.stack([firsts[:-1], firsts[1:]], axis=1)
    return pairs[checksums[pairs[:, 0]] == checksums[pairs[:, 1]]]


def _near_pairs(hashes: np.ndarray, splits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns pairs [number, 2] of images of different splits or classes with similar hashes.

    Two hashes that differ in `_RADIUS` bits are equal in one of `_RADIUS + 1` bands. The images are
    sorted with each band in front, and each is compared with the next ones that are equal in it: a
    time of O(n log n). Pairs are missed only where a band is the same in more than `_NEIGHBORS`.
    """
    firsts = _firsts(hashes, splits, labels)
    firsts = firsts[hashes[firsts] != 0]
    bits = 64 // (_RADIUS + 1)
    results = [np.empty((0, 2), np.int64)]
    for band in range(_RADIUS + 1):
        turn = np.uint64(band * bits)
        turned = hashes[firsts] << turn | hashes[firsts] >> (np.uint64(64) - turn) % np.uint64(64)
        order = np.argsort(turned, kind="stable")
        turned, indices = turned[order], firsts[order]
        bands = turned >> np.uint64(64 - bits)
        for step in range(1, min(_NEIGHBORS, len(indices) - 1) + 1):
            (first,) = np.nonzero(bands[step:] == bands[:-step])
            if not len(first) or sum(map(len, results)) > _MAX_PAIRS:
                break
            distances = np.bitwise_count(turned[first] ^ turned[first + step])
            first = first[distances <= _RADIUS]
            results.append(np.stack([indices[first], indices[first + step]], axis=1))
    pairs = np.unique(np.sort(np.concatenate(results), axis=1), axis=0)
    one, two = pairs.T
    return pairs[(splits[one] != splits[two]) | (labels[one] != labels[two])]
