"""Batches made on another machine, by a worker of the `tf.data` service."""

import socket

import tensorflow as tf

from classifier.inputs import errors
from slim import _checks

_SCHEME = "grpc://"
_SECONDS = 10
_REMEDY = "start its dispatcher and one worker anew; several would make each batch several times"


def made_by(
    batches: tf.data.Dataset, address: str, *, records: int, first: int, step: int
) -> tf.data.Dataset:
    """Returns the same batches, made by the worker of a `tf.data` service, in the same order.

    Each of several workers makes all the batches, and so does one that has been started anew. So
    the iteration stops with `errors.MISTAKE` at the first batch whose place is not its own.

    Args:
      batches: dicts with `epoch` and `index` of the examples, of a dataset whose files the worker
        finds at the same paths.
      address: of the dispatcher: grpc://host:port.
      records: of an epoch.
      first: place of the first example of the first batch, over all epochs.
      step: from there to that of the next batch.

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
    message = f"data_service={address!r} gave batches twice or not in their order: {_REMEDY}"

    def check(number: tf.Tensor, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        place = batch["epoch"][0] * records + batch["index"][0]
        errors.refuse_if(place != first + number * step, lambda: [errors.MISTAKE, message])
        return batch

    return batches.apply(made).enumerate().map(check)


def split_address(address: str) -> tuple[str, int]:
    """Returns host and port of grpc://host:port.

    Raises:
      UserError: if it is no such address.
    """
    host, _, port = address.removeprefix(_SCHEME).rpartition(":")
    if not address.startswith(_SCHEME) or not host or not port.isdecimal():
        raise _checks.UserError(f"data_service={address!r} has to be grpc://host:port")
    return host.strip("[]"), int(port)
