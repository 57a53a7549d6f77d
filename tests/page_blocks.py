"""The fenced blocks of README.md, CONTRIBUTING.md and docs/, and the tests that run them.

A block of bash or Python runs in the session of its page (tests/end_to_end/test_page_commands.py),
unless RUNNERS has its page and language. The line above a block may instead be
`<!-- run by tests/PATH -->` or, where it cannot run in a test, `<!-- not run: WHY -->`.
"""

import pathlib
import re
from typing import NamedTuple

from tests import source_tree

CHINESE = ".zh.md"  # pages whose blocks are those of the English ones: test_chinese_pages.py
PAGES = [
    *(source_tree.ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((source_tree.ROOT / "docs").glob("*.md")),
]
LANGUAGES = {"bash", "python", "text"}  # text: output
RUNNERS = {  # page and language -> test
    ("README.md", "python"): "tests/test_site.py::test_code_of_the_page_prints_what_it_shows",
    ("concepts.md", "python"): "tests/test_site.py::test_code_of_the_page_prints_what_it_shows",
    ("CONTRIBUTING.md", "python"): "tests/test_code_blocks.py::test_converter_of_contributing_runs",
    ("library.md", "python"): "tests/test_code_blocks.py::test_python_of_the_library_page_runs",
    **dict.fromkeys(
        [("datasets.md", "python"), ("checkpoints.md", "python")],
        "tests/test_code_blocks.py::test_python_of_the_datasets_and_checkpoints_pages_runs",
    ),
    **dict.fromkeys(
        [("start.md", "bash"), ("start.md", "python")],
        "tests/test_wheel.py::test_commands_of_the_start_page_lead_to_a_served_model",
    ),
}
_FENCE = re.compile(
    r"(?:^<!-- (not run: [^>]+|run by [^>]+) -->\n)?^( *)```(\w*)\n(.*?)^ *```$", re.M | re.S
)


class Block(NamedTuple):
    """A fenced block.

    Attributes:
      page: file name of its page.
      language: tag of the fence.
      source: its lines.
      note: the comment above it that says why it does not run here, or what runs it; may be empty.
      indent: whitespace before the fence.
    """

    page: str
    language: str
    source: str
    note: str
    indent: str


def read(page: pathlib.Path) -> list[Block]:
    """Returns the blocks of a page."""
    return [
        Block(page.name, language, source, note, indent)
        for note, indent, language, source in _FENCE.findall(page.read_text("utf-8"))
    ]


def without_note(page: pathlib.Path, language: str) -> list[str]:
    """Returns the sources of a language's blocks, except those with a comment above them."""
    return [each.source for each in read(page) if each.language == language and not each.note]


def session(page: pathlib.Path) -> list[Block]:
    """Returns the blocks that run in the session of the page."""
    return [
        block
        for block in read(page)
        if block.language != "text"
        and not block.note
        and (block.page, block.language) not in RUNNERS
        and not page.name.endswith(CHINESE)
    ]
