"""Writes a checkpoint atomically."""

import itertools
import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from slim import _checks, _ownership, _paths
from slim.checkpoints import _listing
from slim.checkpoints._reading import brief
from slim.workers import local_value

_log = logging.getLogger(__name__)


def snapshot(tensors: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Returns the current values by name, aggregated over replicas, on the host.

    With several workers, this worker's values: see `slim.workers.local_value`.
    """
    with tf.device("CPU:0"):
        return {name: local_value(tensors[name]) for name in sorted(tensors)}


def save(prefix: str | os.PathLike[str], tensors: Mapping[str, Any]) -> str:
    """Writes a checkpoint (TensorBundle, format V2) and returns its prefix.

    Files get their names when they are complete and on disk, data first and index last. Equal
    values result in equal bytes.

    Args:
      prefix: path without suffix, such as `run/model.ckpt-100`.
      tensors: name -> variable, tensor or array.

    Raises:
      ValueError: if there are no tensors.
      UserError: if one of the files exists and is not a regular file.
      RunError: if the disk is full or fails. Older checkpoints are untouched, no file is left.
    """
    if not tensors:
        raise ValueError("tensors is empty: there is nothing to save")
    prefix, values = os.fspath(prefix), snapshot(tensors)
    directory, base = os.path.split(os.path.abspath(prefix))
    try:
        os.makedirs(directory, exist_ok=True)
        with _paths.scratch_directory(directory) as scratch, tf.device("CPU:0"):
            fresh = os.path.join(scratch, base)
            tf.raw_ops.SaveV2(
                prefix=fresh,
                tensor_names=list(values),
                shape_and_slices=[""] * len(values),
                tensors=list(values.values()),
            )
            # Index last: it makes the checkpoint visible (files_of lists it first, for removal).
            for path in reversed(_listing.files_of(fresh)):
                _paths.flush_to_disk(path)
                target = os.path.join(directory, os.path.basename(path))
                _paths.check_replaceable(target)
                os.replace(path, target)
                _paths.flush_to_disk(directory)
    except (OSError, tf.errors.OpError) as error:
        raise _checks.RunError(
            f"Could not save {prefix}: {brief(error)}. Older checkpoints are untouched"
        ) from error
    return prefix


def remove(directory: str, names: Iterable[str]) -> None:
    """Removes the files of checkpoints, index first so that an incomplete one is never visible.

    Links are kept: they belong to the user.

    Args:
      directory: of the checkpoints.
      names: their base names.
    """
    for path in itertools.chain(*_listing.files_of_all(directory, names).values()):
        if not _ownership.is_regular(path):
            _log.warning("Did not remove %s: not a regular file", path)
            continue
        try:
            os.remove(path)
        except OSError as error:
            _log.warning("Could not remove %s: %s", path, error.strerror)
