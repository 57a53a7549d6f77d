"""Knowledge distillation: the loss against NumPy, the teacher's checks, and runs with a teacher."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, rel_entr, softmax

import slim
from classifier import label_kinds
from classifier.checkpoints import sources
from classifier.config.distillation import DistillationOptions
from classifier.run_directory import RunDirectory
from classifier.training import distillation, loss
from slim import _checks, checkpoints

IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 28, 28, 1)).astype(np.float32)


def teacher_of(run, student=None, **more):
    options = DistillationOptions(teacher_checkpoint_path=str(run), **more)
    return distillation.Teacher(options, student or RunDirectory(str(run)).read_model_info())


@pytest.mark.parametrize("weight, temperature", [(0.25, 4.0), (1.0, 1.0)])
def test_the_loss_is_that_of_numpy(lenet_run, lenet_classifier, weight, temperature):
    teacher = teacher_of(
        lenet_run, distillation_weight=weight, distillation_temperature=temperature
    )
    targets = lenet_classifier(IMAGES)["logits"].numpy()
    np.testing.assert_allclose(teacher.logits(IMAGES), targets, rtol=1e-5)
    logits = np.random.default_rng(1).normal(size=(4, 10)).astype(np.float32)
    labels, image_weights = np.array([3, 1, 4, 1]), np.array([1, 1, 0, 1], np.float32)
    loss_fn = loss.training_loss(lambda image: (tf.constant(logits), {}), 10, teacher=teacher)
    with slim.VariableStore().as_default():
        total, metrics = loss_fn(IMAGES, labels, weight=image_weights)
    hard = -np.log(softmax(logits, axis=1)[np.arange(4), labels])
    soft = rel_entr(softmax(targets / temperature, axis=1), softmax(logits / temperature, axis=1))
    each = (1 - weight) * hard + weight * temperature**2 * soft.sum(axis=1)
    assert float(total) == pytest.approx(each[image_weights > 0].mean(), rel=1e-4)
    assert "losses/distillation_loss/value" in metrics


def test_the_divergence_of_several_classes_is_that_of_numpy():
    targets, logits = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32) * 3
    p, q = expit(targets), expit(logits)
    expected = (rel_entr(p, q) + rel_entr(1 - p, 1 - q)).sum(axis=1)
    kind = label_kinds.SEVERAL_CLASSES
    np.testing.assert_allclose(kind.divergences(targets, logits), expected, rtol=1e-4)
    np.testing.assert_allclose(kind.divergences(targets, targets), 0, atol=1e-6)


def test_the_teacher_sees_images_of_its_size_and_values(lenet_run, lenet_classifier):
    student = dataclasses.replace(
        lenet_classifier.info, image_size=(56, 56), preprocessing_name="inception"
    )
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 56, 56, 1)).astype(np.float32)
    resized = tf.image.resize(pixels, (28, 28), antialias=True)
    expected = lenet_classifier((resized - 128) / 128)["logits"]
    logits = teacher_of(lenet_run, student).logits((pixels - 127.5) / 127.5)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("changes, text", [
    ({"num_classes": 9, "label_names": ()}, "has 10 classes, the run has 9"),
    ({"label_names": tuple("9123456780")}, "class 0 is 'zero' in the checkpoint and '9' in"),
    ({"multi_label": True}, "the run has several labels an image, it has one class"),
    ({"num_channels": 3}, r"expects images of 1 channel\(s\), the run's have 3"),
    ({"preprocessing_name": "cifarnet"}, "Use preprocessing_name=lenet"),
])  # fmt: skip
def test_teachers_of_other_classes_or_images_are_errors(lenet_run, lenet_classifier, changes, text):
    with pytest.raises(_checks.UserError, match=text):
        teacher_of(lenet_run, dataclasses.replace(lenet_classifier.info, **changes))


def test_the_network_of_the_teacher(lenet_run, lenet_classifier, tmp_path):
    with pytest.raises(_checks.UserError, match="teacher_model_name=cifarnet contradicts 'lenet'"):
        teacher_of(lenet_run, teacher_model_name="cifarnet")
    values = lenet_classifier.values()
    bare = checkpoints.save(str(tmp_path / "bare.ckpt"), values)
    with pytest.raises(_checks.UserError, match="teacher_model_name is required"):
        teacher_of(bare, lenet_classifier.info)
    teacher = teacher_of(bare, lenet_classifier.info, teacher_model_name="lenet")
    np.testing.assert_allclose(
        teacher.logits(IMAGES), lenet_classifier(IMAGES)["logits"], rtol=1e-5
    )
    video = dataclasses.replace(lenet_classifier.info, model_name="i3d")
    assert "i3d expects videos" in str(next(distillation._differences(video, video)))
    with pytest.raises(_checks.UserError, match="distillation_weight needs teacher_checkpoint"):
        DistillationOptions(distillation_weight=0.1)


ADAM = {"optimizer": "adamw", "learning_rate": 0.001, "batch_size": 32, "max_number_of_steps": 120}


@pytest.mark.slow
def test_a_student_learns_from_its_teacher_alone(train, tmp_path):
    assert train(tmp_path / "teacher", **ADAM).code == 0
    answer = train(
        tmp_path / "student",
        **ADAM,
        seed=7,
        teacher_checkpoint_path=tmp_path / "teacher",
        distillation_weight=1,
        eval_every_steps=120,
    )
    assert answer.code == 0, answer.err
    expected = f"teacher: lenet at 28x28 from {tmp_path}/teacher/model.ckpt-120, weight 1"
    assert any(line.startswith(expected) for line in answer.out)
    student, teacher = (
        sources.open_checkpoint(str(tmp_path / name)).variables() for name in ("student", "teacher")
    )
    assert student == teacher  # the teacher adds no variables
    lines = map(json.loads, (tmp_path / "student" / "metrics.jsonl").read_text().splitlines())
    assert max(line.get("eval_accuracy", 0) for line in lines) > 0.8  # chance is 0.1


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"finetune": "auto"}])
def test_a_run_with_a_teacher_resumes_exactly(train, trained, tmp_path, more):
    values = {"teacher_checkpoint_path": trained, "checkpoint_path": trained, **more}
    values |= {"train_image_size": 28, "learning_rate": 0.001, "decay_steps": 4}
    values["eval_every_steps"] = 100
    for name, steps in (("a", 4), ("b", 2), ("b", 4)):
        answer = train(tmp_path / name, **values | {"max_number_of_steps": steps})
        assert answer.code == 0, answer.err
    one, two = (sources.open_checkpoint(str(tmp_path / name)) for name in "ab")
    assert one.get("global_step") == two.get("global_step") == 4
    for name in one.variables():
        np.testing.assert_array_equal(one.get(name), two.get(name), err_msg=name)
