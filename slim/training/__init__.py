"""Training and evaluation with monitored sessions, in a plain `tf.Graph`.

`slim.training` has the functions of `slim.training.training`; `slim.train_eval` is
`slim.training.evaluation`.
"""

from slim.training import evaluation, training
from slim.training.training import (
    add_gradients_summaries,
    clip_gradient_norms,
    clip_gradient_norms_fn,
    create_train_op,
    multiply_gradients,
    train,
)

__all__ = [
    "add_gradients_summaries", "clip_gradient_norms", "clip_gradient_norms_fn", "create_train_op",
    "evaluation", "multiply_gradients", "train", "training",
]  # fmt: skip
