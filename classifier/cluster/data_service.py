"""Prepares training batches for processes on other machines: dispatchers and workers of the tf.data
service, until a signal.

The machine needs the dataset at the same path as the training processes.
"""

import socket
import sys
import threading

from classifier.cli import flags, stopping
from classifier.cluster import interfaces
from classifier.config.data_service import DataServiceConfig
from slim import _checks


def main() -> int:
    """Runs the program; returns its exit code."""
    with stopping.before_work("data_service"):
        return flags.main(DataServiceConfig, run, __doc__, usage="scripts/cluster/data_service.sh")


def run(config: DataServiceConfig) -> None:
    """Starts the servers and waits for a signal.

    Raises:
      UserError: if this machine has a public address and that is not allowed.
      RunError: if a port is in use.
    """
    interfaces.check(config.allow_public_bind)
    servers, addresses = [], []
    for port in range(config.port, config.port + 2 * config.workers, 2):
        servers += start(config.host or socket.gethostname(), port)
        addresses.append(servers[-2].target)
    print(f"train with --data_service={','.join(addresses)}", flush=True)
    threading.Event().wait()


def start(host: str, port: int) -> list[object]:
    """Returns a dispatcher at a port and its only worker at the next one.

    Raises:
      RunError: if a port is in use.
    """
    import tensorflow as tf

    for each in (port, port + 1):
        try:
            socket.create_server(("", each)).close()
        except OSError as error:
            raise _checks.RunError(f"port {each}: {error.strerror}") from None
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer(service.DispatcherConfig(port=port))
    worker = service.WorkerServer(
        service.WorkerConfig(
            dispatcher_address=f"{host}:{port}",
            worker_address=f"{host}:{port + 1}",
            port=port + 1,
        )
    )
    return [dispatcher, worker]


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
