"""One limit of pixels wherever an image enters; bad images in a batch are named by their index."""

import re

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from classifier.checkpoints import sources
from classifier.config import options
from classifier.config.prediction import PredictConfig
from classifier.inference import predict as predicting
from classifier.inference.model import InferenceModel
from classifier.inference.predictor import of_checkpoint
from datasets import dataset_info, tfrecords, verify
from slim import _checks
from tests.classifier.export.test_formats import export_to, make_run, read
from tests.datasets import bombs, sample_files

PIXELS = 28 * 28  # of a digit
_NAMED = re.compile(r"Cannot decode image .*has 28 x 28 pixels, more than max_pixels=783")
BOMBS = {name: content for name, (content, _) in bombs.rejected().items()}
REASONS = {name: reason for name, (_, reason) in bombs.rejected().items()}
GOOD = sample_files.encoded(PIL.Image.fromarray(np.zeros([30, 30], np.uint8)), "PNG")


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("lenet"))


@pytest.fixture(scope="module")
def exported(lenet, tmp_path_factory):
    """The SavedModel, which takes up to 1,500 pixels."""
    folder = export_to(tmp_path_factory.mktemp("out"), lenet, "saved_model", max_pixels=1500)
    return tf.saved_model.load(str(folder / "saved_model" / "1"))


def test_max_pixels_acts_in_train(train, tmp_path):
    refused = train(tmp_path / "run", max_pixels=PIXELS - 1, max_number_of_steps=1)
    assert refused.code == 1
    assert _NAMED.search(refused.err[-1])


def test_max_pixels_acts_in_eval(evaluate, lenet_run):
    refused = evaluate(lenet_run, max_pixels=PIXELS - 1, max_num_batches=1)
    assert refused.code == 1
    assert _NAMED.search(refused.err[-1])


def predict(run, folder, **values):
    flags = {"checkpoint_path": str(run), "images": (str(folder),)}
    return predicting.run(options.build(PredictConfig, **flags, **values))


def test_max_pixels_acts_in_predict(lenet, tmp_path):
    (tmp_path / "good.png").write_bytes(GOOD)
    predict(lenet, tmp_path, max_pixels=900)
    with pytest.raises(
        _checks.RunError, match="good.png: has 30 x 30 pixels, more than max_pixels"
    ):
        predict(lenet, tmp_path, max_pixels=899)


def test_max_pixels_acts_in_export(exported, lenet, tmp_path):
    large = tf.io.encode_png(np.zeros([40, 40, 1], np.uint8)).numpy()
    with pytest.raises(tf.errors.InvalidArgumentError, match="image 0 has 40 x 40 pixels, more th"):
        exported.signatures["serving_default"](image_bytes=tf.constant([large]))
    export_to(tmp_path, lenet, "frozen_pb", input_type="encoded_image", max_pixels=1500)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(read(tmp_path / "lenet.pb"), name="")
        actual = session.run("Predictions/Reshape_1:0", {"input:0": [GOOD]})
        assert actual.shape == (1, 10)
        with pytest.raises(tf.errors.InvalidArgumentError, match="image 1 has 40 x 40 pixels"):
            session.run("Predictions/Reshape_1:0", {"input:0": [GOOD, large]})


def test_an_export_needs_room_for_the_images_that_check_it(lenet, tmp_path):
    with pytest.raises(_checks.UserError, match="max_pixels=100 is too small: the export is verif"):
        export_to(tmp_path, lenet, "saved_model", max_pixels=100)


def test_predict_names_each_bomb_and_answers_the_others(lenet, tmp_path, capsys):
    for name, content in (BOMBS | {"a.png": GOOD, "z.png": GOOD}).items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(_checks.RunError, match=f"{len(BOMBS)} of {len(BOMBS) + 2} images cannot"):
        predict(lenet, tmp_path, batch_size=5)
    assert capsys.readouterr().out.count("digit 0") == 2
    checkpoint = sources.open_checkpoint(str(lenet))
    classifier = InferenceModel(checkpoint.info, checkpoint)
    paths = [str(tmp_path / name) for name in BOMBS]
    no_image = {"zeros.jpg": "is not a JPEG, PNG, GIF, BMP or WebP image"}
    assert dict(predicting.predict(of_checkpoint(classifier), paths, 5)) == {
        str(tmp_path / name): reason for name, reason in (REASONS | no_image).items()
    }


def test_a_file_that_cannot_be_opened_is_a_bad_one(lenet, tmp_path):
    (tmp_path / "good.png").write_bytes(GOOD)
    checkpoint = sources.open_checkpoint(str(lenet))
    classifier = InferenceModel(checkpoint.info, checkpoint)
    (answer,) = dict(predicting.predict(of_checkpoint(classifier), [str(tmp_path)], 5)).values()
    assert answer == "cannot be read: not a regular file (a directory)"


def test_verify_lists_each_bomb(tmp_path):
    names = sorted(BOMBS)
    records = [tfrecords.ImageRecord(BOMBS[name], "x", 0, 0, 0, name) for name in names]
    split_options = {"dataset_dir": str(tmp_path), "dataset_name": "folder", "split_name": "train"}
    split = tfrecords.write_split(records, **split_options, num_classes=1, num_shards=1)
    info = dataset_info.DatasetInfo("folder", ("a",), 3, {"train": split})
    dataset_info.write(info, str(tmp_path))
    lines = []
    with pytest.raises(_checks.RunError, match=rf"has {len(names)} problem\(s\)"):
        verify.run(str(tmp_path), lines.append)
    shard = split.shards[0].file
    expected = [line.strip() for line in lines[-len(names) :]]
    assert expected == [
        f"{shard} record {number} ({name!r}): the image {REASONS[name]}"
        for number, name in enumerate(names)
    ]


def test_every_signature_answers_an_empty_batch(exported):
    shapes = {"classes": (0,), "logits": (0, 10), "probabilities": (0, 10), "features": (0, 1024)}
    for name, signature in exported.signatures.items():
        ((argument, spec),) = signature.structured_input_signature[1].items()
        empty = tf.zeros([0, *spec.shape[1:]], spec.dtype)
        actual = {key: tuple(value.shape) for key, value in signature(**{argument: empty}).items()}
        assert actual == {key: shapes[key] for key in actual}, name


def test_a_batch_is_refused_with_the_index_and_reason_of_each_bad_image(exported):
    batch = [GOOD, b"no image", GOOD, BOMBS["tiny.webp"], GOOD[:-20]]
    reason = (
        r"\[image 1 is not a JPEG, PNG, GIF, BMP or WebP image; image 3 has 16384 x 16384 pixels,"
        r" more than max_pixels=1500; image 4 cannot be decoded\]"
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        exported.signatures["serving_default"](image_bytes=tf.constant(batch))
    answer = exported.signatures["serving_default"](image_bytes=tf.constant([GOOD, GOOD]))
    assert answer["logits"].shape == [2, 10]
