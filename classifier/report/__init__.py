"""The evaluation report: one HTML file with everything to see of a model on a split."""

from classifier.report.data import DEFAULT_THUMBNAILS, OtherSplit, ReportData
from classifier.report.evaluated import evaluate
from classifier.report.page import FILE, render, write_report

__all__ = [
    "DEFAULT_THUMBNAILS",
    "FILE",
    "OtherSplit",
    "ReportData",
    "evaluate",
    "render",
    "write_report",
]
