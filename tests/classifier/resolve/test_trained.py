import dataclasses

import pytest

from classifier.config import options
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.config.training import TrainConfig
from classifier.model_info import ModelInfo
from classifier.resolve.classes import Classes
from classifier.resolve.evaluation import (
    evaluated_dataset,
    resolve_evaluation,
)
from classifier.resolve.export import resolve_export
from classifier.resolve.prediction import prediction
from classifier.resolve.training import resolve_training
from slim import _checks
from tests.classifier import split_metadata

INFO = ModelInfo(
    model_name="lenet",
    num_classes=10,
    label_names=tuple(f"digit {label}" for label in range(10)),
    image_size=(28, 28),
    num_channels=1,
    preprocessing_name="lenet",
    dataset_name="digits",
)


def evaluation(info=INFO, dataset=None, **values):
    config = options.build(EvalConfig, checkpoint_path="run", dataset_dir="data", **values)
    return resolve_evaluation(config, info, dataset or split_metadata.Dataset())


def test_flags_default_to_model_info():
    result = evaluation()
    assert result.model == INFO
    assert result.image_size == (28, 28)
    assert not result.use_moving_averages
    assert (result.num_images, result.num_batches) == (1437, 15)


def test_flags_may_repeat_model_info():
    info = dataclasses.replace(INFO, moving_average_decay=0.99)
    result = evaluation(info, model_name="lenet", labels_offset=0, moving_average_decay=0.99)
    assert result.use_moving_averages


@pytest.mark.parametrize(
    "values, problem",
    [
        ({"model_name": "inception_v3"}, "model_name='inception_v3' contradicts 'lenet' in model_"),
        ({"labels_offset": 1}, "labels_offset=1 contradicts 0"),
        ({"use_grayscale": True}, "use_grayscale=True contradicts False"),
        ({"moving_average_decay": 0.9}, "moving_average_decay=0.9 contradicts None"),
        ({"preprocessing_name": "inception_v3"}, "preprocessing_name='inception' contradicts"),
    ],
)
def test_a_flag_that_contradicts_model_info_is_an_error_with_both_values(values, problem):
    with pytest.raises(_checks.UserError, match=problem):
        evaluation(**values)


def test_all_contradictions_are_reported():
    with pytest.raises(_checks.UserError) as caught:
        evaluation(labels_offset=1, use_grayscale=True)
    assert len(str(caught.value).splitlines()) == 2


def test_the_image_size_may_differ_from_model_info():
    assert evaluation(eval_image_size=(32, 40)).image_size == (32, 40)


@pytest.mark.parametrize("limit, images, batches", [(1, 100, 1), (15, 1437, 15), (99, 1437, 15)])
def test_max_num_batches_limits_the_images(limit, images, batches):
    result = evaluation(max_num_batches=limit)
    assert (result.num_images, result.num_batches) == (images, batches)


def test_a_dataset_without_a_common_class_is_an_error():
    others = {label: f"letter {label}" for label in range(10)}
    with pytest.raises(_checks.UserError, match="class 0 is 'digit 0' in the model and 'letter 0'"):
        evaluation(dataset=split_metadata.Dataset(labels_to_names=others))
    unnamed = split_metadata.Dataset(num_classes=5, labels_to_names={})
    with pytest.raises(_checks.UserError, match="dataset 'digits' has 5 classes, the model has 10"):
        evaluation(dataset=unnamed)
    twice = split_metadata.Dataset(num_classes=2, labels_to_names={0: "digit 3", 1: "digit 3"})
    with pytest.raises(_checks.UserError, match="has 2 classes, the model has 10"):
        evaluation(dataset=twice)


def test_export_requires_the_classes_of_the_model():
    with pytest.raises(_checks.UserError, match="dataset 'digits' has 5 classes, the model has 10"):
        export(INFO, split_metadata.Dataset(num_classes=5))


def test_a_dataset_may_lack_classes_of_a_network_with_more_logits():
    few = split_metadata.Dataset(num_classes=2, labels_to_names={0: "a", 1: "b"})
    names = ("a", "b", *map(str, range(2, 10)))
    larger = dataclasses.replace(INFO, label_names=names)
    assert evaluation(larger, few).model.num_classes == 10
    unnamed = dataclasses.replace(INFO, label_names=())
    with pytest.raises(_checks.UserError, match="dataset 'digits' has 2 classes, the model has 10"):
        evaluation(unnamed, few)
    assert evaluation(unnamed, few, num_classes=10).model == unnamed
    with pytest.raises(_checks.UserError, match="num_classes=9 contradicts 10 in model_info.json"):
        evaluation(unnamed, few, num_classes=9)
    described = evaluation(None, few, model_name="lenet", num_classes=10).model
    assert (described.num_classes, described.label_names) == (10, names)
    with pytest.raises(_checks.UserError, match="num_classes=2 is less than the 9 classes of the"):
        export(None, Classes(None, 9), model_name="lenet", num_classes=2)


def test_without_model_info_flags_and_dataset_describe_the_model():
    result = evaluation(None, model_name="inception_v3", labels_offset=1, moving_average_decay=0.9)
    assert result.model.num_classes == 9
    assert result.model.preprocessing_name == "inception"
    assert result.image_size == (299, 299)
    assert result.use_moving_averages


def test_without_model_info_the_network_is_required():
    with pytest.raises(_checks.UserError, match="model_name is required: there is no model_info"):
        evaluation(None)


def test_a_network_for_videos_is_an_error():
    with pytest.raises(_checks.UserError, match="model_name=s3dg expects videos"):
        evaluation(None, model_name="s3dg")


def test_the_dataset_defaults_to_the_training_dataset():
    config = options.build(EvalConfig, checkpoint_path="run", dataset_dir="data")
    assert evaluated_dataset(config, INFO) == "digits"
    with pytest.raises(_checks.UserError, match="dataset_name is required: there is no model_info"):
        evaluated_dataset(config, None)
    config = options.build(
        EvalConfig, checkpoint_path="run", dataset_dir="data", dataset_name="mnist"
    )
    assert evaluated_dataset(config, INFO) == "mnist"


def export(info, dataset=Classes(), **values):  # noqa: B008, it is frozen
    config = options.build(ExportConfig, checkpoint_path="run", output_dir="out", **values)
    return resolve_export(config, info, dataset)


def test_export_needs_only_model_info():
    assert export(INFO).model == INFO
    assert export(INFO).image_size == (28, 28)
    assert export(INFO, image_size=(32, 32)).image_size == (32, 32)


def test_incomplete_dataset_flags_are_an_error_in_export():
    with pytest.raises(_checks.UserError, match="dataset_name needs dataset_dir: the classes"):
        export(INFO, dataset_name="digits")
    with pytest.raises(_checks.UserError, match="dataset_name is required with dataset_dir"):
        export(None, dataset_dir="data", model_name="lenet")


def test_export_without_model_info_needs_only_the_network():
    with pytest.raises(_checks.UserError, match="model_name is required: there is no model_info"):
        export(None)
    assert export(None, split_metadata.Dataset(), model_name="lenet").model.num_classes == 10
    bare = export(None, Classes(None, 12, 1), model_name="lenet")
    assert (bare.model.num_classes, bare.model.label_names, bare.dataset) == (12, (), None)
    assert (bare.model.num_channels, bare.model.preprocessing_name) == (1, "lenet")
    cifar10 = Classes("cifar10", 10)
    shifted = export(None, cifar10, model_name="lenet", labels_offset=1, dataset_name="cifar10")
    assert (shifted.model.num_classes, shifted.model.dataset_name) == (9, "cifar10")


@pytest.mark.parametrize(
    "classes, values, problem",
    [
        (Classes(None, 10), {"labels_offset": 1}, "labels_offset needs dataset_name: without it"),
        (Classes("folder"), {}, "dataset_dir is required to read the classes of 'folder'"),
        (Classes("a", 3), {"labels_offset": 3}, "labels_offset=3 removes all 3 classes"),
        (Classes(None, 10), {"preprocessing_name": "vg"}, "no preprocessing is known for 'vg'"),
    ],
)
def test_unknown_classes_are_an_error(classes, values, problem):
    with pytest.raises(_checks.UserError, match=problem):
        export(None, classes, model_name="lenet", **values)


def test_the_preprocessing_of_an_export():
    flags = {"model_name": "inception_v3", "preprocessing_name": "vgg_16"}
    assert export(None, split_metadata.Dataset(), **flags).model.preprocessing_name == "vgg"
    with pytest.raises(_checks.UserError, match="preprocessing_name='vgg' contradicts 'lenet' in"):
        export(INFO, preprocessing_name="vgg_16")


def predicted(info, head_classes=None, **flags):
    config = options.build(PredictConfig, checkpoint_path="run", images=("a",), **flags)
    return prediction(config, info, lambda heads: head_classes)


def test_top_k_is_limited_to_the_number_of_classes():
    assert predicted(INFO, top_k=99).top_k == 10


def test_prediction_without_model_info_needs_the_network():
    with pytest.raises(_checks.UserError, match="model_name is required: there is no model_info.j"):
        predicted(None)
    with pytest.raises(_checks.UserError, match="model_name=i3d expects videos. Predict with a n"):
        predicted(None, model_name="i3d", num_classes=400)
    with pytest.raises(_checks.UserError, match="model_name='lenet' contradicts 'vgg_16' in mode"):
        predicted(dataclasses.replace(INFO, model_name="vgg_16"), model_name="lenet")


def test_published_networks_have_the_names_of_imagenets_classes():
    for classes, offset, first in ((1001, 0, "background"), (1000, 1, "tench, Tinca tinca")):
        model = predicted(None, classes, model_name="vgg_16").model
        assert (model.num_classes, model.labels_offset) == (classes, offset)
        assert model.class_names[0] == first
        assert model.class_names[-1] == "toilet tissue, toilet paper, bathroom tissue"
    other = predicted(None, 7, model_name="vgg_16", image_size=(64, 96))
    assert other.model.class_names == tuple("0123456")
    assert other.image_size == (64, 96)
    with pytest.raises(_checks.UserError, match="labels_offset=1 is for ImageNet's 1001 labels, b"):
        predicted(None, 7, model_name="vgg_16", labels_offset=1)


@pytest.mark.parametrize(
    "name, value, attribute",
    [
        ("preprocessing_name", "cifarnet", "preprocessing_name"),
        ("num_classes", 9, "num_classes"),
        ("use_grayscale", True, "use_grayscale"),
        ("moving_average_decay", 0.5, "moving_average_decay"),
        ("quantize", True, "quantized"),
        ("labels_offset", 1, "labels_offset"),
    ],
)
def test_options_describe_a_model_without_model_info(name, value, attribute):
    number = 1001 if name == "labels_offset" else 7
    default = predicted(None, number, model_name="vgg_16").model
    described = predicted(None, number, model_name="vgg_16", **{name: value}).model
    assert getattr(default, attribute) != value
    assert getattr(described, attribute) == value


@pytest.mark.parametrize("resolved", [evaluation, export])
def test_a_run_with_ranges_is_rounded_unless_quantize_is_false(resolved):
    quantized = dataclasses.replace(INFO, quantized=True)
    for flags, expected in (({}, True), ({"quantize": True}, True), ({"quantize": False}, False)):
        assert resolved(quantized, **flags).model.quantized is expected
        if not flags.get("quantize"):
            assert resolved(INFO, **flags).model == INFO
    with pytest.raises(_checks.UserError, match="quantize needs a run with quantize_delay: acc"):
        resolved(INFO, quantize=True)


def test_without_model_info_quantize_defaults_to_false():
    assert not evaluation(None, model_name="lenet").model.quantized
    assert evaluation(None, model_name="lenet", quantize=True).model.quantized


def test_formats_without_rounding_are_an_error():
    quantized = dataclasses.replace(INFO, quantized=True)
    flags = {"formats": ("frozen_pb", "tflite_float16"), "dataset_name": None}
    message = "formats=tflite_float16 does not support the rounding .* Add quantize=false"
    with pytest.raises(_checks.UserError, match=message):
        export(quantized, **flags)
    assert export(quantized, **flags, quantize=False).formats == flags["formats"]
    assert export(INFO, **flags).formats == flags["formats"]


def test_the_decoding_is_that_of_training_and_tf_slims_without_model_info():
    dataset = split_metadata.Dataset(decoding="upright")
    config = options.build(
        TrainConfig, train_dir="t", dataset_name="digits", dataset_dir="d", model_name="lenet"
    )
    trained = resolve_training(config, dataset).model
    assert trained.decoding == "upright"
    stored = split_metadata.Dataset(decoding="stored")
    assert evaluation(trained, stored).model.decoding == "upright"
    assert evaluation(None, dataset, model_name="lenet").model.decoding == "tf_slim"
