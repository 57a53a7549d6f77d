"""The printed lines of an evaluation."""

from collections.abc import Iterator, Mapping, Sequence

from classifier import inputs
from classifier.config import problems
from classifier.inference import metrics
from classifier.inference.results import Result
from classifier.inference.split_evaluation import SplitEvaluation
from classifier.resolve import evaluation as resolve
from classifier.resolve import warnings
from classifier.resolve.evaluation import ResolvedEvaluation
from slim import _json

# Prefix of the metrics' names -> the weights that were evaluated, if both are.
WEIGHTS = {"": "averages", "raw_": "weights"}


def report_start(on_split: SplitEvaluation) -> None:
    """Prints what is evaluated, and warnings about it."""
    resolved, classifier = on_split.resolved, on_split.classifier
    weights = "moving averages of the weights" if classifier.used_averages else "weights"
    if classifier.info.quantized:
        weights += ", rounded to 8 bits,"
    if resolved.origin:
        print(resolved.origin)
    where = f"{resolved.dataset_name} {resolved.split_name}"
    print(f"Evaluating the {weights} of {classifier.prefix} on {where}")
    if classifier.temperature is not None and not resolved.config.run.calibrate:
        print(f"temperature {classifier.temperature:.4f}, from model_info.json")
    for warning in _warnings(on_split):
        print(f"warning: {problems.as_flags(warning)}", flush=True)


def _warnings(on_split: SplitEvaluation) -> Iterator[str]:
    resolved, classifier, dataset = on_split.resolved, on_split.classifier, on_split.dataset
    yield from warnings.of_records(
        dataset.name, dataset.split_name, dataset.num_samples, dataset.usual_samples
    )
    if resolved.is_described:
        is_default = resolved.config.run.use_averages == "auto"
        yield from warnings.of_checkpoint(
            classifier.prefix,
            resolved.model,
            resolved.image_size,
            classifier.unused_averages and is_default,
        )
    if resolved.class_map is not None:
        yield from resolve.class_warnings(resolved.class_map)


def report(key: str, result: Result, resolved: ResolvedEvaluation) -> None:
    """Prints the metrics of the weights that the prefix `key` stands for."""
    if key:
        print("Without moving averages:")
    metrics.report(result, resolved.split_name, resolved.num_samples)
    if key:
        return
    metrics.report_details(result, resolved.split_name)
    metrics.report_as_tf_slim(result)
    if not resolved.model.multi_label and _is_chance(result.score, resolved.model.num_classes):
        print(f"warning: {problems.as_flags(resolve.near_chance(resolved))}", flush=True)


def _is_chance(accuracy: float, num_classes: int) -> bool:
    # With few classes, a poor model on valid images may be as bad.
    return num_classes >= 10 and accuracy < 2 / num_classes


def report_skipped(skipped: Sequence[inputs.BadImage]) -> None:
    """Prints the images that could not be decoded."""
    for bad in skipped:
        print(f"skipped image: {_json.printable(str(bad))}")
    if skipped:
        print(f"skipped {len(skipped)} bad images", flush=True)


def side_by_side(evaluations: Mapping[str, Result]) -> str:
    """Returns a table with a row per evaluation."""
    header = ("", *next(iter(evaluations.values())).row())
    rows = [
        (name, *(f"{value:.4f}" for value in each.row().values()))
        for name, each in evaluations.items()
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    first, *others = widths

    def line(row: Sequence[str]) -> str:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], others, strict=True)]
        return "  ".join([row[0].ljust(first), *cells])

    return "\n".join(map(line, (header, *rows)))
