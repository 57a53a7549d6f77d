"""A notation for Inception blocks: branches of rows, in the layout of the paper's figures.

```python
Mixed(                                       # All branches receive the input;
    [Conv("0a", 64, 1)],                     # their outputs are concatenated along the channels.
    [Conv("0a", 48, 1), Conv("0b", 64, 5)],  # Branch_1/Conv2d_0a_1x1, then Branch_1/Conv2d_0b_5x5
    [AvgPool("0a", 3), Conv("0b", 32, 1)],
)
```

A row is named after its place and its kernel, as in the published checkpoints. Where their names
deviate from this rule, the row has an explicit `scope`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

import slim

Kernel = int | tuple[int, int]
Depth = Callable[[int], int]


def _name(kind: str, place: str, kernel: Kernel) -> str:
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    return "_".join(word for word in (kind, place, f"{height}x{width}") if word)


class Conv(NamedTuple):
    """A convolution.

    Attributes:
      place: stage and letter, "0a"; "" for names without one, such as `Conv2d_1x1`.
      depth: number of filters, before any multiplier.
      kernel: height and width, or one number for both.
      stride: stride of the kernel.
      padding: "SAME" or "VALID".
      stddev: standard deviation of the initial weights, from a truncated normal distribution; None
        uses the arg_scope's initializer.
      scope: its name, where it deviates from the rule.
    """

    place: str
    depth: int
    kernel: Kernel
    stride: int = 1
    padding: str = "SAME"
    stddev: float | None = None
    scope: str | None = None

    @property
    def name(self) -> str:
        """The name of its scope."""
        return self.scope or _name("Conv2d", self.place, self.kernel)

    def build(self, net: tf.Tensor, depth: Depth, axis: int) -> tf.Tensor:
        """Applies the convolution; `axis`, the channels', has no effect on a single layer."""
        initial = {}
        if self.stddev is not None:
            initial["weights_initializer"] = slim.truncated_normal_initializer(stddev=self.stddev)
        return slim.conv2d(net, depth(self.depth), self.kernel, self.stride, self.padding,
                           scope=self.name, **initial)  # fmt: skip


class Pool(NamedTuple):
    """Pooling by `layer`; the other attributes as for `Conv`."""

    layer: Callable[..., tf.Tensor]
    place: str
    kernel: Kernel
    stride: int = 1
    padding: str = "SAME"

    @property
    def name(self) -> str:
        """The name of its scope."""
        kind = "MaxPool" if self.layer is slim.max_pool2d else "AvgPool"
        return _name(kind, self.place, self.kernel)

    def build(self, net: tf.Tensor, depth: Depth, axis: int) -> tf.Tensor:
        """Applies the pooling; the number of channels does not change."""
        return self.layer(net, self.kernel, self.stride, self.padding, scope=self.name)


MaxPool = functools.partial(Pool, slim.max_pool2d)
AvgPool = functools.partial(Pool, slim.avg_pool2d)


class Fork(NamedTuple):
    """Two convolutions of the same input within a branch, their outputs concatenated."""

    first: Conv
    second: Conv

    def build(self, net: tf.Tensor, depth: Depth, axis: int) -> tf.Tensor:
        """Applies both convolutions."""
        return tf.concat([row.build(net, depth, axis) for row in self], axis)


Row = Conv | Pool | Fork


class Mixed:
    """An Inception block: branches of the same input, concatenated along the channels.

    Args:
      *branches: rows of each branch, `Branch_0` first.
    """

    def __init__(self, *branches: Sequence[Row]) -> None:
        self.branches = branches

    def build(self, net: tf.Tensor, depth: Depth, axis: int) -> tf.Tensor:
        """Applies all branches and concatenates their outputs along `axis`."""
        outputs = []
        for number, rows in enumerate(self.branches):
            with slim.variable_scope(f"Branch_{number}"):
                output = net
                for row in rows:
                    output = row.build(output, depth, axis)
            outputs.append(output)
        return tf.concat(outputs, axis)


def by_name(*rows: Row) -> dict[str, Row]:
    """Returns single layers by the names of their end points."""
    return {row.name: row for row in rows}


def same_depth(depth: int) -> int:
    """Returns `depth`: no multiplier."""
    return depth


def as_layers(
    table: Mapping[str, Row | Mixed], depth: Depth = same_depth, axis: int = 3
) -> dict[str, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns the stages of a table as functions of the previous output, for `run_layers`.

    Args:
      table: rows and blocks by the names of their end points; a block's is also its scope.
      depth: function from the table's number of filters to the network's.
      axis: axis of the channels.
    """

    def build(name: str, stage: Row | Mixed, net: tf.Tensor) -> tf.Tensor:
        if not isinstance(stage, Mixed):
            return stage.build(net, depth, axis)
        with slim.variable_scope(name):
            return stage.build(net, depth, axis)

    return {name: functools.partial(build, name, stage) for name, stage in table.items()}
