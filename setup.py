"""Builds the wheel, in which the packages that a checkout has at its top go under `slim`.

A checkout runs in place, with `from nets import inception` as in TF-Slim. Installed, nothing of
ours may be called `datasets` or `nets` at the top level, where other distributions have packages of
these names. So the build copies each package to `slim.<package>`, the scripts to `slim.scripts`,
and rewrites the imports between them. Any form of import that it does not know ends the build.
"""

import ast
import os
import re

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

RELOCATED = ("classifier", "datasets", "deployment", "nets", "preprocessing")
SCRIPTS = (
    "download_and_convert_data",
    "eval_image_classifier",
    "export_inference_graph",
    "predict_image_classifier",
    "train_image_classifier",
)
_FROM = re.compile(rf"(\s*from\s+)(?=(?:{'|'.join(RELOCATED)})\b)")
# Address of the repository on the web, if the index page is to link to its files.
REPOSITORY = os.environ.get("SLIM_REPOSITORY_URL", "").rstrip("/")
_LINK = re.compile(r"(!?)\[([^]]*)\]\((?!\w+:|#)([^)]+)\)")
_NAMED = re.compile(rf"(?:{'|'.join(RELOCATED)})(?:\.[A-Za-z_]\w*)+")


def relocate_imports(source: str, path: str) -> str:
    """Returns a module's source with `from nets import x` as `from slim.nets import x`.

    Raises:
      SystemExit: if it imports a relocated package in another form, or by a string.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.ImportFrom) and not node.level and _root(node.module) in RELOCATED:
            line = lines[node.lineno - 1]
            if not _FROM.match(line):
                raise SystemExit(f"{path}:{node.lineno}: put this import on a line of its own")
            lines[node.lineno - 1] = _FROM.sub(r"\g<1>slim.", line, count=1)
        elif isinstance(node, ast.Import) and _names_relocated(node):
            raise SystemExit(f"{path}:{node.lineno}: write `from PACKAGE import MODULE` instead")
        elif _is_module_name(node):
            raise SystemExit(f"{path}:{node.lineno}: {node.value!r} is not relocated")
    return "".join(lines)


def _names_relocated(node: ast.Import) -> bool:
    return any(_root(alias.name) in RELOCATED for alias in node.names)


def _is_module_name(node: ast.AST) -> bool:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_text and bool(_NAMED.fullmatch(node.value))


def _root(module: str | None) -> str:
    return (module or "").partition(".")[0]


class BuildPy(build_py):
    """Copies the packages, with their imports relocated, and the scripts."""

    def run(self) -> None:
        """Builds."""
        if self.editable_mode:
            raise SystemExit("No editable installation: run the scripts of the checkout in place")
        super().run()
        for name in SCRIPTS:
            self._copy_relocated(f"{name}.py", ["slim", "scripts", f"{name}.py"])

    def build_module(self, module, module_file, package):
        """Copies one module."""
        target = [*package.split("."), f"{module}.py"]
        return self._copy_relocated(module_file, target), True

    def _copy_relocated(self, path: str, target: list[str]) -> str:
        with open(path, encoding="utf-8") as file:
            source = relocate_imports(file.read(), path)
        output = os.path.join(self.build_lib, *target)
        self.mkpath(os.path.dirname(output))
        with open(output, "w", encoding="utf-8") as file:
            file.write(source)
        return output


def description(readme: str, repository: str) -> str:
    """Returns the README for an index page, which has no other file of the repository.

    Args:
      readme: the text, with links and images relative to the repository.
      repository: its address, such as https://github.com/OWNER/slim. If it is empty, links become
        their text, and images are omitted.
    """

    def absolute(match: re.Match[str]) -> str:
        image, text, path = match.groups()
        if not repository:
            return "" if image else text
        return f"{image}[{text}]({repository}/{'raw' if image else 'blob'}/HEAD/{path})"

    return _LINK.sub(absolute, readme)


def package_directories() -> dict[str, str]:
    """Returns the directory of each package as installed."""
    ours = find_packages(include=["slim", "slim.*"])
    moved = find_packages(
        include=[pattern for name in RELOCATED for pattern in (name, f"{name}.*")]
    )
    directories = {name: name.replace(".", "/") for name in ours}
    directories |= {f"slim.{name}": name.replace(".", "/") for name in moved}
    return directories | {"slim.scripts": "scripts", "slim.scripts.cluster": "scripts/cluster"}


if __name__ == "__main__":
    directories = package_directories()
    with open("README.md", encoding="utf-8") as readme:
        text = description(readme.read(), REPOSITORY)
    setup(
        packages=list(directories),
        package_dir=directories,
        cmdclass={"build_py": BuildPy},
        long_description=text,
        long_description_content_type="text/markdown",
    )
