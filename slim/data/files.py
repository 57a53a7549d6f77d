"""Files that match a pattern; no TensorFlow here."""

import glob
import os
from collections.abc import Sequence

from slim import _checks


def get_data_files(data_sources: str | Sequence[str]) -> list[str]:
    """Returns the paths of files.

    Args:
      data_sources: a path or a pattern with `*`, `?` or `[`, or a sequence of them. The path of an
        existing file is not a pattern, even with brackets in a directory's name.

    Raises:
      UserError: if one of them matches no file.
    """
    if not isinstance(data_sources, str):
        return [path for source in data_sources for path in get_data_files(source)]
    if os.path.isfile(data_sources):
        return [data_sources]
    paths = sorted(path for path in glob.glob(data_sources) if os.path.isfile(path))
    if not paths:
        raise _checks.UserError(f"data_sources={data_sources!r} matches no file")
    return paths
