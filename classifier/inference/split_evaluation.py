"""Evaluates checkpoints of one model on one split."""

import functools
from collections.abc import Iterator, Sequence

import tensorflow as tf

from classifier import inputs, label_kinds
from classifier.checkpoints.names import AVERAGE, kind_of
from classifier.checkpoints.sources import OpenedCheckpoint
from classifier.config import problems
from classifier.config.problems import named
from classifier.inference import clones
from classifier.inference.metrics import Evaluator
from classifier.inference.model import InferenceModel
from classifier.inference.results import LogitsMetric, Result
from classifier.inference.views import Views, prepared_size
from classifier.inputs import preprocessing
from classifier.resolve.cluster import ALONE, Cluster
from classifier.resolve.evaluation import ResolvedEvaluation


class SplitEvaluation:
    """Evaluates checkpoints of one model on one split.

    Attributes:
      resolved: the evaluation.
      dataset: the split.
      classifier: the model, with the weights of the last checkpoint.
      evaluator: has the scores, confusions and outcomes of the last evaluation.

    Args:
      resolved: the evaluation.
      checkpoint: the first checkpoint.
      keep_outcomes: whether to keep the answer to each image.
      further: metrics to update as well.
      workers: that evaluate in parallel, each its part of every batch.

    Raises:
      UserError: if the checkpoint is not this model's, or has no averages that the options require.
    """

    def __init__(
        self,
        resolved: ResolvedEvaluation,
        checkpoint: OpenedCheckpoint,
        *,
        keep_outcomes: bool = False,
        further: Sequence[LogitsMetric] = (),
        workers: Cluster = ALONE,
    ) -> None:
        self.resolved = resolved
        self._workers = workers
        config = resolved.config
        self._skipped = inputs.BadImages() if config.data.on_bad_image == "skip" else None
        self._check_averages(checkpoint)
        self.dataset = inputs.open_dataset(
            resolved.location,
            resolved.split_name,
            config.data.max_pixels,
            resolved.model,
        )
        options = config.run
        strategy = clones.strategy_of(
            options.num_clones, options.clone_on_cpu, options.batch_size, workers
        )
        with strategy.scope():
            self.classifier = InferenceModel(
                resolved.model,
                checkpoint,
                resolved.image_size,
                use_averages=next(iter(resolved.key_of_weights)),
            )
        call = self.classifier
        if options.has_views:
            call = Views(self.classifier, options.num_crops, options.flip)
        gather = None
        if strategy.num_replicas_in_sync > 1:
            call = clones.Clones(call, strategy)
            gather = call.gathered if workers.hosts else None
        self.evaluator = Evaluator(
            self.classifier, call, keep_outcomes=keep_outcomes, further=further, gather=gather
        )
        self._checkpoint = checkpoint

    def restore(self, checkpoint: OpenedCheckpoint) -> None:
        """Restores another checkpoint of the same run."""
        self._check_averages(checkpoint)
        self._checkpoint = checkpoint
        self.classifier.reload(checkpoint, next(iter(self.resolved.key_of_weights)))

    def _check_averages(self, checkpoint: OpenedCheckpoint) -> None:
        choice = self.resolved.config.run.use_averages
        if choice in ("true", "both") and AVERAGE not in map(kind_of, checkpoint.variables()):
            raise problems.error(
                "{} needs moving averages of the weights, but {} has none",
                named("use_averages", choice),
                checkpoint.prefix,
            )

    def evaluate(self) -> Result:
        """Returns the metrics of the model's current weights."""
        with inputs.translate_errors(self.dataset):
            return self.evaluator(self._batches, self.resolved.num_batches)

    def evaluate_each(self) -> Iterator[tuple[str, Result]]:
        """Yields the metrics of the averages, of the weights themselves, or of both, each with the
        prefix of their names. In the end, the model has the first ones again."""
        for use_averages, key in self.resolved.key_of_weights.items():
            if use_averages != self.classifier.used_averages:
                self.classifier.reload(self._checkpoint, use_averages)
            yield key, self.evaluate()
        if len(self.resolved.key_of_weights) > 1:
            self.restore(self._checkpoint)

    def newly_skipped(self) -> list[inputs.BadImage]:
        """Returns the bad images of the evaluated batches that were not returned before."""
        places = self._skipped.take_new() if self._skipped else []
        if places and self.resolved.num_images < self.resolved.num_samples:
            # Batches that are not evaluated were prefetched.
            first, end = inputs.first_positions(self.dataset), self.resolved.num_images
            places = [place for place in places if first[place[0]] + place[1] < end]
        return [inputs.describe_bad_image(self.dataset, *place) for place in places]

    @functools.cached_property
    def _batches(self) -> tf.data.Dataset:
        resolved, info = self.resolved, self.resolved.model
        options, mapping = resolved.config.run, resolved.class_map
        batches = inputs.evaluation_dataset(
            self.dataset,
            preprocessing_fn=preprocessing.preprocessing_fn(info, is_training=False),
            image_size=prepared_size(resolved.image_size, options.num_crops),
            batch_size=options.batch_size,
            labels_offset=0 if mapping else info.labels_offset,
            num_classes=self.dataset.num_classes if mapping else info.num_classes,
            num_preprocessing_threads=resolved.config.data.num_preprocessing_threads,
            skipped=self._skipped,
            worker=(self._workers.task, max(1, len(self._workers.hosts))),
        )
        if mapping is None:
            return batches
        kind = label_kinds.kind_of(info)

        def relabeled(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            labels, counts = kind.relabeled(batch["label"], mapping.indices, info.num_classes)
            return batch | {"label": labels, "mask": batch["mask"] & counts}

        return batches.map(relabeled)
