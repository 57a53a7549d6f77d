"""Which files a pattern stands for. No TensorFlow."""

import glob
import os
from collections.abc import Sequence

from slim import _checks


def get_data_files(data_sources: str | Sequence[str]) -> list[str]:
    """Returns the paths of files.

    Args:
      data_sources: a path or a pattern with `*`, `?` or `[`, or a sequence of them. A path that is
        there is taken as it is, so that brackets in a folder's name do no harm.

    Raises:
      UserError: if one of them matches no file.
    """
    if not isinstance(data_sources, str):
        return [path for source in data_sources for path in get_data_files(source)]
    if os.path.isfile(data_sources):
        return [data_sources]
    found = sorted(path for path in glob.glob(data_sources) if os.path.isfile(path))
    if not found:
        raise _checks.UserError(f"data_sources={data_sources!r} matches no file")
    return found
