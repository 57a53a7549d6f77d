"""What an export has to pass before it is kept: the checkpoint's logits on the same images."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from classifier import model
from slim import _checks

# Largest difference of a logit between checkpoint and export, as a share of the largest logit.
TOLERANCE = 1e-5
CHECKED_IMAGES = 8


@dataclasses.dataclass(frozen=True)
class Exported:
    """One file or folder that was written.

    Attributes:
      path: where it stands.
      difference: largest difference of a logit from the checkpoint's.
      usage: how it is called, as Markdown.
    """

    path: str
    difference: float
    usage: str = ""


def random_images(classifier: model.InferenceModel, batch_size: int | None) -> tf.Tensor:
    """Returns preprocessed images that are always the same noise; 8 where any number will do."""
    shape = [batch_size or CHECKED_IMAGES, *classifier.image_shape]
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, shape), tf.float32)


def difference(
    classifier: model.InferenceModel,
    call: Callable[[tf.Tensor], tf.Tensor],
    given: tf.Tensor,
    prepare: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    output: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> float:
    """Returns the largest difference of a logit between the checkpoint and an export.

    Args:
      classifier: the checkpoint.
      call: the export, from what it takes to logits.
      given: what the export takes.
      prepare: turns it into what the network takes, [batch, height, width, channels].
      output: what the checkpoint makes of that; default: its logits.

    Raises:
      RunError: if it is above the tolerance.
    """

    def answer(x: tf.Tensor) -> tf.Tensor:
        return output(prepare(x)) if output else classifier(prepare(x))["logits"]

    wanted = tf.function(answer, autograph=False)(given).numpy()
    found = float(np.abs(call(given).numpy() - wanted).max())
    scale = max(1.0, float(np.abs(wanted).max()))
    if not found <= TOLERANCE * scale:
        raise _checks.RunError(
            f"the export differs from {classifier.prefix} by {found:.1e} at logits up to "
            f"{scale:.3g}; at most {TOLERANCE * scale:.1e} is allowed, so it was not kept"
        )
    return found
