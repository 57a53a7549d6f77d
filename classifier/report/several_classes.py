"""The page of a report with any number of classes an image."""

import collections
from collections.abc import Iterator

import numpy as np

from classifier.inference.outcomes import LabelOutcomes
from classifier.report import findings
from classifier.report.data import ReportData
from classifier.report.gallery import PAIRS, PER_GALLERY, Gallery
from classifier.report.headline import card, proportion
from classifier.report.scores import Calibration, calibration_of
from classifier.report.sections import (
    MAX_CLASSES,
    Content,
    Section,
    balance_section,
    bar,
    calibration_section,
    configuration_section,
    curves_section,
    duplicates_section,
    shown,
)
from classifier.report.templates import Html, fill, fill_each
from slim.metrics import LabelScores

_CONFUSIONS = 12  # listed
_MIN_SUPPORT = 5  # images of a class whose average precision is worth a sentence


def content(data: ReportData) -> Content:
    """Returns the page of an evaluation whose outcomes and scores are of several classes."""
    outcomes, scores = data.outcomes, data.scores
    assert isinstance(outcomes, LabelOutcomes), "of several classes"
    assert scores is not None, "of several classes"
    mistakes = np.flatnonzero(~outcomes.is_correct)
    mistakes = mistakes[np.argsort(-outcomes.losses[mistakes], kind="stable")]
    errors = findings.several_label_errors(outcomes)
    galleries = [
        Section(
            "mistakes",
            "Mistakes",
            "Worst mistakes",
            f"{shown(len(mistakes), PER_GALLERY, 'image')}Their loss is the highest.",
            Html(""),
        ),
        Section(
            "label-errors",
            "Label errors",
            "Likely label errors",
            f"{shown(len(errors), PER_GALLERY, 'image')}For a class, the model contradicts the"
            " label with more confidence than it has on average in images with the opposite label.",
            Html(""),
        ),
    ]
    duplicates = None
    if data.other is not None and data.features is not None:
        duplicates = findings.near_duplicates(data.features, data.other.features)
    images = [part[:PER_GALLERY].tolist() for part in (mistakes, errors)]
    similar = duplicates.images[:PAIRS].tolist() if duplicates else []
    gallery = Gallery(data, [*images[0], *images[1], *similar], ())
    parts = [
        Section("summary", "Summary", "Summary", "", _summary(data, outcomes, scores)),
        *curves_section(data),
        *_confusions(data, outcomes, scores),
        _classes(data, scores),
        calibration_section(
            _calibration(outcomes),
            "Every class of every image counts once: its confidence is the class's probability, and"
            " the accuracy how often the image has the class.",
        ),
        *(
            section._replace(body=gallery.tiles(part))
            for section, part in zip(galleries, images, strict=True)
            if part
        ),
        *duplicates_section(data, duplicates, gallery),
        balance_section(data, scores),
        configuration_section(data),
    ]
    return Content(parts, Html("{}"), ("table.js",))


def _summary(data: ReportData, outcomes: LabelOutcomes, scores: LabelScores) -> Html:
    present = f"mean of {int((scores.support > 0).sum()):,} classes"
    together = "all labels together"
    rows = [
        card("mAP", f"{scores.macro(scores.average_precisions):.1%}", present),
        card("Micro F1", f"{scores.micro_f1:.1%}", together),
        card("Macro F1", f"{scores.macro(scores.f1_scores):.1%}", present),
        card("Micro precision", f"{scores.micro_precision:.1%}", together),
        card("Micro recall", f"{scores.micro_recall:.1%}", together),
        proportion("Exact match", outcomes.is_correct),
        card("Loss", f"{outcomes.losses.mean():.3f}", "sigmoid cross entropy"),
    ]
    remarks = [{"text": text} for text in _remarks(data, outcomes, scores)]
    return Html(
        fill("cards.html", cards=fill_each("card.html", rows))
        + fill("remarks.html", remarks=fill_each("remark.html", remarks))
    )


def _remarks(data: ReportData, outcomes: LabelOutcomes, scores: LabelScores) -> Iterator[str]:
    actual, predicted = outcomes.labels.sum(axis=1), outcomes.predicted.sum(axis=1)
    yield (
        f"An image has {actual.mean():.2f} labels on average, of at most {actual.max()};"
        f" {predicted.mean():.2f} are predicted."
    )
    common = np.flatnonzero(scores.support >= _MIN_SUPPORT)
    if len(common):
        weakest = int(common[scores.average_precisions[common].argmin()])
        yield (
            f"The lowest average precision: {data.class_names[weakest]},"
            f" {scores.average_precisions[weakest]:.1%} with {scores.support[weakest]:,} images."
        )
    for count, what in (
        (((scores.support > 0) & (scores.predicted == 0)).sum(), "with images, never predicted"),
        ((scores.support == 0).sum(), "without an image in this split"),
    ):
        if count:
            yield f"Classes {what}: {count:,}."


def _confusions(
    data: ReportData, outcomes: LabelOutcomes, scores: LabelScores
) -> Iterator[Section]:
    """Yields the pairs of a class that was missed and one that was predicted in its place."""
    pairs: collections.Counter[tuple[int, int]] = collections.Counter()
    for labels, predicted in zip(outcomes.labels, outcomes.predicted, strict=True):
        for missed in np.flatnonzero(labels & ~predicted).tolist():
            pairs.update((missed, each) for each in np.flatnonzero(predicted & ~labels).tolist())
    rows = [
        {
            "label": data.class_names[missed],
            "prediction": data.class_names[wrong],
            "count": f"{count:,}",
            "fraction": f"{count / scores.support[missed]:.1%}",
        }
        for (missed, wrong), count in sorted(pairs.items(), key=lambda each: (-each[1], each[0]))
    ]
    if rows:
        lead = "Images in which one class is missed and another is predicted wrongly."
        body = fill("confusions.html", rows=fill_each("confusion_row.html", rows[:_CONFUSIONS]))
        yield Section("confusion", "Confusion", "Confusions", lead, body)


def _classes(data: ReportData, scores: LabelScores) -> Section:
    # A class without a score sorts last.
    precisions = np.nan_to_num(scores.average_precisions, nan=2.0)
    worst = np.argsort(precisions, kind="stable")[:MAX_CLASSES]
    rows = (
        {
            "name": data.class_names[each],
            "average_precision": bar(scores.average_precisions[each]),
            "precision": bar(scores.precisions[each]),
            "recall": bar(scores.recalls[each]),
            "f1": bar(scores.f1_scores[each]),
            "threshold": f"{scores.thresholds[each]:.3f}",
            "support": f"{scores.support[each]:,}",
        }
        for each in np.sort(worst)
    )
    lead = (
        "Average precision, and precision, recall and F1 score with the threshold of each class, in"
        " percent; its threshold and its number of images."
    )
    if len(worst) < len(data.class_names):
        lead += (
            f" The {len(worst):,} classes with the lowest average precision of"
            f" {len(data.class_names):,}."
        )
    body = fill("label_classes.html", rows=fill_each("label_class_row.html", rows))
    return Section("classes", "Classes", "Classes", lead, body)


def _calibration(outcomes: LabelOutcomes) -> Calibration:
    return calibration_of(outcomes.probabilities.ravel(), outcomes.labels.ravel())
