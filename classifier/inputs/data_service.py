"""Batches created on other machines, by workers of the `tf.data` service.

The service does not divide one pipeline among workers in a fixed order: without sharding, each
worker creates all batches; with any sharding, the batches arrive in the order in which they are
ready. So each worker has a dispatcher of its own, and creates every n-th batch.
"""

import socket

import tensorflow as tf

from classifier.config import problems
from classifier.config.problems import named
from classifier.inputs import errors

_SCHEME = "grpc://"
_SECONDS = 10
_REMEDY = (
    "restart its dispatcher with one worker; several workers of one dispatcher would create each"
    " batch repeatedly. For several, start a dispatcher for each and pass all addresses"
)


def distribute(
    batches: tf.data.Dataset, address: str, *, records: int, first: int, step: int
) -> tf.data.Dataset:
    """Returns the same batches in the same order, created by the worker of a `tf.data` service.

    Each of several workers, and a restarted one, creates all batches. So the iteration ends with
    `errors.MISTAKE` at the first batch that is out of order.

    Args:
      batches: dicts with `epoch` and `index` of the examples, of a dataset whose files the worker
        finds at the same paths.
      address: of the dispatcher: grpc://host:port.
      records: number of records of an epoch.
      first: position of the first example of the first batch, over all epochs.
      step: distance between the first examples of consecutive batches.

    Raises:
      UserError: if there is no dispatcher at the address.
    """
    host, port = split_address(address)
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        raise problems.error(
            "{}: no tf.data service dispatcher at this address ({})",
            named("data_service", repr(address)),
            error,
        ) from None
    service = tf.data.experimental.service
    distributed = service.distribute(processing_mode=service.ShardingPolicy.OFF, service=address)
    message = (
        f"The tf.data service at {address!r} returned batches twice or out of order: {_REMEDY}"
    )

    def check(number: tf.Tensor, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        position = batch["epoch"][0] * records + batch["index"][0]
        errors.raise_if(position != first + number * step, lambda: [errors.MISTAKE, message])
        return batch

    return batches.apply(distributed).enumerate().map(check)


def addresses(text: str) -> list[str]:
    """Returns the addresses of services, separated by commas.

    Raises:
      UserError: if one occurs twice: its worker would create each batch repeatedly.
    """
    items = text.split(",")
    for address in items:
        if items.count(address) > 1:
            raise problems.error("{}: {!r} occurs twice", named("data_service"), address)
    return items


def split_address(address: str) -> tuple[str, int]:
    """Returns host and port of grpc://host:port.

    Raises:
      UserError: if the address has another form.
    """
    host, _, port = address.removeprefix(_SCHEME).rpartition(":")
    if not address.startswith(_SCHEME) or not host or not port.isdecimal():
        raise problems.error("{} must be grpc://host:port", named("data_service", repr(address)))
    return host.strip("[]"), int(port)
