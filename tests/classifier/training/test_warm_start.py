"""Fine-tuning from checkpoints, and errors about checkpoints that do not fit."""

import glob
import shutil

import numpy as np
import pytest
import tensorflow as tf

import slim
from classifier.checkpoints import keras_weights, sources
from classifier.checkpoints.sources import RenamedSource, open_source
from classifier.config.finetuning import FinetuneOptions
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from classifier.training import warm_start
from datasets import digits as digits_lib
from nets import nets_factory
from slim import _checks, checkpoints
from tests.classifier import originals


@pytest.fixture(scope="module")
def checkpoint_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


def lenet(classes=10):
    values = originals.network_values("lenet")
    values["LeNet/fc4/weights"] = np.ones([1024, classes], np.float32)
    values["LeNet/fc4/biases"] = np.zeros([classes], np.float32)
    return values


@pytest.fixture(scope="module")
def eleven(checkpoint_dir):
    """Of 11 classes."""
    return originals.write(checkpoint_dir / "eleven" / "model.ckpt-1", lenet(11))


@pytest.fixture(scope="module")
def other(checkpoint_dir):
    """Of another network."""
    values = {"resnet_v1_50/logits/biases": np.ones(1000, np.float32),
              "resnet_v1_50/logits/weights": np.ones([1, 1, 8, 1000], np.float32)}  # fmt: skip
    return originals.write(checkpoint_dir / "other" / "model.ckpt-1", values)


@pytest.fixture(scope="module")
def headless(checkpoint_dir):
    """Without the last layer, and with one more."""
    values = {n: v for n, v in lenet().items() if "/fc4/" not in n}
    values["LeNet/fc5/weights"] = np.ones([3], np.float32)
    return originals.write(checkpoint_dir / "headless" / "model.ckpt-1", values)


def one_line(result):
    assert (result.code, len(result.err)) == (2, 1), result.err
    return result.err[0].partition(": ")[2]


def start_of(result):
    """Returns the log lines about a run's starting point."""
    assert result.code == 0, result.err
    at = next(i for i, line in enumerate(result.out) if line.startswith("Starting at step 0"))
    return result.out[at : at + 2]


@pytest.mark.slow
def test_a_head_with_another_number_of_classes_is_skipped(train, eleven, tmp_path):
    result = train(tmp_path / "run", checkpoint_path=eleven)
    origin, head = start_of(result)
    assert origin == (
        "Starting at step 0: restored 6, skipped 2 (head), missing 0, unused 0 variables of "
        f"{eleven}"
    )
    assert head == (
        "Checkpoint head has 11 classes, dataset 'digits' has 10 (LeNet/fc4): initialized from"
        " scratch (--checkpoint_exclude_scopes=auto)"
    )
    assert near(values(tmp_path / "run", "conv1/weights"), lenet()["LeNet/conv1/weights"])
    assert not near(values(tmp_path / "run", "fc4/weights"), 1.0)


def values(run, name):
    reader = checkpoints.read(checkpoints.find(run))
    return reader.get(f"LeNet/{name}")


def near(values, expected):
    """Returns whether values equal the expected ones up to two small training steps."""
    return np.abs(values - expected).max() < 0.05


def lenet_info(label_names):
    return ModelInfo(
        model_name="lenet", num_classes=10, image_size=(28, 28), preprocessing_name="lenet",
        num_channels=1, label_names=tuple(label_names),
    )  # fmt: skip


@pytest.fixture
def restored():
    """Restores a LeNet of ten classes; returns the log lines and {variable: value}."""

    def restore(label_names=(), **flags):
        info = lenet_info(label_names)
        store = slim.VariableStore(seed=0)
        network = nets_factory.get_network_fn("lenet", 10)
        store.build(network, tf.TensorSpec([1, 28, 28, 1]))
        options = FinetuneOptions(**flags)
        checkpoint = sources.open_checkpoint(str(options.checkpoint_path))
        lines = warm_start.WarmStart(options, info, checkpoint)(store).splitlines()
        return lines, {name: v.numpy() for name, v in store.named_variables.items()}

    return restore


def test_an_explicit_list_does_not_include_the_head(train, eleven, tmp_path):
    flags = {"checkpoint_path": eleven, "checkpoint_exclude_scopes": "LeNet/conv1"}
    assert one_line(train(tmp_path / "run", **flags)) == (
        "Checkpoint head has 11 classes, dataset 'digits' has 10 (LeNet/fc4). Add "
        "--checkpoint_exclude_scopes=LeNet/conv1,LeNet/fc4, or =LeNet/conv1,auto"
    )


@pytest.mark.parametrize("last", ["LeNet/fc4", "auto"])
def test_scopes_and_auto_are_excluded_together(restored, eleven, last):
    lines, _ = restored(checkpoint_path=eleven, checkpoint_exclude_scopes=("LeNet/conv1", last))
    assert lines[0].startswith("restored 4, skipped 4 (LeNet/")
    for scope in ("LeNet/conv1", "LeNet/fc4"):
        assert scope in lines[0].partition("missing")[0]


def test_auto_restores_a_head_with_as_many_classes(restored, checkpoint_dir):
    ten = originals.write(checkpoint_dir / "ten" / "model.ckpt-1", lenet(10))
    lines, _ = restored(checkpoint_path=ten, checkpoint_exclude_scopes=("auto",))
    assert lines == [f"restored 8, skipped 0, missing 0, unused 0 variables of {ten}"]


@pytest.fixture(scope="module")
def reordered(checkpoint_dir):
    """A checkpoint whose model_info.json has the digits' classes in another order."""
    prefix = originals.write(checkpoint_dir / "reordered" / "model.ckpt-1", lenet(10))
    info = lenet_info(reversed(digits_lib.CLASSES))
    RunDirectory.of_checkpoint(prefix).write_model_info(info)
    return prefix


@pytest.mark.slow
def test_a_head_with_other_class_names_is_skipped(train, reordered, tmp_path):
    origin, head = start_of(train(tmp_path / "run", checkpoint_path=reordered))
    assert origin == (
        "Starting at step 0: restored 6, skipped 2 (head: other classes), missing 0, unused 0 "
        f"variables of {reordered}"
    )
    assert head == (
        "class 0 is 'nine' in the checkpoint and 'zero' in dataset 'digits' (LeNet/fc4):"
        " initialized from scratch (--checkpoint_exclude_scopes=auto)"
    )
    assert near(values(tmp_path / "run", "conv1/weights"), lenet()["LeNet/conv1/weights"])
    assert not near(values(tmp_path / "run", "fc4/weights"), 1.0)


NAMED = "class 0 is 'nine' in the checkpoint and 'zero' in the model"
SKIPPED = f"{NAMED} (LeNet/fc4): initialized from scratch"
RESTORED = f"warning: {NAMED}, and the head was restored. To initialize it from scratch, add LeNet/"


@pytest.mark.parametrize(
    "excluded, counts, message",
    [
        ("auto", "6, skipped 2 (head: other classes)", SKIPPED),
        ("LeNet/fc4,auto", "6, skipped 2 (head)", ""),
        ("LeNet/conv1,auto", "4, skipped 4 (LeNet/", SKIPPED),
        ("LeNet/conv1", "6, skipped 2 (LeNet/conv1)", RESTORED),
        ("none", "8, skipped 0,", f"{RESTORED}fc4 or auto to --checkpoint_exclude_scopes"),
    ],
)
def test_excluded_scopes_with_other_class_names(restored, reordered, excluded, counts, message):
    lines, values = restored(
        digits_lib.CLASSES,
        checkpoint_path=reordered,
        checkpoint_exclude_scopes=tuple(excluded.split(",")),
    )
    assert lines[0].startswith(f"restored {counts}")
    assert [message in line for line in lines[1:]] == [True] * bool(message)
    is_restored = message.startswith("warning")
    assert np.array_equal(values["LeNet/fc4/weights"], lenet()["LeNet/fc4/weights"]) is is_restored


def test_a_head_with_the_same_class_names_is_restored(restored, reordered):
    for names in (tuple(reversed(digits_lib.CLASSES)), ()):
        lines, _ = restored(names, checkpoint_path=reordered)
        assert lines == [f"restored 8, skipped 0, missing 0, unused 0 variables of {reordered}"]


def test_an_excluded_scope_without_variables_is_an_error(restored, eleven):
    nearest = "did you mean 'LeNet/fc4' or 'LeNet/fc3' or 'LeNet'"
    with pytest.raises(_checks.UserError, match=f"'LeNet/fc5' matches no variable; {nearest}"):
        restored(checkpoint_path=eleven, checkpoint_exclude_scopes=("LeNet/fc5",))


@pytest.mark.parametrize("part", [".index", ".data-00000-of-00001", ".meta", "", "folder"])
def test_checkpoint_path_may_be_any_part_of_a_checkpoint(restored, eleven, tmp_path, part):
    for path in glob.glob(f"{eleven}*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "model.ckpt-1.meta").touch()
    path = tmp_path if part == "folder" else f"{tmp_path}/model.ckpt-1{part}"
    lines, values = restored(checkpoint_path=str(path))
    assert lines[0].endswith(f"unused 0 variables of {tmp_path}/model.ckpt-1")
    np.testing.assert_array_equal(values["LeNet/fc3/biases"], lenet()["LeNet/fc3/biases"])


def test_a_run_starts_from_keras_weights(restored, checkpoint_dir):
    path = str(checkpoint_dir / "net.weights.h5")
    keras_weights.save(path, lenet(11))
    lines, values = restored(checkpoint_path=path)
    assert lines[0] == f"restored 6, skipped 2 (head), missing 0, unused 0 variables of {path}"
    np.testing.assert_array_equal(values["LeNet/fc3/weights"], lenet()["LeNet/fc3/weights"])


@pytest.fixture(scope="module")
def elsewhere(checkpoint_dir):
    """LeNet under another scope, with slots."""
    values = {n.replace("LeNet", "old/net"): v for n, v in lenet(10).items()}
    values["old/net/fc4/weights/Momentum"] = np.ones([1024, 10], np.float32)
    return originals.write(checkpoint_dir / "elsewhere" / "model.ckpt-1", values)


def test_checkpoint_scope_map_renames_a_scope(restored, elsewhere):
    lines, values = restored(checkpoint_path=elsewhere, checkpoint_scope_map=("old/net:LeNet",))
    assert lines == [f"restored 8, skipped 0, missing 0, unused 1 variables of {elsewhere}"]
    np.testing.assert_array_equal(values["LeNet/fc3/weights"], lenet()["LeNet/fc3/weights"])


def test_checkpoint_scope_map_renames_several_scopes(restored, checkpoint_dir):
    saved = lenet(10)
    parts = {n.replace("fc3", "dense").replace("LeNet/fc4", "top"): v for n, v in saved.items()}
    path = originals.write(checkpoint_dir / "parts" / "model.ckpt-1", parts)
    pairs = ("LeNet/dense:LeNet/fc3", "top:LeNet/fc4/")
    lines, values = restored(checkpoint_path=path, checkpoint_scope_map=pairs)
    assert lines == [f"restored 8, skipped 0, missing 0, unused 0 variables of {path}"]
    for name, value in saved.items():
        np.testing.assert_array_equal(values[name], value)


@pytest.mark.parametrize(
    "pairs, message",
    [
        ("old/nest:LeNet", "'old/nest' matches no variable of {path}; did you mean 'old/net' or"),
        ("old/net:LeNt", "'LeNt' matches no variable of lenet; did you mean 'LeNet' or"),
    ],
)
def test_a_mapped_scope_without_variables_is_an_error(restored, elsewhere, pairs, message):
    with pytest.raises(_checks.UserError) as error:
        restored(checkpoint_path=elsewhere, checkpoint_scope_map=(pairs,))
    assert str(error.value).startswith(f"checkpoint_scope_map: {message.format(path=elsewhere)}")


def test_an_error_suggests_the_scope_map(restored, checkpoint_dir):
    renamed = {n.replace("LeNet", "backbone"): v for n, v in lenet(10).items()}
    path = originals.write(checkpoint_dir / "renamed" / "model.ckpt-1", renamed)
    with pytest.raises(_checks.UserError, match="none of the 8.*scope_map=backbone:LeNet: that"):
        restored(checkpoint_path=path)


def test_one_checkpoint_scope_may_map_to_two_network_scopes(checkpoint_dir):
    saved = {"a/w": np.ones([1], np.float32), "b/w": np.zeros([2], np.float32)}
    source = open_source(originals.write(checkpoint_dir / "two" / "m", saved))
    renamed = RenamedSource(source, [("a", "x"), ("a", "y")], "scopes")
    assert {name: list(renamed.get(name)) for name in renamed.variables()} == {
        "b/w": [0, 0], "x/w": [1], "y/w": [1],
    }  # fmt: skip


@pytest.mark.slow
def test_other_shapes_outside_the_head_are_an_error(train, checkpoint_dir, tmp_path):
    values = lenet() | {"LeNet/conv1/weights": np.ones([5, 5, 3, 32], np.float32)}
    color = originals.write(checkpoint_dir / "color" / "model.ckpt-1", values)
    message = one_line(train(tmp_path / "run", checkpoint_path=color))
    assert message == (
        f"Checkpoint {color} does not match: LeNet/conv1/weights: checkpoint shape [5, 5, 3, 32], "
        "network shape [5, 5, 1, 32]. To compare it with networks, run `python -m"
        " classifier.checkpoints diff`"
    )


def test_a_checkpoint_of_another_network(train, other, tmp_path):
    assert one_line(train(tmp_path / "run", checkpoint_path=other)) == (
        f"Checkpoint {other} has none of the 8 variables of lenet, such as "
        "LeNet/conv1/weights. Its scopes match resnet_v1_50"
    )


def test_a_checkpoint_of_another_width(restored, checkpoint_dir):
    values = {n: v if "fc4" in n else v[..., :3] for n, v in lenet().items()}
    thin = originals.write(checkpoint_dir / "thin" / "model.ckpt-1", values)
    message = "Most shapes differ: likely lenet with another width. To compare it"
    with pytest.raises(_checks.UserError, match=message):
        restored(checkpoint_path=thin)


def test_a_checkpoint_of_no_network(restored, checkpoint_dir):
    values = {"layer/kernel": np.ones([2], np.float32)}
    strange = originals.write(checkpoint_dir / "strange" / "m", values)
    message = "such as LeNet/conv1/weights. It contains: layer/kernel$"
    with pytest.raises(_checks.UserError, match=message):
        restored(checkpoint_path=strange)


def test_a_checkpoint_of_keras(restored, tmp_path):
    strange = tf.train.Checkpoint(v=tf.Variable(1.0)).save(str(tmp_path / "c" / "ckpt"))
    message = "It was written by tf.train.Checkpoint or Keras, with object paths"
    with pytest.raises(_checks.UserError, match=message):
        restored(checkpoint_path=strange)


def test_missing_variables_name_the_flag(train, restored, headless, tmp_path):
    message = one_line(train(tmp_path / "run", checkpoint_path=headless))
    assert message == (
        f"Checkpoint {headless} has 6 of 8 variables; missing: LeNet/fc4/weights (similar:"
        " LeNet/fc5/weights), LeNet/fc4/biases; unused: LeNet/fc5/weights. To initialize the"
        " missing ones from scratch, add --ignore_missing_vars or exclude their scopes"
    )
    lines, _ = restored(checkpoint_path=headless, ignore_missing_vars=True)
    assert lines[0].startswith("restored 6, skipped 0, missing 2, unused 1 variables of ")


def evaluated(evaluate, checkpoint, **more):
    flags = {"model_name": "lenet", "dataset_name": "digits"} | more
    return one_line(evaluate(checkpoint, **flags))


def test_evaluation_with_a_head_of_other_classes(evaluate, eleven):
    start = "Checkpoint head has 11 classes, dataset 'digits' has "
    message = evaluated(evaluate, eleven)
    assert message.startswith(f"{start}10 (LeNet/fc4). Use the dataset that the")
    message = evaluated(evaluate, eleven, labels_offset=1)
    assert message.startswith(f"{start}9 with --labels_offset=1 (LeNet/fc4). ")


def test_evaluation_of_another_network(evaluate, other):
    assert evaluated(evaluate, other).endswith("Its scopes match resnet_v1_50")


def test_evaluation_of_a_checkpoint_that_lacks_variables(evaluate, headless):
    assert evaluated(evaluate, headless) == (
        f"Checkpoint {headless} lacks 2 variables of lenet: LeNet/fc4/weights, LeNet/fc4/biases"
    )


def test_evaluation_of_other_shapes(evaluate, checkpoint_dir):
    values = lenet() | {"LeNet/conv2/biases": np.ones([65], np.float32)}
    wide = originals.write(checkpoint_dir / "wide" / "model.ckpt-1", values)
    assert evaluated(evaluate, wide) == (
        f"Checkpoint {wide} does not match: LeNet/conv2/biases: checkpoint shape [65],"
        " network shape [64]"
    )


def test_evaluation_without_averages(evaluate, eleven):
    assert evaluated(evaluate, eleven, moving_average_decay=0.9) == (
        f"Checkpoint {eleven} has no moving averages of the weights, which "
        "--moving_average_decay=0.9 needs"
    )


def test_evaluation_without_a_network(evaluate, eleven):
    assert "--model_name is required: there is no model_info.json" in one_line(
        evaluate(eleven, dataset_name="digits")
    )


def test_a_directory_without_a_checkpoint(evaluate, tmp_path):
    (tmp_path / "a.txt").touch()
    message = one_line(evaluate(tmp_path, model_name="lenet", dataset_name="digits"))
    assert "has no checkpoint (model.ckpt-*.index). It contains: a.txt" in message


def test_finetune_head_trains_only_the_head(train, eleven, tmp_path):
    result = train(tmp_path / "run", checkpoint_path=eleven, finetune="head", learning_rate=0.1)
    assert result.code == 0, result.err
    for name, value in lenet(11).items():
        after = values(tmp_path / "run", name.removeprefix("LeNet/"))
        assert np.array_equal(after, value) == ("fc4" not in name), name
    assert any("10,250 trainable parameters" in line for line in result.out)


def test_a_trainable_scope_without_variables_is_an_error(train, tmp_path):
    assert one_line(train(tmp_path / "run", trainable_scopes="LeNet/fc5")).startswith(
        "--trainable_scopes: 'LeNet/fc5' matches no variable; did you mean 'LeNet/fc4'"
    )
