"""The table of `--list_networks`."""

import subprocess
import sys

import pytest

from classifier.cli import list_networks
from nets import published
from nets.nets_factory import NETWORKS
from tests import source_tree


def test_a_network_without_published_checkpoints():
    assert list(list_networks.rows(["lenet"])) == [("lenet", "3.27 M", "14 M", "28", "none")]


def test_a_network_with_published_checkpoints():
    ((name, parameters, multiply_adds, size, files),) = list_networks.rows(["mobilenet_v1_025"])
    assert (name, parameters, size) == ("mobilenet_v1_025", "0.47 M", "224")
    figures = {row.madds_millions for row in published.checkpoints() if row.stem in files}
    assert float(multiply_adds.removesuffix(" M")) in figures
    assert files.split(", ")[0] == "mobilenet_v1_0.25_128"
    assert "mobilenet_v1_0.25_224_quant" in files


@pytest.mark.slow
def test_the_script_lists_every_network():
    done = subprocess.run(
        [sys.executable, str(source_tree.ROOT / "train_image_classifier.py"), "--list_networks"],
        capture_output=True,
        text=True,
        check=True,
    )
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == [
        "network", "parameters", "multiply-adds", "image", "published", "checkpoints",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines] == sorted(NETWORKS)
    for row in published.checkpoints():
        assert f" {row.stem}" in done.stdout
