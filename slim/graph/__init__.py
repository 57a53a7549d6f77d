"""Code of TensorFlow 1: slim inside a plain `tf.Graph`.

There the graph is the store. Variables, losses, penalties and updates stand in TensorFlow 1's
collections, and `tf.compat.v1.variable_scope` is slim's scope, so sessions, savers, v1 optimizers
and `tf.compat.v1.losses` see what slim creates, and the other way round. `tf.compat.v1` is used
throughout this package for that reason.
"""

import tensorflow as tf

__all__ = ["KEYS", "in_graph"]

# Names of TensorFlow 1's collections, which `slim.get_variables` and the losses accept in any mode.
KEYS = tf.compat.v1.GraphKeys


def in_graph() -> bool:
    """Returns whether ops are added to a plain `tf.Graph`, directly or in a branch or loop of it.

    False in eager code and in a `tf.function` called from it.
    """
    return not tf.compat.v1.executing_eagerly_outside_functions()
