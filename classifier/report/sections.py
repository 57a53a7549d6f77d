"""The sections of a report, from top to bottom."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from classifier.report import charts, headline, heat_map
from classifier.report.analysis import Analysis
from classifier.report.data import ReportData
from classifier.report.findings import Duplicates
from classifier.report.gallery import PAIRS, PER_GALLERY, Gallery
from classifier.report.scores import NUM_BINS, Calibration
from classifier.report.templates import Html, fill, fill_each
from slim import metrics

MAX_CLASSES = 2000  # rows of the table of classes


class Section(NamedTuple):
    """A section: its anchor, short and full title, introduction and content."""

    anchor: str
    link: str
    title: str
    lead: str
    body: Html


class Content(NamedTuple):
    """The sections of a page, the values of its scripts as JSON, and the files of the scripts."""

    sections: Sequence[Section]
    values: Html
    scripts: Sequence[str]


def sections(data: ReportData, analysis: Analysis, gallery: Gallery) -> Iterator[Section]:
    """Yields the sections that the data allows."""
    numbers = headline.cards(data, analysis) + headline.remarks(data, analysis)
    yield Section("summary", "Summary", "Summary", "", Html(numbers))
    yield from curves_section(data)
    yield _confusion(data, analysis)
    yield _classes(data, analysis.scores)
    yield calibration_section(analysis.calibration)
    yield from _images(data, analysis, gallery)
    yield from duplicates_section(data, analysis.duplicates, gallery)
    yield balance_section(data, analysis.scores)
    yield configuration_section(data)


def curves_section(data: ReportData) -> Iterator[Section]:
    """Yields the curves of the run, if it has any."""
    curves = charts.curves(data.metrics, data.step)
    if curves:
        lead = "" if data.step is None else f"The dashed line is this checkpoint, step {data.step}."
        yield Section("curves", "Training", "Training", lead, _charts(curves))


def _charts(charts_: str) -> Html:
    return fill("charts.html", charts=Html(charts_))


def _confusion(data: ReportData, analysis: Analysis) -> Section:
    lead = (
        "Rows are labels, columns predictions; the color is the fraction of the row. Select a cell"
        " to see its images."
    )
    body = fill(
        "matrix_and_pairs.html",
        matrix=heat_map.heat_map(data, analysis),
        pairs=heat_map.confusions(data, analysis),
    )
    return Section("confusion", "Confusion", "Confusion matrix", lead, body)


def _classes(data: ReportData, scores: metrics.ClassScores) -> Section:
    # A class without a score sorts last.
    worst = np.lexsort((-scores.support, np.nan_to_num(scores.f1_scores, nan=2.0)))[:MAX_CLASSES]
    rows = (
        {
            "name": data.class_names[each],
            "precision": bar(scores.precisions[each]),
            "recall": bar(scores.recalls[each]),
            "f1": bar(scores.f1_scores[each]),
            "support": f"{scores.support[each]:,}",
        }
        for each in np.sort(worst)
    )
    lead = "Precision, recall and F1 score of each class in percent, and its number of images."
    if len(worst) < len(data.class_names):
        lead += (
            f" The {len(worst):,} classes with the lowest F1 score of {len(data.class_names):,}."
        )
    body = fill("classes.html", rows=fill_each("class_row.html", rows))
    return Section("classes", "Classes", "Classes", lead, body)


def bar(score: float) -> Html:
    """Returns the cell of a score in percent; a dash if it is undefined."""
    if math.isnan(score):
        return Html("<td>&ndash;</td>")
    return Html(f'<td class="bar" style="--v:{score:.3f}">{100 * score:.1f}</td>')


def calibration_section(result: Calibration, lead: str = "") -> Section:
    """Returns the reliability diagram; `lead` explains what it counts."""
    rows = (
        {
            "range": f"{each / NUM_BINS:.2f} to {(each + 1) / NUM_BINS:.2f}",
            "count": f"{result.counts[each]:,}",
            "confidence": f"{result.confidence[each]:.1%}",
            "accuracy": f"{result.accuracy[each]:.1%}",
        }
        for each in np.flatnonzero(result.counts)
    )
    lead = lead or (
        "How often the model is right, by its confidence. On the diagonal, a confidence of 80% is"
        " right for 80% of the images."
    )
    lead += f" Expected calibration error: {result.error:.1%}."
    table = fill("bins.html", rows=fill_each("bin_row.html", rows))
    body = fill("chart_and_table.html", chart=charts.reliability(result), table=table)
    return Section("calibration", "Calibration", "Calibration", lead, body)


def _images(data: ReportData, analysis: Analysis, gallery: Gallery) -> Iterator[Section]:
    galleries = (
        ("mistakes", "Mistakes", "Most confident mistakes", analysis.mistakes, ""),
        ("doubtful", "Doubtful hits", "Least confident hits", analysis.hits, ""),
        (
            "label-errors",
            "Label errors",
            "Likely label errors",
            analysis.label_errors[:PER_GALLERY],
            shown(len(analysis.label_errors), PER_GALLERY, "image")
            + "The model predicts another class, with more confidence than it has on average in"
            " that class's own images.",
        ),
    )
    for anchor, link, title, images, lead in galleries:
        if len(images):
            yield Section(anchor, link, title, lead, gallery.tiles(images))


def shown(number: int, most: int, unit: str) -> str:
    """Returns a number of things, of which at most some are shown."""
    plural = "" if number == 1 else "s"
    return f"{number:,} {unit}{plural}{f', the first {most} shown' if number > most else ''}. "


def duplicates_section(
    data: ReportData, duplicates: Duplicates | None, gallery: Gallery
) -> Iterator[Section]:
    """Yields the near-duplicates in the other split, if it was searched."""
    if duplicates is None or data.other is None:
        return
    number = len(duplicates.images)
    title = f"Near-duplicates in {data.other.name}"
    if not number:
        yield Section(
            "duplicates", "Duplicates", title, "No image has features that similar.", Html("")
        )
        return
    lead = (
        shown(number, PAIRS, "pair")
        + "Their features are very similar; images that the model was trained on make the accuracy"
        " too high."
    )
    body = gallery.pairs(duplicates, data.other)
    yield Section("duplicates", "Duplicates", title, lead, body)


def balance_section(data: ReportData, scores: metrics.ClassScores) -> Section:
    """Returns the numbers of images and predictions of the classes."""
    names, support = data.class_names, scores.support
    largest, smallest = int(support.argmax()), int(support.argmin())
    lead = (
        f"The largest class is {names[largest]} with {support[largest]:,} images, the smallest"
        f" {names[smallest]} with {support[smallest]:,}."
    )
    ratio = scores.predicted / np.maximum(support, 1)
    often = int(np.argmax(np.where(support > 0, ratio, 0)))
    if ratio[often] > 1:
        lead += (
            f" {names[often]} is predicted most often in relation to its images,"
            f" {scores.predicted[often]:,} times for {support[often]:,}."
        )
    body = _charts(charts.balance(support, scores.predicted))
    return Section("balance", "Balance", "Class balance", lead, body)


def configuration_section(data: ReportData) -> Section:
    """Returns the model and the options of its run."""
    body = _configuration(data)
    return Section("configuration", "Configuration", "Configuration", "", body)


def _configuration(data: ReportData) -> Html:
    info = data.model
    averages = info.moving_average_decay
    model: dict[str, object] = {
        "network": info.model_name,
        "checkpoint": data.checkpoint,
        "step": "unknown" if data.step is None else f"{data.step:,}",
        "dataset": f"{data.dataset}, {data.split}",
        "classes": f"{info.num_classes:,}",
        "image size": f"{info.image_size[0]} x {info.image_size[1]}, {info.num_channels} channels",
        "preprocessing": info.preprocessing_name,
        "moving averages": "none" if averages is None else f"decay {averages}",
        **{f"version of {name}": version for name, version in sorted(info.versions.items())},
    }
    parts = [fill("facts.html", facts=_facts(model.items()))]
    for key, title in (("options", "Options of the run"), ("resolved", "Resolved from them")):
        values: Mapping[str, Any] = (data.config or {}).get(key) or {}
        rows = [(name, _value(each)) for name, each in values.items() if each is not None]
        if rows:
            parts.append(fill("options.html", title=title, number=len(rows), facts=_facts(rows)))
    return Html("".join(parts))


def _facts(values: Iterable[tuple[str, object]]) -> Html:
    return fill_each("fact.html", ({"name": name, "value": value} for name, value in values))


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
