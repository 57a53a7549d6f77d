"""Advice when a device has not enough memory; test_bad_input.py has a run of it."""

import pytest
import tensorflow as tf

from classifier.training import run

SAME_BATCH = "--batch_size=8 --accumulate_steps=2 keeps the same global batch"
OTHERS = "a smaller --train_image_size, --recompute_gradients, or --trainable_scopes"


@pytest.mark.parametrize(
    "batch_size, advice",
    [
        (16, f"--batch_size=8, {OTHERS} ({SAME_BATCH})"),
        # 33 images are not two equal batches, and a batch of one image cannot be smaller.
        (33, f"--batch_size=16, {OTHERS}"),
        (1, OTHERS),
    ],
)
def test_message_says_what_to_reduce(resolved, batch_size, advice):
    error = tf.errors.ResourceExhaustedError(
        None, None, "OOM when allocating tensor with shape[8,9] and type float"
    )
    assert run._out_of_memory(resolved(batch_size=batch_size), error) == (
        f"out of memory with lenet at batch_size={batch_size}, 28x28 images"
        " (OOM when allocating tensor with shape[8,9])."
        f" Try {advice}; the last checkpoint is intact"
    )
