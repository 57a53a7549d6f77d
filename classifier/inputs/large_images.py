"""Large images that exceed a limit: found before a pipeline is built, which then skips them.

A stand-in without image takes the place of their records, so that the order of the others does not
change. The pipeline of a split without such images is not affected.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from concurrent import futures

from classifier.inputs import bad_images
from slim import _checks, _image_limits
from slim.data import dataset as dataset_lib
from slim.data import image_handler, large_images, records, tfexample_decoder
from slim.data.large_images import LargeImage

_FILENAME = "image/filename"
_THREADS = 16  # files examined in parallel, for network disks


def find(dataset: dataset_lib.Dataset) -> Mapping[tuple[int, int], LargeImage]:
    """Returns indices of shard and record -> image, in the order of the files.

    The stand-in of a record is the image's `example`.

    Args:
      dataset: the split. Results are cached until a shard changes.

    Raises:
      UserError, RunError: as `records.find_all_records`.
    """
    shards = range(len(dataset.data_sources))
    with futures.ThreadPoolExecutor(_THREADS) as pool:
        images = pool.map(functools.partial(find_in_shard, dataset), shards)
        return {(shard, each.record): each for shard in shards for each in next(images)}


def find_in_shard(dataset: dataset_lib.Dataset, shard: int) -> Sequence[LargeImage]:
    """Returns the images of a shard; see `find`."""
    handler = handler_of(dataset)
    if handler is None or dataset.record_source is not None:  # which checks the limits itself
        return ()
    path = dataset.data_sources[shard]
    offsets = records.find_known_records(path, dataset.shard_counts[shard])
    if not records.find_large_records(offsets, _image_limits.METADATA_BYTES):
        return ()
    status = os.stat(path)
    keys = {*dataset.decoder.keys_to_features, _FILENAME} - {handler.image_key}
    return _find_unchanged(
        path,
        (status.st_size, status.st_mtime_ns),
        handler.image_key,
        tuple(sorted(keys)),
        handler.max_pixels,
    )


def handler_of(dataset: dataset_lib.Dataset) -> image_handler.Image | None:
    """Returns the handler of the images; None if they are not single encoded images."""
    decoder = dataset.decoder
    is_known = isinstance(decoder, tfexample_decoder.TFExampleDecoder)
    handler = decoder.items_to_handlers.get("image") if is_known else None
    is_encoded = isinstance(handler, image_handler.Image) and handler.is_encoded
    return handler if is_encoded else None


def check(dataset: dataset_lib.Dataset) -> None:
    """Raises RunError with the first large image that exceeds a limit, if there is any."""
    for (shard, _), image in find(dataset).items():
        raise _checks.RunError(str(describe(image, dataset.shard_names[shard])))


def describe(image: LargeImage, shard_name: str) -> bad_images.BadImage:
    """Returns the description of an image in a shard."""
    return bad_images.describe(
        image.example, image.prefix, image.size, shard_name, image.record, image.problem
    )


@functools.lru_cache(maxsize=100_000)
def _find_unchanged(
    path: str, _version: tuple[int, int], image_key: str, keys: Sequence[str], max_pixels: int
) -> list[LargeImage]:
    return list(
        large_images.find_rejected(
            path,
            records.find_known_records(path, None),
            lambda image: _image_limits.header_problem(image, max_pixels),
            keys=keys,
            image_key=image_key,
        )
    )
