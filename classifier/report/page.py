"""The page of a report, and its file."""

import base64
import hashlib
import os

from classifier.report import several_classes
from classifier.report.analysis import analyze
from classifier.report.data import ReportData
from classifier.report.gallery import Gallery, in_turn
from classifier.report.sections import Content, sections
from classifier.report.templates import Html, fill, fill_each, read
from slim import _paths

FILE = "index.html"


def write_report(directory: str, data: ReportData) -> str:
    """Writes the report to `index.html` and returns its path.

    Args:
      directory: must exist; an existing report is replaced.
      data: the evaluation.

    Raises:
      UserError: if the path is not a file.
    """
    path = os.path.join(directory, FILE)
    _paths.write_atomically(path, render(data).encode())
    return path


def render(data: ReportData) -> str:
    """Returns the report as one HTML page, without references to anything else.

    The same data results in the same page. Its content security policy forbids all requests, and
    all scripts but its own.
    """
    content = several_classes.content if data.model.multi_label else _of_one_class
    parts, values, scripts = content(data)
    script = "".join(map(read, scripts))
    return fill(
        "page.html",
        title=f"{data.model.model_name} on {data.dataset} {data.split}",
        subtitle=_subtitle(data),
        policy=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        style=Html(read("style.css")),
        script=Html(script),
        navigation=fill_each("link.html", (part._asdict() for part in parts)),
        sections=fill_each("section.html", (part._asdict() for part in parts)),
        values=values,
    )


def _of_one_class(data: ReportData) -> Content:
    analysis = analyze(data)
    gallery = Gallery(data, analysis.first_images, in_turn(analysis.cells))
    values = gallery.as_json(analysis.confusion, analysis.cells, analysis.galleries)
    return Content(list(sections(data, analysis, gallery)), values, ("matrix.js", "table.js"))


def _subtitle(data: ReportData) -> str:
    step = "" if data.step is None else f", step {data.step:,}"
    images, classes = len(data.outcomes.labels), len(data.class_names)
    name = os.path.basename(data.checkpoint)
    return f"{images:,} image{'' if images == 1 else 's'}, {classes:,} classes; {name}{step}"
