"""Explains which feature of a record is not what its reader expects."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from slim import _checks

_KINDS = {"bytes_list": "string", "float_list": "float", "int64_list": "int64"}
_SHOWN = 5  # values of a feature


def find_problem(example: tf.train.Example, keys_to_features: Mapping[str, Any]) -> str | None:
    """Returns what is wrong with the first wrong feature of a record, or None.

    Args:
      example: the record.
      keys_to_features: feature key -> `tf.io.FixedLenFeature`, `VarLenFeature` ... Others than
        these two are not checked.
    """
    features = example.features.feature
    for key, expected in keys_to_features.items():
        is_scalar = isinstance(expected, tf.io.FixedLenFeature) and list(expected.shape) == []
        if not is_scalar and not isinstance(expected, tf.io.VarLenFeature):
            continue
        kind = features[key].WhichOneof("kind") if key in features else None  # reading adds a key
        if kind is None and (not is_scalar or expected.default_value is not None):
            continue
        if key not in features:
            return f"has no feature {key!r}; it has: {_checks.listed(sorted(features)) or 'none'}"
        values = getattr(features[key], kind).value if kind else ()
        if kind is None or _KINDS[kind] != expected.dtype.name or (is_scalar and len(values) != 1):
            return (
                f"has the feature {key!r} with {_described(values, kind)};"
                f" expected: {'one' if is_scalar else 'any number'} of type {expected.dtype.name}"
            )
    return None


def _described(values: Any, kind: str | None) -> str:
    if not values:
        return "no value"
    several = "value" if len(values) == 1 else "values"
    shown = _checks.listed((f"{each!r:.60}" for each in values), most=_SHOWN)
    return f"{len(values)} {several} of type {_KINDS[kind or '']} ({shown})"
