"""Batches made on another machine, by a worker of the `tf.data` service."""

import socket

import tensorflow as tf

from slim import _checks

_SCHEME = "grpc://"
_SECONDS = 10


def made_by(batches: tf.data.Dataset, address: str) -> tf.data.Dataset:
    """Returns the same batches, made by the worker of a `tf.data` service, in the same order.

    With several workers, each makes all the batches and they come mixed; so there has to be one.

    Args:
      batches: of a dataset whose files the worker finds at the same paths.
      address: of the dispatcher: grpc://host:port.

    Raises:
      UserError: if nobody answers there.
    """
    host, port = split_address(address)
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        raise _checks.UserError(
            f"data_service={address!r}: no dispatcher of a tf.data service answers there ({error})"
        ) from None
    service = tf.data.experimental.service
    made = service.distribute(processing_mode=service.ShardingPolicy.OFF, service=address)
    return batches.apply(made)


def split_address(address: str) -> tuple[str, int]:
    """Returns host and port of grpc://host:port.

    Raises:
      UserError: if it is no such address.
    """
    host, _, port = address.removeprefix(_SCHEME).rpartition(":")
    if not address.startswith(_SCHEME) or not host or not port.isdecimal():
        raise _checks.UserError(f"data_service={address!r} has to be grpc://host:port")
    return host.strip("[]"), int(port)
