"""Options of the program that prepares batches for training processes on other machines."""

import dataclasses
import functools

from classifier.config.options import Options, option
from slim import _checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataServiceConfig(Options):
    """tf.data service."""

    host: str | None = option(
        None,
        "Name or address by which the training processes reach this machine. Default: its name.",
    )
    port: int = option(
        5050,
        "Port of the first dispatcher; its worker uses the next port, and so on.",
        check=functools.partial(_checks.in_range, 1, 65535),
    )
    workers: int = option(
        1,
        "Number of workers to start, each with a dispatcher of its own.",
        check=functools.partial(_checks.in_range, 1, 100),
    )
    allow_public_bind: bool = option(
        False,
        "Start on a machine with a public address. The servers listen on all interfaces and execute"
        " what anyone who reaches them asks for.",
    )
