"""Options of how a training step is computed."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepOptions(Options):
    """Training step."""

    accumulate_steps: int = option(
        1,
        "Batches of batch_size that each clone computes one after the other for one update, by the"
        " mean of their gradients: the memory of one, the batch of all.",
        check=bounds.positive,
    )
    jit_compile: str = option(
        "auto",
        "Compile the network's forward and backward pass with XLA; auto: on GPUs.",
        choices=("auto", "true", "false"),
    )
    deterministic: bool = option(
        False,
        "Use only kernels that give the same bits each time, on GPUs too, where they are slower.",
    )
    recompute_gradients: bool = option(
        False,
        "Spare memory for time: keep only the outputs of the network's blocks, and compute their"
        " insides again for the gradients.",
    )
    quantize_delay: int = option(
        -1,
        "Steps after which weights and activations are rounded as 8-bit inference rounds them, in"
        " ranges that are learned from the start; -1: never.",
        check=bounds.at_least_minus_one,
        resume="refused",
    )
    quantize_delay_epochs: float | None = option(
        None,
        "The same in epochs, instead of steps.",
        check=bounds.non_negative,
        resume="refused",
    )

    def conflicts(self) -> Iterator[str]:
        """Yields a delay that is told twice."""
        if self.quantize_delay >= 0 and self.quantize_delay_epochs is not None:
            yield "quantize_delay and quantize_delay_epochs say the same twice: give one of them"
