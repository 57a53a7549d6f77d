"""Training batches."""

import functools

import numpy as np
import tensorflow as tf

from classifier import inputs
from classifier.config import problems
from classifier.config.training import TrainConfig
from classifier.inputs import preprocessing
from classifier.resolve import cluster
from classifier.resolve.training import ResolvedRun
from slim import learning
from slim.data.dataset import Dataset


class TrainingBatches:
    """The batches of a run, for all clones of this worker.

    Call it with a step to get the batches from that step on.

    Args:
      resolved: the run.
      dataset: the split to train on.
      workers: the workers that share each batch.

    Attributes:
      bad_images: record of the skipped images, or None if bad images are an error.

    Raises:
      UserError: if there is not enough space for the cache.
      RunError: if a shard is truncated, or a large image exceeds a limit and bad images are an
        error.
    """

    def __init__(
        self,
        resolved: ResolvedRun,
        dataset: Dataset,
        workers: cluster.Cluster = cluster.ALONE,
    ) -> None:
        config = resolved.config
        self.bad_images = inputs.BadImages() if config.bad_images.is_skipping else None
        if self.bad_images is None:
            inputs.check_large_images(dataset)
        self._resolved = resolved
        self._dataset = dataset
        self._workers = workers
        self._cache = inputs.Cache(dataset, config.data.cache)

    @property
    def in_place(self) -> bool:
        """Whether images are read in place, not from TFRecords."""
        return self._dataset.record_source is not None

    @functools.cached_property
    def _index(self) -> inputs.Index | None:
        """Positions of each class's records, for balanced sampling."""
        is_balanced = self._resolved.config.data.balanced_sampling
        if not is_balanced:
            return None
        with inputs.translate_errors(self._dataset):
            return inputs.index_records(self._dataset)

    def __call__(self, first_step: int) -> tf.data.Dataset:
        """Returns the batches from a step on.

        With parameter servers, all of them, of which each worker trains on some.
        """
        if self._workers.servers:
            return self._of_worker(first_step, (0, 1))
        worker = (self._workers.task, max(1, len(self._workers.hosts)))
        return self._of_worker(first_step, worker)

    def of_servers_worker(self, first_step: int) -> tf.data.Dataset:
        """Returns the batches of the worker that calls it, which reads every n-th of n workers.

        With parameter servers; steps have no fixed order.
        """
        index = tf.distribute.coordinator.experimental_get_current_worker_index()
        count = len(self._workers.workers)
        batches = self._of_worker(first_step // count, (index, count), count)
        options = tf.data.Options()
        # They would take minutes: on another machine, each function is optimized once for each
        # function that contains it, at every level.
        options.experimental_optimization.apply_default_optimizations = False
        return batches.with_options(options)

    def _of_worker(
        self, first: int, worker: tuple[int | tf.Tensor, int], batches: int = 1
    ) -> tf.data.Dataset:
        """Returns a worker's part of all elements from `first` on, of several batches each."""
        resolved = self._resolved
        size = resolved.global_batch_size * batches
        config, info = resolved.config, resolved.model
        prepare = preprocessing.preprocessing_fn(
            info,
            is_training=True,
            distort=preprocessing.augmentation_fn(config.augmentation),
            **config.augmentation.switches,
        )
        return inputs.training_dataset(
            self._dataset,
            preprocessing_fn=prepare,
            image_size=info.image_size,
            batch_size=size,
            seed=config.run.seed,
            start_index=first * size,
            labels_offset=info.labels_offset,
            num_classes=info.num_classes,
            num_readers=config.data.num_readers,
            num_preprocessing_threads=config.data.num_preprocessing_threads,
            shuffle_buffer_mb=config.data.shuffle_buffer_mb,
            balanced=self._index,
            mixing=_mixing(config),
            skipped=self.bad_images,
            cache=self._cache,
            data_service=config.data.data_service,
            worker=worker,
        )

    def batch(self, number: int) -> dict[str, np.ndarray]:
        """Returns a batch by its number: the step, plus the batches that rollbacks skipped."""
        return {name: part.numpy() for name, part in next(iter(self(number))).items()}

    def last_batch(self, run: learning.Run) -> dict[str, np.ndarray]:
        """Returns the batch of a run's last step, or the first clone's part of it."""
        if run.train_op.kept_batch is not None:
            return run.train_op.kept_batch.value()
        return self.batch_of_step(run.step - 1)  # parameter servers: the workers have the batches

    def batch_of_step(self, step: int) -> dict[str, np.ndarray]:
        """Returns the batch that follows a number of completed steps."""
        return self.batch(step + self._skipped(step))

    def upcoming(self, steps_done: int) -> tf.data.Dataset:
        """Returns the encoded records that follow a number of completed steps."""
        config = self._resolved.config
        number = steps_done + self._skipped(steps_done)
        return inputs.training_records(
            self._dataset,
            seed=config.run.seed,
            start_index=number * self._resolved.global_batch_size,
            num_readers=config.data.num_readers,
            shuffle_buffer_mb=config.data.shuffle_buffer_mb,
            balanced=self._index,
        )

    def _skipped(self, step: int) -> int:
        directory = self._resolved.config.run.train_dir
        return learning.NanRestores(directory, 0).skipped(step)

    def describe(self, number: int) -> str:
        """Returns a sentence with the first examples of a batch and the range of its pixels."""
        batch = self.batch(number)
        records = ", ".join(
            f"{self._dataset.shard_names[shard]} record {record}"
            for shard, record in zip(batch["shard"][:4], batch["record"][:4], strict=True)
        )
        low, high = float(batch["image"].min()), float(batch["image"].max())
        return f"First records of the batch: {records}; pixel range: {low:.4g} to {high:.4g}"


def check_bad_images(config: TrainConfig, workers: cluster.Cluster) -> None:
    """Raises UserError if bad images are skipped but this process does not read all images."""
    skip = problems.named("on_bad_image", "skip")
    if config.bad_images.is_skipping and config.data.data_service is not None:
        raise problems.error("{} cannot be used with {}", skip, problems.named("data_service"))
    if config.bad_images.is_skipping and len(workers.hosts) > 1:
        raise problems.error("{} supports a single worker only", skip)


def _mixing(config: TrainConfig) -> inputs.Mixing | None:
    options = config.augmentation
    if not options.mixup_alpha and not options.cutmix_alpha:
        return None
    return inputs.Mixing(
        seed=config.run.seed,
        clones=config.strategy.num_clones,
        mixup_alpha=options.mixup_alpha,
        cutmix_alpha=options.cutmix_alpha,
    )
