"""Which modules read an option, found in the source: attributes of what is annotated as its group.

Types are followed from annotated parameters and fields over assignments and attributes; a read that
this cannot follow is not seen, and then a test says that the option has no reader.
"""

import ast
import collections
import functools
import pathlib
from collections.abc import Iterator

from classifier.config import options
from classifier.config.formats import FORMATS
from classifier.config.optimizer import OPTIMIZERS
from tests import source_tree

Types = dict[str, str]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def readers(script: str, config_class: type) -> dict[str, list[str]]:
    """Returns the modules that a script loads and that read each of its options, by option."""
    owners = {
        base.__name__: [option.name for option in group.options]
        for group in options.groups_of(config_class)
        for base in group.type.__mro__
        if base is not options.Options and base is not object
    }
    paths = _loaded(source_tree.ROOT / f"{script}.py")
    fields, through = _fields(paths), _properties(paths, owners)
    # The groups that scripts share are read of another script's configuration too.
    fields = {
        (owner, name): cls
        for (owner, name), cls in fields.items()
        if not owner.endswith("Config") or owner == config_class.__name__
    }
    found = collections.defaultdict(set)
    for path in paths:
        if "config" in path.parts:
            continue  # declarations, and what contradicts what
        for owner, name in _reads(path, fields):
            for option in (name, *through.get((owner, name), ())):
                if option in owners.get(owner, ()):
                    found[option].add(source_tree.module_name(path))
    for row in OPTIMIZERS.values():  # read by the names in the table
        for option in row.options.values():
            if option in owners.get("OptimizerOptions", ()):
                found[option].add("classifier.training.optimizers")
    return {name: sorted(modules) for name, modules in found.items()}


@functools.cache
def _loaded(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """Returns a file and all of the project that it imports, wherever in it."""
    found, rest = {}, [path]
    while rest:
        path = rest.pop()
        if path not in found:
            found[path] = True
            names = [name for _, name in source_tree.imports(path)]
            if source_tree.module_name(path) == "classifier.export.run":  # by the rows of its table
                names += [f"classifier.export.{row.module}" for row in FORMATS.values()]
            rest += [file for name in names for file in _files(name)]
    return tuple(found)


def _files(name: str) -> Iterator[pathlib.Path]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        stem = source_tree.ROOT.joinpath(*parts[:length])
        yield from filter(pathlib.Path.is_file, (stem.with_suffix(".py"), stem / "__init__.py"))


def _annotated(annotation: ast.expr | None) -> str | None:
    """Returns the name of the class that an annotation is, `None` beside it or not."""
    if isinstance(annotation, ast.BinOp):
        return _annotated(annotation.left)
    if isinstance(annotation, ast.Attribute):
        return annotation.attr
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return annotation.id if isinstance(annotation, ast.Name) else None


def _parameters(function: Function) -> Types:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return {each.arg: name for each in every if (name := _annotated(each.annotation))}


def _fields(paths: tuple[pathlib.Path, ...]) -> dict[tuple[str, str], str]:
    """Returns the class of each (class, attribute) that is annotated, or set from a parameter."""
    found = {}
    for node in (each for path in paths for each in ast.walk(source_tree.tree(path))):
        if not isinstance(node, ast.ClassDef):
            continue
        for part in node.body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                found[node.name, part.target.id] = _annotated(part.annotation)
        for part in node.body:
            if isinstance(part, Function) and part.name == "__init__":
                types = _parameters(part) | {"self": node.name}
                for target, value in _assignments(part):
                    name = _type_of(value, types, found)
                    if isinstance(target, ast.Attribute) and name:
                        found[node.name, target.attr] = name
    return {key: name for key, name in found.items() if name}


def _properties(
    paths: tuple[pathlib.Path, ...], owners: dict[str, list[str]]
) -> dict[tuple[str, str], set[str]]:
    """Returns the options that each property of a group reads."""
    return {
        (node.name, part.name): {
            each.attr for each in ast.walk(part) if isinstance(each, ast.Attribute)
        }
        for path in paths
        for node in ast.walk(source_tree.tree(path))
        if isinstance(node, ast.ClassDef) and node.name in owners
        for part in node.body
        if isinstance(part, Function) and part.decorator_list
    }


def _assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    for each in ast.walk(node):
        if isinstance(each, ast.Assign):
            target = each.targets[0]
            if isinstance(target, ast.Tuple) and isinstance(each.value, ast.Tuple):
                yield from zip(target.elts, each.value.elts, strict=False)  # one may be starred
            else:
                yield target, each.value


def _type_of(node: ast.expr, types: Types, fields: dict[tuple[str, str], str]) -> str | None:
    if isinstance(node, ast.Name):
        return types.get(node.id)
    if isinstance(node, ast.Attribute):
        return fields.get((_type_of(node.value, types, fields) or "", node.attr))
    return None


def _reads(path: pathlib.Path, fields: dict[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
    """Yields the class and the attribute of each read in a file."""
    for node, types in _scopes(source_tree.tree(path)):
        types = dict(types)
        for each in ast.walk(node):
            if isinstance(each, Function):
                types |= _parameters(each)
        for _ in range(2):  # walked by depth, not in the order of the lines
            for target, value in _assignments(node):
                name = _type_of(value, types, fields)
                if isinstance(target, ast.Name) and name:
                    types[target.id] = name
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute):
                owner = _type_of(each.value, types, fields)
                if owner:
                    yield owner, each.attr


def _scopes(module: ast.Module) -> Iterator[tuple[ast.AST, Types]]:
    """Yields each function and the rest of the module, with what is known."""
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            yield from ((part, {"self": node.name}) for part in node.body)
        else:
            yield node, {}
