"""Evaluates a model on a split; each image counts once."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from classifier.inference.model import InferenceModel
from classifier.inference.one_class import OneClassMetrics
from classifier.inference.results import Details, LogitsMetric, Metrics, Result
from classifier.inference.several_classes import SeveralClassesMetrics
from datasets import progress
from slim import _checks

Call = Callable[[tf.Tensor], dict[str, tf.Tensor]]
Gather = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]


class Evaluator:
    """Evaluates a model; traced once, also if the model's weights change.

    Attributes:
      metrics: those of the model's kind of labels, of the last evaluation.

    Args:
      classifier: the model.
      call: function of images to use in place of the model, such as the mean of several views.
      keep_outcomes: whether to keep the answer to each image.
      further: metrics to update as well.
      gather: joins the answers to a batch, and what is known of its images, of several workers that
        each have a part of it; all then have the same metrics.
    """

    def __init__(
        self,
        classifier: InferenceModel,
        call: Call | None = None,
        *,
        keep_outcomes: bool = False,
        further: Sequence[LogitsMetric] = (),
        gather: Gather | None = None,
    ) -> None:
        self._classifier = classifier
        self._call = call or classifier
        self._keep_outcomes, self._further, self._gather = keep_outcomes, further, gather
        kind = SeveralClassesMetrics if classifier.info.multi_label else OneClassMetrics
        self.metrics: Metrics = kind(classifier, keep_outcomes)
        # By the temperature, which is a constant of the traced function.
        self._steps: dict[float | None, Callable[..., tuple[tf.Tensor, dict[str, tf.Tensor]]]] = {}

    def __call__(self, batches: tf.data.Dataset, num_batches: int) -> Result:
        """Returns the metrics over some batches.

        Args:
          batches: from `inputs.evaluation_dataset`.
          num_batches: number of batches.

        Raises:
          RunError: if a logit is not finite; argmax would return a class regardless.
        """
        self.metrics.reset()
        step = self._steps.setdefault(
            self._classifier.temperature, tf.function(self._count, autograph=False)
        )
        with progress.bar(num_batches, "batch", "evaluate", leave=None) as bar:
            for number, batch in enumerate(batches.take(num_batches)):
                is_finite, answers = step(batch)
                if not is_finite:
                    raise _checks.RunError(
                        f"the logits of batch {number} are not finite: the run of"
                        f" {self._classifier.prefix} diverged, or the images are not in the range"
                        " that the network expects"
                    )
                if answers:
                    mask = answers.pop("mask").numpy()
                    rows = {name: value.numpy()[mask] for name, value in answers.items()}
                    self.metrics.keep(rows)
                bar.update()
        result: Result = self.metrics.result()
        return result

    def details(self) -> Details:
        """Returns the details of the last evaluation."""
        return self.metrics.details()

    def _count(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Adds a batch; returns whether its logits are finite, and what to keep of its images."""
        batch = dict(batch)
        outputs = self._call(batch.pop("image"))
        if self._gather is not None:
            if not self._keep_outcomes:
                batch.pop("filename", None)
            values = self._gather(outputs | batch)
            outputs, batch = values, {name: values[name] for name in batch}
        mask = batch["mask"]
        logits = tf.cast(outputs["logits"], tf.float32)
        probabilities = tf.cast(outputs["probabilities"], tf.float32)
        answers = self.metrics.update(logits, probabilities, batch)
        for metric in self._further:
            metric.update(logits, batch["label"], mask)
        is_finite = tf.reduce_all(tf.math.is_finite(tf.boolean_mask(logits, mask)))
        return is_finite, answers | {"mask": mask} if answers else {}


def report(result: Result, split_name: str, num_images: int) -> None:
    """Prints the metrics, the most important one first.

    Args:
      result: the metrics.
      split_name: name of the split.
      num_images: number of images in the split.
    """
    print("\n".join(result.lines(split_name, num_images)), flush=True)


def report_details(result: Result, split_name: str) -> None:
    """Prints the metrics that `report` does not."""
    print("\n".join(result.detail_lines(split_name)), flush=True)


def report_as_tf_slim(result: Result) -> None:
    """Prints the lines of TF-Slim's script, which programs parse."""
    for line in result.tf_slim_lines():
        print(line, flush=True)
