"""Images to be read: where their bytes are, and how they are divided into shards. No TensorFlow."""

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from datasets import sources

T = TypeVar("T")


class Item(NamedTuple):
    """One image.

    Attributes:
      source: the source of its bytes.
      label: its class, or the sorted classes of an image with several labels.
      filename: file name in the record; empty to omit it.
      raw: (height, width, channels) if the bytes are pixels, stored as one plane per channel.
      extra: arguments of `Plan.features`; kept small, since there may be millions of items.
      size: number of bytes of the source; 0 if unknown. Of local images, it decides the order of
        training; see `dataset_info.ShardInfo`.
      time: modification time of the source in ns; 0 if unknown.
    """

    source: sources.Source
    label: int | tuple[int, ...]
    filename: str = ""
    raw: tuple[int, int, int] | None = None
    extra: tuple[Any, ...] = ()
    size: int = 0
    time: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """A split in shards.

    Attributes:
      items: the images, in the order of the records.
      shard_name: template of the file names, such as "train-{shard:05d}-of-{count:05d}".
      num_shards: maximum number of shards; every shard has at least one image.
    """

    items: Sequence[Item]
    shard_name: str
    num_shards: int = 1

    def shard_names(self, count: int | None = None) -> list[str]:
        """Returns the names of `count` shards; default: the planned number of shards."""
        if count is None:
            count = max(1, min(self.num_shards, len(self.items)))
        return [self.shard_name.format(shard=number, count=count) for number in range(count)]

    def parts(self) -> Iterator[Sequence[Item]]:
        """Yields the items of each shard."""
        total, count = len(self.items), len(self.shard_names())
        for number in range(count):
            yield self.items[total * number // count : total * (number + 1) // count]


def labels_of(label: int | tuple[int, ...]) -> tuple[int, ...]:
    """Returns the labels of an image: the one that it has, or its several ones."""
    return label if isinstance(label, tuple) else (label,)


def merged(items: Sequence[Item], ids: Mapping[sources.Source, object]) -> list[Item]:
    """Returns an item per file, the first one, with the sorted labels of all its links.

    Args:
      items: the images.
      ids: source -> what the links to a file have in common; sources that it lacks are no links.
    """
    labels: dict[object, set[int]] = {}
    first: dict[object, Item] = {}
    for item in items:
        key = ids.get(item.source, item.source)
        labels.setdefault(key, set()).update(labels_of(item.label))
        first.setdefault(key, item)
    return [item._replace(label=tuple(sorted(labels[key]))) for key, item in first.items()]


def shuffled(items: Sequence[T], seed: int) -> list[T]:
    """Returns the items in a random order that is the same in every version of Python."""
    rng = random.Random(seed)
    keys = [rng.random() for _ in items]  # only random() is guaranteed to be stable
    return [items[index] for index in sorted(range(len(items)), key=keys.__getitem__)]
