"""The site: it builds without a warning, its links lead somewhere, the reference has each name."""

import contextlib
import html
import importlib.util
import io
import pathlib
import re
import subprocess
import sys
import tomllib
import urllib.parse

import pytest

from tests import site_pages, source_tree

DOCS = source_tree.ROOT / "docs"
# Options of programs that are not slim's, or of a script, and two forms of slim's own.
OTHER_FLAGS = {
    *(
        "gigabits",
        "input_binary",
        "input_checkpoint",
        "input_format",
        "input_graph",
        "max_restarts",
        "ps",
    ),
    *("megabytes", "model", "model_base_path", "nodes", "output_graph", "output_node_names"),
    *("rest_api_port", "script", "step_ms", "list_networks", "noaccess_log"),
    *("dtype", "slim_networks", "tf_slim"),
}
NAMES = (source_tree.ROOT / "tests" / "public_names.txt").read_text("utf-8").split()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for name in ("material", "nbconvert"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}: pip install '.[docs]'")
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    done = subprocess.run(
        command, cwd=source_tree.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {path: path.read_text("utf-8") for path in directory.rglob("*.html")}


@pytest.mark.slow
def test_reference_has_an_entry_for_each_public_name():
    text = "".join(site_pages.reference().values())
    anchors = re.findall(r"\{ #([\w.-]+) \}\n\n(?=[^#\s])", text)  # followed by its docstring
    assert not {name.replace("_", "-") for name in NAMES} - set(anchors)
    assert len(anchors) == len(set(anchors))
    assert not re.search(r" at 0x|/home/|site-packages", text)


def test_navigation_has_each_page():
    text = (source_tree.ROOT / "mkdocs.yml").read_text("utf-8")
    pages = re.findall(r": ([\w.]+\.md)$", text, re.MULTILINE)
    sources = [*DOCS.glob("*.md"), *DOCS.glob("*.ipynb")]
    names = [f"{path.name.removesuffix(path.suffix)}.md" for path in sources]
    assert sorted(pages) == sorted(["contributing.md", *names])


def test_flags_on_the_pages_exist():
    known = re.findall(r"(?:`|Alias: )--(\w+)", (DOCS / "flags.md").read_text("utf-8"))
    for page in [*DOCS.glob("*.md"), source_tree.ROOT / "README.md"]:
        used = re.findall(r"--([a-z]+_\w+|\w+(?==))", page.read_text("utf-8"))
        assert not set(used) - OTHER_FLAGS.union(known), page.name


@pytest.mark.slow
def test_internal_links_of_the_site_exist(site):
    count = 0
    for path, text in site.items():
        if path.name == "404.html":
            continue
        for link in re.findall(r'(?:href|src)="([^"]*)"', text):
            parts = urllib.parse.urlsplit(html.unescape(link))
            if parts.scheme or parts.netloc or not link:
                continue
            target = pathlib.Path(path.parent, parts.path).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in site:
                fragment = urllib.parse.unquote(parts.fragment)
                assert f'id="{fragment}"' in site[target] or fragment == "__skip", link
            count += 1
    assert count > 1000


@pytest.mark.slow
def test_pages_request_nothing_from_other_hosts(site):
    for path, text in site.items():
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", text)
        remote = [tag for tag in tags if re.search(r'(?:src|href)="(?:https?:)?//', tag)]
        assert not [tag for tag in remote if 'rel="canonical"' not in tag], path.name


@pytest.mark.parametrize("name", ["README.md", "docs/concepts.md"])
def test_code_of_the_page_prints_what_it_shows(name):
    page = (source_tree.ROOT / name).read_text("utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, name, "exec"), {})
    assert output.getvalue() == "".join(re.findall(r"```text\n(.*?)```", page, re.DOTALL))


def test_links_of_the_readme_exist():
    text = (source_tree.ROOT / "README.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 20
    assert not [link for link in links if not (source_tree.ROOT / link).is_file()]
    assert (DOCS / "report.png").stat().st_size < 200_000
    rows = re.findall(r"^\| [^|]+ \|.*\|$", text.partition("## Compared")[2], re.MULTILINE)
    assert all("](" in row.rpartition(" | ")[2] for row in rows[1:])
    assert len(rows) > 8


def test_citation_has_the_version_of_the_project():
    project = tomllib.loads((source_tree.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = (source_tree.ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {project['version']}\n" in citation
