"""Hook that writes config.json and model_info.json."""

import tensorflow as tf

from classifier.resolve.training import ResolvedRun
from classifier.run_directory import RunDirectory
from slim import learning


class RunFiles(learning.Hook):
    """Writes config.json and model_info.json, unless the run is complete.

    It must come after the hooks that may end a run before its first step.
    """

    def __init__(self, resolved: ResolvedRun, directory: RunDirectory) -> None:
        self._resolved = resolved
        self._directory = directory

    def begin(self, run: learning.Run) -> None:
        """Writes both files."""
        if not run.is_over:
            self._directory.write_config(self._resolved.to_dict())
            info = self._resolved.model.with_versions(tensorflow=tf.__version__)
            self._directory.write_model_info(info)
