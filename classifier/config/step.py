"""Options of the computation of a training step."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepOptions(Options):
    """Training step."""

    accumulate_steps: int = option(
        1,
        "Number of batches per clone whose mean gradient makes one update: a larger effective batch"
        " in the memory of one.",
        check=bounds.positive,
    )
    jit_compile: str = option(
        "auto",
        "Compile the network's forward and backward pass with XLA; auto: on GPUs only.",
        choices=("auto", "true", "false"),
    )
    deterministic: bool = option(False, "Use only deterministic kernels, which are slower on GPUs.")
    recompute_gradients: bool = option(
        False,
        "Save memory: store only the outputs of the network's blocks, and recompute the rest in the"
        " backward pass.",
    )
    quantize_delay: int = option(
        -1,
        "Quantization-aware training: steps after which to round weights and activations to 8 bits;"
        " their ranges are learned from the start. -1 disables.",
        check=bounds.at_least_minus_one,
        resume="refused",
    )
    quantize_delay_epochs: float | None = option(
        None,
        "Quantization-aware training: epochs after which to round, instead of steps.",
        check=bounds.non_negative,
        resume="refused",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        if self.quantize_delay >= 0 and self.quantize_delay_epochs is not None:
            yield Problem(
                "{} and {} are mutually exclusive",
                named("quantize_delay"),
                named("quantize_delay_epochs"),
            )
