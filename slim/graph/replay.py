"""Code of a plain graph built a second time, for gradients that recompute."""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from slim.graph import KEYS

v1 = tf.compat.v1


@contextlib.contextmanager
def again(scope: Any) -> Iterator[None]:
    """Enters a variable scope whose variables exist; updates and losses added inside are dropped.

    They already stand in the collections since the code was built first.
    """
    collections = [v1.get_collection_ref(key) for key in (KEYS.UPDATE_OPS, KEYS.LOSSES)]
    lengths = [len(collection) for collection in collections]
    with v1.variable_scope(scope, reuse=True):
        yield
    for collection, length in zip(collections, lengths, strict=True):
        del collection[length:]
