"""Evaluation: a checkpoint's metrics on a split, each image counted once."""

import contextlib
import dataclasses
import functools
import io
import sys
from collections.abc import Callable, Mapping, Sequence

from classifier import inputs, label_kinds, ownership
from classifier.checkpoints import sources
from classifier.checkpoints.sources import OpenedCheckpoint
from classifier.cli.exit_codes import ExitCode
from classifier.cluster import facts, watch
from classifier.config.evaluation import EvalConfig
from classifier.config.problems import Problem, named
from classifier.inference import (
    calibrate,
    calibration,
    checkpoint_series,
    evaluation_files,
    metrics,
)
from classifier.inference import evaluation_tables as tables
from classifier.inference.precise_batch_norm import PreciseBatchNorm
from classifier.inference.results import Details, Result
from classifier.inference.split_evaluation import SplitEvaluation
from classifier.inputs import preprocessing
from classifier.resolve import cluster, published_model
from classifier.resolve.cluster import Cluster
from classifier.resolve.evaluation import ResolvedEvaluation, check_workers, evaluation
from deployment.strategies import split_cpu
from slim import signals

_TRAINING_SPLIT = "train"
_AGAIN = "Start the same commands again"
_MIN_GAIN = 0.02  # of the score, for the warning
_UNSETTLED = Problem(
    "batch norm's moving averages have not converged. Train longer, or with a lower {}; when"
    " fine-tuning, with {}",
    named("batch_norm_decay"),
    named("freeze_batch_norm"),
)


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """An evaluated checkpoint.

    Attributes:
      on_split: the model, the split and the resolved options.
      checkpoint: the checkpoint, and its run.
      evaluations: metrics by the prefix of their names; the first, with an empty one, are those of
        the weights that prediction uses, unless the options select others.
      details: scores of the classes, confusions and, if kept, the answers to the images.
      skipped: images that could not be decoded.
    """

    on_split: SplitEvaluation
    checkpoint: OpenedCheckpoint
    evaluations: Mapping[str, Result]
    details: Details
    skipped: Sequence[inputs.BadImage]


def run(config: EvalConfig, report: Callable[[Evaluated], None] | None = None) -> ExitCode | None:
    """Evaluates one checkpoint, or those of a run, and prints the metrics.

    Args:
      config: the options of `eval_image_classifier.py`.
      report: writes the report of a checkpoint.

    Raises:
      UserError: if there is no checkpoint or data, they do not match the model, or an output file
        exists that no evaluation wrote.
      RunError: if the checkpoint or the data cannot be read, or the logits are not finite.
    """
    config = published_model.of_trained(config)
    options = config.run
    if line := published_model.in_words(options.checkpoint_path):
        print(line)
    ownership.check_output("eval_json", options.eval_json)
    ownership.check_output("predictions_csv", options.predictions_csv)
    if options.split_cpu:
        split_cpu(options.split_cpu)
    workers = cluster.resolve(config.workers)
    check_workers(config, workers)
    if options.eval_loop or options.is_sweep:
        checkpoint_series.run(config)
        return None

    def write(evaluated: Evaluated) -> None:
        _write(evaluated)
        if report is not None:
            report(evaluated)

    try:
        evaluate_checkpoint(config, workers, write)
    except signals.Preempted as stopped:  # another worker was
        print(stopped, file=sys.stderr)
        return ExitCode.PREEMPTED
    return None


def evaluate_checkpoint(
    config: EvalConfig,
    workers: Cluster = cluster.ALONE,
    write: Callable[[Evaluated], None] | None = None,
) -> Evaluated:
    """Evaluates one checkpoint and prints the metrics; the first worker does so.

    Args:
      config: the options of `eval_image_classifier.py`.
      workers: that evaluate in parallel, each its part of every batch.
      write: writes the results.

    Raises:
      UserError, RunError: as `run`.
    """
    options = config.run
    checkpoint = sources.open_checkpoint(str(options.checkpoint_path or options.train_dir))
    if options.calibrate:
        calibration.check(checkpoint)
    resolved = evaluation(config, checkpoint.info, checkpoint.run)
    own_facts = functools.partial(facts.of_evaluation, resolved, checkpoint.prefix)
    with watch.joined(workers, config.workers, own_facts, _AGAIN), contextlib.ExitStack() as stack:
        if workers.task:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        evaluated = _evaluate(resolved, checkpoint, workers)
        if write is not None and not workers.task:
            write(evaluated)
    return evaluated


def _evaluate(
    resolved: ResolvedEvaluation, checkpoint: OpenedCheckpoint, workers: Cluster
) -> Evaluated:
    options = resolved.config.run
    kind = label_kinds.kind_of(resolved.model)
    fit = calibration.TemperatureFit(kind) if options.calibrate else None
    on_split = SplitEvaluation(
        resolved,
        checkpoint,
        keep_outcomes=options.keeps_outcomes,
        further=[fit] if fit else [],
        workers=workers,
    )
    events_dir = evaluation_files.directory_of_events(options, checkpoint.run)
    if not workers.task:
        ownership.check_evaluation(events_dir, options.eval_dir is None)
    recalibrate = _recalibration(on_split)
    tables.report_start(on_split)
    if fit:
        on_split.classifier.without_calibration()
    evaluations: dict[str, Result] = {}
    for key, result in on_split.evaluate_each():
        if not evaluations:
            details = on_split.evaluator.details()
        evaluations[key] = result
        tables.report(key, result, resolved)
    if len(evaluations) > 1:
        print(tables.side_by_side({tables.WEIGHTS[k]: each for k, each in evaluations.items()}))
    skipped = on_split.newly_skipped()
    tables.report_skipped(skipped)
    if fit:
        evaluations["calibrated_"] = calibrate.run(fit, on_split, checkpoint, evaluations[""])
        details = on_split.evaluator.details()
    if recalibrate is not None:
        recalibrate()
        evaluations["recalibrated_"] = on_split.evaluate()
        _report_recalibrated(evaluations["recalibrated_"], evaluations[""], resolved)
    return Evaluated(on_split, checkpoint, evaluations, details, skipped)


def _recalibration(on_split: SplitEvaluation) -> Callable[[], None] | None:
    """Returns a function that recomputes batch norm's statistics on training images, if enabled."""
    resolved = on_split.resolved
    config, info = resolved.config, resolved.model
    if not config.run.recalibrate_batch_norm:
        return None
    recalibration = PreciseBatchNorm(on_split.classifier)
    dataset = inputs.open_dataset(
        resolved.location,
        _TRAINING_SPLIT,
        config.data.max_pixels,
        info,
    )
    batches = inputs.training_dataset(
        dataset,
        preprocessing_fn=preprocessing.preprocessing_fn(info, is_training=True),
        image_size=resolved.image_size,
        batch_size=config.run.batch_size,
        seed=0,
        labels_offset=info.labels_offset,
        num_classes=info.num_classes,
        num_preprocessing_threads=config.data.num_preprocessing_threads,
    )

    def recalibrate() -> None:
        with inputs.translate_errors(dataset):
            number = config.run.recalibrate_batch_norm
            recalibration(batches.take(number), number)

    return recalibrate


def _report_recalibrated(result: Result, before: Result, resolved: ResolvedEvaluation) -> None:
    options = resolved.config.run
    print(
        f"With batch norm statistics of {options.recalibrate_batch_norm} batches of"
        f" {options.batch_size} images of {_TRAINING_SPLIT} instead of its moving averages:"
    )
    metrics.report(result, resolved.split_name, resolved.num_samples)
    if result.score - before.score > _MIN_GAIN:
        print(f"warning: {_UNSETTLED.as_flags}", flush=True)


def _write(evaluated: Evaluated) -> None:
    """Writes the files that the options name."""
    resolved, classifier = evaluated.on_split.resolved, evaluated.on_split.classifier
    options, names = resolved.config.run, classifier.info.class_names
    details = evaluated.details
    values = evaluation_files.metric_values(evaluated.evaluations)
    if options.eval_json is not None:
        evaluation_files.write_json(
            options.eval_json,
            evaluation_files.description(evaluated.on_split, classifier.prefix, classifier.step)
            | values
            | evaluation_files.intervals(evaluated.evaluations)
            | {
                "num_skipped": len(evaluated.skipped),
                "classes": evaluation_files.class_rows(details.scores, names),
                "confusions": evaluation_files.confusion_rows(details.confusions, names),
            },
        )
    events = evaluation_files.Events(options, evaluated.checkpoint.run)
    events.write(classifier.step or 0, resolved.split_name, values)
    events.close()
    if options.predictions_csv is not None:
        assert details.outcomes is not None, "kept for this"
        shard_names = evaluated.on_split.dataset.shard_names
        evaluation_files.write_predictions(
            options.predictions_csv, details.outcomes, names, shard_names
        )
