"""Our copies of research/slim's packages: `nets`, `preprocessing`, `datasets` and `deployment`.

An installation has them in `slim`, a checkout next to it. A program may have its own `nets`. So in
a checkout `slim.nets` is importable too, with its imports relocated as in the wheel; and where
nothing else is called `nets`, a program's `from nets import inception` is ours.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any

# A checkout's root, or the directory of installed packages.
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
IMAGE_LIBRARY = ("datasets", "deployment", "nets", "preprocessing")
PACKAGES = ("classifier", *IMAGE_LIBRARY)


class CompilingLoader(importlib.machinery.SourceFileLoader):
    """Loads a module by a compiler of its own, without the byte code cache.

    Args:
      fullname: the module's name.
      path: its file.
      compiler: a function of the source and the path that returns the code.
    """

    def __init__(
        self, fullname: str, path: str, compiler: Callable[[bytes, str], types.CodeType]
    ) -> None:
        super().__init__(fullname, path)
        self._compiler = compiler

    def get_code(self, fullname: str) -> types.CodeType:
        """Returns the module's code."""
        path = self.get_filename(fullname)
        return self._compiler(self.get_data(path), path)


def _compile_relocated(source: bytes, path: str) -> types.CodeType:
    """Compiles with `from nets import x` as `from slim.nets import x`."""
    tree = ast.parse(source, path)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and _root(node.module) in PACKAGES:
            node.module = f"slim.{node.module}"
    return compile(tree, path, "exec", dont_inherit=True)


def _root(name: str | None) -> str:
    return (name or "").partition(".")[0]


class _Relocated(importlib.abc.MetaPathFinder):
    """Finds `slim.nets` in a checkout."""

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        top, _, name = fullname.partition(".")
        if top != "slim" or _root(name) not in PACKAGES:
            return None
        directory = ROOT.joinpath(*name.split("."))
        init = directory / "__init__.py"
        file = init if init.is_file() else directory.with_suffix(".py")
        if not file.is_file():
            return None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=CompilingLoader(fullname, str(file), _compile_relocated)
        )


def import_relocated() -> None:
    """Makes `slim.nets` importable in a checkout."""
    if not any(isinstance(finder, _Relocated) for finder in sys.meta_path):
        sys.meta_path.append(_Relocated())


def import_module(package: str, module: str = "") -> types.ModuleType:
    """Imports a package of ours or its module, whatever this package's name is for the program.

    Args:
      package: one of `PACKAGES`.
      module: the module's name in it.
    """
    import_relocated()
    name = f"{package}.{module}".rstrip(".")
    return importlib.import_module(name if _is_ours(package) else f"slim.{name}")


def is_module(name: str) -> bool:
    """Whether a name, such as `nets.vgg`, is that of a module of ours for programs."""
    directories = [ROOT / "slim", ROOT]
    paths = [directory.joinpath(*name.split(".")) for directory in directories]
    return _root(name) in IMAGE_LIBRARY and any(
        path.with_suffix(".py").is_file() or (path / "__init__.py").is_file() for path in paths
    )


def _is_ours(package: str) -> bool:
    if (ROOT / "slim" / package).is_dir():
        return False  # ours is installed as `slim.nets`
    spec = importlib.util.find_spec(package)
    locations = (spec and spec.submodule_search_locations) or ()
    return str(ROOT / package) in locations
