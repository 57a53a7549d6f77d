import dataclasses

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


def test_dataset_is_frozen_and_rejects_unknown_fields():
    dataset = make()
    assert dataset.shard_names == ("a", "b")
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.num_classes = 4
    with pytest.raises(TypeError, match="num_clases"):
        make(num_clases=3)


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
    with pytest.raises(_checks.UserError, match="data_sources='/no/.*' matches no file"):
        slim.data.Dataset(data_sources="/no/*", **facts)


def test_public_names_resolve():
    for name in dir(slim.data):
        assert getattr(slim.data, name) is not None
    with pytest.raises(AttributeError, match=r"module 'slim.data' has no attribute 'Datset'"):
        slim.data.Datset  # noqa: B018
