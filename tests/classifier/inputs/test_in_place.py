"""Images read in place: the same records, in the same order, as those of their conversion."""

import dataclasses
import itertools
import os
import types

import numpy as np
import pytest

from classifier import inputs
from classifier.inputs import shuffling
from datasets import folder, local_images
from datasets.location import Location
from slim import _checks
from tests.classifier import several_labels, toys
from tests.datasets import image_folder, local_sources, sample_files

ORDERS = {
    "evaluation": lambda dataset: shuffling.evaluation_records(dataset, num_readers=2),
    "training": lambda dataset: training(dataset, start_index=70),
    "balanced": lambda dataset: training(dataset, balanced=inputs.index_records(dataset)),
}


@pytest.fixture(scope="module")
def locations(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_images, "SHARD_BYTES", 12_000)
        yield local_sources.write_all(str(tmp_path_factory.mktemp("local")))


def opened(location, split="train", max_pixels=1 << 26):
    info = types.SimpleNamespace(decoding="upright", multi_label=location.multi_label)
    return inputs.open_dataset(location, split, max_pixels, info)


def training(dataset, **more):
    # Windows of two segments.
    return inputs.training_records(dataset, **{"seed": 3, "shuffle_buffer_mb": 1} | more)


def rows(records, count):
    return list(itertools.islice(records.as_numpy_iterator(), count))


@pytest.fixture(scope="module")
def expected(locations):
    """Order and split -> the records of the conversion."""
    return {
        (order, split): rows(read(opened(locations["records"], split)), 130)
        for order, read in ORDERS.items()
        for split in ("train", "validation")
    }


@pytest.mark.parametrize(
    "kind",
    ["directory", "tar", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("zip", "list"))],
)
def test_records_and_order_are_those_of_the_conversion(locations, expected, kind):
    for (order, split), records in expected.items():
        dataset = opened(locations[kind], split)
        assert rows(ORDERS[order](dataset), 130) == records, (order, split)
    converted, local = (opened(locations[name]) for name in ("records", kind))
    assert len(local.shard_counts) > 3
    for name in ("num_samples", "shard_counts", "shard_bytes", "num_classes", "labels_to_names"):
        assert getattr(local, name) == getattr(converted, name)


def test_the_order_follows_the_size_of_the_images_not_of_the_records(locations):
    dataset = opened(locations["records"])
    segments = shuffling.cut_into_segments(dataset, 5_000)
    sizes = [os.path.getsize(path) for path in dataset.data_sources]
    assert len(segments.shard) > len(sizes)
    assert np.bincount(segments.shard, segments.bytes).tolist() != sizes
    local = shuffling.cut_into_segments(opened(locations["directory"]), 5_000)
    assert np.array_equal(local.bytes, segments.bytes)


@pytest.mark.slow
def test_a_resumed_epoch_continues_with_the_next_record(locations):
    dataset = opened(locations["directory"])
    whole = rows(training(dataset), 150)
    for start in (1, 59, 60, 130):
        assert rows(training(dataset, start_index=start), 150 - start) == whole[start:]


@pytest.mark.slow
@pytest.mark.parametrize("balanced", [False, True])
def test_batches_and_cached_batches_are_equal(locations, tmp_path, balanced):
    def batches(dataset, **more):
        index = inputs.index_records(dataset) if balanced else None
        settings = {"image_size": (5, 7), "preprocessing_fn": toys.noisy_crop}
        return toys.first(toys.training(dataset, balanced=index, **settings, **more), 20)

    whole = batches(opened(locations["records"]))
    dataset = opened(locations["directory"])
    assert_equal = toys.assert_same
    assert_equal(batches(dataset), whole)
    cache = str(tmp_path / "cache")
    for place in ("memory", cache, cache) if balanced else (cache,):
        assert_equal(batches(dataset, cache=inputs.Cache(dataset, place)), whole)
    assert dataset.record_source is not None


def test_copies_follow_changes_of_the_images(tmp_path):
    source = tmp_path / "source"
    files = {f"{c}/{n}.jpg": sample_files.jpeg() for c in "ab" for n in "12"}
    image_folder.write(str(source), files)
    location = dataclasses.replace(LOCATION, directory=str(source))

    def copies():
        cache = inputs.Cache(opened(location), str(tmp_path / "cache"))
        return cache.paths, [os.stat(path).st_mtime_ns for path in cache.paths]

    first = copies()
    assert copies() == first
    (source / "a" / "1.jpg").write_bytes(sample_files.jpeg(9, 9))
    os.utime(source / "a", ns=(1, 1))
    assert set(copies()[0]).isdisjoint(first[0])
    assert not os.path.exists(first[0][0])


LOCATION = local_images.Location("folder", validation_fraction=0.0)


@pytest.fixture
def with_bad_image(tmp_path):
    files = {f"a/{number}.jpg": sample_files.jpeg(8, 8, number) for number in range(5)}
    bad = {"a/bad.jpg": b"text", "b/gone.jpg": None}
    image_folder.write(str(tmp_path), files | bad)
    return opened(dataclasses.replace(LOCATION, directory=str(tmp_path)))


def test_a_bad_image_is_named(with_bad_image):
    with pytest.raises(_checks.RunError) as caught:
        toys.run(with_bad_image, "evaluation")
    name, shard, record, reason = described(str(caught.value))
    assert name in ("a/bad.jpg", "b/gone.jpg")
    assert shard == with_bad_image.shard_names[0]
    bad = inputs.describe_bad_image(with_bad_image, 0, int(record))
    assert str(bad) == str(caught.value)
    assert bad.reason == reason


def described(line):
    before, reason = line.removeprefix("Cannot decode image '").split("): ")
    name, place = before.split("' (")
    shard, record = place.split(", record ")
    return name, shard, record, reason


@pytest.mark.parametrize("place", [pytest.param("none", marks=pytest.mark.slow), "memory"])
def test_bad_images_are_skipped_and_the_others_keep_their_places(with_bad_image, place):
    skipped = inputs.BadImages()
    cache = inputs.Cache(with_bad_image, place)
    (batch,) = toys.first(
        toys.training(with_bad_image, skipped=skipped, cache=cache, seed=1, batch_size=7), 1
    )
    assert sorted(batch["weight"]) == [0, 0, 1, 1, 1, 1, 1]
    reasons = {
        described(str(inputs.describe_bad_image(with_bad_image, *where)))[0::3]
        for where in skipped.take_new()
    }
    assert reasons == {
        ("a/bad.jpg", "it is not a JPEG, PNG, GIF, BMP, TIFF or WebP image (starts with b'text')"),
        ("b/gone.jpg", "it cannot be read: No such file or directory"),
    }


def test_the_pixel_limit_applies(tmp_path):
    image_folder.write(str(tmp_path), {"a/1.jpg": sample_files.jpeg(20, 30)})
    location = dataclasses.replace(LOCATION, directory=str(tmp_path))
    dataset = opened(location, max_pixels=599)
    with pytest.raises(_checks.RunError, match="20 pixels, more than max_pixels=599"):
        toys.run(dataset, "evaluation", batch_size=1)
    toys.run(opened(location, max_pixels=600), "evaluation", batch_size=1)


def test_records_of_several_labels_are_those_of_the_conversion(tmp_path):
    source = str(several_labels.write(tmp_path / "source", count=20))
    folder.convert(str(tmp_path / "records"), source_dir=source, multi_label=True)
    in_place = Location("folder", source, multi_label=True)
    records = Location("folder", str(tmp_path / "records"), multi_label=True)
    expected = rows(shuffling.evaluation_records(opened(records)), 100)
    assert rows(shuffling.evaluation_records(opened(in_place)), 100) == expected
    assert any(len(item.label) > 1 for item in local_images.read(in_place).splits["train"].items)


def test_images_of_a_list_may_have_different_numbers_of_labels(tmp_path):
    image_folder.write(str(tmp_path), {f"{n}.jpg": sample_files.jpeg() for n in range(3)})
    (tmp_path / "l.csv").write_text("0.jpg,a;b\n1.jpg,b\n2.jpg,a;b;c\n")
    location = Location(
        "list", None, str(tmp_path / "l.csv"), validation_fraction=0.0, multi_label=True
    )
    dataset = opened(location)
    labels = [
        dataset.decoder.decode(row["serialized"], ["labels"])[0].numpy().tolist()
        for row in shuffling.evaluation_records(dataset)
    ]
    assert sorted(labels) == [[0, 1], [0, 1, 2], [1]]
