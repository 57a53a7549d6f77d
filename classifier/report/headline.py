"""The headline numbers of a report, and sentences on what stands out."""

from collections.abc import Iterator

import numpy as np

from classifier.report.analysis import Analysis
from classifier.report.data import ReportData
from classifier.report.templates import Html, fill, fill_each
from slim.metrics import wilson_interval

_MIN_SUPPORT = 5  # images of a class whose recall is worth a sentence
_MIN_DISTANCE = 0.02  # of confidence and accuracy


def cards(data: ReportData, analysis: Analysis) -> Html:
    """Returns the headline numbers with their confidence intervals."""
    outcomes, scores = data.outcomes, analysis.scores
    k = min(5, outcomes.classes.shape[1])
    in_top_k = (outcomes.classes[:, :k] == outcomes.labels[:, np.newaxis]).any(axis=1)
    losses = -np.log(np.maximum(outcomes.label_probabilities.astype(np.float64), 1e-30))
    rows = [proportion("Accuracy", outcomes.is_correct)]
    if 1 < k < len(data.class_names):
        rows.append(proportion(f"Top-{k} accuracy", in_top_k))
    present = int((scores.support > 0).sum())
    macro = f"mean of {present:,} classes"
    rows += [
        card("Macro F1", f"{scores.macro(scores.f1_scores):.1%}", macro),
        card("Macro recall", f"{scores.macro(scores.recalls):.1%}", macro),
        card("Loss", f"{losses.mean():.3f}", _mean_interval(losses)),
        card("Calibration error", f"{analysis.calibration.error:.1%}", "expected, 15 bins"),
    ]
    return fill("cards.html", cards=fill_each("card.html", rows))


def card(title: str, value: str, note: str, interval: str = "") -> dict[str, object]:
    """Returns the values of a card."""
    return {"title": title, "value": value, "note": note, "interval": interval}


def proportion(title: str, is_hit: np.ndarray) -> dict[str, object]:
    """Returns those of a fraction of the images, with its confidence interval."""
    low, high = wilson_interval(float(is_hit.mean()), len(is_hit))
    bar = fill("interval.html", low=f"{low:.4f}", high=f"{high:.4f}", value=f"{is_hit.mean():.4f}")
    note = f"95% CI {100 * low:.1f} to {100 * high:.1f}%"
    return card(title, f"{is_hit.mean():.1%}", note, bar)


def _mean_interval(values: np.ndarray) -> str:
    if len(values) < 2:
        return "cross entropy"
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return f"95% CI {max(0.0, values.mean() - half):.3f} to {values.mean() + half:.3f}"


def remarks(data: ReportData, analysis: Analysis) -> Html:
    """Returns the sentences."""
    rows = [{"text": text} for text in _remarks(data, analysis)]
    return fill("remarks.html", remarks=fill_each("remark.html", rows))


def _remarks(data: ReportData, analysis: Analysis) -> Iterator[str]:
    outcomes, scores, names = data.outcomes, analysis.scores, data.class_names
    largest = int(scores.support.argmax())
    fraction = scores.support[largest] / len(outcomes.labels)
    yield (
        f"Always predicting {names[largest]}, the most frequent class, would be correct for"
        f" {fraction:.1%} of the images."
    )
    label, prediction, count = analysis.pairs[0] if analysis.pairs else (0, 0, 0)
    if count > 1 and len(names) > 2:
        yield (
            f"The most frequent confusion: {names[label]} predicted as {names[prediction]},"
            f" {count:,} of {scores.support[label]:,} images."
        )
    common = np.flatnonzero(scores.support >= _MIN_SUPPORT)
    if len(common):
        weakest = int(common[scores.recalls[common].argmin()])
        yield (
            f"The lowest recall: {names[weakest]}, {scores.recalls[weakest]:.1%} of"
            f" {scores.support[weakest]:,} images."
        )
    confidence, accuracy = float(outcomes.confidences.mean()), float(outcomes.is_correct.mean())
    if abs(confidence - accuracy) >= _MIN_DISTANCE:
        kind = "overconfident" if confidence > accuracy else "underconfident"
        yield (
            f"The model is {kind}: its mean confidence is {confidence:.1%}, its accuracy"
            f" {accuracy:.1%}."
        )
    never = int(((scores.support > 0) & (scores.predicted == 0)).sum())
    if never:
        yield f"{_classes(never)} with images {'is' if never == 1 else 'are'} never predicted."
    missing = int((scores.support == 0).sum())
    if missing:
        yield f"{_classes(missing)} {'has' if missing == 1 else 'have'} no image in this split."


def _classes(number: int) -> str:
    return f"{number:,} class{'' if number == 1 else 'es'}"
