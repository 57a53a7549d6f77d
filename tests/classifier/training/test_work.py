"""Work of a training run that must not be repeated."""

import shutil
import tracemalloc
import types

import numpy as np
import pytest

from classifier import inputs
from classifier.inputs import pieces
from classifier.training import head_fit
from datasets import dataset_info
from slim.data import records
from slim.data.large_images import LargeImage


def test_a_run_with_summaries_creates_one_input_pipeline(train, tmp_path, monkeypatch):
    created, training_dataset = [], inputs.training_dataset
    monkeypatch.setattr(
        inputs,
        "training_dataset",
        lambda *args, **options: created.append(1) or training_dataset(*args, **options),
    )
    flags = {"summarize_images": True, "save_summaries_secs": 1}
    assert train(tmp_path / "run", **flags).code == 0
    assert created == [1]
    assert (tmp_path / "run" / "images" / "step-1.png").exists()


@pytest.mark.slow
def test_shards_without_metadata_are_read_through_once(train, digits, tmp_path, monkeypatch):
    data = shutil.copytree(digits, tmp_path / "data")
    (data / dataset_info.FILE_NAME).unlink()
    walked, walk = [], records._walk
    monkeypatch.setattr(
        records, "_walk", lambda path, size: walked.append(path) or walk(path, size)
    )
    assert train(tmp_path / "run", dataset_dir=data).code == 0
    assert walked
    assert sorted(walked) == sorted(set(walked))


class Places(dict):
    """A dict that counts its iterations."""

    iterations = 0

    def __iter__(self):
        Places.iterations += 1
        return super().__iter__()


def test_segments_are_divided_at_large_images_by_one_pass_over_them():
    example = types.SimpleNamespace(SerializeToString=lambda: b"stand-in")
    large = [(0, 1), (0, 4), (1, 0), (2, 5)]
    images = Places({place: LargeImage(place[1], example, 0, b"", "") for place in large})
    places = [list(range(0, 70, 10))] * 3
    segments = [(shard, first, 3, 10 * first, 0) for shard in range(3) for first in (0, 3)]
    divided = pieces.Pieces(segments, places, images)
    assert Places.iterations == 1
    assert divided._ends.tolist() == [0, 2, 4, 6, 7, 8, 10]
    assert divided._begin.tolist() == [0, 20, 30, 50, 0, 10, 30, 0, 30, 60]
    assert divided._count.tolist() == [1, 1, 1, 1, 0, 2, 3, 3, 2, 0]


def test_a_head_of_many_classes_is_fitted_without_memory_for_their_square():
    labels = np.array([0, 2999, 0, 7, 7, 2999])
    features = np.eye(3, dtype=np.float32)[[0, 1, 0, 2, 2, 1]]
    tracemalloc.start()
    kernel, biases = head_fit.fit(features, labels, 3000, np.ones(6), seed=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 3000 * 100
    assert (features @ kernel + biases).argmax(axis=1).tolist() == labels.tolist()
