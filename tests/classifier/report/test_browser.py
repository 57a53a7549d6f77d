"""The report in a browser, as a person uses it: with a mouse, with keys, on a phone."""

import numpy as np
import pytest

from classifier.report import write_report
from classifier.report.analysis import analyze
from tests import browser
from tests.classifier.report import evaluations

pytestmark = pytest.mark.slow

ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"
DOWN, RIGHT = "\ue015", "\ue014"


@pytest.fixture(scope="module")
def chromium():
    with browser.start() as started:
        yield started


@pytest.fixture(scope="module", params=[2, 10, 1001])
def report(request, tmp_path_factory):
    """The path of a report and its data."""
    data = evaluations.complete(300, request.param)
    return write_report(str(tmp_path_factory.mktemp("report")), data), data


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_quiet_accessible_and_fits(chromium, report, width, dark, tmp_path):
    path, _ = report
    chromium.open(path, width, dark=dark)
    requests = chromium.requests()
    assert [each for each in requests if not each.startswith("data:")] == [f"file://{path}"]
    assert chromium.log("browser") == []
    assert chromium.run("return document.documentElement.scrollWidth") == width
    assert chromium.run("return [...document.images].every((image) => image.naturalWidth > 0)")
    assert chromium.accessibility_violations() == []
    chromium.screenshot(tmp_path / "page.png")
    pixels = chromium.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, pixels[4:-1].split(","))) < 384) == dark


def test_a_cell_opens_its_images(chromium, report):
    path, data = report
    chromium.open(path)
    matrix = analyze(data).confusion
    number = len(matrix.classes)
    rows, columns = np.nonzero(matrix.counts[:number, :number])
    for row, column in list(zip(rows.tolist(), columns.tolist(), strict=True))[:6]:
        chromium.run(
            "document.querySelector(`#matrix [data-row='${arguments[0]}']"
            "[data-column='${arguments[1]}']`).click()",
            row,
            column,
        )
        label, prediction = (data.class_names[matrix.classes[each]] for each in (row, column))
        title = f"{label}: correct" if row == column else f"{label} predicted as {prediction}"
        assert chromium.run("return document.getElementById('cell-title').textContent") == title
        tiles = chromium.run("return document.querySelectorAll('#cell .tile').length")
        assert tiles == min(matrix.counts[row, column], 6 if row == column else 24)
        assert chromium.run("return document.querySelectorAll('#cell .tile img').length") > 0
        assert chromium.accessibility_violations() == []
        chromium.run("document.getElementById('close').click()")
        assert not chromium.run("return document.getElementById('cell').open")
    assert chromium.log("browser") == []


def test_keys_move_between_cells_and_open_them(chromium, report):
    path, data = report
    if len(data.class_names) != 10:
        pytest.skip("one report shows it")
    chromium.open(path)
    chromium.run("document.querySelector('#matrix [tabindex=\"0\"]').focus()")
    for key in (RIGHT, DOWN, DOWN):
        chromium.press(key)
    place = "const {row, column} = document.activeElement.dataset; return [row, column]"
    assert chromium.run(place) == ["2", "1"]  # an image of class 2, predicted as 1
    assert chromium.run("return document.querySelectorAll('#matrix [tabindex=\"0\"]').length") == 1
    label = chromium.run("return document.activeElement.getAttribute('aria-label')")
    count = ((data.outcomes.labels == 2) & (data.outcomes.predicted == 1)).sum()
    assert label == f"class 2 predicted as class 1: {count} images"
    chromium.press(ENTER)
    assert chromium.run("return document.getElementById('cell').open")
    chromium.press(ESCAPE)
    assert not chromium.run("return document.getElementById('cell').open")
    assert chromium.run(place) == ["2", "1"]


@pytest.mark.parametrize("order", ["class", "errors", "frequency"])
def test_the_matrix_is_sorted(chromium, report, order):
    path, data = report
    chromium.open(path)
    chromium.run(
        "const order = document.getElementById('order'); order.value = arguments[0];"
        "order.dispatchEvent(new Event('change'))",
        order,
    )
    matrix = analyze(data).confusion
    expected = [data.class_names[matrix.classes[each]] for each in matrix.orders()[order]]
    heads = "return [...document.querySelectorAll('#matrix thead th')].map((e) => e.textContent)"
    rows = "return [...document.querySelectorAll('#matrix tbody th')].map((e) => e.textContent)"
    others = ["other classes"] if matrix.has_others else []
    assert chromium.run(heads) == chromium.run(rows) == expected + others
    # A cell stays with its row and column, which its label names.
    labels = chromium.run(
        "const heads = [...document.querySelectorAll('#matrix thead th')];"
        "return [...document.querySelectorAll('#matrix td[data-row]')].map((cell) =>"
        " [cell.parentNode.cells[0].textContent, heads[cell.cellIndex - 1].textContent,"
        " cell.getAttribute('aria-label')])"
    )
    assert len(labels) == matrix.counts.size
    for row, column, label in labels:
        is_hit = row == column != "other classes"
        assert label.startswith(f"{row} {'correct' if is_hit else f'predicted as {column}'}: ")


def test_the_table_of_classes_sorts_and_filters(chromium, report):
    path, data = report
    chromium.open(path)
    button = "document.querySelectorAll('#scores thead button')[arguments[0]].click()"
    column = (
        "return [...document.querySelectorAll('#scores tbody tr:not([hidden])')]"
        ".map((row) => row.cells[arguments[0]].textContent)"
    )
    chromium.run(button, 4)
    support = np.bincount(data.outcomes.labels, minlength=len(data.class_names))
    assert list(map(int, chromium.run(column, 4))) == sorted(support.tolist())
    chromium.run(button, 4)
    assert list(map(int, chromium.run(column, 4))) == sorted(support.tolist(), reverse=True)
    chromium.run(button, 0)
    assert chromium.run(column, 0) == list(data.class_names)
    chromium.run(
        "const filter = document.getElementById('filter'); filter.value = 'CLASS 1';"
        "filter.dispatchEvent(new Event('input'))"
    )
    expected = [name for name in data.class_names if name.startswith("class 1")]
    assert chromium.run(column, 0) == expected


def test_the_page_is_complete_without_scripts(chromium, report):
    path, data = report
    chromium.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.open(path)
        document = chromium.devtools("DOM.getDocument", depth=1)["root"]["nodeId"]
        nodes = chromium.devtools(
            "DOM.querySelectorAll", nodeId=document, selector="#scores tbody tr, .tile img"
        )
    finally:
        chromium.devtools("Emulation.setScriptExecutionDisabled", value=False)
    assert len(nodes["nodeIds"]) > len(data.class_names)
