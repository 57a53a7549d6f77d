"""Work in directories of many checkpoints: it is linear in their number."""

import os

import numpy as np
import pytest
import tensorflow as tf

from slim import checkpoints
from slim.checkpoints import _listing

MANY = 300


class Counted(str):
    """A name that counts its comparisons."""

    comparisons = 0

    def __eq__(self, other):
        Counted.comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def write(directory, count):
    """Writes empty files of checkpoints; the state file names every second one."""
    names = [f"model.ckpt-{step}" for step in range(count)]
    for name in names:
        for end in ("index", "data-00000-of-00001"):
            (directory / f"{name}.{end}").write_bytes(b"")
    _listing.write_state(str(directory), names[::2])
    return names


def test_names_are_looked_up_not_searched_for(tmp_path, monkeypatch):
    names = write(tmp_path, MANY)
    state = _listing.State(Counted(names[-2]), tuple(map(Counted, names[::2])))
    monkeypatch.setattr(_listing, "read_state", lambda directory: state)
    listing = _listing.list_checkpoints(str(tmp_path))
    assert listing.names == (*names[1:-1:2], *names[::2], names[-1])
    assert MANY < Counted.comparisons < 10 * MANY


@pytest.fixture
def listings(monkeypatch):
    """The directories that are listed."""
    listed = []
    for name in ("listdir", "scandir"):
        plain = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda path=".", plain=plain: listed.append(path) or plain(path)
        )
    return listed


def test_a_resumed_run_lists_its_directory_a_fixed_number_of_times(tmp_path, listings):
    counts = []
    for count in (5, 40):
        directory = tmp_path / str(count)
        directory.mkdir()
        write(directory, count)
        listings.clear()
        manager = checkpoints.Checkpoints(directory, max_to_keep=1)
        manager.save(count, {"weights": np.zeros(3)})
        counts.append(listings.count(str(directory)))
        kept = range(1, count, 2) if count % 2 else range(1, count - 1, 2)
        assert manager.all_steps() == [*kept, count]
    assert counts[0] == counts[1] > 0


def test_unreadable_checkpoints_are_renamed_by_one_listing(tmp_path, listings):
    manager = checkpoints.Checkpoints(tmp_path, max_to_keep=None)
    manager.save(0, {"weights": np.zeros(3, np.float32)})
    for step in (1, 2, 3):
        (tmp_path / f"model.ckpt-{step}.index").write_bytes(b"damaged")
    listings.clear()
    restored = manager.restore_latest({"weights": tf.Variable(tf.ones(3))})
    assert (restored.step, len(restored.unreadable)) == (0, 3)
    renamed = {name for name in os.listdir(tmp_path) if name.endswith(_listing.UNREADABLE)}
    assert renamed == {f"model.ckpt-{step}.index.unreadable" for step in (1, 2, 3)}
