"""The export that the options ask for: each format is checked before it is kept."""

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping

from classifier import inputs, ownership
from classifier.checkpoints import sources
from classifier.cli.exit_codes import ExitCode
from classifier.config import problems
from classifier.config.export import ExportConfig
from classifier.config.formats import FORMATS
from classifier.export import checks, graph_def, labels, model_card, samples
from classifier.export.job import Job
from classifier.inference.model import InferenceModel
from classifier.resolve import warnings
from classifier.resolve.export import ResolvedExport, check_export, export
from classifier.resolve.graph import graph
from slim import _ownership, _paths, signals

# Enough to see whether the answers are the same, and to see a loss of one point.
_CHECK_IMAGES, _MEASURED_IMAGES = 16, 100
_CALIBRATION_IMAGES = 200


def run(config: ExportConfig) -> ExitCode | None:
    """Writes the formats asked for, or a GraphDef without weights, and prints where they are.

    Args:
      config: the options of `export_inference_graph.py`.

    Raises:
      UserError: if the checkpoint is not the model's, a version folder exists, `output_dir` or
        `output_file` holds what no export wrote, an extra is not
        installed, options do not fit each other, or `eval_json` is of another checkpoint; nothing
        is written then.
      RunError: if an export does not give the checkpoint's answers; it is not kept, while the
        formats before it are, with labels and model card.
    """
    if config.run.checkpoint_path is None:
        ownership.check_output("output_file", config.run.output_file)
        graph_def.write(graph(config))
        return None
    check_export(config)
    checkpoint = sources.open_checkpoint(config.run.checkpoint_path)
    resolved = export(config, checkpoint.info, checkpoint.head_classes)
    classifier = InferenceModel(
        resolved.model, checkpoint, resolved.image_size, config.run.num_frames
    )
    numbers = model_card.measured(
        config.run.eval_json, checkpoint.run, classifier.prefix, classifier.step
    )
    output_dir = str(config.run.output_dir)
    ownership.claim_export(output_dir)
    _paths.sweep_scratch(output_dir)
    _ownership.check_entries(output_dir, files=("labels.txt",), directories=("saved_model",))
    job = _job(resolved, checkpoint, classifier)
    for name in resolved.formats:
        job.target(name)  # all of them, before the first is written
    said = model_card.summary(classifier, config.run.final_endpoint)
    print(f"{resolved.model.model_name} {classifier.prefix} {said}")
    for warning in _warnings(resolved, classifier, numbers):
        print(f"warning: {problems.as_flags(warning)}", flush=True)
    found: dict[str, checks.Exported] = {}
    with _released_if_empty(output_dir), _paths.scratch_directory(output_dir) as scratch:
        # Written first: a format without its labels is of little use, and renaming takes no space.
        has_labels = config.run.final_endpoint is None
        labels_path = labels.write(resolved.model, scratch) if has_labels else None
        try:
            with signals.noted(lambda: f"Formats that are complete: {', '.join(found) or 'none'}"):
                for name in resolved.formats:
                    exported = found[name] = _write(name, job)
                    print(f"{name} {exported.path} {exported.comparison}", flush=True)
        finally:
            if found:  # what was kept is to be used, whatever became of the rest
                _finish(job, found, numbers, labels_path)
    return None


@contextlib.contextmanager
def _released_if_empty(output_dir: str) -> Iterator[None]:
    """Removes the directory's mark in the end if the block wrote nothing."""
    try:
        yield
    finally:
        if set(os.listdir(output_dir)) == {_ownership.MARK}:
            _ownership.release(output_dir)


def _write(name: str, job: Job) -> checks.Exported:
    """Writes a format, by the function in its row."""
    row = FORMATS[name]
    module = importlib.import_module(f".{row.module}", __package__)
    exported: checks.Exported = getattr(module, row.function)(job)
    return exported


def _finish(
    job: Job,
    found: Mapping[str, checks.Exported],
    numbers: model_card.Measured | None,
    labels_path: str | None,
) -> None:
    """Moves the labels next to the formats, writes the model card, and prints how the formats are
    called."""
    if labels_path is not None:
        path = os.path.join(str(job.options.output_dir), os.path.basename(labels_path))
        os.replace(labels_path, path)
        print(f"labels {path}")
    others = tuple(job.present(but=found))
    if others:
        print(f"of an earlier export, and left as they are: {', '.join(others)}")
    card_path = model_card.write(job, found, numbers, others)
    print(f"model card {card_path}" if card_path else "model card: yours is left as it is")
    for exported in found.values():
        print(f"\n{exported.usage}" if exported.usage else "", flush=True)


def _warnings(
    resolved: ResolvedExport, classifier: InferenceModel, numbers: model_card.Measured | None
) -> Iterator[str]:
    if resolved.is_described:
        yield from warnings.of_checkpoint(
            classifier.prefix, resolved.model, resolved.image_size, classifier.unused_averages
        )
    if numbers is not None and numbers.doubt:
        yield numbers.doubt


def _job(
    resolved: ResolvedExport, checkpoint: sources.OpenedCheckpoint, classifier: InferenceModel
) -> Job:
    """Reads the images that the formats need."""
    options, info = resolved.config.run, resolved.model
    wanted = [FORMATS[name] for name in resolved.formats]
    usual = _MEASURED_IMAGES if any(each.measured for each in wanted) else _CHECK_IMAGES
    folder, count = str(resolved.config.data.dataset_dir), options.check_images or usual
    if resolved.dataset is None:
        return Job(classifier, checkpoint.run, options, samples.embedded(info, count))
    name, split_name = resolved.dataset
    limit = options.max_pixels
    real = samples.drawn(inputs.open_dataset(name, split_name, folder, limit), info, count)
    if not any(each.calibrated for each in wanted):
        return Job(classifier, checkpoint.run, options, real)
    training = inputs.open_dataset(name, "train", folder, limit)
    count = options.calibration_images or _CALIBRATION_IMAGES
    return Job(classifier, checkpoint.run, options, real, samples.drawn(training, info, count))
