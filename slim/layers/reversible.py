"""Reversible residual blocks, whose inputs are recomputed from their outputs.

Gomez et al., "The Reversible Residual Network", https://arxiv.org/abs/1707.04585.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slim.layers._replay import Surroundings, pullback, total, unrecorded
from slim.layers._scoped import ScopedLayer
from slim.passes import current_scope
from slim.variables import variable_scope

Function = Callable[..., tf.Tensor]
Pair = tuple[tf.Tensor, tf.Tensor]


class RevBlock(ScopedLayer):
    """A series of reversible layers: `y1 = x1 + f(x2)`, `y2 = x2 + g(y1)`.

    The gradients need the outputs alone, so memory does not grow with the number of layers. Each
    layer has its own variables, in the scopes `revlayer_0/f`, `revlayer_0/g`, ...

    Args:
      f: a function that keeps the shape of its tensor, or a list of one for each layer. It may
        request variables and must not use other tensors than its arguments.
      g: likewise.
      num_layers: number of layers.
      f_side_input: tensors that `f` receives, as a list, as its second argument; None calls it
        without.
      g_side_input: those of `g`.
      use_efficient_backprop: whether to recompute; if not, gradients are those of the plain layers.
      name: name of the layer, made unique.
      **kwargs: as for `GDN`, but for `dtype`, which has no effect.

    Raises:
      ValueError: if a list of functions has another length than `num_layers`.
    """

    def __init__(
        self,
        f: Function | list[Function],
        g: Function | list[Function],
        num_layers: int = 1,
        f_side_input: Sequence[tf.Tensor] | None = None,
        g_side_input: Sequence[tf.Tensor] | None = None,
        use_efficient_backprop: bool = True,
        name: str = "revblock",
        **kwargs: Any,
    ) -> None:
        super().__init__("revblock", name, **kwargs)
        self.num_layers = num_layers
        self.f = _in_scopes(f, "f", num_layers)
        self.g = _in_scopes(g, "g", num_layers)
        self.f_side_input = list(f_side_input or ())
        self.g_side_input = list(g_side_input or ())
        self._use_efficient_backprop = use_efficient_backprop

    def forward(self, x1: tf.Tensor, x2: tf.Tensor) -> Pair:
        """Returns the outputs of the last layer."""
        return self([x1, x2])

    def backward(self, y1: tf.Tensor, y2: tf.Tensor) -> Pair:
        """Returns the inputs that lead to these outputs."""
        return self([y1, y2], forward=False)

    def build(self, _: Any) -> None:
        """Does nothing: the first call creates the variables."""

    def call(self, inputs: Sequence[tf.Tensor], forward: bool = True) -> Pair:
        """Runs the layers forward, or backward."""
        first, second = (tf.convert_to_tensor(each) for each in inputs)
        side = [tf.convert_to_tensor(each) for each in self.f_side_input + self.g_side_input]
        if not forward:
            return self._backward(first, second, side)
        run = self._efficient if self._use_efficient_backprop else self._forward
        return run(first, second, *side)

    def _layers(self) -> list[tuple[Function, Function]]:
        """Returns f and g of each layer, as functions of a tensor and all side inputs."""
        split = len(self.f_side_input)

        def with_side(fn: Function, part: slice) -> Function:
            def run(tensor: tf.Tensor, *side: tf.Tensor) -> tf.Tensor:
                return fn(tensor, list(side[part])) if side[part] else fn(tensor)

            return run

        return [
            (with_side(f, slice(split)), with_side(g, slice(split, None)))
            for f, g in zip(self.f, self.g, strict=True)
        ]

    def _forward(self, x1: tf.Tensor, x2: tf.Tensor, *side: tf.Tensor) -> Pair:
        for f, g in self._layers():
            x1 = x1 + f(x2, *side)
            x2 = x2 + g(x1, *side)
        return x1, x2

    def _backward(self, y1: tf.Tensor, y2: tf.Tensor, side: Sequence[tf.Tensor]) -> Pair:
        for f, g in reversed(self._layers()):
            y2 = y2 - g(y1, *side)
            y1 = y1 - f(y2, *side)
        return y1, y2

    def _efficient(self, *args: tf.Tensor) -> Pair:
        surroundings = Surroundings()

        @tf.custom_gradient
        def block(x1: tf.Tensor, x2: tf.Tensor, *side: tf.Tensor) -> Any:
            with unrecorded():
                outputs = self._forward(x1, x2, *side)

            def gradient(*upstream: tf.Tensor, variables: Sequence[tf.Variable] = ()) -> Any:
                with surroundings.again():
                    inputs, rest = self._gradients(outputs, upstream, side, variables)
                inputs += rest[: len(side)]
                return (inputs, rest[len(side) :]) if variables else inputs

            return outputs, gradient

        return block(*args)

    def _gradients(
        self,
        outputs: Pair,
        upstream: Sequence[tf.Tensor],
        side: Sequence[tf.Tensor],
        variables: Sequence[tf.Variable],
    ) -> tuple[list[tf.Tensor], list[tf.Tensor | None]]:
        """Returns the gradients of x1 and x2, and those of the side inputs and the variables."""
        (y1, y2), (dy1, dy2) = outputs, upstream
        rest: list[tf.Tensor | None] = [None] * (len(side) + len(variables))
        for f, g in reversed(self._layers()):
            # A layer starts when the gradients of the one above it are known.
            with tf.control_dependencies([dy1, dy2]):
                (output,), (dx, *of_g), _ = pullback(g, [y1, *side], variables, [dy2])
                y2, dy1 = y2 - output, total(dy1, dx)
                (output,), (dx, *of_f), _ = pullback(f, [y2, *side], variables, [dy1])
                y1, dy2 = y1 - output, total(dy2, dx)
                rest = [total(*each) for each in zip(rest, of_f, of_g, strict=True)]
                ready = iter(tf.tuple([y1, y2, dy1, dy2, *filter_present(rest)]))
                y1, y2, dy1, dy2 = (next(ready) for _ in range(4))
                rest = [None if each is None else next(ready) for each in rest]
        return [dy1, dy2], rest


def filter_present(values: Sequence[Any]) -> list[Any]:
    """Returns the values that are not None."""
    return [each for each in values if each is not None]


def rev_block(
    x1: tf.Tensor,
    x2: tf.Tensor,
    f: Function | list[Function],
    g: Function | list[Function],
    num_layers: int = 1,
    f_side_input: Sequence[tf.Tensor] | None = None,
    g_side_input: Sequence[tf.Tensor] | None = None,
    is_training: bool = True,
) -> Pair:
    """Applies a new `RevBlock`, which is called `revblock`.

    The name is made unique, but not in a scope with `reuse` set: there all blocks share it, as in
    TF-Slim, so give each a scope of its own.

    Args:
      x1: a floating tensor.
      x2: a tensor of the same shape.
      f: see `RevBlock`, as for the arguments that follow.
      is_training: whether gradients are to be computed in little memory.

    Returns:
      (y1, y2).
    """
    block = RevBlock(
        f, g, num_layers, f_side_input, g_side_input, is_training, _reuse=current_scope().reuse
    )
    return block.forward(x1, x2)


def _in_scopes(functions: Any, leaf: str, num_layers: int) -> list[Function]:
    functions = functions if isinstance(functions, (list, tuple)) else [functions] * num_layers
    if len(functions) != num_layers:
        raise ValueError(
            f"{leaf} is a list of {len(functions)} functions, but num_layers={num_layers}"
        )

    def in_scope(fn: Function, scope: str) -> Function:
        def run(*args: Any) -> tf.Tensor:
            # Custom gradients need resource variables, which a plain graph may not use by default.
            with variable_scope(scope, use_resource=True):
                return fn(*args)

        return run

    return [in_scope(fn, f"revlayer_{i}/{leaf}") for i, fn in enumerate(functions)]
