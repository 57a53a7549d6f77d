"""Features of images as a NumPy file, written row by row."""

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator

import numpy as np

from slim import _paths

_FEATURES, _FILES = "features.npy", "files.npy"


@contextlib.contextmanager
def feature_file(path: str | None) -> Iterator[Callable[[str, np.ndarray], None]]:
    """Returns a function that adds the features of a file: `numpy.load` then has `features`, one
    row for each image, and `files`.

    Rows go to a temporary file, so that memory does not grow with their number. The file has its
    name only at the end; it is not kept if the block fails.

    Args:
      path: the `.npz` file, which may be replaced; None for none.

    Raises:
      OSError: if it cannot be written.
    """
    if path is None:
        yield lambda _, __: None
        return
    files: list[str] = []
    shape: list[int] = []
    with _paths.new_file(path) as file, _paths.named_in_errors(path):
        with tempfile.TemporaryFile() as rows:

            def add(name: str, row: np.ndarray) -> None:
                shape[:] = row.shape
                files.append(name)
                rows.write(np.ascontiguousarray(row, np.float32).data)

            yield add
            rows.seek(0)
            header = {"descr": "<f4", "fortran_order": False, "shape": (len(files), *shape)}
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                with archive.open(_FEATURES, "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, header)
                    shutil.copyfileobj(rows, member, 1 << 20)
                with archive.open(_FILES, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.array(files, np.str_))
