"""Runs an export; each format is checked against the checkpoint before it is kept."""

import contextlib
import importlib
import os
from collections.abc import Iterable, Iterator, Mapping

from classifier import inputs, ownership
from classifier.checkpoints import sources
from classifier.cli.exit_codes import ExitCode
from classifier.config import problems
from classifier.config.export import ExportConfig
from classifier.config.formats import FORMATS
from classifier.export import checks, graph_def, labels, model_card, samples
from classifier.export.job import Job
from classifier.inference.model import InferenceModel
from classifier.resolve import published_model, warnings
from classifier.resolve.export import ResolvedExport, check_export, export
from classifier.resolve.graph import graph
from classifier.run_directory import MODEL_INFO_FILE, RunDirectory
from slim import _ownership, _paths, signals

# Enough to detect different outputs, and a loss of one percentage point.
_CHECK_IMAGES, _ACCURACY_IMAGES = 16, 100
_CALIBRATION_IMAGES = 200


def run(config: ExportConfig) -> ExitCode | None:
    """Exports the selected formats, or a GraphDef without weights, and prints their paths.

    Args:
      config: options of `export_inference_graph.py`.

    Raises:
      UserError: if the checkpoint does not match the model, the SavedModel's version exists,
        `output_dir` or `output_file` was not written by an export, a package is not installed,
        options conflict, or `eval_json` is of another checkpoint. Nothing is written.
      RunError: if the outputs of an export differ from the checkpoint's. It is not kept; earlier
        formats are, with labels and model card.
    """
    if config.run.checkpoint_path is None:
        ownership.check_output("output_file", config.run.output_file)
        graph_def.write(graph(config))
        return None
    check_export(config)
    config = published_model.of_trained(config)
    if line := published_model.in_words(config.run.checkpoint_path):
        print(line)
    checkpoint = sources.open_checkpoint(config.run.checkpoint_path)
    resolved = export(config, checkpoint.info, checkpoint.head_classes, checkpoint.run)
    classifier = InferenceModel(
        resolved.model, checkpoint, resolved.image_size, config.run.num_frames
    )
    evaluation = model_card.find_evaluation(
        config.run.eval_json, checkpoint.run, classifier.prefix, classifier.step
    )
    output_dir = str(config.run.output_dir)
    ownership.claim_export(output_dir)
    _paths.sweep_scratch(output_dir)
    files = ("labels.txt", MODEL_INFO_FILE)
    _ownership.check_entries(output_dir, files=files, directories=("saved_model", "c_array"))
    job = _job(resolved, checkpoint, classifier)
    for name in resolved.formats:
        job.target(name)  # checks all paths before the first write
    summary = model_card.summary(classifier, config.run.final_endpoint)
    print(f"{resolved.model.model_name} {classifier.prefix} {summary}")
    for warning in _warnings(resolved, classifier, evaluation):
        print(f"warning: {problems.as_flags(warning)}", flush=True)
    exports: dict[str, checks.Exported] = {}
    with _released_if_empty(output_dir), _paths.scratch_directory(output_dir) as scratch:
        # Written first and then renamed, so that no format lacks its labels if space runs out.
        described = _describe(classifier, scratch) if config.run.final_endpoint is None else []
        try:
            with signals.noted(lambda: f"Completed formats: {', '.join(exports) or 'none'}"):
                for name in resolved.formats:
                    exported = exports[name] = _write(name, job)
                    print(f"{name} {exported.path} {exported.comparison}", flush=True)
        finally:
            if exports:  # also if a later format failed
                _finish(job, exports, evaluation, described)
    return None


def _describe(classifier: InferenceModel, directory: str) -> list[tuple[str, str]]:
    """Writes what a caller needs to know of the model; returns kinds and paths of the files."""
    run = RunDirectory(directory)
    run.write_model_info(classifier.exported_info)
    labels_path = labels.write(classifier.info, directory)
    return [("model info", run.model_info_path)] + [("labels", labels_path)] * bool(labels_path)


@contextlib.contextmanager
def _released_if_empty(output_dir: str) -> Iterator[None]:
    """Removes the directory's mark if the block wrote nothing else."""
    try:
        yield
    finally:
        _ownership.release(output_dir)


def _write(name: str, job: Job) -> checks.Exported:
    """Writes a format with the function in its row."""
    row = FORMATS[name]
    module = importlib.import_module(f".{row.module}", __package__)
    exported: checks.Exported = getattr(module, row.function)(job)
    return exported


def _finish(
    job: Job,
    exports: Mapping[str, checks.Exported],
    evaluation: model_card.Evaluation | None,
    described: Iterable[tuple[str, str]],
) -> None:
    """Moves model info and labels to the output directory, writes the model card and prints sample
    code."""
    for kind, source in described:
        path = os.path.join(str(job.options.output_dir), os.path.basename(source))
        os.replace(source, path)
        print(f"{kind} {path}")
    others = tuple(job.earlier_exports(exclude=exports))
    if others:
        print(f"unchanged files of earlier exports: {', '.join(others)}")
    card_path = model_card.write(job, exports, evaluation, others)
    print(f"model card {card_path or 'not overwritten (edited by hand)'}")
    for exported in exports.values():
        print(f"\n{exported.usage}" if exported.usage else "", flush=True)


def _warnings(
    resolved: ResolvedExport, classifier: InferenceModel, evaluation: model_card.Evaluation | None
) -> Iterator[str]:
    if resolved.is_described:
        yield from warnings.of_checkpoint(
            classifier.prefix, resolved.model, resolved.image_size, classifier.unused_averages
        )
    if evaluation is not None and evaluation.warning:
        yield evaluation.warning


def _job(
    resolved: ResolvedExport, checkpoint: sources.OpenedCheckpoint, classifier: InferenceModel
) -> Job:
    """Returns the job, with the images that the formats need."""
    options, info = resolved.config.run, resolved.model
    rows = [FORMATS[name] for name in resolved.formats]
    default = _ACCURACY_IMAGES if any(row.measured for row in rows) else _CHECK_IMAGES
    count = options.check_images or default
    if resolved.dataset is None or resolved.location is None:
        return Job(classifier, checkpoint.run, options, samples.embedded(info, count))
    location, (_, split_name) = resolved.location, resolved.dataset
    limits = options.max_pixels, info
    real = samples.drawn(inputs.open_dataset(location, split_name, *limits), info, count)
    if not any(row.calibrated for row in rows):
        return Job(classifier, checkpoint.run, options, real)
    training = inputs.open_dataset(location, "train", *limits)
    count = options.calibration_images or _CALIBRATION_IMAGES
    return Job(classifier, checkpoint.run, options, real, samples.drawn(training, info, count))
