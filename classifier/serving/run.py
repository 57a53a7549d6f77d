"""The server's run: load, listen, answer, stop."""

import asyncio
import sys
from collections.abc import Sequence

from classifier.cli import broken_pipe
from classifier.cli.exit_codes import ExitCode
from classifier.config.serving import ServeConfig
from classifier.serving import model, server
from classifier.serving.service import Service
from slim import _checks, signals

_ANSWERED = "All accepted requests were answered"
_UNANSWERED = "Not all accepted requests were answered within {:g} s"


def run(config: ServeConfig) -> ExitCode | None:
    """Serves a model until a signal.

    Args:
      config: the options of `classifier.serve`.

    Raises:
      UserError: if there is no model, an option does not fit it, or the address cannot be used.
      RunError: if the model cannot be loaded.
      Stopped: at a signal, after the accepted requests are answered.
    """
    options = config.run
    with server.bind(options) as sock, broken_pipe.ignore(""):
        served = model.load(config)
        service = Service(served, options)
        host, port = sock.getsockname()[:2]
        if options.public:
            print(
                "warning: other computers can send requests; there is no authentication and no"
                " encryption. Use a proxy that has both.",
                file=sys.stderr,
                flush=True,
            )

        def announce() -> None:
            shown = f"[{host}]" if ":" in host else host
            print(f"model {served.name}, version {served.version}: {options.checkpoint_path}")
            print(_batches(service.batch_sizes))
            print(f"listening on http://{shown}:{port}", flush=True)

        with signals.stop_on_signals() as request:
            is_done = asyncio.run(server.serve(service, sock, announce, lambda: bool(request)))
    if request.signal is None:
        return None
    stopped = signals.Stopped(request.signal)
    stopped.add_note(_ANSWERED if is_done else _UNANSWERED.format(options.stop_timeout_secs))
    raise stopped


def _batches(sizes: Sequence[int]) -> str:
    if len(sizes) > 1 or sizes[-1] == 1:
        return f"batch size {_checks.listed(sizes)}, with the same answers"
    return f"batch size {sizes[-1]}, filled up: in another size, answers would differ slightly"
