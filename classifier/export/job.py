"""What every format is written from."""

import dataclasses
import os
from collections.abc import Collection, Iterator

from classifier.config.export import ExportOptions
from classifier.config.formats import FORMATS
from classifier.export import checks, input_types
from classifier.export.samples import Samples
from classifier.inference.model import InferenceModel
from classifier.run_directory import RunDirectory
from slim import _checks, _ownership

MAX_DROP = 1.0  # percentage points


@dataclasses.dataclass(frozen=True)
class Job:
    """An export of several formats.

    Attributes:
      classifier: what is exported.
      run: the run directory of its checkpoint.
      options: of the export; `output_dir` is an existing folder.
      real: images that each format is compared on.
      calibration: images of the training split; None where no format needs them.
    """

    classifier: InferenceModel
    run: RunDirectory
    options: ExportOptions
    real: Samples
    calibration: Samples | None = None
    _trials: dict[tuple[str, int | None], checks.Trial] = dataclasses.field(default_factory=dict)

    @property
    def max_drop(self) -> float:
        """Most that a quantized format may lose, in percentage points."""
        return MAX_DROP if self.options.max_drop is None else self.options.max_drop

    def trial(self, batch_size: int | None, input_type: str = "float_image") -> checks.Trial:
        """Returns what formats that take the same are tried with.

        Args:
          batch_size: images at once; None for any number.
          input_type: one of `classifier.config.export.INPUT_TYPES`.
        """
        key = input_type, batch_size
        if key not in self._trials:
            self._trials[key] = input_types.make(
                input_type, self.classifier, batch_size, self.real, self.options.max_pixels
            )
        return self._trials[key]

    def target(self, name: str) -> str:
        """Returns the path that a format is written to.

        Raises:
          UserError: if anything but a regular file is there, which nothing is written over.
        """
        path = os.path.join(str(self.options.output_dir), *self._parts(name))
        if os.path.lexists(path) and not _ownership.is_regular(path):
            raise _checks.UserError(f"{path} exists; remove it, or choose another output_dir")
        return path

    def present(self, but: Collection[str]) -> Iterator[str]:
        """Yields the names in `output_dir` of the formats that are there already.

        Args:
          but: formats that are left out.
        """
        for first, *_ in (self._parts(name) for name in FORMATS if name not in but):
            if os.path.exists(os.path.join(str(self.options.output_dir), first)):
                yield first

    def _parts(self, name: str) -> list[str]:
        """Returns the path of a format below `output_dir`, piece by piece."""
        file = FORMATS[name].file.format(
            model=self.classifier.info.model_name, version=self.classifier.step or 1
        )
        return file.split("/")
