"""Pages of the site that are not in docs/: the reference, from docstrings, CONTRIBUTING.md, and the
notebooks of docs/ with their outputs.

MkDocs calls `on_files` and `on_page_content` (mkdocs.yml lists this file under `hooks`).
"""

import html
import importlib
import inspect
import pathlib
import re
import sys
import types
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
_SECTION = re.compile(r"^(Args|Arguments|Returns|Yields|Raises|Attributes|Example|Note):\s*$")
_ITEM = re.compile(r"^(\*{0,2}\w[\w.]*(?:, \*{0,2}\w[\w.]*)*)(?: \([^)]*\))?: ")


def on_files(files: Any, config: Any) -> Any:
    """Adds the generated pages to the site, and those of the reference to the navigation."""
    from mkdocs.structure.files import File

    texts = reference()
    config.nav.insert(config.nav.index({"Flags": "flags.md"}), {"Reference": list(texts)})
    texts["contributing.md"] = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    contents: dict[str, str | bytes] = {**texts}
    for path in (ROOT / "docs").glob("*.ipynb"):
        contents |= notebook_pages(path)
    for path, content in contents.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """Returns a page's HTML with the class `flag` on short code that is a flag; see site.css."""
    return re.sub(r"<code>(--[\w.,=*/-]{1,36})</code>", r'<code class="flag">\1</code>', content)


def notebook_pages(path: pathlib.Path) -> dict[str, str | bytes]:
    """Returns path -> content of a notebook's page and of its figures."""
    from nbconvert import MarkdownExporter

    resources = {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    text, resources = MarkdownExporter().from_filename(str(path), resources=resources)
    note = f"This page is also a notebook: [{path.name}]({path.name})."
    text = text.replace("\n\n", f"\n\n{note}\n\n", 1).replace("![png]", "![Output of the code]")
    return {f"{path.stem}.md": text, **resources["outputs"]}


def reference() -> dict[str, str]:
    """Returns path -> Markdown of the reference: a page for `slim`, and one for each module."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    slim = importlib.import_module("slim")
    members = {name: getattr(slim, name) for name in sorted(slim.__all__, key=str.lower)}
    modules = {name: each for name, each in members.items() if isinstance(each, types.ModuleType)}
    own = {name: each for name, each in members.items() if name not in modules}
    links = [f"- [`slim.{name}`]({name}.md): {_summary(each)}" for name, each in modules.items()]
    index = [
        "# Reference",
        "Every public name, from its docstring. [From TF-Slim](../from_tf_slim.md) compares them.",
        "## Modules",
        "\n".join(links),
        "## Names in `slim`",
        *(_entry("slim", name, each) for name, each in own.items()),
    ]
    pages = {"reference/index.md": "\n\n".join(index) + "\n"}
    for name, module in modules.items():
        entries = [_entry(f"slim.{name}", *item) for item in _members(module).items()]
        title = f"# `slim.{name}` {{ #{_anchor(f'slim.{name}')} }}"
        pages[f"reference/{name}.md"] = "\n\n".join([title, _prose(module), *entries]) + "\n"
    return pages


def _members(module: types.ModuleType) -> dict[str, Any]:
    """Returns the public names of a module; without `__all__`, those that it defines."""
    names = getattr(module, "__all__", None)
    if names is None:
        own = {name: each for name, each in vars(module).items() if not name.startswith("_")}
        names = [k for k, v in own.items() if getattr(v, "__module__", "") == module.__name__]
    return {name: getattr(module, name) for name in sorted(names, key=str.lower)}


def _entry(parent: str, name: str, value: Any) -> str:
    """Returns heading, signature and docstring of a name."""
    anchor = f"### `{name}` {{ #{_anchor(f'{parent}.{name}')} }}"
    if isinstance(value, types.ModuleType):
        return f"{anchor}\n\nThe module `{value.__name__}`: {_summary(value)}"
    if not callable(value):
        return f"{anchor}\n\nA constant: a `{type(value).__name__}`."
    parts = [anchor, f"```python\n{_signature(name, value)}\n```", _prose(value)]
    if inspect.isclass(value):
        parts += [
            f"**`{_signature(each, method)}`**\n\n{_prose(method)}"
            for each, method in vars(value).items()
            if not each.startswith("_") and inspect.isfunction(method) and method.__doc__
        ]
    return "\n\n".join(parts)


def _anchor(name: str) -> str:
    return name.replace("_", "-")  # attribute lists would read `__x__` as bold


def _signature(name: str, value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return name
    text = name + _short(str(signature.replace(return_annotation=signature.empty)))
    if len(text) <= 88:
        return text
    lines = [f"    {_short(str(each))},\n" for each in signature.parameters.values()]
    return f"{name}(\n{''.join(lines)})"


def _short(text: str) -> str:
    """Shortens the types and default values of a signature."""
    text = re.sub(r"<function (\w+)\.<?locals>?.*? at 0x\w+>", r"\1()", text)
    text = re.sub(
        r"<(?:function|class|built-in function|object)? ?'?([\w.]+)'?(?: object)?(?: at 0x\w+)?>",
        r"\1",
        text,
    )
    text = re.sub(r"<(\w+?)(?:V2)?\.(\w+): \d+>", r"\1.\2", text)
    text = re.sub(r"\btensorflow\.python\.(?:\w+\.)+", "tf.", text)
    return re.sub(r"\b(?:collections\.abc|typing)\.", "", text)


def _summary(value: Any) -> str:
    return _prose(value).partition("\n\n")[0].replace("\n", " ")


def _prose(value: Any) -> str:
    """Returns a docstring in Google's style as Markdown."""
    lines, fenced, section = [], False, False
    for line in (inspect.getdoc(value) or "").splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        if fenced or line.lstrip().startswith("```"):
            lines.append(line)
            continue
        heading = _SECTION.match(line)
        item = _ITEM.match(line.strip()) if section else None
        if heading:
            section = heading[1] not in ("Example", "Note")
            lines += ["", f"**{heading[1]}**", ""]
        elif item and line.startswith("  ") and not line.startswith("     "):
            name, rest = line.strip()[: item.end() - 2], line.strip()[item.end() :]
            lines.append(f"- `{name}`: {_escape(rest)}")
        else:
            section = section and (not line or line.startswith(" "))
            lines.append(_escape(line.strip() if section else line))
    return "\n".join(lines)


def _escape(line: str) -> str:
    """Escapes `<` and `&` outside of code spans."""
    parts = line.split("`")
    parts[::2] = [html.escape(each, quote=False) for each in parts[::2]]
    return "`".join(parts)
