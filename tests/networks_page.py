"""The table of networks in docs/networks.md, and its chart docs/networks.svg; no TensorFlow.

python -m tests.networks_page
"""

import html
import math
from collections.abc import Iterator
from typing import NamedTuple

from nets import published, sizes
from nets.nets_factory import NETWORKS
from tests import source_tree

PAGE = source_tree.ROOT / "docs" / "networks.md"
CHART = source_tree.ROOT / "docs" / "networks.svg"
BEGIN = "<!-- by tests/networks_page.py: begin -->"
END = "<!-- by tests/networks_page.py: end -->"
# Multiply-adds of the networks that were published at another size than their default.
AT_299 = {
    "resnet_v2_50": 6_536_213_248,
    "resnet_v2_101": 13_373_518_592,
    "resnet_v2_152": 20_210_823_936,
}
_WIDTH, _HEIGHT = 760, 430
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 20, 20, 45
_MADDS, _TOP_1 = (8, 40_000), (38, 86)  # the axes: millions, logarithmic; percent
# Families, in the order of the legend: prefix of the network, title, color in light and dark.
_FAMILIES = (
    ("vgg", "VGG", "#8d6e63", "#bcaaa4"),
    ("inception", "Inception", "#1565c0", "#64b5f6"),
    ("resnet_v1", "ResNet v1", "#2e7d32", "#81c784"),
    ("resnet_v2", "ResNet v2", "#00838f", "#4dd0e1"),
    ("mobilenet_v1", "MobileNet v1", "#c62828", "#ef9a9a"),
    ("mobilenet_v2", "MobileNet v2", "#e65100", "#ffb74d"),
    ("nasnet", "NASNet", "#6a1b9a", "#ce93d8"),
    ("pnasnet", "PNASNet", "#ad1457", "#f48fb1"),
)


class Point(NamedTuple):
    """A published checkpoint in the chart; multiply-adds in millions, accuracy in percent."""

    name: str
    network: str
    multiply_adds: float
    top_1: float


def points() -> list[Point]:
    """Returns the checkpoints without quantization whose accuracy was published."""
    rows = {row.file: row for row in published.checkpoints()}.values()
    return [
        Point(row.stem, row.network, _multiply_adds(row), row.top_1)
        for row in rows
        if row.kind == "float" and row.top_1 is not None
    ]


def _multiply_adds(row: published.PublishedCheckpoint) -> float:
    """Returns the published number, or else that counted for the size of the images."""
    if row.madds_millions is not None:
        return row.madds_millions
    name = row.built_network
    if name in AT_299:
        return AT_299[name] / 1e6
    if name is None or NETWORKS[name].image_size != row.image_size:
        raise ValueError(f"{row.file}: multiply-adds for {row.image_size} pixels are not known")
    return sizes.sizes()[name].multiply_adds / 1e6


def table() -> Iterator[str]:
    """Yields the lines of the table: a row for each network."""
    yield "| network | image | parameters, M | multiply-adds, M | top-1, % | checkpoints |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name in sorted(NETWORKS):
        size, rows = sizes.sizes()[name], published.of_network(name)
        accuracies = [row.top_1 for row in rows if row.top_1 is not None]
        low, high = (min(accuracies), max(accuracies)) if accuracies else ("", "")
        cells = [
            name, NETWORKS[name].image_size, f"{size.parameters / 1e6:.2f}",
            f"{size.multiply_adds / 1e6:,.0f}", high if low == high else f"{low} to {high}",
            f"[{len(rows)}](zoo.md#{anchor(name)})" if rows else "",
        ]  # fmt: skip
        yield f"| {' | '.join(map(str, cells))} |"


def anchor(network: str) -> str:
    """Returns the anchor of a network's family on the page of the published checkpoints."""
    return next(title for prefix, title in GROUPS.items() if network.startswith(prefix)).lower()


# Prefix of the network -> heading in docs/zoo.md, one word each.
GROUPS = {
    "inception": "Inception",
    "resnet": "ResNet",
    "vgg": "VGG",
    "mobilenet": "MobileNet",
    "nasnet": "NASNet",
    "pnasnet": "PNASNet",
}


def chart() -> str:
    """Returns the SVG: published accuracy against multiply-adds, in light and dark."""
    light = "".join(f".f{n} {{ fill: {each[2]} }} " for n, each in enumerate(_FAMILIES))
    dark = "".join(f".f{n} {{ fill: {each[3]} }} " for n, each in enumerate(_FAMILIES))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"',
        'aria-labelledby="t" font-family="system-ui, sans-serif" font-size="13">',
        '<title id="t">Published top-1 accuracy on ImageNet against multiply-adds</title>',
        "<style>circle { fill-opacity: 0.85 }",
        f".b {{ fill: #fff }} text {{ fill: #333 }} line {{ stroke: #ddd }} {light}",
        "@media (prefers-color-scheme: dark) {",
        f".b {{ fill: #1c2233 }} text {{ fill: #ddd }} line {{ stroke: #3a4258 }} {dark}}}",
        "</style>",
        f'<rect class="b" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>',
        *_axes(),
    ]
    for place, (_, title, *_) in enumerate(_FAMILIES):
        x, y = _LEFT + 465 + 120 * (place % 2), _HEIGHT - _BOTTOM - 84 + 22 * (place // 2)
        lines.append(f'<circle class="f{place}" cx="{x}" cy="{y - 4}" r="5"/>')
        lines.append(f'<text x="{x + 12}" y="{y}">{title}</text>')
    for point in sorted(points(), key=lambda each: each.multiply_adds):
        place = next(n for n, each in enumerate(_FAMILIES) if point.network.startswith(each[0]))
        label = f"{point.name}: {point.top_1} %, {point.multiply_adds:,.0f} million"
        x, y = _position(point.multiply_adds, point.top_1)
        lines.append(
            f'<circle class="f{place}" cx="{x:.1f}" cy="{y:.1f}" r="5">'
            f"<title>{html.escape(label)}</title></circle>"
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _axes() -> Iterator[str]:
    bottom = _HEIGHT - _BOTTOM
    for percent in range(40, 90, 10):
        _, y = _position(_MADDS[0], percent)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{percent}</text>'
    for millions in (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000):
        x, _ = _position(millions, _TOP_1[0])
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{millions:,}</text>'
    middle, below = (_LEFT + _WIDTH - _RIGHT) / 2, bottom + 36
    yield f'<text x="{middle}" y="{below}" text-anchor="middle">multiply-adds, millions</text>'
    yield f'<text x="{_LEFT + 6}" y="{_TOP + 8}">top-1 accuracy, %</text>'


def _position(millions: float, percent: float) -> tuple[float, float]:
    low, high = map(math.log, _MADDS)
    x = (math.log(millions) - low) / (high - low)
    y = (percent - _TOP_1[0]) / (_TOP_1[1] - _TOP_1[0])
    bottom = _HEIGHT - _BOTTOM
    return _LEFT + x * (_WIDTH - _RIGHT - _LEFT), bottom - y * (bottom - _TOP)


def render() -> str:
    """Returns the page with its table made anew."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return "\n".join([f"{before}{BEGIN}", *table(), END]) + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
    CHART.write_text(chart(), "utf-8")
