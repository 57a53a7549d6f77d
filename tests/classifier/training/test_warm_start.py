"""What is told of checkpoints that do not fit, in training and in evaluation."""

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


def start_of(told):
    """Returns the lines that say where a run started from."""
    assert told.code == 0, told.err
    at = next(i for i, line in enumerate(told.out) if line.startswith("Starting at step 0"))
    return told.out[at : at + 2]


def test_a_head_of_other_classes_starts_fresh(train, eleven, tmp_path):
    told = train(tmp_path / "run", checkpoint_path=eleven)
    origin, head = start_of(told)
    assert origin == (
        "Starting at step 0: restored 6, skipped 2 (head), missing 0, unused 0 variables of "
        f"{eleven}"
    )
    assert head == (
        "Checkpoint head has 11 classes, dataset 'digits' has 10 (LeNet/fc4): starts fresh "
        "(checkpoint_exclude_scopes=auto)"
    )
    assert near(values(tmp_path / "run", "conv1/weights"), lenet()["LeNet/conv1/weights"])
    assert not near(values(tmp_path / "run", "fc4/weights"), 1.0)


def values(run, name):
    reader = checkpoints.read(checkpoints.find(run))
    return reader.get(f"LeNet/{name}")


def near(values, wanted):
    """Returns whether values are those wanted, but for two small steps of training."""
    return np.abs(values - wanted).max() < 0.05


def lenet_info(label_names):
    return ModelInfo(
        model_name="lenet", num_classes=10, image_size=(28, 28), preprocessing_name="lenet",
        num_channels=1, label_names=tuple(label_names),
    )  # fmt: skip


@pytest.fixture
def restored():
    """Restores a LeNet of ten classes by options: returns the lines, and the values by name."""

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


def test_an_explicit_list_is_all_that_is_excluded(train, eleven, tmp_path):
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


def test_auto_takes_a_head_of_the_same_classes(restored, folder):
    ten = originals.write(folder / "ten" / "model.ckpt-1", lenet(10))
    lines, _ = restored(checkpoint_path=ten, checkpoint_exclude_scopes=("auto",))
    assert lines == [f"restored 8, skipped 0, missing 0, unused 0 variables of {ten}"]


@pytest.fixture(scope="module")
def reordered(folder):
    """Of the digits' classes in another order, as model_info.json beside it says."""
    prefix = originals.write(folder / "reordered" / "model.ckpt-1", lenet(10))
    info = lenet_info(reversed(digits_lib.CLASSES))
    RunDirectory.of_checkpoint(prefix).write_model_info(info)
    return prefix


def test_a_head_of_as_many_other_classes_starts_fresh(train, reordered, tmp_path):
    origin, head = start_of(train(tmp_path / "run", checkpoint_path=reordered))
    assert origin == (
        "Starting at step 0: restored 6, skipped 2 (head: other classes), missing 0, unused 0 "
        f"variables of {reordered}"
    )
    assert head == (
        "class 0 is 'nine' in the checkpoint and 'zero' in dataset 'digits' (LeNet/fc4): starts "
        "fresh (checkpoint_exclude_scopes=auto)"
    )
    assert near(values(tmp_path / "run", "conv1/weights"), lenet()["LeNet/conv1/weights"])
    assert not near(values(tmp_path / "run", "fc4/weights"), 1.0)


NAMED = "class 0 is 'nine' in the checkpoint and 'zero' in the model"


@pytest.mark.parametrize(
    "excluded, counts, told",
    [
        ("auto", "6, skipped 2 (head: other classes)", f"{NAMED} (LeNet/fc4): starts fresh"),
        ("LeNet/fc4,auto", "6, skipped 2 (head)", ""),
        ("LeNet/conv1,auto", "4, skipped 4 (LeNet/", f"{NAMED} (LeNet/fc4): starts fresh"),
        ("LeNet/conv1", "6, skipped 2 (LeNet/conv1)", f"warning: {NAMED}, and the head is taken"),
        ("none", "8, skipped 0,", "for a fresh one add LeNet/fc4 or auto to checkpoint_exclude_sc"),
    ],
)
def test_what_excluded_scopes_make_of_other_classes(restored, reordered, excluded, counts, told):
    lines, values = restored(
        digits_lib.CLASSES,
        checkpoint_path=reordered,
        checkpoint_exclude_scopes=tuple(excluded.split(",")),
    )
    assert lines[0].startswith(f"restored {counts}")
    assert [told in line for line in lines[1:]] == [True] * bool(told)
    is_taken = told.startswith(("warning", "for a"))
    assert np.array_equal(values["LeNet/fc4/weights"], lenet()["LeNet/fc4/weights"]) is is_taken


def test_the_same_classes_are_taken(restored, reordered):
    for names in (tuple(reversed(digits_lib.CLASSES)), ()):
        lines, _ = restored(names, checkpoint_path=reordered)
        assert lines == [f"restored 8, skipped 0, missing 0, unused 0 variables of {reordered}"]


def test_an_excluded_scope_that_matches_nothing(restored, eleven):
    nearest = "did you mean 'LeNet/fc4' or 'LeNet/fc3' or 'LeNet'"
    with pytest.raises(_checks.UserError, match=f"'LeNet/fc5' matches no variable; {nearest}"):
        restored(checkpoint_path=eleven, checkpoint_exclude_scopes=("LeNet/fc5",))


@pytest.mark.parametrize("part", [".index", ".data-00000-of-00001", ".meta", "", "folder"])
def test_any_part_of_a_checkpoint_will_do(restored, eleven, tmp_path, part):
    for path in glob.glob(f"{eleven}*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "model.ckpt-1.meta").touch()
    path = tmp_path if part == "folder" else f"{tmp_path}/model.ckpt-1{part}"
    lines, values = restored(checkpoint_path=str(path))
    assert lines[0].endswith(f"unused 0 variables of {tmp_path}/model.ckpt-1")
    np.testing.assert_array_equal(values["LeNet/fc3/biases"], lenet()["LeNet/fc3/biases"])


def test_a_run_may_start_from_weights_of_keras(train, folder, tmp_path):
    path = str(folder / "net.weights.h5")
    keras_weights.save(path, lenet(11))
    told = train(tmp_path / "run", checkpoint_path=path)
    counts = "restored 6, skipped 2 (head), missing 0, unused 0 variables"
    assert start_of(told)[0].endswith(f"{counts} of {path}")
    assert near(values(tmp_path / "run", "fc3/weights"), lenet()["LeNet/fc3/weights"])


@pytest.fixture(scope="module")
def elsewhere(folder):
    """LeNet under another scope, with slots."""
    values = {n.replace("LeNet", "old/net"): v for n, v in lenet(10).items()}
    values["old/net/fc4/weights/Momentum"] = np.ones([1024, 10], np.float32)
    return originals.write(folder / "elsewhere" / "model.ckpt-1", values)


def test_a_scope_of_the_checkpoint_stands_for_one_of_the_network(train, elsewhere, tmp_path):
    told = train(tmp_path / "run", checkpoint_path=elsewhere, checkpoint_scope_map="old/net:LeNet")
    assert "restored 8, skipped 0, missing 0, unused 1 variables" in start_of(told)[0]
    assert near(values(tmp_path / "run", "fc3/weights"), lenet()["LeNet/fc3/weights"])


def test_scopes_are_moved_one_by_one(restored, folder):
    saved = lenet(10)
    parts = {n.replace("fc3", "dense").replace("LeNet/fc4", "top"): v for n, v in saved.items()}
    path = originals.write(folder / "parts" / "model.ckpt-1", parts)
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
def test_a_mapped_scope_that_matches_nothing(restored, elsewhere, pairs, message):
    with pytest.raises(_checks.UserError) as told:
        restored(checkpoint_path=elsewhere, checkpoint_scope_map=(pairs,))
    assert str(told.value).startswith(f"checkpoint_scope_map: {message.format(path=elsewhere)}")


def test_the_scope_map_is_proposed_where_it_would_do(restored, folder):
    moved = {n.replace("LeNet", "backbone"): v for n, v in lenet(10).items()}
    path = originals.write(folder / "moved" / "model.ckpt-1", moved)
    with pytest.raises(_checks.UserError, match="none of the 8.*scope_map=backbone:LeNet: that"):
        restored(checkpoint_path=path)


def test_one_scope_of_the_checkpoint_serves_two_of_a_network(folder):
    saved = {"a/w": np.ones([1], np.float32), "b/w": np.zeros([2], np.float32)}
    source = open_source(originals.write(folder / "two" / "m", saved))
    moved = RenamedSource(source, [("a", "x"), ("a", "y")], "scopes")
    assert {name: list(moved.get(name)) for name in moved.variables()} == {
        "b/w": [0, 0], "x/w": [1], "y/w": [1],
    }  # fmt: skip


def test_shapes_that_differ_outside_the_head(train, folder, tmp_path):
    values = lenet() | {"LeNet/conv1/weights": np.ones([5, 5, 3, 32], np.float32)}
    colour = originals.write(folder / "colour" / "model.ckpt-1", values)
    message = one_line(train(tmp_path / "run", checkpoint_path=colour))
    assert message == (
        f"Checkpoint {colour} does not match: LeNet/conv1/weights: checkpoint shape [5, 5, 3, 32], "
        "network shape [5, 5, 1, 32]. To compare it with networks, run `python -m"
        " classifier.checkpoints diff`"
    )


def test_a_checkpoint_of_another_network(train, other, tmp_path):
    assert one_line(train(tmp_path / "run", checkpoint_path=other)) == (
        f"Checkpoint {other} has none of the 8 variables of lenet, such as "
        "LeNet/conv1/weights. Its scopes match resnet_v1_50"
    )


def test_a_checkpoint_of_another_width(train, folder, tmp_path):
    values = {n: v if "fc4" in n else v[..., :3] for n, v in lenet().items()}
    thin = originals.write(folder / "thin" / "model.ckpt-1", values)
    message = one_line(train(tmp_path / "run", checkpoint_path=thin))
    assert "Most shapes differ: likely lenet with another width. To compare it" in message


def test_a_checkpoint_of_no_network(train, folder, tmp_path):
    strange = originals.write(folder / "strange" / "m", {"layer/kernel": np.ones([2], np.float32)})
    message = one_line(train(tmp_path / "run", checkpoint_path=strange))
    assert message.endswith("such as LeNet/conv1/weights. It contains: layer/kernel")


def test_a_checkpoint_of_keras(train, tmp_path):
    strange = tf.train.Checkpoint(v=tf.Variable(1.0)).save(str(tmp_path / "c" / "ckpt"))
    message = one_line(train(tmp_path / "run", checkpoint_path=strange))
    assert "It was written by tf.train.Checkpoint or Keras, with object paths" in message


def test_missing_variables_name_the_flag(train, headless, tmp_path):
    message = one_line(train(tmp_path / "run", checkpoint_path=headless))
    assert message == (
        f"Checkpoint {headless} has 6 of 8 variables; missing: LeNet/fc4/weights (similar:"
        " LeNet/fc5/weights), LeNet/fc4/biases; unused: LeNet/fc5/weights. To initialize the"
        " missing ones from scratch, add --ignore_missing_vars or exclude their scopes"
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
    assert message.startswith(f"{start}10 (LeNet/fc4). Use the dataset that the")
    message = evaluated(evaluate, eleven, labels_offset=1)
    assert message.startswith(f"{start}9 with labels_offset=1 (LeNet/fc4). ")


def test_evaluation_of_another_network(evaluate, other):
    assert evaluated(evaluate, other).endswith("Its scopes match resnet_v1_50")


def test_evaluation_of_a_checkpoint_that_lacks_variables(evaluate, headless):
    assert evaluated(evaluate, headless) == (
        f"Checkpoint {headless} lacks 2 variables of lenet: LeNet/fc4/weights, LeNet/fc4/biases"
    )


def test_evaluation_of_other_shapes(evaluate, folder):
    values = lenet() | {"LeNet/conv2/biases": np.ones([65], np.float32)}
    wide = originals.write(folder / "wide" / "model.ckpt-1", values)
    assert evaluated(evaluate, wide) == (
        f"Checkpoint {wide} does not match: LeNet/conv2/biases: checkpoint shape [65],"
        " network shape [64]"
    )


def test_evaluation_without_averages(evaluate, eleven):
    assert evaluated(evaluate, eleven, moving_average_decay=0.9) == (
        f"Checkpoint {eleven} has no moving averages of the weights: moving_average_decay=0.9 has "
        "nothing to use"
    )


def test_evaluation_without_a_network(evaluate, eleven):
    assert "--model_name is required: there is no model_info.json" in one_line(
        evaluate(eleven, dataset_name="digits")
    )


def test_a_folder_without_a_checkpoint(evaluate, tmp_path):
    (tmp_path / "a.txt").touch()
    message = one_line(evaluate(tmp_path, model_name="lenet", dataset_name="digits"))
    assert "has no checkpoint (model.ckpt-*.index). It contains: a.txt" in message


def test_finetune_head_trains_the_head_alone(train, eleven, tmp_path):
    told = train(tmp_path / "run", checkpoint_path=eleven, finetune="head", learning_rate=0.1)
    assert told.code == 0, told.err
    for name, value in lenet(11).items():
        after = values(tmp_path / "run", name.removeprefix("LeNet/"))
        assert np.array_equal(after, value) == ("fc4" not in name), name
    assert any("10,250 trained parameters" in line for line in told.out)


def test_a_trainable_scope_that_matches_nothing(train, tmp_path):
    assert one_line(train(tmp_path / "run", trainable_scopes="LeNet/fc5")).startswith(
        "trainable_scopes: 'LeNet/fc5' matches no variable; did you mean 'LeNet/fc4'"
    )
