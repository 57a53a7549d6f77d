"""The table of published checkpoints, and the warnings based on it.

`PYTHONPATH=. python tests/nets/test_published.py` updates the tables in docs/zoo.md.
"""

import pytest

from nets import published
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory
from tests import networks_page, source_tree

PAGE = source_tree.ROOT / "docs" / "zoo.md"
BEGIN = "<!-- by tests/nets/test_published.py: begin -->"
END = "<!-- by tests/nets/test_published.py: end -->"


def documented():
    """Yields the lines of the tables for users, one for each family, each file once."""
    rows = {row.file: row for row in published.checkpoints()}.values()
    for prefix, title in networks_page.GROUPS.items():
        yield from ("", f"### {title}", "")
        yield "| name | network | size | preprocessing | offset | kind | top-1 | top-5 |"
        yield "|---|---|---|---|---|---|---|---|"
        for row in rows:
            if row.network.startswith(prefix):
                yield f"| {' | '.join(map(str, cells_of(row)))} |"
    yield ""


def cells_of(row):
    """Returns the cells of a file: its width unless slim builds a network of this width."""
    network = row.built_network or f"{row.network} x {row.depth_multiplier:g}"
    return (
        f"[{row.stem}]({row.url})", network, row.image_size, row.preprocessing,
        row.labels_offset, row.kind, row.top_1 or "", row.top_5 or "",
    )  # fmt: skip


def test_documentation_has_the_current_table():
    _, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    assert rest.partition(END)[0].splitlines()[1:] == list(documented())


def test_documentation_has_each_file_once():
    files = [line.partition("](")[0][3:] for line in documented() if line.startswith("| [")]
    assert sorted(files) == sorted({row.stem for row in published.checkpoints()})
    assert [line[4:] for line in documented() if line.startswith("###")] == [
        "Inception", "ResNet", "VGG", "MobileNet", "NASNet", "PNASNet",
    ]  # fmt: skip


@pytest.mark.parametrize("row", published.checkpoints(), ids=lambda row: row.url.rpartition("/")[2])
def test_rows_refer_to_existing_networks_and_preprocessings(row):
    assert row.network in NETWORKS
    assert row.preprocessing in preprocessing_factory.PREPROCESSINGS
    assert row.url.endswith("/" + row.file)
    assert row.labels_offset in (0, 1)
    assert row.kind in ("float", "uint8")
    assert row.file in (f"{row.stem}.tgz", f"{row.stem}.tar.gz")
    assert row.top_1 is None or 0 < row.top_1 < row.top_5 < 100
    # MobileNets have the size in their names.
    if "mobilenet" in row.network:
        assert str(row.image_size) in row.stem


def test_every_checkpoint_belongs_to_one_network_of_the_registry():
    listed = [row.file for name in NETWORKS for row in published.of_network(name)]
    assert sorted(listed) == sorted({row.file for row in published.checkpoints()})


@pytest.mark.parametrize(
    "network, files",
    [
        ("lenet", []),
        ("resnet_v1_50", ["resnet_v1_50_2016_08_28"]),
        ("resnet_v1_200", []),
        ("mobilenet_v2_140", ["mobilenet_v2_1.4_224"]),
        ("mobilenet_edgetpu", ["mobilenet_edgetpu_224_1.0"]),
        ("mobilenet_edgetpu_075", ["mobilenet_edgetpu_224_0.75"]),
        ("mobilenet_v3_small", [
            "v3-small_224_1.0_float", "v3-small_224_1.0_uint8", "v3-small_224_0.75_float",
        ]),
    ],
)  # fmt: skip
def test_of_network_returns_its_checkpoints(network, files):
    assert [row.stem for row in published.of_network(network)] == files


def test_checkpoints_of_a_width_belong_to_the_network_of_that_width():
    for name, width in [("mobilenet_v1", 1.0), ("mobilenet_v1_025", 0.25)]:
        assert {row.depth_multiplier for row in published.of_network(name)} == {width}
    assert {row.depth_multiplier for row in published.of_network("mobilenet_v2")} == {
        1.0, 1.3, 0.75, 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    "path, stem",
    [
        ("pretrained/resnet_v2_50.ckpt", "resnet_v2_50_2017_04_14"),
        ("pretrained/resnet_v2_50.ckpt.index", "resnet_v2_50_2017_04_14"),
        ("/a/resnet_v2_50_2017_04_14/resnet_v2_50.ckpt", "resnet_v2_50_2017_04_14"),
        ("nasnet-a_large_04_10_2017/model.ckpt", "nasnet-a_large_04_10_2017"),
        ("mobilenet_v1_1.0_224/", "mobilenet_v1_1.0_224"),
        ("mobilenet_v1_1.0_224.ckpt", "mobilenet_v1_1.0_224"),
        ("mobilenet_v1_1.0_224_quant.ckpt.data-00000-of-00001", "mobilenet_v1_1.0_224_quant"),
        # Ambiguous: the network has several.
        ("pretrained/mobilenet_v1.ckpt", None),
        ("runs/resnet_v2_50/model.ckpt-1000", None),
        ("runs/model.ckpt-1000", None),
        ("resnet_v2_50", None),
    ],
)
def test_find_identifies_a_checkpoint_by_its_path(path, stem):
    row = published.find(path)
    assert (row and row.stem) == stem


def contradictions(path="resnet_v2_50.ckpt", preprocessing="inception", size=299, offset=0):
    return list(published.contradictions(path, preprocessing, (size, size), offset))


def test_options_as_published_yield_no_contradiction():
    assert not contradictions()
    assert not contradictions("runs/model.ckpt-7", "lenet", 28, 3)


def test_other_preprocessing_or_size_is_a_contradiction():
    start = "resnet_v2_50_2017_04_14 was trained with inception preprocessing at 299; you have "
    assert contradictions(preprocessing="vgg", size=224) == [start + "vgg at 224x224"]
    assert contradictions(size=331) == [start + "inception at 331x331"]


def test_other_labels_offset_is_a_contradiction():
    line = "{} has {} classes, so on ImageNet it needs labels_offset={}; you have {}"
    assert contradictions(offset=1) == [line.format("resnet_v2_50_2017_04_14", 1001, 0, 1)]
    lines = contradictions("vgg_16.ckpt", "vgg", 224, 0)
    assert lines == [line.format("vgg_16_2016_08_28", 1000, 1, 0)]


def test_labels_offset_is_not_compared_for_other_datasets():
    assert not contradictions(offset=None)


if __name__ == "__main__":
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    table = "\n".join([BEGIN, *documented(), END])
    PAGE.write_text(before + table + rest.partition(END)[2], "utf-8")
