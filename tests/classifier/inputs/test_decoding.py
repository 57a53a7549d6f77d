"""Every way to a model sees the same pixels of a file, in all formats and modes."""

import dataclasses
import tarfile
import types

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf

from classifier import inputs
from classifier.export import frozen
from classifier.export.usage import image_code
from classifier.inference import predictor
from classifier.inputs import dataset as input_dataset
from classifier.inputs import preprocessing
from classifier.model_info import ModelInfo
from datasets import dataset_info, folder, images, local_images, tfrecords
from datasets.location import Location
from slim import _decodings
from tests import image_modes, tiff_files

SIZE = (12, 12)
INFO = ModelInfo(
    model_name="lenet", num_classes=2, image_size=SIZE, num_channels=3, preprocessing_name="none",
    decoding=_decodings.UPRIGHT,
)  # fmt: skip


@pytest.fixture(scope="module")
def expected():
    """What a prediction sees of each file."""
    prepare = with_signature(preprocessing.encoded_image_fn(INFO, SIZE), [])
    return {name: prepare(data).numpy() for name, data in image_modes.FILES.items()}


def with_signature(function, shape):
    spec = tf.TensorSpec(shape, tf.string)
    return tf.function(function, autograph=False, input_signature=[spec])


def in_session(files):
    with tf.Graph().as_default() as graph, frozen._without_functions():
        batch = tf.raw_ops.Placeholder(dtype=tf.string, shape=[None])
        images = preprocessing.encoded_batch_fn(INFO, SIZE)(batch)
    assert not graph.as_graph_def().library.function  # older readers have none
    with tf.compat.v1.Session(graph=graph) as session:
        return session.run(images, {batch: list(files)})


def in_saved_model(files):
    decode = with_signature(preprocessing.encoded_batch_fn(INFO, SIZE), [None])
    return decode(tf.constant(list(files)))


@pytest.mark.parametrize("way", [in_saved_model, in_session])
def test_exports_decode_as_predictions(way, expected):
    actual = way(image_modes.FILES.values())
    for (name, image), other in zip(expected.items(), actual, strict=True):
        np.testing.assert_array_equal(image, other, err_msg=name)


# Sample code leaves it to Python to close a GIF.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_sample_code_decodes_as_predictions(expected, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    classifier = types.SimpleNamespace(info=INFO, image_size=SIZE)
    code = image_code.image_code(classifier, 1)
    for name, data in image_modes.FILES.items():
        (tmp_path / "image.jpg").write_bytes(data)
        values = {"np": np, "Image": PIL.Image, "ImageOps": PIL.ImageOps}
        exec(code, values)
        tolerance = 1e-3 if name in image_modes.EXACT else 3
        np.testing.assert_allclose(values["images"][0], expected[name], atol=tolerance)


def record_of(data):
    return tfrecords.ImageRecord(data, "x", 1, 1, 0)


def written(directory, records, decoding):
    """Writes a split of image files as they are; `decoding` is the records', None for no info."""
    directory.mkdir()
    split = tfrecords.write_split(
        records, dataset_dir=str(directory), dataset_name="folder", split_name="train",
        num_classes=2, num_shards=1,
    )  # fmt: skip
    dataset_info.write_label_file({0: "a", 1: "b"}, str(directory))
    if decoding is not None:
        info = dataset_info.DatasetInfo("folder", ("a", "b"), 3, {"train": split})
        info = dataclasses.replace(info, decoding=decoding)
        dataset_info.write(info, str(directory))
    return str(directory)


def model(decoding):
    return dataclasses.replace(INFO, decoding=decoding)


def evaluated(dataset_dir, decoding, **options):
    location = Location("folder", dataset_dir, **options)
    dataset = inputs.open_dataset(location, "train", 1 << 20, model(decoding))
    batches = inputs.evaluation_dataset(
        dataset,
        preprocessing_fn=preprocessing.preprocessing_fn(INFO, is_training=False),
        image_size=SIZE,
        batch_size=16,
    )
    return np.concatenate([batch["image"][batch["mask"]] for batch in batches])


def test_evaluation_of_converted_files_sees_the_pixels_of_predictions(expected, tmp_path):
    """Files with lossless records, and JPEGs that are kept, to the bit."""
    kept = [name for name in image_modes.FILES if name in image_modes.EXACT or "EXIF 1" in name]
    prepared = [images.prepare(image_modes.FILES[name]) for name in kept]
    records = [tfrecords.ImageRecord(*each[:4], label=0) for each in prepared]
    actual = evaluated(written(tmp_path / "d", records, _decodings.UPRIGHT), _decodings.UPRIGHT)
    for name, image in zip(kept, actual, strict=True):
        np.testing.assert_array_equal(image, expected[name], err_msg=name)


@pytest.mark.slow
def test_tiff_has_the_same_pixels_converted_in_place_and_predicted(tmp_path):
    raw, converted, archive = (str(tmp_path / name) for name in ("raw", "converted", "a.tar"))
    for number, (data, _) in enumerate(tiff_files.FILES.values()):
        path = tmp_path / "raw" / "ab"[number % 2] / f"{number:02d}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with tarfile.open(archive, "w") as tar:
        tar.add(raw, "raw")
    folder.convert(converted, source_dir=raw, validation_fraction=0)
    model = predictor.Predictor(
        INFO, with_signature(preprocessing.encoded_image_fn(INFO, SIZE), []), lambda batch: []
    )
    items = local_images.read(Location("folder", raw, validation_fraction=0)).splits["train"].items
    predicted = [model.prepare_file(item.source.read()).numpy() for item in items]
    assert len(predicted) == len(tiff_files.FILES)
    files = list(tiff_files.FILES.values())
    first = preprocessing.image_fn(INFO, SIZE)(files[int(items[0].filename[2:4])][1])
    np.testing.assert_array_equal(predicted[0], first)
    for source in (converted, raw, archive):
        fraction = None if source == converted else 0
        actual = evaluated(source, _decodings.UPRIGHT, validation_fraction=fraction)
        np.testing.assert_array_equal(actual, predicted)


@pytest.mark.parametrize(
    "recorded", [None, pytest.param(_decodings.STORED, marks=pytest.mark.slow)]
)
def test_evaluation_of_other_records_decodes_as_the_model(recorded, expected, tmp_path):
    names = [name for name in image_modes.FILES if "WEBP" not in name]
    records = [record_of(image_modes.FILES[name]) for name in names]
    directory = written(tmp_path / "d", records, recorded)
    actual = evaluated(directory, _decodings.UPRIGHT)
    for name, image in zip(names, actual, strict=True):
        np.testing.assert_array_equal(image, expected[name], err_msg=name)


@pytest.mark.parametrize(
    "recorded, decoding, applied",
    [
        (None, "tf_slim", "tf_slim"),
        (None, "upright", "upright"),
        ("stored", "tf_slim", "tf_slim"),
        ("stored", "stored", "tf_slim"),
        ("stored", "upright", "upright"),
        ("upright", "stored", "tf_slim"),
        ("upright", "upright", "tf_slim"),
    ],
)
def test_records_are_decoded_by_tensorflow_where_that_is_the_same(
    recorded, decoding, applied, tmp_path
):
    directory = written(tmp_path / "d", [record_of(image_modes.FILES["PNG RGB"])], recorded)
    dataset = inputs.open_dataset(Location("folder", directory), "train", 1 << 20, model(decoding))
    assert dataset.decoder.items_to_handlers["image"]._decoding == applied


def test_the_decoding_is_that_of_the_conversion(tmp_path):
    old = tmp_path / "old"
    written(old, [record_of(image_modes.FILES["PNG RGB"])], None)
    assert input_dataset.dataset_factory.get_metadata("folder", "train", str(old)).decoding == (
        _decodings.TF_SLIM
    )
    with pytest.raises(ValueError, match="decoding='upright' of an Image needs dtype=tf.uint8"):
        tfrecords.tfexample_decoder.Image(dtype=tf.uint16, decoding=_decodings.UPRIGHT)
