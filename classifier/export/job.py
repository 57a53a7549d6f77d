"""The inputs shared by all formats of an export."""

import dataclasses
import os
from collections.abc import Callable, Collection, Iterator

from classifier.config import problems
from classifier.config.export import ExportOptions
from classifier.config.formats import FORMATS
from classifier.config.problems import named
from classifier.export import checks, input_types
from classifier.export.samples import Samples
from classifier.inference.model import InferenceModel
from classifier.run_directory import RunDirectory
from slim import _ownership

MAX_DROP = 1.0  # default, in percentage points


@dataclasses.dataclass(frozen=True)
class Job:
    """An export to one or more formats.

    Attributes:
      classifier: model to export.
      run: run directory of its checkpoint.
      options: export options; `output_dir` exists.
      real: images for the comparison with the checkpoint.
      calibration: images of the training split; None if no format needs them.
    """

    classifier: InferenceModel
    run: RunDirectory
    options: ExportOptions
    real: Samples
    calibration: Samples | None = None
    _trials: dict[tuple[str, int | None], checks.Trial] = dataclasses.field(default_factory=dict)
    _contents: dict[str, bytes] = dataclasses.field(default_factory=dict)

    @property
    def batch_size(self) -> int | None:
        """Batch size; None for any."""
        return self.options.batch_size or None

    @property
    def lite_batch_size(self) -> int | None:
        """Batch size of a TFLite file; None for any."""
        return 1 if self.options.batch_size is None else self.batch_size

    @property
    def max_drop(self) -> float:
        """Maximum accuracy loss of a quantized format, in percentage points."""
        return MAX_DROP if self.options.max_drop is None else self.options.max_drop

    def trial(self, batch_size: int | None, input_type: str = "float_image") -> checks.Trial:
        """Returns the trial shared by formats with the same input.

        Args:
          batch_size: batch size; None for any.
          input_type: as in `input_types.make_trial`.
        """
        key = input_type, batch_size
        if key not in self._trials:
            self._trials[key] = input_types.make_trial(
                input_type, self.classifier, batch_size, self.real, self.options.max_pixels
            )
        return self._trials[key]

    def content(self, name: str, convert: Callable[[], bytes]) -> bytes:
        """Returns the content of a file that several formats have, converted once.

        Args:
          name: name of the content.
          convert: function that returns it.
        """
        if name not in self._contents:
            self._contents[name] = convert()
        return self._contents[name]

    def target(self, name: str, suffix: str | None = None) -> str:
        """Returns the output path of a format.

        Args:
          name: the format.
          suffix: of its second file; None for the first.

        Raises:
          UserError: if something other than a regular file exists there.
        """
        path = os.path.join(str(self.options.output_dir), *self._parts(name))
        if suffix is not None:
            path = os.path.splitext(path)[0] + suffix
        if os.path.lexists(path) and not _ownership.is_regular(path):
            raise problems.error(
                "{} exists. Remove it, or use another {}", path, named("output_dir")
            )
        return path

    def earlier_exports(self, exclude: Collection[str]) -> Iterator[str]:
        """Yields the names in `output_dir` of formats that exist already.

        Args:
          exclude: formats to skip.
        """
        for first, *_ in (self._parts(name) for name in FORMATS if name not in exclude):
            if os.path.exists(os.path.join(str(self.options.output_dir), first)):
                yield first

    def _parts(self, name: str) -> list[str]:
        """Returns the components of a format's path below `output_dir`."""
        file = FORMATS[name].file.format(
            model=self.classifier.info.model_name, version=self.classifier.step or 1
        )
        return file.split("/")
