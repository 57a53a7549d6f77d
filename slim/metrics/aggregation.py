"""`(value, update_op)` pairs of several metrics, taken apart."""

from collections.abc import Mapping
from typing import Any

from slim.metrics._streams import Stream


def aggregate_metrics(*value_update_tuples: Stream) -> tuple[list[Any], list[Any]]:
    """Returns the values and the update ops of several streaming metrics.

    Args:
      *value_update_tuples: what streaming metrics return.

    Raises:
      ValueError: if there are none, or one is no pair.
    """
    if not value_update_tuples:
        raise ValueError("aggregate_metrics expects at least one (value, update_op) pair")
    for index, each in enumerate(value_update_tuples):
        _check_pair(f"argument {index}", each)
    values, updates = zip(*value_update_tuples, strict=True)
    return list(values), list(updates)


def aggregate_metric_map(
    names_to_tuples: Mapping[str, Stream],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the values and the update ops of several streaming metrics, by name.

    Args:
      names_to_tuples: what streaming metrics return, by name.

    Returns:
      `(names_to_values, names_to_updates)`.

    Raises:
      ValueError: if there are none, or one is no pair.
    """
    if not names_to_tuples:
        raise ValueError("aggregate_metric_map expects at least one metric")
    for name, each in names_to_tuples.items():
        _check_pair(repr(name), each)
    return tuple({name: pair[i] for name, pair in names_to_tuples.items()} for i in (0, 1))


def _check_pair(name: str, pair: Any) -> None:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        kind = pair.__name__ if isinstance(pair, type) else type(pair).__name__
        raise ValueError(
            f"{name} is {kind}, not the (value, update_op) of a streaming metric. In eager code, "
            "pass the metrics to slim.evaluation.evaluate_once(..., "
            'metrics={"accuracy": slim.metrics.Accuracy}), or call update and result yourself'
        )
