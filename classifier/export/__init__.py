"""Export: a checkpoint as files that serve without this project, each checked before it is kept."""

from classifier.exporting.formats import FORMATS, run

__all__ = ["FORMATS", "run"]
