"""Large images above a limit: never read, named before the first step or skipped in their place."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from classifier import inputs
from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.inputs import balanced, large_images, pieces, shuffling
from classifier.training.batches import TrainingBatches
from classifier.training.hooks.validation import Validation
from slim import _checks, _image_limits
from slim.data import record_datasets
from tests.classifier import toys
from tests.datasets import bombs

# Places in the files: the first and last of a shard, two in a row, and one with a valid neighbor.
PLACES = (0, 12, 20, 21, 59)
LIMIT = 50_000  # instead of 8 MB, so that the files are small
ZEROS = bytes(60_000)
REASON = "is not a JPEG, PNG, GIF, BMP or WebP image"


@pytest.fixture(autouse=True, scope="module")
def _low_limit():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_image_limits, "METADATA_BYTES", LIMIT)
        yield


def identity(place):
    shard = sum(place >= start for start in (13, 43))
    return shard, place - (0, 13, 43)[shard]


def write(directory, changes):
    """Returns the toys with other images at some places."""
    images = toys.images(60)
    for place, content in changes.items():
        images[place] = images[place]._replace(encoded=content)
    return toys.load(toys.write(directory, records=images))


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    return write(tmp_path_factory.mktemp("broken"), dict.fromkeys(PLACES, ZEROS))


@pytest.fixture
def unread(monkeypatch):
    """Fails if TensorFlow reads a large record, except while `as_before` reads all of them."""
    real = record_datasets.from_byte

    def check(record):
        tf.debugging.assert_less(tf.strings.length(record), LIMIT)
        return record

    monkeypatch.setattr(
        record_datasets, "from_byte", lambda path, begin: real(path, begin).map(check)
    )

    def as_before(build):
        with monkeypatch.context() as patch:
            patch.setattr(record_datasets, "from_byte", real)
            patch.setattr(large_images, "find", lambda dataset: {})
            return build()

    return as_before


def assert_same_but_empty(actual, expected):
    """Compares records: all are the same, except that the large images are empty."""
    bad = {identity(place) for place in PLACES}
    for record, other in zip(actual, expected, strict=True):
        stand_in, whole = record.pop("serialized"), other.pop("serialized")
        assert record == other
        if (int(record["shard"]), int(record["record"])) not in bad:
            assert stand_in == whole
            continue
        features, all_features = (
            tf.train.Example.FromString(each).features.feature for each in (stand_in, whole)
        )
        assert features.pop("image/encoded").bytes_list.value == [b""]
        assert all_features["image/encoded"].bytes_list.value == [ZEROS]
        assert features == {key: all_features[key] for key in features}
        assert {"image/class/label", "image/filename"} <= features.keys()


def test_they_are_found_in_the_order_of_the_files(broken):
    images = large_images.find(broken)
    assert list(images) == [identity(place) for place in PLACES]
    assert {image.problem for image in images.values()} == {REASON}


def test_results_are_kept_until_a_shard_changes(tmp_path, monkeypatch):
    dataset = write(tmp_path, {20: ZEROS})
    assert list(large_images.find(dataset)) == [(1, 7)]
    with monkeypatch.context() as patch:
        patch.setattr(large_images.large_images, "find_rejected", None)
        assert list(large_images.find(dataset)) == [(1, 7)]
    dataset = write(tmp_path, {22: ZEROS})
    assert list(large_images.find(dataset)) == [(1, 9)]


@pytest.mark.parametrize("kind", ["training", "evaluation"])
def test_the_first_one_is_an_error_before_any_step(broken, kind):
    build = toys.training if kind == "training" else toys.evaluation
    with pytest.raises(_checks.RunError) as caught:
        build(broken)
    assert str(caught.value) == (
        f"Cannot decode image 'café/000.png' ({broken.shard_names[0]}, record 0):"
        f" 60000 bytes starting with {bytes(8)!r}; {REASON}"
    )


@pytest.mark.parametrize(
    "settings",
    [pytest.param({"start_index": 70}, marks=pytest.mark.slow), {"shuffle_buffer_mb": 1}],
)
def test_the_order_of_training_is_the_same(broken, unread, settings):
    def build():
        return toys.first(inputs.training_records(broken, seed=5, **settings), 130)

    assert_same_but_empty(build(), unread(build))


def test_a_cached_copy_is_read_in_the_same_way(broken, unread):
    def build(**more):
        return toys.first(inputs.training_records(broken, seed=5, **more), 70)

    assert_same_but_empty(build(cache=inputs.Cache(broken, "memory")), unread(build))


def test_the_order_of_evaluation_is_the_same(broken, unread):
    def build():
        return list(shuffling.evaluation_records(broken).as_numpy_iterator())

    actual = build()
    assert len(actual) == 60
    assert_same_but_empty(actual, unread(build))


def test_the_order_of_balanced_sampling_is_the_same(broken, unread):
    def build():
        index = balanced.index_records(broken)
        parts.append(dataclasses.astuple(index))
        return toys.first(inputs.training_records(broken, seed=5, balanced=index), 70)

    parts = []
    assert_same_but_empty(build(), unread(build))
    for part, other in zip(*parts, strict=True):
        np.testing.assert_array_equal(part, other)


def test_they_are_skipped_in_their_place(broken):
    skipped = inputs.BadImages()
    batches = toys.first(
        toys.training(broken, preprocessing_fn=toys.noisy, skipped=skipped, batch_size=30), 2
    )
    bad = {identity(place) for place in PLACES}
    for batch in batches:
        for shard, record, weight in zip(
            batch["shard"], batch["record"], batch["weight"], strict=True
        ):
            assert weight == ((shard, record) not in bad)
    assert set(skipped.take_new()) == bad


def test_each_one_is_described_with_its_limit(broken):
    for place in PLACES:
        shard, record = identity(place)
        bad = inputs.describe_bad_image(broken, shard, record)
        assert (bad.file, bad.shard) == (f"café/{place:03d}.png", broken.shard_names[shard])
        assert (bad.record, bad.reason) == (
            record,
            f"60000 bytes starting with {bytes(8)!r}; {REASON}",
        )


def test_large_images_within_the_limits_are_used(tmp_path, monkeypatch):
    large = list(bombs.large(300, 300).values())
    assert min(map(len, large)) > LIMIT
    dataset = write(tmp_path, {0: large[0], 20: large[1]})
    monkeypatch.setattr(pieces, "Pieces", None)  # the pipeline is that of any other split
    records = {
        (int(each["shard"]), int(each["record"])): tf.train.Example.FromString(each["serialized"])
        for each in shuffling.evaluation_records(dataset).as_numpy_iterator()
    }
    for place, content in ((0, large[0]), (20, large[1])):
        feature = records[identity(place)].features.feature["image/encoded"]
        assert feature.bytes_list.value == [content]


def test_max_pixels_acts_on_large_images_too(tmp_path):
    dataset = write(tmp_path, {20: bombs.large(300, 300)["large.png"]})
    limited = dataset.replace(decoder=dataset.decoder.with_max_pixels(300 * 300 - 1))
    with pytest.raises(_checks.RunError, match=r"record 7\): .* has 300 x 300 pixels, more than"):
        toys.evaluation(limited)
    assert not large_images.find(dataset)


def test_a_missing_record_behind_one_is_an_error(tmp_path):
    dataset = write(tmp_path, {42: ZEROS})  # the last one of its shard
    for change, text in ((1, "only 30 records where 31"), (-1, "more than 29 records where 29")):
        counts = (13, 30 + change, 17)
        wrong = dataset.replace(shard_counts=counts, num_samples=sum(counts))
        with pytest.raises(_checks.RunError, match=f"^Shard {toys.SHARD} has {text}"):
            with inputs.translate_errors(wrong):
                toys.first(shuffling.evaluation_records(wrong), 70)


@pytest.mark.parametrize("on_bad_image", ["error", "skip"])
def test_a_run_names_them_before_it_caches_or_indexes_the_split(broken, on_bad_image, monkeypatch):
    monkeypatch.setattr(inputs, "Cache", lambda *args: cached.append(args))
    cached = []
    flags = {"train_dir": "run", "dataset_name": "folder", "dataset_dir": "data"}
    config = options.build(TrainConfig, **flags, model_name="lenet", on_bad_image=on_bad_image)
    run = types.SimpleNamespace(config=config)
    if on_bad_image == "skip":
        TrainingBatches(run, broken)
        assert cached
        return
    with pytest.raises(_checks.RunError, match="^Cannot decode image 'café/000.png'"):
        TrainingBatches(run, broken)
    assert not cached


@pytest.mark.parametrize("on_bad_image", ["error", "skip"])
def test_evaluation_in_training_names_them_before_the_first_step(broken, tmp_path, on_bad_image):
    flags = {"train_dir": str(tmp_path), "dataset_name": "folder", "dataset_dir": "data"}
    config = options.build(TrainConfig, **flags, model_name="lenet", on_bad_image=on_bad_image)
    metrics = types.SimpleNamespace(evaluations=list)
    model = types.SimpleNamespace(multi_label=False)
    hook = Validation(types.SimpleNamespace(config=config, model=model), broken, metrics)
    start = types.SimpleNamespace(restored=None)
    if on_bad_image == "skip":
        hook.begin(start)
        return
    with pytest.raises(_checks.RunError, match="^Cannot decode image 'café/000.png'"):
        hook.begin(start)
