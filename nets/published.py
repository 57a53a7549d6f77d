"""The checkpoints published with TF-Slim, and how to use each; loads no TensorFlow.

The figures are TF-Slim's: accuracy on ImageNet's validation images in percent, multiply-adds and
parameters in millions. The table is `published_checkpoints.csv` in the same directory.
"""

import csv
import dataclasses
import functools
import os
from collections.abc import Iterator

from nets.nets_factory import NETWORKS


@dataclasses.dataclass(frozen=True)
class PublishedCheckpoint:
    """One published file.

    Attributes:
      file: name of the archive.
      network: name in `nets_factory.NETWORKS`.
      depth_multiplier: width, or None where the network has none.
      image_size: height and width in training and evaluation, in pixels.
      preprocessing: name of the preprocessing it was trained with.
      labels_offset: 1 without a background class: its classes are ImageNet's labels minus 1.
      kind: "float", or "uint8" if trained with quantization.
      top_1: accuracy in percent, or None.
      top_5: percentage of images whose class is among the five best, or None.
      madds_millions: published number of multiply-adds, or None.
      parameters_millions: published number of parameters, or None.
      url: where it was published.
      sha256: checksum of the archive in hex, or None if it is not known.
    """

    file: str
    network: str
    depth_multiplier: float | None
    image_size: int
    preprocessing: str
    labels_offset: int
    kind: str
    top_1: float | None
    top_5: float | None
    madds_millions: float | None
    parameters_millions: float | None
    url: str
    sha256: str | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """Addresses of the archive, the preferred first: the bucket behind the published address
        is also served over HTTPS and without a login."""
        mirror = self.url
        for host, bucket in _MIRRORS.items():
            mirror = mirror.replace(host, bucket)
        return tuple(dict.fromkeys((mirror, self.url)))

    @property
    def built_network(self) -> str | None:
        """The network of this width in `nets_factory.NETWORKS`, or None if there is none."""
        width = self.depth_multiplier or 1.0
        names = (self.network, f"{self.network}_{round(100 * width):03d}")
        known = (name for name in names if name in NETWORKS)
        return next((name for name in known if _width_of(name) == (self.network, width)), None)

    @property
    def stem(self) -> str:
        """The archive's name without extension, which is also that of the unpacked directory."""
        return self.file.removesuffix(".tgz").removesuffix(".tar.gz")


_MIRRORS = {
    "http://download.tensorflow.org/": "https://storage.googleapis.com/download.tensorflow.org/",
    "https://storage.cloud.google.com/": "https://storage.googleapis.com/",
}


@functools.cache
def checkpoints() -> tuple[PublishedCheckpoint, ...]:
    """Returns the table."""
    path = os.path.join(os.path.dirname(__file__), "published_checkpoints.csv")
    with open(path, encoding="utf-8", newline="") as file:
        return tuple(_row(row) for row in csv.DictReader(file))


def of_network(name: str) -> list[PublishedCheckpoint]:
    """Returns the checkpoints of a network, each file once.

    Args:
      name: a name of `nets_factory.NETWORKS`. A network of a certain width, `mobilenet_v1_050`, has
        the checkpoints of that width; those of widths without a network belong to the base network.
    """
    base, width = _width_of(name)
    named = {_width_of(other)[1] for other in NETWORKS if _width_of(other)[0] == base}
    rows = {row.file: row for row in checkpoints() if row.network == base}.values()
    own = [row for row in rows if (row.depth_multiplier or 1.0) == width]
    return own + [
        row for row in rows if width == 1.0 and (row.depth_multiplier or 1.0) not in named
    ]


def _width_of(name: str) -> tuple[str, float]:
    """Returns a name's base network and width: `mobilenet_v1_050` is half of `mobilenet_v1`."""
    base, _, width = name.rpartition("_")
    if base in NETWORKS and width.isdigit():
        return base, int(width) / 100
    return name, 1.0


def names() -> list[str]:
    """Returns the names of the published checkpoints."""
    return list(dict.fromkeys(row.stem for row in checkpoints()))


def named(name: str) -> PublishedCheckpoint | None:
    """Returns the published checkpoint of a name, or None.

    Args:
      name: an archive, with or without its extension; or a network with a single checkpoint.
    """
    for row in reversed(checkpoints()):  # some archives were published again later
        if name in (row.file, row.stem):
            return row
    candidates = of_network(name) if name in NETWORKS else []
    return candidates[0] if len(candidates) == 1 else None


def of_name(checkpoint_path: str) -> PublishedCheckpoint | None:
    """Returns the published checkpoint that a text names, or None if it is an existing path."""
    if any(os.path.lexists(checkpoint_path + ending) for ending in ("", ".index")):
        return None
    return named(checkpoint_path)


def find(checkpoint_path: str) -> PublishedCheckpoint | None:
    """Returns the published checkpoint that a path names, or None.

    It is identified by a directory or file named after the archive, or by a file such as
    `resnet_v2_50.ckpt` if the network has only one.
    """
    parts = os.path.normpath(checkpoint_path).split(os.sep)
    for row in sorted(checkpoints(), key=lambda row: -len(row.stem)):
        if any(part == row.stem or part.startswith(f"{row.stem}.ckpt") for part in parts):
            return row
    network = parts[-1].partition(".ckpt")[0] if ".ckpt" in parts[-1] else None
    candidates = of_network(network) if network else []
    return candidates[0] if len(candidates) == 1 else None


def contradictions(
    checkpoint_path: str,
    preprocessing: str,
    image_size: tuple[int, int],
    labels_offset: int | None,
) -> Iterator[str]:
    """Yields a line for each option that does not match a published checkpoint.

    Args:
      checkpoint_path: the checkpoint.
      preprocessing: name of the preprocessing in use.
      image_size: height and width in use, in pixels.
      labels_offset: offset in use, or None if the labels are not ImageNet's.
    """
    row = find(checkpoint_path)
    if row is None:
        return
    if preprocessing != row.preprocessing or image_size != (row.image_size, row.image_size):
        yield (
            f"{row.stem} was trained with {row.preprocessing} preprocessing at {row.image_size}; "
            f"you have {preprocessing} at {'x'.join(map(str, image_size))}"
        )
    if labels_offset is not None and labels_offset != row.labels_offset:
        classes = 1000 if row.labels_offset else 1001
        yield (
            f"{row.stem} has {classes} classes, so on ImageNet it needs "
            f"labels_offset={row.labels_offset}; you have {labels_offset}"
        )


def _row(row: dict[str, str]) -> PublishedCheckpoint:
    numbers = ("depth_multiplier", "top_1", "top_5", "madds_millions", "parameters_millions")
    return PublishedCheckpoint(
        file=row["file"],
        network=row["network"],
        image_size=int(row["image_size"]),
        preprocessing=row["preprocessing"],
        labels_offset=int(row["labels_offset"]),
        kind=row["kind"],
        url=row["url"],
        sha256=row.get("sha256") or None,
        **{name: float(row[name]) if row[name] else None for name in numbers},
    )
