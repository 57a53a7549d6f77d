"""What is told of checkpoints that do not fit, in training and in evaluation."""

import numpy as np
import pytest
import tensorflow as tf

from tests.classifier import originals


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


def lenet(classes=10):
    values = originals.network_values("lenet")
    values["LeNet/fc4/weights"] = np.ones([1024, classes], np.float32)
    values["LeNet/fc4/biases"] = np.zeros([classes], np.float32)
    return values


@pytest.fixture(scope="module")
def eleven(folder):
    """Of 11 classes."""
    return originals.write(folder / "eleven" / "model.ckpt-1", lenet(11))


@pytest.fixture(scope="module")
def other(folder):
    """Of another network."""
    values = {"resnet_v1_50/logits/biases": np.ones(1000, np.float32),
              "resnet_v1_50/logits/weights": np.ones([1, 1, 8, 1000], np.float32)}  # fmt: skip
    return originals.write(folder / "other" / "model.ckpt-1", values)


@pytest.fixture(scope="module")
def headless(folder):
    """Without the last layer, and with one more."""
    values = {n: v for n, v in lenet().items() if "/fc4/" not in n}
    values["LeNet/fc5/weights"] = np.ones([3], np.float32)
    return originals.write(folder / "headless" / "model.ckpt-1", values)


def one_line(told):
    assert (told.code, len(told.err)) == (2, 1), told.err
    return told.err[0].partition(": ")[2]


def test_a_head_of_other_classes_names_the_flag(train, eleven, tmp_path):
    message = one_line(train(tmp_path / "run", checkpoint_path=eleven))
    assert message == (
        "Checkpoint head has 11 classes, dataset 'digits' has 10 (LeNet/fc4). "
        "Add --checkpoint_exclude_scopes=LeNet/fc4"
    )
    flag = message.rpartition(" --")[2].split("=")
    told = train(tmp_path / "run", checkpoint_path=eleven, **dict([flag]))
    assert told.code == 0
    assert "restored 6, skipped 2, missing 0, unused 2 variables" in "\n".join(told.out)


def test_scopes_that_are_excluded_already_stay(train, eleven, tmp_path):
    message = one_line(
        train(tmp_path / "run", checkpoint_path=eleven, checkpoint_exclude_scopes="LeNet/conv1")
    )
    assert message.endswith("Add --checkpoint_exclude_scopes=LeNet/conv1,LeNet/fc4")


def test_shapes_that_differ_outside_the_head(train, folder, tmp_path):
    values = lenet() | {"LeNet/conv1/weights": np.ones([5, 5, 3, 32], np.float32)}
    colour = originals.write(folder / "colour" / "model.ckpt-1", values)
    message = one_line(train(tmp_path / "run", checkpoint_path=colour))
    assert message == (
        f"Checkpoint {colour} does not fit: LeNet/conv1/weights has shape [5, 5, 3, 32] in it and "
        "[5, 5, 1, 32] here. `python -m classifier.checkpoints diff` compares it with networks"
    )


def test_a_checkpoint_of_another_network(train, other, tmp_path):
    assert one_line(train(tmp_path / "run", checkpoint_path=other)) == (
        f"Checkpoint {other} has none of the 8 variables wanted of lenet, such as "
        "LeNet/conv1/weights. Its scopes are those of resnet_v1_50"
    )


def test_a_checkpoint_of_no_network(train, folder, tmp_path):
    strange = originals.write(folder / "strange" / "m", {"layer/kernel": np.ones([2], np.float32)})
    message = one_line(train(tmp_path / "run", checkpoint_path=strange))
    assert message.endswith("such as LeNet/conv1/weights. It holds: layer/kernel")


def test_a_checkpoint_of_keras(train, tmp_path):
    strange = tf.train.Checkpoint(v=tf.Variable(1.0)).save(str(tmp_path / "c" / "ckpt"))
    message = one_line(train(tmp_path / "run", checkpoint_path=strange))
    assert "It was written by tf.train.Checkpoint or Keras, whose names are paths" in message


def test_missing_variables_name_the_flag(train, headless, tmp_path):
    message = one_line(train(tmp_path / "run", checkpoint_path=headless))
    assert message == (
        f"Checkpoint {headless} has 6 of the 8 variables wanted. Missing: LeNet/fc4/weights, "
        "LeNet/fc4/biases. Unused: LeNet/fc5/weights. Add --ignore_missing_vars to go on without "
        "them, or exclude their scopes"
    )
    told = train(tmp_path / "run", checkpoint_path=headless, ignore_missing_vars=True)
    assert told.code == 0
    assert "restored 6, skipped 0, missing 2, unused 1 variables" in "\n".join(told.out)


def evaluated(evaluate, checkpoint, **more):
    given = {"model_name": "lenet", "dataset_name": "digits"} | more
    return one_line(evaluate(checkpoint, **given))


def test_evaluation_with_a_head_of_other_classes(evaluate, eleven):
    start = "Checkpoint head has 11 classes, dataset 'digits' has "
    message = evaluated(evaluate, eleven)
    assert message.startswith(f"{start}10 (LeNet/fc4). It has to be the dataset that the")
    message = evaluated(evaluate, eleven, labels_offset=1)
    assert message.startswith(f"{start}9 with labels_offset=1 (LeNet/fc4). ")


def test_evaluation_of_another_network(evaluate, other):
    assert evaluated(evaluate, other).endswith("Its scopes are those of resnet_v1_50")


def test_evaluation_of_a_checkpoint_that_lacks_variables(evaluate, headless):
    assert evaluated(evaluate, headless) == (
        f"Checkpoint {headless} lacks 2 variables of lenet: LeNet/fc4/weights, LeNet/fc4/biases"
    )


def test_evaluation_of_other_shapes(evaluate, folder):
    values = lenet() | {"LeNet/conv2/biases": np.ones([65], np.float32)}
    wide = originals.write(folder / "wide" / "model.ckpt-1", values)
    assert evaluated(evaluate, wide) == (
        f"Checkpoint {wide} does not fit: LeNet/conv2/biases has shape [65] in it and [64] here"
    )


def test_evaluation_without_averages(evaluate, eleven):
    assert evaluated(evaluate, eleven, moving_average_decay=0.9) == (
        f"Checkpoint {eleven} has no moving averages of the weights: moving_average_decay=0.9 has "
        "nothing to use"
    )


def test_evaluation_without_a_network(evaluate, eleven):
    assert "model_name is required: there is no model_info.json" in one_line(
        evaluate(eleven, dataset_name="digits")
    )


def test_a_folder_without_a_checkpoint(evaluate, tmp_path):
    (tmp_path / "a.txt").touch()
    message = one_line(evaluate(tmp_path, model_name="lenet", dataset_name="digits"))
    assert "holds no checkpoint, expected model.ckpt-*.index; it holds: a.txt" in message
