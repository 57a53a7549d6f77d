"""Copies of the shards: the same batches, from another place."""

import filecmp
import os

import pytest
import tensorflow as tf

from classifier import inputs
from classifier.inputs import cache as cache_lib
from slim import _checks
from tests.classifier import toys


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "data").mkdir()
    return toys.load(toys.write(tmp_path / "data"))


def batches(dataset, **kwargs):
    return toys.training(dataset, preprocessing_fn=toys.noisy, **kwargs)


@pytest.mark.parametrize(
    "place",
    [*(pytest.param(each, marks=pytest.mark.slow) for each in ("none", "memory")), "folder"],
)
def test_the_batches_are_the_same(toy, tmp_path, place):
    expected = toys.first(batches(toy), 18)
    cache = inputs.Cache(toy, str(tmp_path / "a" / "b") if place == "folder" else place)
    actual = batches(toy, cache=cache)
    if place != "none":  # the copies are read: the shards themselves are useless by now
        for path in toy.data_sources:
            with open(path, "wb") as file:
                file.write(bytes(os.path.getsize(path)))
    toys.assert_same(toys.first(actual, 18), expected)


def test_unchanged_files_are_kept(toy, tmp_path):
    place = str(tmp_path / "cache")
    first = inputs.Cache(toy, place).paths
    folder = os.path.dirname(first[0])
    assert sorted(os.listdir(folder)) == [
        ".slim",
        *(f"{number:05d}-{name}" for number, name in enumerate(toy.shard_names)),
    ]
    before = [os.stat(path).st_ino for path in first]
    source = toy.data_sources[1]
    with open(source, "rb") as file:
        content = file.read()
    os.utime(source, ns=(1, 1))
    assert inputs.Cache(toy, place).paths == first
    after = [os.stat(path).st_ino for path in first]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]
    with open(first[1], "rb") as file:
        assert file.read() == content


def test_two_datasets_share_a_folder(toy, tmp_path):
    (tmp_path / "other").mkdir()
    other = toys.load(toys.write(tmp_path / "other", records=toys.images(60, first=60)))
    caches = [inputs.Cache(each, str(tmp_path / "cache")) for each in (toy, other)]
    assert not set(caches[0].paths) & set(caches[1].paths)
    for dataset, cache in zip((toy, other), caches, strict=True):
        for source, copy in zip(dataset.data_sources, cache.paths, strict=True):
            assert filecmp.cmp(source, copy, shallow=False)


def test_memory_is_given_back(toy):
    cache = inputs.Cache(toy, "memory")
    path = cache.paths[0]
    assert tf.io.gfile.exists(path)
    del cache
    assert not tf.io.gfile.exists(path)


def test_no_room(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_lib._memory, "available_bytes", lambda: 10)
    with pytest.raises(
        _checks.UserError, match="cache='memory' does not fit in memory: 0.0 MB needed"
    ):
        inputs.Cache(toy, "memory")
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(cache_lib.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(_checks.UserError, match="does not fit in .*/cache/toy-train-.* free"):
        inputs.Cache(toy, str(tmp_path / "cache"))


def test_unusable_path_is_an_error(toy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(_checks.UserError, match="cache='.*file.* cannot be created: Not a dir"):
        inputs.Cache(toy, str(tmp_path / "file"))

    def full(source, copy):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_lib, "_copy", full)
    with pytest.raises(_checks.UserError, match="is not writable: .*No space left on device"):
        inputs.Cache(toy, str(tmp_path / "cache"))


@pytest.mark.slow
def test_a_run_reads_the_copies(train, digits, tmp_path):
    done = train(tmp_path / "run", cache=str(tmp_path / "cache"))
    assert (done.code, done.err) == (0, [])
    (folder,) = os.listdir(tmp_path / "cache")
    assert folder.startswith("digits-train-")
    assert len(os.listdir(tmp_path / "cache" / folder)) == 3
    for place in ("none", "memory"):
        assert train(tmp_path / place, cache=place).code == 0
    finals = [
        tmp_path / name / "model.ckpt-2.data-00000-of-00001" for name in ("run", "none", "memory")
    ]
    assert len({path.read_bytes() for path in finals}) == 1
