"""Options of the server."""

import dataclasses
import functools
import ipaddress
import re
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.image_limits import max_pixels_option
from classifier.config.options import Options, option, required
from classifier.config.prediction import PredictedModelOptions
from classifier.config.problems import Problem, named
from slim import _checks

PACKAGES = {"tornado": "tornado"}  # import name -> distribution
_LOOPBACK = "127.0.0.1"
_PORTS = functools.partial(_checks.in_range, 0, 65535)


def _path_segment(**names: str) -> None:
    """Raises UserError for a name that is not a plain segment of a path."""
    for name, value in names.items():
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", value):
            raise _checks.UserError(
                f"{name}={value!r} is not a name for a path. Allowed: letters, digits, '_', '.' and"
                " '-'"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServingOptions(Options):
    """Server."""

    checkpoint_path: str = required(
        "Checkpoint, or directory of a run (its newest checkpoint is used), or exported model: a"
        " frozen .pb, the directory of a SavedModel, .tflite, .onnx, .xml (OpenVINO) or .keras.",
        path="model",
        aliases=("model",),
    )
    port: int = option(8501, "Port to listen on. 0 uses a free one.", check=_PORTS)
    host: str | None = option(
        None,
        "Address to listen on; one that other computers reach needs --public. Default: 127.0.0.1,"
        " which only this computer reaches; with --public, all addresses.",
    )
    public: bool = option(
        False,
        "Accept requests from other computers. The server has no authentication and no encryption:"
        " put it behind a proxy that has.",
    )
    served_model_name: str | None = option(
        None,
        "Name of the model in the paths, /v1/models/NAME. Default: the network's name.",
        check=_path_segment,
    )
    top_k: int = option(
        5, "Number of classes in the answers of :classify and on the page.", check=bounds.positive
    )
    max_pixels: int = max_pixels_option()
    max_batch_size: int = option(
        1,
        "Maximum number of images of all requests to run as one batch. 1 answers each image as"
        " prediction does for it alone, to the last bit; more answer more requests per second.",
        check=bounds.positive,
    )
    batch_timeout: float = option(
        1.0,
        "Milliseconds to wait for more images when a batch is not full. 0 runs what is waiting.",
        check=bounds.non_negative,
    )
    num_preprocessing_threads: int | None = option(
        None,
        "Number of images to decode in parallel. Default: the number of cores.",
        check=bounds.positive,
    )
    max_request_mb: int = option(
        16, "Maximum size of a request, in MB; larger ones get status 413.", check=bounds.positive
    )
    max_instances: int = option(64, "Maximum number of images of a request.", check=bounds.positive)
    max_concurrent_requests: int = option(
        64,
        "Maximum number of requests to receive or answer at a time; others get status 503 and"
        " Retry-After.",
        check=bounds.positive,
    )
    client_timeout_secs: float = option(
        30.0,
        "Seconds after which a connection is closed if a client takes longer to send the headers or"
        " the body of a request, to read an answer, or sends no further request.",
        check=bounds.positive,
    )
    stop_timeout_secs: float = option(
        30.0,
        "Maximum seconds to answer the accepted requests after a signal to stop.",
        check=bounds.positive,
    )
    access_log: bool = option(True, "Print a line per request.")

    @property
    def address(self) -> str:
        """The address to listen on; empty for all."""
        return self.host or ("" if self.public else _LOOPBACK)

    def conflicts(self) -> Iterator[Problem]:
        """Yields that the address is public without confirmation."""
        if not self.public and not _is_loopback(self.address):
            yield Problem(
                "{} can be reached from other computers, and the server has no authentication. Use"
                " {}, or confirm with {}",
                named("host", self.address),
                named("host", _LOOPBACK),
                named("public"),
            )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclasses.dataclass(frozen=True)
class ServeConfig:
    """Options of `classifier.serve`."""

    run: ServingOptions
    model: PredictedModelOptions = PredictedModelOptions()
