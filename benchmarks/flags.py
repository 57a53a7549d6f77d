"""Flags that the benchmarks share."""

import argparse
from collections.abc import Iterable


def add_networks(
    parser: argparse.ArgumentParser,
    default: Iterable[str] = (),
    allowed: Iterable[str] | None = None,
) -> None:
    """Adds the networks, as positional arguments.

    Args:
      parser: to add them to.
      default: networks that are measured if none is named.
      allowed: networks that can be measured, if not only `default`.
    """
    default = list(default)
    names = default if allowed is None else list(allowed)

    def known(name: str) -> str:
        if name not in names:
            raise argparse.ArgumentTypeError(
                f"unknown network: {name}. Allowed: {', '.join(names)}"
            )
        return name

    shown = ", ".join(default) if len(default) <= 4 else f"all {len(default)}"
    parser.add_argument(
        "networks",
        nargs="*",
        type=known,
        default=default,
        help=f"to measure; default: {shown}" if default else "to measure",
    )


def add_rounds(parser: argparse.ArgumentParser, default: int) -> None:
    """Adds `--rounds`."""
    parser.add_argument(
        "--rounds",
        type=int,
        default=default,
        help="number of times that each contestant is timed; default: %(default)s",
    )


def add_batch_size(parser: argparse.ArgumentParser, default: int) -> None:
    """Adds `--batch_size`."""
    parser.add_argument(
        "--batch_size", type=int, default=default, help="images in a batch; default: %(default)s"
    )


def add_image_size(parser: argparse.ArgumentParser, default: str = "the network's") -> None:
    """Adds `--image_size`; without it, each benchmark has its own default."""
    parser.add_argument(
        "--image_size", type=int, help=f"height and width in pixels; default: {default}"
    )
