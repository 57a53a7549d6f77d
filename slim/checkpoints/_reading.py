"""Reads a checkpoint and verifies its checksums."""

import os
import re
import shutil
import tempfile
import weakref
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from slim import _checks, _files
from slim.checkpoints import _listing

# Error messages of TensorFlow's readers, and their meaning.
_SYMPTOMS = (
    ("Read less bytes", "is truncated"),
    ("too short to be an sstable", "is truncated"),
    ("not an sstable", "is truncated or not a checkpoint"),
    ("truncated block", "is truncated"),
    ("hecksum does not match", "is damaged (checksum mismatch)"),
    ("checksum mismatch", "is damaged (checksum mismatch)"),
    ("saved tensor slices", "is damaged (the list of variables at its start is missing)"),
)


class CheckpointGone(_checks.RunError):
    """The files no longer exist: the training run may have removed the checkpoint."""


class SavedVariable(NamedTuple):
    """Shape and type of a variable in a checkpoint."""

    shape: tuple[int, ...]
    dtype: tf.DType


class Reader:
    """The variables of one checkpoint, format V1 or V2, by name.

    Raises:
      CheckpointGone: (here and in `get`) if the files do not exist.
      RunError: (here and in `get`) if a file is damaged; the message names it.
    """

    def __init__(self, prefix: str | os.PathLike[str]) -> None:
        self.prefix = os.fspath(prefix)
        _check_regular_files(self.prefix)
        try:
            self._reader = tf.train.load_checkpoint(self._plain_prefix())
            shapes = self._reader.get_variable_to_shape_map()
            dtypes = self._reader.get_variable_to_dtype_map()
        except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
            raise _diagnosis(self.prefix, error) from error
        self._variables = {
            name: SavedVariable(tuple(shapes[name]), dtypes[name]) for name in sorted(shapes)
        }

    def _plain_prefix(self) -> str:
        """Returns a prefix that TensorFlow cannot mistake for a pattern or a directory."""
        if not re.search(r"[*?\[\\]", self.prefix) and not os.path.isdir(self.prefix):
            return self.prefix
        links = tempfile.mkdtemp(prefix="checkpoint-")
        weakref.finalize(self, shutil.rmtree, links, ignore_errors=True)
        base = os.path.basename(self.prefix)
        for path in _listing.files_of(self.prefix):
            suffix = os.path.basename(path)[len(base) :]
            os.symlink(os.path.abspath(path), os.path.join(links, "model" + suffix))
        return os.path.join(links, "model")

    def variables(self) -> dict[str, SavedVariable]:
        """Returns name -> (shape, dtype), sorted by name."""
        return dict(self._variables)

    def __contains__(self, name: str) -> bool:
        """Returns whether the checkpoint has a variable of this name."""
        return name in self._variables

    def get(self, name: str) -> np.ndarray:
        """Returns the value of a variable, its checksum verified.

        Raises:
          UserError: if the checkpoint has no such variable.
        """
        if name not in self._variables:
            hint = _checks.suggest(name, self._variables)
            raise _checks.UserError(f"Checkpoint {self.prefix} has no variable {name!r}{hint}")
        try:
            return np.asarray(self._reader.get_tensor(name))
        except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
            raise _diagnosis(self.prefix, error, name) from error


def read(prefix: str | os.PathLike[str]) -> Reader:
    """Returns a `Reader` of the checkpoint at a prefix (see `find`)."""
    return Reader(prefix)


def verify(prefix: str | os.PathLike[str]) -> int:
    """Reads a complete checkpoint, verifies checksums and returns the number of variables.

    Raises:
      CheckpointGone: if the files do not exist.
      RunError: if a file is missing, truncated or damaged; the message names it.
    """
    reader = Reader(prefix)
    for name in reader.variables():
        reader.get(name)
    return len(reader.variables())


def _check_regular_files(prefix: str) -> None:
    """Raises RunError for a FIFO or device, on which TensorFlow would block."""
    directory = os.path.dirname(prefix) or "."
    for path in _listing.files_of(prefix) if os.path.isdir(directory) else ():
        if os.path.exists(path) and not os.path.isfile(path):
            kind = _files.kind_of(os.path.realpath(path))
            raise _checks.RunError(f"Checkpoint {prefix}: {path} is {kind}, not a regular file")


def _diagnosis(prefix: str, error: Exception, name: str | None = None) -> _checks.RunError:
    index, where = f"{prefix}.index", f" at variable {name!r}" if name else ""
    if not _listing.is_checkpoint(prefix):
        return CheckpointGone(f"Checkpoint {prefix} does not exist (any more)")
    if not os.path.isfile(index):
        culprit = prefix
    elif name is None:
        culprit = index
    else:
        shards = [path for path in _listing.files_of(prefix) if ".data-" in path[len(prefix) :]]
        missing = re.search(r"(\S*\.data-\d{5}-of-\d{5}); No such file", str(error))
        if missing or not shards:
            shard = re.search(r"\.data-\d{5}-of-\d{5}", missing[1]) if missing else None
            culprit = prefix + (shard[0] if shard else ".data-00000-of-00001")
            return _checks.RunError(f"Checkpoint {prefix}: its data file {culprit} is missing")
        culprit = shards[0] if len(shards) == 1 else f"one of {', '.join(shards)}"
    for symptom, meaning in _SYMPTOMS:
        if symptom in str(error):
            return _checks.RunError(f"Checkpoint {prefix}: {culprit} {meaning}{where}")
    return _checks.RunError(f"Checkpoint {prefix}: {culprit} cannot be read{where}: {brief(error)}")


def brief(error: Exception) -> str:
    """Returns the message of an error without names of ops."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = getattr(error, "message", None) or str(error)
    return re.sub(r"\{\{function_node .*?\}\}\s*|\s*\[Op:\w+\].*", "", text).strip() or repr(error)
