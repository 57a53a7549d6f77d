"""Training with several labels an image: the losses, a run, and what is not supported."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import slim
from classifier.config.network import LossOptions
from classifier.headlines import SEVERAL_CLASSES as HEADLINE
from classifier.label_kinds import ONE_CLASS, SEVERAL_CLASSES
from classifier.metrics_file import MetricsFile
from classifier.run_directory import RunDirectory
from classifier.training.loss import AUXILIARY_WEIGHT, training_loss

RANDOM = np.random.default_rng(1)
LOGITS = RANDOM.normal(0, 2, [6, 4]).astype(np.float32)
HOT = (RANDOM.random([6, 4]) < 0.5).astype(np.int64)
CLASSES = np.array([0, 3, 1, 1, 2, 0])


def loss_of(label, kind=SEVERAL_CLASSES, class_weights=(), auxiliary=False, more=None, **options):
    """Returns the total loss of a batch with `LOGITS`."""

    def network(image):
        return tf.constant(LOGITS), {"AuxLogits": tf.constant(-LOGITS)} if auxiliary else {}

    fn = training_loss(network, 4, LossOptions(**options), class_weights, kind)
    store = slim.VariableStore(seed=0)
    with store.as_default():
        total, metrics = fn(tf.zeros([6, 1]), tf.constant(label), **(more or {}))
    return float(total), metrics


def cross_entropy(logits, targets):
    return tf.nn.sigmoid_cross_entropy_with_logits(np.float32(targets), logits).numpy()


def test_the_losses_of_an_image_are_summed():
    total, metrics = loss_of(HOT)
    assert total == pytest.approx(cross_entropy(LOGITS, HOT).sum(axis=1).mean(), rel=1e-5)
    assert HEADLINE.training in metrics
    one, metrics = loss_of(CLASSES, ONE_CLASS, loss="sigmoid")
    hot = np.eye(4)[CLASSES]
    assert one == pytest.approx(cross_entropy(LOGITS, hot).sum(axis=1).mean(), rel=1e-5)
    assert float(metrics["accuracy"]) == np.mean(LOGITS.argmax(1) == CLASSES, dtype=np.float32)


def test_each_class_has_its_weight_and_the_auxiliary_loss_too():
    weights = (1.0, 0.0, 3.0, 0.5)
    total, _ = loss_of(HOT, class_weights=weights, auxiliary=True)
    rows = cross_entropy(LOGITS, HOT) + AUXILIARY_WEIGHT * cross_entropy(-LOGITS, HOT)
    assert total == pytest.approx((rows * weights).sum(axis=1).mean(), rel=1e-5)


def test_mixed_labels_are_soft_and_skipped_images_do_not_count():
    mix, weight = np.linspace(0, 1, 6, dtype=np.float32), np.float32([1, 0, 1, 1, 1, 0])
    more = {
        "mixed_label": tf.constant(HOT[::-1].copy()),
        "mix": tf.constant(mix),
        "weight": tf.constant(weight),
    }
    targets = mix[:, None] * HOT + (1 - mix[:, None]) * HOT[::-1]
    for class_weights in ((), (1.0, 2.0, 3.0, 0.5)):
        total, _ = loss_of(HOT, class_weights=class_weights, more=more)
        rows = cross_entropy(LOGITS, targets) * (class_weights or 1.0)
        assert total == pytest.approx(rows.sum(axis=1)[weight > 0].mean(), rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "focal"},
        {"loss": "focal", "focal_gamma": 1.0},
        {"loss": "focal", "focal_alpha": 0.25},
        {"loss": "asymmetric"},
        {"loss": "asymmetric", "asymmetric_gamma_positive": 1.0},
        {"loss": "asymmetric", "asymmetric_gamma_negative": 2.0},
        {"loss": "asymmetric", "asymmetric_clip": 0.2},
        {"loss": "sigmoid", "label_smoothing": 0.2},
        {"loss": "asymmetric", "label_smoothing": 0.2},
    ],
)
def test_the_loss_and_its_parameters_are_options(options):
    values = dict(options)
    names = {"focal": "sigmoid_focal_cross_entropy", "sigmoid": "sigmoid_cross_entropy",
             "asymmetric": "sigmoid_asymmetric_cross_entropy"}  # fmt: skip
    name = values.pop("loss")
    parameters = {key.removeprefix(f"{name}_"): value for key, value in values.items()}
    expected = 4 * getattr(slim.losses, names[name])(LOGITS, HOT, **parameters)
    total, _ = loss_of(HOT, **options)
    assert total == pytest.approx(float(expected), rel=1e-5)
    assert total != pytest.approx(loss_of(HOT)[0], rel=1e-3)


@pytest.mark.parametrize(
    "more, message",
    [
        ({"focal_gamma": 1}, "--focal_gamma needs --loss=focal"),
        ({"asymmetric_clip": 0.1, "loss": "focal"}, "--asymmetric_clip needs --loss=asymmetric"),
        ({"loss": "hinge"}, "loss='hinge'"),
        ({"multi_label": True, "loss": "softmax"}, "--loss=softmax needs one label an image, but"),
        ({"multi_label": True, "balanced_sampling": True},
         "--balanced_sampling needs one label an image, but the dataset has several. Use --class"),
    ],
)  # fmt: skip
def test_options_that_need_others_are_errors(train, tmp_path, more, message):
    answer = train(tmp_path / "run", **more)
    assert answer.code == 2
    assert message in "\n".join(answer.err)


def test_automatic_fine_tuning_needs_one_label(train, labels_run, labels_data, tmp_path):
    answer = train(
        tmp_path / "run", dataset_name="folder", dataset_dir=labels_data, finetune="auto",
        checkpoint_path=labels_run,
    )  # fmt: skip
    assert answer.code == 2
    expected = "--finetune=auto needs one label an image, but the dataset has several. Use --fi"
    assert expected in "\n".join(answer.err)


def test_a_dataset_with_several_labels_needs_several_classes(train, labels_data, tmp_path):
    answer = train(
        tmp_path / "run", dataset_name="folder", dataset_dir=labels_data, multi_label="false"
    )
    assert answer.code == 2
    assert "--multi_label=false contradicts dataset 'folder', whose images have" in answer.err[-1]


def test_a_run_logs_f1_and_ranks_by_mean_average_precision(labels_run):
    lines = MetricsFile(RunDirectory(str(labels_run)).metrics_path).read()
    training = [line["micro_f1"] for line in lines if "micro_f1" in line]
    assert len(training) == 6
    evaluations = [line for line in lines if HEADLINE.key in line]
    assert [line["step"] for line in evaluations] == [30, 60]
    assert evaluations[-1][HEADLINE.key] > 0.6  # of random answers: 0.5
    best = json.loads((labels_run / "best" / "best.json").read_text())
    assert (best["metric"], best["value"]) == (
        HEADLINE.key,
        max(line[HEADLINE.key] for line in evaluations),
    )
    assert RunDirectory(str(labels_run)).read_model_info().multi_label


@pytest.mark.slow
def test_labels_of_one_class_may_be_trained_as_several_and_not_resumed_as_one(train, tmp_path):
    answer = train(tmp_path / "run", multi_label=True, loss="asymmetric", class_weights="auto",
                   mixup_alpha=0.4, label_smoothing=0.1, on_bad_image="skip",
                   summarize_images=True, eval_every_steps=2)  # fmt: skip
    assert answer.code == 0, answer.err
    assert any(line.startswith("validation mAP ") for line in answer.out)
    assert (tmp_path / "run" / "images" / "step-0.png").is_file()
    again = train(tmp_path / "run", max_number_of_steps=4)
    assert again.code == 2
    assert "multi_label: True -> False" in again.err[-1]


def test_one_class_is_not_resumed_as_several(train, existing_run):
    again = train(existing_run, multi_label=True, max_number_of_steps=4)
    assert again.code == 2
    assert "multi_label: False -> True" in again.err[-1]
    info = RunDirectory(str(existing_run)).read_model_info()
    assert "multi_label" not in info.to_dict()
    assert dataclasses.replace(info, multi_label=True).to_dict()["multi_label"] is True
