"""Files that match a pattern; TensorFlow is imported for remote ones only."""

import glob
import os
from collections.abc import Sequence

from slim import _checks


def get_data_files(data_sources: str | Sequence[str]) -> list[str]:
    """Returns the paths of files.

    Args:
      data_sources: a path or a pattern with `*`, `?` or `[`, or a sequence of them. The path of an
        existing file is not a pattern, even with brackets in a directory's name. A path with a
        scheme, such as gs://, is passed to TensorFlow.

    Raises:
      UserError: if one of them matches no file, or the sequence is empty.
    """
    if not isinstance(data_sources, (str, os.PathLike)):
        check_any(data_sources)
        return [path for source in data_sources for path in get_data_files(source)]
    source = os.fspath(data_sources)
    if os.path.isfile(source):
        return [source]
    paths = _remote(source) if "://" in source else glob.glob(source)
    paths = sorted(path for path in paths if "://" in path or os.path.isfile(path))
    if not paths:
        raise _checks.UserError(f"data_sources={source!r} matches no file")
    return paths


def check_any(data_sources: Sequence[str]) -> None:
    """Checks that there are sources.

    Raises:
      UserError: if there are none.
    """
    if not len(data_sources):
        raise _checks.UserError("data_sources is empty: there are no files to read")


def _remote(pattern: str) -> list[str]:
    import tensorflow as tf

    return list(tf.io.gfile.glob(pattern))
