"""The confusion matrix as a table, and the most frequent confusions."""

import json
from collections.abc import Iterator

from classifier.report.analysis import Analysis
from classifier.report.confusion import MAX_ALL
from classifier.report.data import ReportData
from classifier.report.templates import Html, fill, fill_each

OTHERS = "other classes"
LEVELS = 9  # of color
_PAIRS = 12  # confusions listed
_SIZES = {"huge": 4, "large": 12, "small": MAX_ALL}  # of cells, up to a number of rows
_CELL = '<td class="%s">%d</td>'


def heat_map(data: ReportData, analysis: Analysis) -> Html:
    """Returns the matrix; the script makes its cells open their images."""
    matrix = analysis.confusion
    names = [data.class_names[each] for each in matrix.classes]
    names += [OTHERS] if matrix.has_others else []
    default = "errors" if matrix.has_others else "class"
    orders = matrix.orders()
    # The rows are written in class order; the script sorts.
    return fill(
        "heat_map.html",
        heads=fill_each("column.html", ({"name": name} for name in names)),
        rows=Html("".join(_rows(analysis, names))),
        orders=json.dumps(orders, separators=(",", ":")),
        default=default,
        size=next(size for size, most in _SIZES.items() if len(names) <= most),
        note=_note(data, analysis),
    )


def _note(data: ReportData, analysis: Analysis) -> str:
    if not analysis.confusion.has_others:
        return ""
    shown, every = len(analysis.confusion.classes), len(data.class_names)
    return f"The {shown} classes of the most frequent confusions, of {every:,}."


def _rows(analysis: Analysis, names: list[str]) -> Iterator[Html]:
    matrix = analysis.confusion
    number = len(matrix.classes)
    for row, name in enumerate(names):
        cells = []
        for column in range(len(names)):
            count = int(matrix.counts[row, column])
            fraction = float(matrix.fractions[row, column])
            if not count:
                cells.append("<td></td>")
            elif row == number and column == number:
                cells.append(_CELL % ("o", count))
            else:
                # The root keeps rare confusions visible.
                level = max(1, round(LEVELS * fraction**0.5))
                cells.append(_CELL % (f"{'d' if row == column else 'e'}{level}", count))
        yield fill("matrix_row.html", name=name, cells=Html("".join(cells)))


def confusions(data: ReportData, analysis: Analysis) -> Html:
    """Returns the most frequent confusions as a table; empty if nothing is confused."""
    names, support = data.class_names, analysis.scores.support
    rows = [
        {
            "label": names[label],
            "prediction": names[prediction],
            "count": f"{count:,}",
            "fraction": f"{count / support[label]:.1%}",
        }
        for label, prediction, count in analysis.pairs[:_PAIRS]
    ]
    if not rows or len(names) == 2:
        return Html("")
    return fill("confusions.html", rows=fill_each("confusion_row.html", rows))
