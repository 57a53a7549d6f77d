"""Slim's variables in a `.weights.h5` file of Keras 3, written and read by Keras itself.

The file holds a Keras model with one layer per slim scope, called as the scope with dots for
slashes, and each weight under its own name: `InceptionV3/Conv2d_1a_3x3/weights` is the weight
`weights` of the layer `InceptionV3.Conv2d_1a_3x3`. h5py, which comes with Keras, is used to list a
file without a model.
"""

import os
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import tensorflow as tf

from slim import _checks, _paths
from slim.checkpoints import SavedVariable

SUFFIX = ".weights.h5"
_HEADER_BYTES = 8192  # about what a file needs, and a variable's layer


class _Scope(tf.keras.layers.Layer):
    """The variables of one scope, by their leaf names."""

    def __init__(self, name: str, variables: Mapping[str, SavedVariable]) -> None:
        super().__init__(name=name, trainable=False)
        self.leaves = {
            leaf: self.add_weight(
                name=leaf, shape=shape, dtype=dtype.name, initializer="zeros", trainable=False
            )
            for leaf, (shape, dtype) in variables.items()
        }
        self.built = True

    def save_own_variables(self, store: Any) -> None:
        for leaf, weight in self.leaves.items():
            store[leaf] = weight.value.numpy()

    def load_own_variables(self, store: Any) -> None:
        for leaf, weight in self.leaves.items():
            weight.assign(np.asarray(store[leaf]))


class _Scopes(tf.keras.Model):
    """A model that only holds variables, by slim's names."""

    def __init__(self, variables: Mapping[str, SavedVariable]) -> None:
        super().__init__(name="slim")
        scopes: dict[str, dict[str, SavedVariable]] = {}
        for name, variable in variables.items():
            scope, _, leaf = name.rpartition("/")
            scopes.setdefault(scope.replace("/", "."), {})[leaf] = variable
        for name, leaves in scopes.items():
            # The attribute's name is the one that Keras writes the layer under.
            setattr(self, name, _Scope(name, leaves))
        self.built = True

    def __dir__(self) -> list[str]:
        # Keras saves what is listed here, in alphabetical order; it would come upon `layers` before
        # it came upon the scopes that begin with a later letter, and call them by number.
        return [name for name in super().__dir__() if name != "layers"]

    def by_name(self) -> dict[str, Any]:
        """Returns the weights by slim's names; an attribute would make them the model's own."""
        return {
            f"{layer.name.replace('.', '/')}/{leaf}": weight
            for layer in self.layers
            for leaf, weight in layer.leaves.items()
        }


class WeightsFile:
    """The variables in a file that `save` wrote, by slim's names.

    Attributes:
      prefix: path of the file, called as a checkpoint's.

    Raises:
      UserError: if the file is not there, or is of a Keras model that knows no slim names.
      RunError: if the file is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.prefix = os.fspath(path)
        if not os.path.isfile(self.prefix):
            raise _checks.UserError(f"There is no file {self.prefix}")
        self._variables = _contents(self.prefix)
        self._values: dict[str, np.ndarray] = {}

    def variables(self) -> dict[str, SavedVariable]:
        """Returns name -> (shape, dtype), sorted by name."""
        return dict(self._variables)

    def get(self, name: str) -> np.ndarray:
        """Returns the value of a variable; the first call loads the whole file.

        Raises:
          RunError: if the file is damaged.
        """
        if not self._values:
            model = _Scopes(self._variables)
            try:
                model.load_weights(self.prefix)
            except (OSError, ValueError, KeyError) as error:
                raise _damaged(self.prefix, error) from error
            self._values = {n: weight.value.numpy() for n, weight in model.by_name().items()}
        return self._values[name]


def save(path: str | os.PathLike[str], values: Mapping[str, np.ndarray]) -> None:
    """Writes variables to a `.weights.h5` file, whole or not at all.

    Args:
      path: of the file; its folder is made if need be.
      values: by slim's names.

    Raises:
      RunError: if the disk is full or fails.
    """
    model = _Scopes({n: SavedVariable(v.shape, tf.as_dtype(v.dtype)) for n, v in values.items()})
    for name, weight in model.by_name().items():
        weight.assign(values[name])
    directory, base = os.path.split(os.path.abspath(path))
    try:
        os.makedirs(directory, exist_ok=True)
        with _paths.scratch_directory(directory) as scratch:
            _paths.check_replaceable(os.fspath(path))
            fresh = os.path.join(scratch, base)
            size = sum(value.nbytes + _HEADER_BYTES for value in values.values())
            _paths.check_space(scratch, size + _HEADER_BYTES)
            model.save_weights(fresh)
            _paths.flush_to_disk(fresh)
            os.replace(fresh, path)
        _paths.flush_to_disk(directory)
    except OSError as error:
        raise _checks.RunError(f"Could not save {path}: {error.strerror or error}") from error


def is_one(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file holds slim's variables."""
    try:
        return bool(WeightsFile(path).variables())
    except (_checks.UserError, _checks.RunError):
        return False


def _contents(path: str) -> dict[str, SavedVariable]:
    """Returns the variables of a file, sorted by name."""
    found: dict[str, SavedVariable] = {}
    strange: list[str] = []

    def visit(place: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        parts = place.split("/")
        layer, leaf = parts[0], parts[-1]
        if len(parts) != 3 or parts[1] != "vars" or leaf.isdigit():
            strange.append(place)
        name = f"{layer.replace('.', '/')}/{leaf}"
        # Keras writes bfloat16, which HDF5 does not know, as bytes beside the type's name.
        dtype = tf.as_dtype(item.attrs.get("dtype", item.dtype))
        found[name] = SavedVariable(tuple(item.shape), dtype)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error
    if strange or not found:
        raise _checks.UserError(
            f"{path} holds {strange[0] if strange else 'no variable'}: it is not a file of slim's "
            "variables, which `python -m classifier.checkpoints convert` writes"
        )
    return dict(sorted(found.items()))


def _damaged(path: str, error: Exception) -> _checks.RunError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    return _checks.RunError(f"{path} is damaged or is no HDF5 file: {reason}")
