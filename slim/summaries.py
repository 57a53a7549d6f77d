"""Summaries: scalars, histograms and images for TensorBoard.

In a plain graph, each function adds a summary op to the collection `SUMMARIES`. In eager code and
in a `tf.function`, it writes to the current `tf.summary` writer; without one it does nothing.

```python
with tf.summary.create_file_writer("run").as_default(step=train_op.global_step):
    slim.summaries.add_scalar_summary(loss, "loss")
    slim.summaries.add_histogram_summaries(slim.get_model_variables())
```

TensorBoard need not be installed. `tf.compat.v1` is used for the ops of a graph.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from slim.events import histogram, summary_metadata
from slim.graph import in_graph
from slim.passes import current_pass
from slim.variables import get_global_step, get_variable_full_name

__all__ = [
    "add_histogram_summaries",
    "add_histogram_summary",
    "add_image_summaries",
    "add_image_summary",
    "add_scalar_summaries",
    "add_scalar_summary",
    "add_zero_fraction_summaries",
    "add_zero_fraction_summary",
]

Step = int | tf.Tensor | tf.Variable | None
MAX_IMAGES = 3  # images of a batch that are written


def add_histogram_summary(
    tensor: tf.Tensor, name: str | None = None, prefix: str | None = None, *, step: Step = None
) -> tf.Tensor:
    """Adds a histogram of a tensor's values.

    Args:
      tensor: a tensor or variable of any shape, of numbers.
      name: name of the summary; that of the tensor or variable by default. A tensor computed
        eagerly has a name only if it is a named output of the current pass.
      prefix: scope before the name.
      step: training step to write it at, in eager code and in a `tf.function`. By default that of
        the `tf.summary` writer, of the current pass or of the current store.

    Returns:
      In a graph the serialized `Summary`, a string scalar. Otherwise a boolean scalar: whether the
      summary was written.

    Raises:
      ValueError: without a name for a tensor that has none, or if there is a writer but no step.
    """
    name = _summary_name(tensor, name, prefix)
    if in_graph():
        return tf.compat.v1.summary.histogram(name, tensor)
    return _write(name, "histograms", lambda: histogram(tensor), step)


def add_image_summary(
    tensor: tf.Tensor,
    name: str | None = None,
    prefix: str | None = None,
    print_summary: bool = False,
    *,
    step: Step = None,
) -> tf.Tensor:
    """Adds the first images of a batch.

    Args:
      tensor: [batch, height, width, channels], with 1, 3 or 4 channels. uint8 values are written as
        they are; each image of floats is scaled, so that 0 is black, or gray if it has negative
        values.
      name: see `add_histogram_summary`.
      prefix: see `add_histogram_summary`.
      print_summary: also print the values to stderr.
      step: see `add_histogram_summary`.

    Returns:
      See `add_histogram_summary`.

    Raises:
      ValueError: see `add_histogram_summary`.
    """
    name = _summary_name(tensor, name, prefix)
    if in_graph():
        summary = functools.partial(tf.compat.v1.summary.image, name, tensor, MAX_IMAGES)
        return _graph_summary(summary, tensor, name if print_summary else None)
    if print_summary:
        tf.print(name, tensor)
    return _write(name, "images", lambda: _encoded(tf.convert_to_tensor(tensor)), step)


def add_scalar_summary(
    tensor: tf.Tensor,
    name: str | None = None,
    prefix: str | None = None,
    print_summary: bool = False,
    *,
    step: Step = None,
) -> tf.Tensor:
    """Adds a scalar.

    Args:
      tensor: a scalar tensor or variable.
      name: see `add_histogram_summary`.
      prefix: see `add_histogram_summary`.
      print_summary: also print the value to stderr.
      step: see `add_histogram_summary`.

    Returns:
      See `add_histogram_summary`.

    Raises:
      ValueError: see `add_histogram_summary`.
    """
    name = _summary_name(tensor, name, prefix)
    if in_graph():
        summary = functools.partial(tf.compat.v1.summary.scalar, name, tensor)
        return _graph_summary(summary, tensor, name if print_summary else None)
    if print_summary:
        tf.print(name, tensor)
    return _write(name, "scalars", lambda: tf.cast(tensor, tf.float32), step)


def add_zero_fraction_summary(
    tensor: tf.Tensor,
    name: str | None = None,
    prefix: str | None = None,
    print_summary: bool = False,
    *,
    step: Step = None,
) -> tf.Tensor:
    """Adds the fraction of a tensor's values that are 0, as `NAME/Fraction_of_Zero_Values`.

    Args:
      tensor: a tensor or variable of any shape.
      name: see `add_histogram_summary`.
      prefix: see `add_histogram_summary`.
      print_summary: also print the fraction to stderr.
      step: see `add_histogram_summary`.

    Returns:
      See `add_histogram_summary`.

    Raises:
      ValueError: see `add_histogram_summary`.
    """
    name = f"{_summary_name(tensor, name, prefix)}/Fraction_of_Zero_Values"
    fraction = tf.math.zero_fraction(tensor)
    return add_scalar_summary(fraction, name, print_summary=print_summary, step=step)


def add_histogram_summaries(
    tensors: Iterable[tf.Tensor], prefix: str | None = None, *, step: Step = None
) -> list[tf.Tensor]:
    """Adds a histogram of each tensor; see `add_histogram_summary`."""
    return [add_histogram_summary(tensor, prefix=prefix, step=step) for tensor in tensors]


def add_image_summaries(
    tensors: Iterable[tf.Tensor], prefix: str | None = None, *, step: Step = None
) -> list[tf.Tensor]:
    """Adds the first images of each batch; see `add_image_summary`."""
    return [add_image_summary(tensor, prefix=prefix, step=step) for tensor in tensors]


def add_scalar_summaries(
    tensors: Iterable[tf.Tensor],
    prefix: str | None = None,
    print_summary: bool = False,
    *,
    step: Step = None,
) -> list[tf.Tensor]:
    """Adds each scalar; see `add_scalar_summary`."""
    options = {"prefix": prefix, "print_summary": print_summary, "step": step}
    return [add_scalar_summary(tensor, **options) for tensor in tensors]


def add_zero_fraction_summaries(
    tensors: Iterable[tf.Tensor], prefix: str | None = None, *, step: Step = None
) -> list[tf.Tensor]:
    """Adds the fraction of zeros of each tensor; see `add_zero_fraction_summary`."""
    return [add_zero_fraction_summary(tensor, prefix=prefix, step=step) for tensor in tensors]


def name_of(tensor: tf.Tensor | tf.Variable) -> str | None:
    """Returns the name of a variable, of an output of the current pass or of a tensor's op.

    None is the name of other tensors that were computed eagerly. In a graph it is always the op's.
    """
    if in_graph():
        return tensor.op.name
    if isinstance(tensor, tf.Variable):
        return get_variable_full_name(tensor)
    for outputs in current_pass().outputs.values():
        for alias, output in outputs.items():
            if output is tensor:
                return alias
    return tensor.op.name if tf.is_symbolic_tensor(tensor) else None


def printed(tensor: tf.Tensor, *values: Any) -> tf.Tensor:
    """Returns `tensor`, whose computation prints the values to stderr."""
    with tf.control_dependencies([tf.print(*values)]):
        return tf.identity(tensor)


def _summary_name(tensor: tf.Tensor, name: str | None, prefix: str | None) -> str:
    name = name or name_of(tensor)
    if not name:
        raise ValueError("a tensor that was computed eagerly has no name; pass name=...")
    return f"{prefix}/{name}" if prefix else name


def _graph_summary(
    summary: Callable[..., tf.Tensor], tensor: tf.Tensor, printed_name: str | None
) -> tf.Tensor:
    """Adds a summary op to `SUMMARIES`; with a name, one that also prints the tensor."""
    if not printed_name:
        return summary()
    op = printed(summary(collections=[]), printed_name, tensor)
    tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.SUMMARIES, op)
    return op


def _write(name: str, plugin: str, data: Callable[[], tf.Tensor], step: Step) -> tf.Tensor:
    """Writes to the current writer; `data` is computed only if there is one."""
    if current_pass().is_replay:  # the first run of the segment has written it
        return tf.constant(False)
    for default in (tf.summary.experimental.get_step, lambda: current_pass().step, get_global_step):
        step = default() if step is None else step
    return tf.summary.write(name, data, step=step, metadata=summary_metadata(plugin))


def _encoded(images: tf.Tensor) -> tf.Tensor:
    """Returns width, height and PNGs of the first images, strings."""
    images = images[:MAX_IMAGES]
    if images.dtype != tf.uint8:
        images = tf.cast(images, tf.float32)
        low, high = (reduce(images, [1, 2, 3], True) for reduce in (tf.reduce_min, tf.reduce_max))
        largest = tf.maximum(tf.abs(low), tf.abs(high))
        limit, zero = tf.where(low < 0, 127.0, 255.0), tf.where(low < 0, 128.0, 0.0)
        images = tf.cast(tf.math.divide_no_nan(images * limit, largest) + zero, tf.uint8)
    size: Sequence[tf.Tensor] = [tf.shape(images)[2], tf.shape(images)[1]]
    pngs = tf.map_fn(tf.image.encode_png, images, fn_output_signature=tf.string)
    return tf.concat([tf.strings.as_string(size), pngs], 0)
