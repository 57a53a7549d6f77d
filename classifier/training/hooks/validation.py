"""Evaluation during training, with the best checkpoint and early stopping."""

import dataclasses
import functools
import os
import time
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import tensorflow as tf

from classifier import inputs
from classifier.headlines import headline
from classifier.inference.metrics import Evaluator, report
from classifier.inference.model import InferenceModel
from classifier.inference.results import Result
from classifier.inputs import preprocessing
from classifier.metrics_file import MetricsFile
from classifier.resolve.training import ResolvedRun
from classifier.run_directory import RunDirectory
from slim import checkpoints, learning
from slim.data.dataset import Dataset
from slim.events import EventFile


class Validation(learning.Hook):
    """Evaluates a new checkpoint at regular intervals, as `eval_image_classifier.py` does.

    A run that is killed during an evaluation repeats it when it is resumed.

    Args:
      resolved: the run.
      dataset: the split to evaluate on.
      metrics: the run's metrics.jsonl, from which a resumed run reads earlier evaluations.
    """

    def __init__(
        self,
        resolved: ResolvedRun,
        dataset: Dataset,
        metrics: MetricsFile,
    ) -> None:
        self._resolved = resolved
        self._dataset = dataset
        self._metrics = metrics
        self._options = resolved.config.validation
        self._headline = headline(resolved.model.multi_label)
        self._skipped = inputs.BadImages() if resolved.config.bad_images.is_skipping else None
        self._events = EventFile(os.path.join(resolved.config.run.train_dir, "eval"))
        self._classifier: InferenceModel | None = None
        self._evaluator: Evaluator | None = None

    def begin(self, run: learning.Run) -> None:
        """Repeats an interrupted evaluation, and stops a run without improvement.

        Raises:
          RunError: if a large image exceeds a limit and bad images are not skipped.
        """
        if self._skipped is None:
            inputs.check_large_images(self._dataset)
        if run.restored is not None and self._is_due(run, self._last_evaluated()):
            self._evaluate(run)
        self._stop_without_improvement(run)

    def evaluate_start(self, run: learning.Run) -> None:
        """Evaluates a run before its first step, unless that was done."""
        if not self._metrics.evaluations():
            self._evaluate(run)

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Evaluates if it is due, and at the end."""
        if self._is_due(run, run.step - len(numbers["loss"])):
            self._evaluate(run)
            self._stop_without_improvement(run)

    def _is_due(self, run: learning.Run, before: int) -> bool:
        every = self._resolved.eval_every_steps
        is_last = run.step == run.number_of_steps and run.step > before
        return run.step // every > before // every or is_last

    def _last_evaluated(self) -> int:
        return max((line["step"] for line in self._metrics.evaluations()), default=0)

    def _evaluate(self, run: learning.Run) -> None:
        checkpoint = checkpoints.read(run.save())
        has_averages = self._resolved.model.moving_average_decay is not None
        evaluation = self._measure(checkpoint, use_averages=has_averages)
        self._report_skipped()
        raw = self._measure(checkpoint, use_averages=False) if has_averages else None
        values = dataclasses.asdict(evaluation)
        if raw is not None:
            values |= raw.raw_values()
        best = run.checkpoints.save_best(
            run.step,
            run.train_op.store.named_variables,
            self._headline.key,
            evaluation.score,
            known_values=dict(self._scores()),
        )
        self._describe_best(run, is_new=best is not None)
        epoch = round(run.step / self._resolved.steps_per_epoch, 4)
        line = {f"eval_{name}": value for name, value in values.items()}
        self._metrics.append({"step": run.step, "epoch": epoch, **line, "time": time.time()})
        split = self._options.eval_split_name
        scalars = {f"{split}/{name}": value for name, value in values.items()}
        self._events.scalars(run.step, scalars)
        self._events.flush()
        print(f"step {run.step} evaluated on {split}{', best so far' if best else ''}")
        report(evaluation, split, self._dataset.num_samples)
        if raw is not None:
            print(f"without moving averages: {raw.headline.words} {raw.score:.3f}", flush=True)

    def _scores(self) -> list[tuple[int, float]]:
        """Returns step and score of each evaluation, oldest first."""
        key = self._headline.key
        lines = cast(list[Mapping[str, Any]], self._metrics.evaluations())
        return [(line["step"], line[key]) for line in lines if key in line]

    def _describe_best(self, run: learning.Run, is_new: bool) -> None:
        """Writes model_info.json next to the best checkpoint.

        It also does so if the run was killed between the two: the repeated evaluation is not better
        than the checkpoint itself.
        """
        directory = run.checkpoints.directory
        best = RunDirectory(os.path.join(directory, "best"))
        exists = checkpoints.best(directory) is not None
        if is_new or (exists and best.read_model_info() is None):
            best.write_model_info(self._resolved.model.with_versions(tensorflow=tf.__version__))

    def _measure(self, checkpoint: checkpoints.Source, use_averages: bool) -> Result:
        if self._classifier is None or self._evaluator is None:
            self._classifier = InferenceModel(self._resolved.model, checkpoint)
            self._evaluator = Evaluator(self._classifier)
        else:
            self._classifier.reload(checkpoint, use_averages)
        batches = self._batches
        with inputs.translate_errors(self._dataset):
            return self._evaluator(batches, int(batches.cardinality()))

    @functools.cached_property
    def _batches(self) -> tf.data.Dataset:
        data, info = self._resolved.config.data, self._resolved.model
        return inputs.evaluation_dataset(
            self._dataset,
            preprocessing_fn=preprocessing.preprocessing_fn(info, is_training=False),
            image_size=info.image_size,
            batch_size=data.batch_size,
            labels_offset=info.labels_offset,
            num_classes=info.num_classes,
            num_preprocessing_threads=data.num_preprocessing_threads,
            skipped=self._skipped,
        )

    def _report_skipped(self) -> None:
        for place in self._skipped.take_new() if self._skipped else ():
            bad = inputs.describe_bad_image(self._dataset, *place)
            print(f"skipped image in evaluation: {bad}", flush=True)

    def end(self, run: learning.Run) -> None:
        """Closes the event file, and logs why the run stopped early, if it did."""
        self._events.close()
        if run.stop_reason is not None:
            print(f"stopped early at step {run.step}: {run.stop_reason}", flush=True)

    def _stop_without_improvement(self, run: learning.Run) -> None:
        patience, scores = self._options.early_stopping_patience, self._scores()
        if not patience or not scores:
            return
        best_step, best = max(scores, key=lambda each: each[1])  # the first, if several are equal
        since = sum(step > best_step for step, _ in scores)
        if since >= patience:
            run.stop_reason = (
                f"{self._headline.words} did not improve in {since} evaluations"
                f" (best {best:.3f} at step {best_step})"
            )


class StartingPoint(learning.Hook):
    """Saves and evaluates the starting point of a run, which may be better than all later ones.

    It must come after the hook that writes config.json, so that the checkpoint is never without.
    """

    def __init__(self, validation: Validation | None) -> None:
        self._validation = validation

    def begin(self, run: learning.Run) -> None:
        """Saves and evaluates a new run, or one that was killed in between."""
        if run.step == 0:
            run.save()
            if self._validation is not None:
                self._validation.evaluate_start(run)
