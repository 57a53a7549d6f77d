"""The Chinese pages show the same code, output, flags and names as the English ones."""

import re

import pytest

from tests import names_page, source_tree

DOCS = source_tree.ROOT / "docs"
BLOCK = re.compile(r"^(?:<!--[^\n]*-->\n)?```\w*\n.*?^```$|^ {4}[^\n]*$", re.MULTILINE | re.DOTALL)


def texts(page):
    """Returns the English and the Chinese page, without the generated table."""
    english = (DOCS / f"{page}.md").read_text("utf-8").partition("| name | in a")[0]
    return english, (DOCS / f"{page}.zh.md").read_text("utf-8")


@pytest.mark.parametrize("page", ["start", "from_tf_slim"])
def test_code_and_output_are_those_of_the_english_page(page):
    english, chinese = map(BLOCK.findall, texts(page))
    assert chinese == english
    assert english


@pytest.mark.parametrize("page", ["start", "from_tf_slim"])
def test_names_and_flags_of_the_english_page_are_there(page):
    english, chinese = (
        {" ".join(name.split()) for name in re.findall(r"`([^`]+)`", BLOCK.sub("", text))}
        for text in texts(page)
    )
    assert not english - chinese - {"python -m tests.names_page"}


@pytest.mark.parametrize("page", ["start", "from_tf_slim"])
def test_links_lead_to_the_pages_that_the_english_one_links(page):
    english, chinese = (
        {target.replace(".zh.md", ".md") for target in re.findall(r"\]\(([^)]+)\)", text)}
        for text in texts(page)
    )
    own = {f"{page}.md", "from_tf_slim.md", "from_tf_slim.md#every-public-name"}
    assert chinese - own == english - own


def test_each_note_of_the_table_of_names_is_translated():
    _, chinese = texts("from_tf_slim")
    rows = re.findall(r"^\| (.+?) \| ", chinese.partition("| 对照表中的说明")[2], re.MULTILINE)
    assert set(rows) == {*names_page.EAGER.values(), "the same"}
