"""The table of `--list_networks`."""

import subprocess
import sys

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


def test_network_without_counted_size_is_listed(monkeypatch):
    monkeypatch.setitem(NETWORKS, "squeezenet", NETWORKS["lenet"])
    assert list(list_networks.rows(["squeezenet"])) == [("squeezenet", "-", "-", "28", "none")]


def test_script_lists_every_network_without_tensorflow():
    script = str(source_tree.ROOT / "train_image_classifier.py")
    code = (
        "import runpy, sys; sys.modules['tensorflow'] = None; sys.argv = sys.argv[1:];"
        " runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, script, "--list_networks"],
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
