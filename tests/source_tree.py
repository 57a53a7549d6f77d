"""The project's own source files, parsed."""

import ast
import functools
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("slim", "nets", "datasets", "preprocessing", "deployment", "classifier")
SCRIPTS = tuple(
    sorted(path.name for path in ROOT.glob("*.py") if path.name not in ("setup.py", "conftest.py"))
)


def files() -> list[pathlib.Path]:
    """Returns the packages' files and the scripts."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return paths + [ROOT / script for script in SCRIPTS]


@functools.cache
def tree(path: pathlib.Path) -> ast.Module:
    """Returns a file's syntax tree."""
    return ast.parse(path.read_text("utf-8"), str(path))


def module_name(path: pathlib.Path) -> str:
    """Returns a file's dotted name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: pathlib.Path) -> list[tuple[int, str]]:
    """Returns line and dotted name of each import in a file, including nested ones."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    names = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            names += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return names
