"""Slim's variables in a `.weights.h5` file of Keras 3, written and read by Keras itself.

The file holds a Keras model with one layer per slim scope. A layer's name is the scope with dots
instead of slashes: `InceptionV3/Conv2d_1a_3x3/weights` is the weight `weights` of the layer
`InceptionV3.Conv2d_1a_3x3`. h5py, a dependency of Keras, lists the contents without a model.
"""

import os
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import tensorflow as tf

from slim import _checks, _paths, _programs
from slim.checkpoints import SavedVariable

SUFFIX = ".weights.h5"
_HEADER_BYTES = 8192  # estimated overhead per file, and per variable


class _Scope(tf.keras.layers.Layer):
    """The variables of one scope, by leaf name."""

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
    """A model that only holds variables, by slim name."""

    def __init__(self, variables: Mapping[str, SavedVariable]) -> None:
        super().__init__(name="slim")
        scopes: dict[str, dict[str, SavedVariable]] = {}
        for name, variable in variables.items():
            scope, _, leaf = name.rpartition("/")
            scopes.setdefault(scope.replace("/", "."), {})[leaf] = variable
        for name, leaves in scopes.items():
            # Keras saves the layer under the name of this attribute.
            setattr(self, name, _Scope(name, leaves))
        self.built = True

    def __dir__(self) -> list[str]:
        # Keras saves these attributes in alphabetical order. It would reach `layers` before the
        # scopes that sort after it, and save those by index.
        return [name for name in super().__dir__() if name != "layers"]

    def by_name(self) -> dict[str, Any]:
        """Returns the weights by slim name; an attribute would add them to the model itself."""
        return {
            f"{layer.name.replace('.', '/')}/{leaf}": weight
            for layer in self.layers
            for leaf, weight in layer.leaves.items()
        }


class WeightsFile:
    """The variables in a file that `save` wrote, by slim name.

    Attributes:
      prefix: path of the file; the name is that of `Source`.

    Raises:
      UserError: if the file does not exist or has no slim names.
      RunError: if the file is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.prefix = os.fspath(path)
        if not os.path.isfile(self.prefix):
            raise _checks.UserError(f"File not found: {self.prefix}")
        self._variables = _read_variables(self.prefix)
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
    """Writes variables to a `.weights.h5` file atomically.

    Args:
      path: output path; missing directories are created.
      values: values by slim name.

    Raises:
      RunError: if the file cannot be written.
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


def is_weights_file(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file holds slim's variables."""
    try:
        return bool(WeightsFile(path).variables())
    except (_checks.UserError, _checks.RunError):
        return False


def _read_variables(path: str) -> dict[str, SavedVariable]:
    """Returns the variables in a file, sorted by name."""
    variables: dict[str, SavedVariable] = {}
    unknown: list[str] = []

    def visit(path: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        parts = path.split("/")
        layer, leaf = parts[0], parts[-1]
        if len(parts) != 3 or parts[1] != "vars" or leaf.isdigit():
            unknown.append(path)
        name = f"{layer.replace('.', '/')}/{leaf}"
        # HDF5 has no bfloat16: Keras writes bytes, and the dtype as an attribute.
        dtype = tf.as_dtype(item.attrs.get("dtype", item.dtype))
        variables[name] = SavedVariable(tuple(item.shape), dtype)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error
    if unknown or not variables:
        raise _checks.UserError(
            f"{path} is not a weights file of slim: it contains"
            f" {unknown[0] if unknown else 'no variables'}."
            f" To write one, use `{_programs.command('slim-checkpoints', 'convert')}`"
        )
    return dict(sorted(variables.items()))


def _damaged(path: str, error: Exception) -> _checks.RunError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    return _checks.RunError(f"{path} is damaged or not an HDF5 file: {reason}")
