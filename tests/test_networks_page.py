"""docs/networks.md and its chart have what the registry has."""

import re
import xml.etree.ElementTree as ET

import pytest

from nets import published, statistics
from nets.nets_factory import NETWORKS
from tests import networks_page

UPDATE = "python -m tests.networks_page updates it"


def test_page_has_the_current_table_of_all_networks():
    assert networks_page.PAGE.read_text("utf-8") == networks_page.render(), UPDATE
    rows = [line.split("|")[1].strip() for line in list(networks_page.table())[2:]]
    assert rows == sorted(NETWORKS)
    assert len(rows) == 40


def test_chart_has_each_published_accuracy_inside_its_axes():
    text = networks_page.CHART.read_text("utf-8")
    assert text == networks_page.chart(), UPDATE
    circles = [each for each in ET.fromstring(text).iter() if each.tag.endswith("circle")]
    points = [each for each in circles if len(each)]
    assert [each[0].text.partition(":")[0] for each in points] == [
        each.name for each in sorted(networks_page.points(), key=lambda each: each.multiply_adds)
    ]
    for point in points:
        assert networks_page._LEFT < float(point.get("cx")) < networks_page._WIDTH
        assert 0 < float(point.get("cy")) < networks_page._HEIGHT - networks_page._BOTTOM
    assert "prefers-color-scheme: dark" in text


def test_points_are_the_files_with_an_accuracy_and_without_quantization():
    files = {row.stem for row in published.checkpoints() if row.kind == "float" and row.top_1}
    assert {point.name for point in networks_page.points()} == files


def test_file_without_a_number_of_multiply_adds_is_an_error():
    row = published.named("resnet_v1_50")
    other = row.__class__(**{**vars(row), "image_size": 331})
    with pytest.raises(ValueError, match=r"multiply-adds for 331 pixels are not known"):
        networks_page._multiply_adds(other)


def test_links_to_the_published_checkpoints_lead_to_headings():
    headings = re.findall(r"^### (\w+)$", networks_page.PAGE.with_name("zoo.md").read_text(), re.M)
    for name in NETWORKS:
        if published.of_network(name):
            assert networks_page.anchor(name) in [each.lower() for each in headings]


@pytest.mark.slow
@pytest.mark.parametrize("name", networks_page.AT_299)
def test_multiply_adds_at_299_pixels_are_those_of_the_network(name):
    counted = statistics.count(name, NETWORKS[name].classes, image_size=299)
    assert counted.multiply_adds == networks_page.AT_299[name]
