"""Log and list of the bad images that a run skips."""

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from classifier import inputs
from classifier.config.bad_images import DEFAULT_MAX_FRACTION
from classifier.config.problems import Problem, named
from slim import _checks, _files, _paths, learning
from slim.data.dataset import Dataset

_MAX_BYTES = 256 << 20
_COLUMNS = ("path", "shard", "record", "reason")


class BadImagesLog(learning.Hook):
    """Logs each skipped image once per run, and aborts the run if there are too many.

    Args:
      bad_images: record of the skipped images.
      dataset: the split they belong to.
      train_dir: directory of bad_files.csv.
      max_fraction: abort if more than this fraction of the split's images is skipped. None:
        `DEFAULT_MAX_FRACTION`.
    """

    def __init__(
        self,
        bad_images: inputs.BadImages,
        dataset: Dataset,
        train_dir: str,
        max_fraction: float | None = None,
    ) -> None:
        self._bad_images = bad_images
        self._dataset = dataset
        self._path = os.path.join(train_dir, "bad_files.csv")
        self._max_fraction = DEFAULT_MAX_FRACTION if max_fraction is None else max_fraction
        self._known: set[tuple[str, int]] = set()

    def begin(self, run: learning.Run) -> None:
        """Reads the images that were skipped before the run was resumed; drops a truncated row."""
        try:
            content = _files.read_bounded(self._path, _MAX_BYTES)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _checks.UserError(
                f"{self._path} cannot be used: {error.strerror}. Move it away"
            ) from None
        lines = content.splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
            _paths.write_atomically(self._path, b"".join(lines))
        self._known = set(_places(lines))

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Logs the newly skipped images; batches are prefetched, so some belong to later steps.

        Raises:
          RunError: if the fraction of skipped images is too high.
        """
        places = self._bad_images.take_new()
        bad = [inputs.describe_bad_image(self._dataset, *place) for place in places]
        bad = [each for each in bad if (each.shard, each.record) not in self._known]
        if not bad:
            return
        self._known |= {(each.shard, each.record) for each in bad}
        self._write(bad)
        for each in bad:
            print(f"skipped image: {each}", flush=True)
        if len(self._known) > self._max_fraction * self._dataset.num_samples:
            raise _checks.RunError(
                Problem(
                    "too many bad images in {}/{}: {} of {}; the limit is {}."
                    " They are listed in {}",
                    self._dataset.name,
                    self._dataset.split_name,
                    len(self._known),
                    self._dataset.num_samples,
                    named("max_bad_fraction", self._max_fraction),
                    self._path,
                )
            )

    def end(self, run: learning.Run) -> None:
        """Logs the number of skipped images."""
        if self._known:
            print(f"skipped {len(self._known)} bad images, listed in {self._path}", flush=True)

    def _write(self, bad: list[inputs.BadImage]) -> None:
        with (
            _paths.named_in_errors(self._path),
            _files.open_output(self._path, append=True) as file,
            io.TextIOWrapper(file, "utf-8", newline="") as text,
        ):
            writer = csv.writer(text)
            if not file.tell():
                writer.writerow(_COLUMNS)
            writer.writerows((each.file, each.shard, each.record, each.reason) for each in bad)


def _places(lines: Sequence[bytes]) -> Iterator[tuple[str, int]]:
    """Yields (shard, record) of the intact rows."""
    for line in lines:
        try:
            _, shard, record, reason = next(csv.reader([line.decode()]))
            if reason:
                yield shard, int(record)
        except (ValueError, csv.Error, StopIteration):
            continue
