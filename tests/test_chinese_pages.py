"""The Chinese pages show the same code, output, flags and names as the English ones."""

import re

import pytest

from tests import chinese_pages, names_page

pages = pytest.mark.parametrize("page", chinese_pages.PAGES)


@pages
def test_code_and_output_are_those_of_the_english_page(page):
    command = "renew them with: python -m tests.chinese_pages"
    assert chinese_pages.render(page) == chinese_pages.read(page, ".zh"), command
    assert chinese_pages.BLOCK.search(chinese_pages.read(page))


def test_a_missing_block_is_an_error(monkeypatch):
    blocks = "```bash\na\n```\n"
    monkeypatch.setattr(chinese_pages, "read", lambda page, language="": blocks * len(language))
    with pytest.raises(ValueError, match="start.zh.md has 3 blocks of code, start.md 0"):
        chinese_pages.render("start")


@pages
def test_names_and_flags_of_the_english_page_are_there(page):
    english, chinese = (
        {
            " ".join(name.split())
            for name in re.findall(r"`([^`]+)`", chinese_pages.BLOCK.sub("", text))
        }
        for text in (
            chinese_pages.read(page).partition("| name | in a")[0],
            chinese_pages.read(page, ".zh"),
        )
    )
    assert not english - chinese - {"python -m tests.names_page"}


@pages
def test_links_lead_to_the_pages_that_the_english_one_links(page):
    english, chinese = (
        {target.replace(".zh.md", ".md") for target in re.findall(r"\]\(([^)]+)\)", text)}
        for text in (chinese_pages.read(page), chinese_pages.read(page, ".zh"))
    )
    own = {f"{page}.md", "from_tf_slim.md", "from_tf_slim.md#every-public-name"}
    assert chinese - own == english - own


def test_each_note_of_the_table_of_names_is_translated():
    _, _, table = chinese_pages.read("from_tf_slim", ".zh").partition("| 对照表中的说明")
    rows = re.findall(r"^\| (.+?) \| ", table, re.MULTILINE)
    assert set(rows) == {*names_page.EAGER.values(), "the same"}
