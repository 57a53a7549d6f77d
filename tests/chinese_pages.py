"""The Chinese pages: their code and output are those of the English ones.

python -m tests.chinese_pages
"""

import re

from tests import source_tree

DOCS = source_tree.ROOT / "docs"
PAGES = ("start", "from_tf_slim")
# Fenced or indented code, with the comment above it.
BLOCK = re.compile(r"^(?:<!--[^\n]*-->\n)?```\w*\n.*?^```$|^ {4}[^\n]*$", re.MULTILINE | re.DOTALL)


def read(page: str, language: str = "") -> str:
    """Returns a page, in English by default."""
    return (DOCS / f"{page}{language}.md").read_text("utf-8")


def render(page: str) -> str:
    """Returns the Chinese page with the code and output of the English one.

    Raises:
      ValueError: if they have another number of blocks.
    """
    blocks, text = BLOCK.findall(read(page)), read(page, ".zh")
    count = len(BLOCK.findall(text))
    if count != len(blocks):
        raise ValueError(f"docs/{page}.zh.md has {count} blocks of code, {page}.md {len(blocks)}")
    remaining = iter(blocks)
    return BLOCK.sub(lambda _: next(remaining), text)


if __name__ == "__main__":
    for each in PAGES:
        (DOCS / f"{each}.zh.md").write_text(render(each), "utf-8")
