"""The import of TF-Slim's and contrib's modules as modules of this library.

Code that uses `tensorflow.compat.v1` as `tf` finds `tf.contrib` there, so it is set in that module.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import operator
import sys
import types
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.compat import packages
from slim.compat.modules import SOURCES, SUCCESSORS

_WAY_OUT = (
    "slim replaces the parts of contrib that TF-Slim consists of; for the rest, look for a "
    "successor in TensorFlow 2 (`tf.*`, `tf.keras`) or in TensorFlow Addons' archive, or copy that "
    "part into your program"
)


class _Alias(types.ModuleType):
    """A module whose names are those of other modules; setting one sets it there."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        for source in _sources(self.__name__):
            own, _, target = source.rpartition("=")
            if own == name:
                return _attribute(target)
        child = f"{self.__name__}.{name}"
        if child in SOURCES:
            return importlib.import_module(child)
        owner = _owner(self.__name__, name)
        if owner is not None:
            return getattr(owner, name)
        raise AttributeError(_missing(self.__name__, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, _Alias):
            # A submodule, set by its import: as in contrib, a function of this name hides it.
            if not any(source.startswith(f"{name}=") for source in _sources(self.__name__)):
                super().__setattr__(name, value)
            return
        owner = _owner(self.__name__, name) or self.__dict__.get(f"__owner_of_{name}")
        if owner is None:
            super().__setattr__(name, value)
        else:
            setattr(owner, name, value)

    def __delattr__(self, name: str) -> None:
        owner = _owner(self.__name__, name)
        if owner is None:
            super().__delattr__(name)
        else:
            # `mock.patch.object` deletes a name before it sets the original value again.
            super().__setattr__(f"__owner_of_{name}", owner)
            delattr(owner, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_public(self.__name__)})


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Alias(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        types.ModuleType.__setattr__(module, "__all__", _public(module.__name__))


class _Importer(importlib.abc.MetaPathFinder):
    """Finds TF-Slim's and contrib's modules."""

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in SOURCES:
            return importlib.util.spec_from_loader(fullname, _Loader(), is_package=True)
        if fullname.startswith(("tf_slim.", "tensorflow.contrib.")):
            parent, _, name = fullname.rpartition(".")
            # With the module's own name, `from tensorflow.contrib import rnn` hides the message.
            raise ModuleNotFoundError(_missing(parent, name), name=parent)
        return None


class _Fallback(importlib.abc.MetaPathFinder):
    """Finds our networks, datasets and preprocessing where nothing else has their names."""

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not packages.is_module(fullname):
            return None
        return importlib.util.spec_from_loader(fullname, _Loader(), is_package=True)


def import_image_library() -> None:
    """Lets `from nets import inception`, as in research/slim, import ours if there is no other."""
    packages.import_relocated()
    if not any(isinstance(finder, _Fallback) for finder in sys.meta_path):
        sys.meta_path.append(_Fallback())


def install() -> None:
    """See `slim.compat.install`."""
    if any(isinstance(finder, _Importer) for finder in sys.meta_path):
        return
    if "tf_slim" in sys.modules:
        raise ImportError("TF-Slim is imported already: call slim.compat.install() before that")
    sys.meta_path.insert(0, _Importer())
    importlib.invalidate_caches()
    contrib = importlib.import_module("tensorflow.contrib")
    # TensorFlow wraps this module; the names are needed in the wrapper and in the module itself.
    for v1 in (importlib.import_module("tensorflow.compat.v1"), tf.compat.v1):
        v1.contrib = contrib
        if not _has_layers(v1):
            v1.layers = importlib.import_module("slim.compat.tf_layers")


def _has_layers(v1: types.ModuleType) -> bool:
    """Returns whether TensorFlow has `tf.layers`, which needs Keras 2."""
    try:
        return hasattr(v1.layers, "dense")
    except ImportError:
        return False


def _sources(name: str) -> Sequence[str]:
    """Returns the sources of a module, or of one of research/slim, which is ours as it is."""
    return SOURCES.get(name, (name,))


def _owner(name: str, attribute: str) -> types.ModuleType | None:
    """Returns the module from which a module passes on an attribute."""
    owners = [] if attribute.startswith("__") else _modules(name)
    return next((module for module in owners if hasattr(module, attribute)), None)


def _modules(name: str) -> list[types.ModuleType]:
    """Returns the modules whose names a module passes on."""
    return [_module(source) for source in _sources(name) if "=" not in source]


def _module(name: str) -> types.ModuleType:
    package, _, module = name.partition(".")
    if package in packages.PACKAGES:
        return packages.import_module(package, module)
    return importlib.import_module(name)


def _attribute(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return operator.attrgetter(attribute)(_module(module)) if attribute else _module(module)


def _public(name: str) -> list[str]:
    """Returns the names that `from module import *` binds."""
    names = [source.partition("=")[0] for source in _sources(name) if "=" in source]
    for module in _modules(name):
        names += getattr(module, "__all__", None) or _defined(module)
    return list(dict.fromkeys(names))


def _defined(module: types.ModuleType) -> list[str]:
    """Returns the public names of a module except modules, such as TensorFlow, and types of hints.

    A script's `tf` is TensorFlow 1's; `from tensorflow.contrib.layers import *` must not change it.
    """
    return [
        name
        for name, value in vars(module).items()
        if name[0] != "_"
        and not isinstance(value, types.ModuleType)
        and getattr(value, "__module__", "") not in ("typing", "collections.abc")
    ]


def _missing(module: str, name: str) -> str:
    names = _public(module)
    path = f"{module}.{name}".removeprefix("tensorflow.contrib.")
    prefix = max((each for each in SUCCESSORS if path.startswith(each)), key=len, default="")
    hint = f". Use {SUCCESSORS[prefix]}." if prefix else _checks.suggest(name, names) or "."
    text = f"{module} has no {name!r} here{hint}"
    return f"{text} {_WAY_OUT}" if module.startswith("tensorflow.") else text
