import pytest

import slim.data
from slim import _checks


def make(**kwargs):
    fields = {
        "name": "toy",
        "split_name": "train",
        "data_sources": ("/d/a", "/d/b"),
        "shard_counts": (1, None),
        "decoder": None,
        "num_samples": 2,
        "num_classes": 3,
    }
    return slim.data.Dataset(**(fields | kwargs))


def test_dataset_accepts_further_fields_and_can_be_changed():
    dataset = make(file_format="png")
    assert (dataset.shard_names, dataset.file_format) == (("a", "b"), "png")
    changed = dataset.replace(num_classes=4)
    assert (changed.num_classes, changed.file_format, changed.shard_counts) == (4, "png", (1, None))
    dataset.labels_to_names = {0: "zero"}
    assert (dataset.num_classes, dataset.labels_to_names) == (3, {0: "zero"})


def test_positional_arguments_are_those_of_tf_slim():
    dataset = slim.data.Dataset("/no/*", "reader", "decoder", 7, {"image": "An image."})
    assert (dataset.data_sources, dataset.reader, dataset.decoder) == ("/no/*", "reader", "decoder")
    assert (dataset.num_samples, dataset.items_to_descriptions) == (7, {"image": "An image."})


def test_shard_counts_need_a_number_for_each_shard():
    with pytest.raises(
        ValueError, match="toy/train: 2 data_sources but 1 shard_counts. Pass one count"
    ):
        make(shard_counts=(1,))


def test_optional_fields_have_defaults(tmp_path):
    facts = {"decoder": None, "num_samples": 2, "num_classes": 3}
    paths = ("/d/a", "/d/b")
    dataset = slim.data.Dataset(data_sources=paths, **facts)
    assert (dataset.data_sources, dataset.shard_counts) == (paths, (None, None))
    for name in ("b", "a"):
        (tmp_path / name).touch()
    dataset = slim.data.Dataset(data_sources=str(tmp_path / "*"), **facts)
    assert dataset.shard_names == ("a", "b")
    dataset = slim.data.Dataset(data_sources="/no/*", **facts)
    with pytest.raises(_checks.UserError, match="data_sources='/no/.*' matches no file"):
        dataset.shard_names  # noqa: B018


def test_public_names_resolve():
    for name in dir(slim.data):
        assert getattr(slim.data, name) is not None
    with pytest.raises(AttributeError, match=r"module 'slim.data' has no attribute 'Datset'"):
        slim.data.Datset  # noqa: B018
