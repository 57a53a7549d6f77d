"""`python -m classifier.checkpoints` on real files, in this process."""

import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import __main__ as checkpoints
from classifier.checkpoints import keras_weights
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from slim import _checks
from tests import source_tree
from tests.classifier import originals
from tests.conformance import reference


@pytest.fixture
def command(capsys):
    """Runs a command; returns its exit code, output lines and error lines."""

    def run(name, **given):
        argv = ["checkpoints.py", name, *(f"--{key}={value}" for key, value in given.items())]
        code = checkpoints.main(argv)
        out, err = capsys.readouterr()
        return int(code), out.splitlines(), err.splitlines()

    return run


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    """The prefix of a checkpoint of lenet as a run of the original's leaves it."""
    folder = tmp_path_factory.mktemp("lenet")
    return originals.write(folder / "model.ckpt-1234", originals.run_values("lenet"))


def layout(tmp_path, name, change=None):
    """Writes a checkpoint of zeros with a network's names; `change` may change them."""
    values = {
        key: np.zeros(shape, np.float32) for key, shape, *_ in reference.layout(name)["variables"]
    }
    if change:
        change(values)
    return originals.write(tmp_path / name / "model.ckpt", values)


def refused(answer, code=2):
    assert (answer[0], answer[1], len(answer[2])) == (code, [], 1), answer
    return answer[2][0]


def test_inspect(command, lenet):
    code, out, err = command("inspect", checkpoint_path=lenet)
    assert (code, err, out[0]) == (0, [], lenet)
    heads = [line for line in out if line.endswith(":")]
    assert heads == ["network variables:", "optimizer slots:", "moving averages:", "global step:"]
    width = len("LeNet/conv1/weights/ExponentialMovingAverage")
    assert f"  {'LeNet/conv1/weights':<{width}}  float32  [5, 5, 1, 32]" in out
    numbers = sum(value.size for value in originals.network_values("lenet").values())
    size = f"{numbers:,} numbers, {numbers * 4 / 2**20:,.1f} MiB"
    assert out[-5:] == [
        f"network variables: 8, {size}",
        f"optimizer slots of Momentum: 8, {size}",
        f"moving averages: 8, {size}",
        "global step: 1, 1 numbers, 0.0 MiB, 1234",
        f"in all: 25, {3 * numbers + 1:,} numbers, {(12 * numbers + 8) / 2**20:,.1f} MiB",
    ]


@pytest.mark.parametrize(
    "flags, expected",
    [
        ({}, "It fits: no flag is needed"),
        ({"num_classes": 5}, "To train from it, add --checkpoint_exclude_scopes=LeNet/fc4"),
    ],
)
def test_diff_with_the_same_network(command, lenet, flags, expected):
    code, out, err = command("diff", checkpoint_path=lenet, model_name="lenet", **flags)
    assert (code, err, out[-1]) == (0, [], expected)
    assert out[0] == f"{lenet} and lenet with {flags.get('num_classes', 10)} classes:"
    assert out[1] == f"matched {6 if flags else 8} of 8 variables"
    assert out[-2] == "besides: 8 moving averages, 8 optimizer slots, 1 global step"
    assert bool(flags) == (
        "  LeNet/fc4/biases: checkpoint shape [10], network shape [5]" in out
        and "mismatched 2:" in out
    )


def test_diff_takes_the_classes_from_the_head_of_the_checkpoint(command, tmp_path):
    def thousand(values):
        values["vgg_a/fc8/weights"] = np.zeros([1, 1, 4096, 1000], np.float32)
        values["vgg_a/fc8/biases"] = np.zeros([1000], np.float32)

    # The rest is large, and of no interest here.
    values = {}
    thousand(values)
    path = originals.write(tmp_path / "model.ckpt", values)
    code, out, _ = command("diff", checkpoint_path=path, model_name="vgg_a")
    assert code == 0
    assert out[0].endswith(" and vgg_a with 1000 classes:")


def test_diff_names_what_is_near(command, tmp_path):
    def rename(values):
        values["LeNet/conv_1/weights"] = values.pop("LeNet/conv1/weights")

    path = layout(tmp_path, "lenet", rename)
    code, out, _ = command("diff", checkpoint_path=path, model_name="lenet")
    assert code == 0
    assert out[1:] == [
        "matched 7 of 8 variables",
        "missing 1:",
        "  LeNet/conv1/weights (it has LeNet/conv_1/weights)",
        "unused 1:",
        "  LeNet/conv_1/weights",
        "To train from it, add --ignore_missing_vars",
    ]


def test_diff_takes_the_network_from_model_info(command, lenet, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(lenet.rpartition("/")[0], run)
    info = ModelInfo(model_name="lenet", num_classes=10, image_size=(28, 28), num_channels=1,
                     preprocessing_name="lenet")  # fmt: skip
    RunDirectory(str(run)).write_model_info(info)
    code, out, _ = command("diff", checkpoint_path=run)
    assert (code, out[1]) == (0, "matched 8 of 8 variables")
    # The run's images have one channel, another network's its own number.
    code, out, _ = command("diff", checkpoint_path=run, model_name="cifarnet")
    assert code == 0
    assert out[-1] == "This checkpoint looks like lenet (8 of 8 variables match)"


def test_diff_says_whose_a_checkpoint_is(command, tmp_path):
    path = layout(tmp_path, "mobilenet_v1_025")
    code, out, _ = command("diff", checkpoint_path=path, model_name="mobilenet_v1_050")
    assert code == 0
    assert out[1].startswith("matched 1 of 137")
    assert out[-1] == "This checkpoint looks like mobilenet_v1_025 (137 of 137 variables match)"


def test_diff_says_that_a_width_is_unknown(command, tmp_path):
    def widen(values):
        for name, value in values.items():
            values[name] = np.zeros([*value.shape[:-1], value.shape[-1] + 1], np.float32)

    path = layout(tmp_path, "mobilenet_v1_025", widen)
    code, out, _ = command("diff", checkpoint_path=path, model_name="mobilenet_v1")
    assert code == 0
    assert out[-1] == "Most shapes differ: it is likely of another width of mobilenet_v1"


def test_diff_without_a_network(command, tmp_path, lenet):
    line = refused(command("diff", checkpoint_path=lenet))
    assert line == (
        "checkpoints diff: --model_name is required: there is no model_info.json next to the "
        "checkpoint. Its scopes are those of lenet"
    )


@pytest.mark.parametrize(
    "name", ["lenet", "cifarnet", pytest.param("nasnet_cifar", marks=pytest.mark.slow)]
)
def test_to_keras_and_back_bit_for_bit(command, tmp_path, name):
    values = originals.network_values(name)
    special = next(n for n, v in values.items() if v.size > 3)
    values[special].flat[:3] = np.array([1e-40, -0.0, np.inf], np.float32)
    path = originals.write(tmp_path / "model.ckpt-1", values)
    keras, back = tmp_path / "a" / "net.weights.h5", tmp_path / "b" / "model.ckpt-0"
    code, out, err = command("convert", checkpoint_path=path, output=keras, model_name=name)
    assert (code, err) == (0, [])
    assert out == [f"Wrote {len(values)} variables of {name} to {keras}"]
    code, _, err = command("convert", checkpoint_path=keras, output=back, model_name=name)
    assert (code, err) == (0, [])
    reader = tf.train.load_checkpoint(str(back))
    assert sorted(reader.get_variable_to_shape_map()) == sorted(values)
    assert all(reader.get_tensor(n).tobytes() == v.tobytes() for n, v in values.items())
    assert os.listdir(tmp_path / "a") == ["net.weights.h5"]
    assert sorted(os.listdir(tmp_path / "b")) == [
        "model.ckpt-0.data-00000-of-00001", "model.ckpt-0.index",
    ]  # fmt: skip
    # Inspection and comparison read it as well.
    assert command("inspect", checkpoint_path=keras)[1][-2].startswith("network variables: ")
    code, out, _ = command("diff", checkpoint_path=keras, model_name=name)
    assert (code, out[-1]) == (0, "It fits: no flag is needed")


def test_what_is_not_the_networks_is_left_out(command, lenet, tmp_path):
    code, out, _ = command(
        "convert", checkpoint_path=lenet, output=tmp_path / "net.weights.h5", model_name="lenet"
    )
    assert code == 0
    assert out[-1] == "Left out: 8 moving averages, 8 optimizer slots, 1 global step"


@pytest.mark.slow
def test_heads_that_only_training_has_are_converted(command, tmp_path):
    row = reference.layout("nasnet_cifar")
    values = originals.network_values("nasnet_cifar")
    assert row["train_only_variables"]
    training = "aux_11/aux_logits/FC/biases"
    assert training in [name for name, *_ in row["train_only_variables"]]
    values[training] = np.ones([10], np.float32)
    path = originals.write(tmp_path / "model.ckpt", values | {"strange/weights": np.ones(3, "f")})
    output = tmp_path / "net.weights.h5"
    code, out, _ = command(
        "convert", checkpoint_path=path, output=output, model_name="nasnet_cifar"
    )
    assert (code, out[-1]) == (0, "Left out: 1 network variable")
    assert set(keras_weights.WeightsFile(output).variables()) == set(values)


@pytest.mark.parametrize("name", reference.names(reference.LAYOUTS))
def test_every_name_has_a_layer_of_its_own(name):
    layers = {}
    for key, *_ in [
        *reference.layout(name)["variables"], *reference.layout(name)["train_only_variables"],
    ]:  # fmt: skip
        scope, _, leaf = key.rpartition("/")
        assert scope
        assert leaf
        assert not leaf.isdigit()
        assert "." not in key
        assert layers.setdefault(scope.replace("/", "."), scope) == scope
    assert not set(layers) & set(dir(tf.keras.Model()))


def test_a_converted_checkpoint_is_evaluated(command, lenet, tmp_path, evaluate):
    keras, back = tmp_path / "net.weights.h5", tmp_path / "model.ckpt-0"
    command("convert", checkpoint_path=lenet, output=keras, model_name="lenet")
    command("convert", checkpoint_path=keras, output=back, model_name="lenet")
    answers = [evaluate(p, model_name="lenet", dataset_name="digits") for p in (lenet, back)]
    assert answers[0].code == 0
    # The first has averages besides, which are not converted, and is warned of them.
    found = [[line for line in answer.out[1:] if "averages" not in line] for answer in answers]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "flags, told",
    [
        (
            {"model_name": "cifarnet"},
            "This checkpoint looks like lenet (8 of 8 variables match)",
        ),
        (
            {"model_name": "lenet", "num_classes": 5},
            "6 of the 8 variables of lenet with 5 classes. LeNet/fc4/weights has shape [1024, 10]",
        ),
    ],
)
def test_another_network_is_not_converted(command, lenet, tmp_path, flags, told):
    output = tmp_path / "net.weights.h5"
    line = refused(command("convert", checkpoint_path=lenet, output=output, **flags))
    assert told in line
    assert os.listdir(tmp_path) == []


def test_a_checkpoint_that_lacks_variables_is_not_converted(command, tmp_path):
    path = layout(tmp_path, "lenet", lambda values: values.pop("LeNet/fc3/biases"))
    output = tmp_path / "out" / "model.ckpt-0"
    line = refused(command("convert", checkpoint_path=path, output=output, model_name="lenet"))
    assert "has 7 of the 8 variables of lenet with 10 classes. missing: LeNet/fc3/biases" in line
    assert not output.parent.exists()


@pytest.mark.parametrize("output", ["net.h5", "net.keras", "model.ckpt-0.index"])
def test_outputs_of_another_kind(command, lenet, tmp_path, output):
    given = {"checkpoint_path": lenet, "output": tmp_path / output, "model_name": "lenet"}
    assert "has to end in .weights.h5" in refused(command("convert", **given))


def test_a_disk_that_fails_leaves_nothing(command, lenet, tmp_path, monkeypatch):
    def full(self, path):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.keras.Model, "save_weights", full)
    output = tmp_path / "net.weights.h5"
    output.write_bytes(b"of before")
    line = refused(
        command("convert", checkpoint_path=lenet, output=output, model_name="lenet"), code=1
    )
    told = f"checkpoints convert: Could not save {output}: No space left on device. Free some space"
    assert line.startswith(told)
    assert os.listdir(tmp_path) == ["net.weights.h5"]
    assert output.read_bytes() == b"of before"


@pytest.fixture
def weights(tmp_path):
    """A file of two variables."""
    path = tmp_path / "net.weights.h5"
    keras_weights.save(path, {"a/weights": np.ones([64, 64], "f"), "z/b/biases": np.ones(3, "f")})
    return path


def test_a_weights_file_is_laid_out_by_scope(weights):
    with h5py.File(weights) as file:
        assert set(file) == {"a", "z.b", "vars"}
        assert file["z.b/vars/biases"].shape == (3,)


@pytest.mark.parametrize("size", [0, 100, 3000, -1])
def test_a_damaged_weights_file(command, weights, size):
    os.truncate(weights, size if size >= 0 else weights.stat().st_size - 1)
    answer = command("inspect", checkpoint_path=weights)
    assert f"{weights} is damaged or is no HDF5 file: " in refused(answer, code=1)


def test_a_file_of_another_keras_model(command, tmp_path):
    model = tf.keras.Sequential([tf.keras.Input([2]), tf.keras.layers.Dense(3)])
    path = tmp_path / "dense.weights.h5"
    with h5py.File(path, "w") as file:  # as Keras lays such a model out
        for index, weight in enumerate(model.get_weights()):
            file[f"layers/dense/vars/{index}"] = weight
    line = refused(command("diff", checkpoint_path=path, model_name="lenet"))
    assert "holds layers/dense/vars/0: it is not a file of slim's variables" in line


def test_an_empty_weights_file(tmp_path):
    h5py.File(tmp_path / "e.weights.h5", "w").close()
    with pytest.raises(_checks.UserError, match="holds no variable: it is not a file of slim's"):
        keras_weights.WeightsFile(tmp_path / "e.weights.h5")


def test_no_weights_file(tmp_path):
    with pytest.raises(_checks.UserError, match="There is no file .*n.weights.h5"):
        keras_weights.WeightsFile(tmp_path / "n.weights.h5")


def test_half_floats_are_kept(tmp_path):
    values = {"a/w": np.arange(4, dtype=np.float16), "b/w": tf.constant([1.5], tf.bfloat16).numpy()}
    keras_weights.save(tmp_path / "h.weights.h5", values)
    file = keras_weights.WeightsFile(tmp_path / "h.weights.h5")
    assert {n: v.dtype for n, v in file.variables().items()} == {
        "a/w": tf.float16, "b/w": tf.bfloat16,
    }  # fmt: skip
    assert all(file.get(n).tobytes() == v.tobytes() for n, v in values.items())


@pytest.mark.parametrize(
    "argv, told",
    [
        (["inspct"], "command='inspct' is not known; did you mean 'inspect'? Known: inspect, diff"),
        (["diff"], "--checkpoint_path is required"),
        (["inspect", "--checkpoint_path=/nowhere/x"], "--checkpoint_path='/nowhere/x' does not "),
        (["inspect", "--model_name=lenet"], "Unknown flag --model_name=lenet"),
    ],
)
def test_mistakes_in_the_command(capsys, argv, told):
    assert checkpoints.main(["checkpoints.py", *argv]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["--help"], ["convert", "--help"]])
def test_help(capsys, argv):
    assert checkpoints.main(["checkpoints.py", *argv]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert ("Usage: checkpoints convert --checkpoint_path" if argv[1:] else "COMMAND") in out


@pytest.mark.parametrize("argv", [["--version"], ["diff", "--version"]])
def test_version(capsys, argv):
    assert checkpoints.main(["checkpoints.py", *argv]) == 0
    assert ": slim " in capsys.readouterr().out


def test_help_and_mistakes_do_not_load_tensorflow():
    code = (
        "import sys; from classifier.checkpoints import __main__ as checkpoints; "
        "codes = [checkpoints.main(['c', *argv]) for argv in "
        "([], ['diff', '--help'], ['convert', '--checkpoint_path=nowhere', '--output=a.h5'])]; "
        "print(*map(int, codes), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source_tree.ROOT, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "0 0 2 False", done.stderr
    assert done.stderr == "checkpoints convert: --checkpoint_path='nowhere' does not exist\n"


def test_the_command_as_a_process(lenet):
    done = subprocess.run(
        [sys.executable, "-m", "classifier.checkpoints", "inspect", f"--checkpoint_path={lenet}"],
        cwd=source_tree.ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("in all: 25, ")
