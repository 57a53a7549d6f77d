"""Programs for TensorFlow 1: in their source, `import tensorflow` means `tensorflow.compat.v1`."""

import ast
import importlib.abc
import importlib.machinery
import pathlib
import sys
import sysconfig
import types
from collections.abc import Sequence
from typing import Any

from slim.compat import packages

_V1 = "tensorflow.compat.v1"
# Modules below these directories are libraries, which import TensorFlow as it is.
_STANDARD = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
_DISTRIBUTIONS = {"site-packages", "dist-packages"}


def compile_script(source: bytes | str, path: str) -> types.CodeType:
    """Compiles a program, with its imports of TensorFlow as imports of TensorFlow 1's API.

    Raises:
      SyntaxError: if it is no Python 3.
    """
    try:
        tree = ast.fix_missing_locations(_Imports().visit(ast.parse(source, path)))
    except SyntaxError as error:
        error.add_note("Code for Python 2 must be translated first, for example by 2to3")
        raise
    return compile(tree, path, "exec", dont_inherit=True)


def import_as_scripts() -> None:
    """Compiles the modules that a program imports as `compile_script` does, unless they belong to
    a library."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Imports(ast.NodeTransformer):
    """Changes imports; `tensorflow.contrib` and `tensorflow.python` keep their names."""

    def visit_Import(self, node: ast.Import) -> Any:
        """`import tensorflow as tf` and `import tensorflow`."""
        return [ast.copy_location(_import(alias), node) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        """`from tensorflow import gfile`, but not `from tensorflow import contrib`."""
        if node.level or node.module != "tensorflow":
            return node
        kept = [alias for alias in node.names if alias.name in ("contrib", "python", "compat")]
        changed = [alias for alias in node.names if alias not in kept]
        parts = [("tensorflow", kept), (_V1, changed)]
        return [
            ast.copy_location(ast.ImportFrom(module=module, names=names, level=0), node)
            for module, names in parts
            if names
        ]


def _import(alias: ast.alias) -> ast.stmt:
    if alias.name == "tensorflow" or (alias.name.startswith("tensorflow.") and not alias.asname):
        # `import tensorflow.contrib.slim` imports that, and binds `tensorflow`.
        first = [ast.Import(names=[alias])] if alias.name != "tensorflow" else []
        bound = ast.alias(name=_V1, asname=alias.asname or "tensorflow")
        statements = [*first, ast.Import(names=[bound])]
        if len(statements) == 1:
            return statements[0]
        return ast.If(test=ast.Constant(value=True), body=statements, orelse=[])
    return ast.Import(names=[alias])


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        if not _is_program(pathlib.Path(spec.loader.path).resolve()):
            return None
        spec.loader = packages.CompilingLoader(fullname, spec.loader.path, compile_script)
        return spec


def _is_program(path: pathlib.Path) -> bool:
    # In a checkout, the packages next to `slim` are this library's too.
    own = [packages.ROOT / name for name in ("slim", *packages.PACKAGES)]
    is_library = any(path.is_relative_to(directory) for directory in (*_STANDARD, *own))
    return not is_library and _DISTRIBUTIONS.isdisjoint(path.parts)
