"""A queue of prefetched tensors, such as batches, in a plain `tf.Graph`."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from slim import _checks, graph

__all__ = ["prefetch_queue"]


def prefetch_queue(
    tensors: Sequence[tf.Tensor] | Mapping[str, tf.Tensor],
    capacity: int = 8,
    num_threads: int = 1,
    dynamic_pad: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> tf.queue.QueueBase:
    """Returns a queue of tensors, so that a step does not wait for their computation.

    Its queue runner is added to the graph's collection.

    Example:
      batches = slim.prefetch_queue.prefetch_queue([images, labels])
      images, labels = batches.dequeue()

    Args:
      tensors: the tensors of one element, in a list or by name.
      capacity: maximum number of elements.
      num_threads: number of threads that fill the queue.
      dynamic_pad: whether shapes may have unknown dimensions, which elements that are dequeued
        together are padded to.
      shared_name: name under which sessions share the queue.
      name: name scope of the ops.

    Returns:
      A queue whose `dequeue()` returns tensors like `tensors`.

    Raises:
      UserError: in eager code.
    """
    if not graph.in_graph():
        raise _checks.UserError(
            "prefetch_queue works in a plain tf.Graph only. In eager code, use"
            " tf.data.Dataset.prefetch(buffer_size)"
        )
    from slim.graph import record_queues

    return record_queues.prefetch_queue(
        tensors, capacity, num_threads, dynamic_pad, shared_name, name
    )
