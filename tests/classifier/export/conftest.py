"""SavedModels that tests share; not to be changed."""

import contextlib
import io
import pathlib
from typing import NamedTuple

import pytest

from tests import shared


class Exported(NamedTuple):
    """A SavedModel: its run, the directory of the export, and what the export printed."""

    run: pathlib.Path
    directory: pathlib.Path
    stdout: str

    @property
    def version(self):
        """The directory of the SavedModel."""
        return self.directory / "saved_model" / "1"


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Returns a function from a batch size, or None, to LeNet with the recipe's weights."""
    from tests.classifier.export.test_formats import export_to, make_run

    def export(batch_size=None):
        def fill(place):
            run = make_run(place / "run")
            with contextlib.redirect_stdout(io.StringIO()) as stdout:
                export_to(place / "my export", run, "saved_model", batch_size=batch_size)
            (place / "stdout.txt").write_text(stdout.getvalue())

        place = shared.directory(tmp_path_factory, f"exported_{batch_size}", fill)
        stdout = (place / "stdout.txt").read_text()
        return Exported(place / "run", place / "my export", stdout)

    return export
