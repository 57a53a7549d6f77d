"""Programs for TensorFlow 1: in their source, `import tensorflow` means `tensorflow.compat.v1`."""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import pathlib
import sys
import sysconfig
import types
from collections.abc import Sequence
from typing import Any

_V1 = "tensorflow.compat.v1"
_PACKAGE = pathlib.Path(__file__).resolve().parent.parent
# Modules below these directories are libraries, which import TensorFlow as it is.
_LIBRARIES = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}


def compile_script(source: bytes | str, path: str) -> types.CodeType:
    """Compiles a program, with its imports of TensorFlow as imports of TensorFlow 1's API.

    Raises:
      SyntaxError: if it is no Python 3.
    """
    tree = _Imports().visit(ast.parse(source, path))
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


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


class _Loader(importlib.machinery.SourceFileLoader):
    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> types.CodeType:
        return compile_script(data, path)

    def get_code(self, fullname: str) -> types.CodeType:
        # Not through the byte code cache, which does not know of the changed imports.
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        if not _is_program(pathlib.Path(spec.loader.path).resolve()):
            return None
        spec.loader = _Loader(fullname, spec.loader.path)
        return spec


def _is_program(path: pathlib.Path) -> bool:
    if any(path.is_relative_to(directory) for directory in _LIBRARIES):
        return False
    if path.is_relative_to(_PACKAGE):
        return False
    # In a checkout, the packages next to `slim` are this library's too.
    root = _PACKAGE.parent
    return not (path.is_relative_to(root) and path.relative_to(root).parts[0] in _OWN)


_OWN = ("classifier", "datasets", "deployment", "nets", "preprocessing")
