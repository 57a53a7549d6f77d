"""`python -m classifier.checkpoints` on real files, in this process."""

import os
import runpy
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import __main__ as checkpoints
from classifier.checkpoints import keras_weights
from classifier.cli import stopping
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from slim import _checks
from slim import checkpoints as slim_checkpoints
from tests import source_tree
from tests.classifier import originals
from tests.conformance import reference


@pytest.fixture
def command(capsys):
    """Runs a command; returns its exit code, output lines and error lines."""

    def run(name, **flags):
        argv = ["checkpoints.py", name, *(f"--{key}={value}" for key, value in flags.items())]
        code = checkpoints.main(argv)
        out, err = capsys.readouterr()
        return int(code), out.splitlines(), err.splitlines()

    return run


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    """The prefix of a LeNet checkpoint with the variables of a TF-Slim run."""
    directory = tmp_path_factory.mktemp("lenet")
    return originals.write(directory / "model.ckpt-1234", originals.run_values("lenet"))


def layout(tmp_path, name, change=None):
    """Writes a checkpoint of zeros with a network's names; `change` modifies the values."""
    values = {
        key: np.zeros(shape, np.float32) for key, shape, *_ in reference.layout(name)["variables"]
    }
    if change:
        change(values)
    return originals.write(tmp_path / name / "model.ckpt", values)


def error_line(result, code=2):
    assert (result[0], result[1], len(result[2])) == (code, [], 1), result
    return result[2][0]


def test_inspect(command, lenet):
    code, out, err = command("inspect", checkpoint_path=lenet)
    assert (code, err, out[0]) == (0, [], lenet)
    heads = [line for line in out if line.endswith(":")]
    assert heads == ["network variables:", "optimizer slots:", "moving averages:", "global step:"]
    width = len("LeNet/conv1/weights/ExponentialMovingAverage")
    assert f"  {'LeNet/conv1/weights':<{width}}  float32  [5, 5, 1, 32]" in out
    size = sum(value.size for value in originals.network_values("lenet").values())
    total = f"{size:,} values, {size * 4 / 2**20:,.1f} MiB"
    assert out[-5:] == [
        f"network variables: 8, {total}",
        f"optimizer slots of Momentum: 8, {total}",
        f"moving averages: 8, {total}",
        "global step: 1, 1 values, 0.0 MiB, 1234",
        f"total: 25, {3 * size + 1:,} values, {(12 * size + 8) / 2**20:,.1f} MiB",
    ]


@pytest.mark.parametrize(
    "flags, expected",
    [
        ({}, "All variables match: no flags needed"),
        ({"num_classes": 5}, "To train from it, add --checkpoint_exclude_scopes=LeNet/fc4"),
    ],
)
def test_diff_with_the_same_network(command, lenet, flags, expected):
    code, out, err = command("diff", checkpoint_path=lenet, model_name="lenet", **flags)
    assert (code, err, out[-1]) == (0, [], expected)
    assert out[0] == f"{lenet} and lenet with {flags.get('num_classes', 10)} classes:"
    assert out[1] == f"matched {6 if flags else 8} of 8 variables"
    assert out[-2] == "not part of the network: 8 moving averages, 8 optimizer slots, 1 global step"
    assert bool(flags) == (
        "  LeNet/fc4/biases: checkpoint shape [10], network shape [5]" in out
        and "mismatched 2:" in out
    )


def test_diff_reads_the_number_of_classes_from_the_head(command, tmp_path):
    # Only the head: the other variables are large.
    values = {
        "vgg_a/fc8/weights": np.zeros([1, 1, 4096, 1000], np.float32),
        "vgg_a/fc8/biases": np.zeros([1000], np.float32),
    }
    path = originals.write(tmp_path / "model.ckpt", values)
    code, out, _ = command("diff", checkpoint_path=path, model_name="vgg_a")
    assert code == 0
    assert out[0].endswith(" and vgg_a with 1000 classes:")


def test_diff_suggests_similar_names(command, tmp_path):
    def rename(values):
        values["LeNet/conv_1/weights"] = values.pop("LeNet/conv1/weights")

    path = layout(tmp_path, "lenet", rename)
    code, out, _ = command("diff", checkpoint_path=path, model_name="lenet")
    assert code == 0
    assert out[1:] == [
        "matched 7 of 8 variables",
        "missing 1:",
        "  LeNet/conv1/weights (similar: LeNet/conv_1/weights)",
        "unused 1:",
        "  LeNet/conv_1/weights",
        "To train from it, add --ignore_missing_vars",
    ]


def test_diff_reads_the_network_from_model_info(command, lenet, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(lenet.rpartition("/")[0], run)
    info = ModelInfo(model_name="lenet", num_classes=10, image_size=(28, 28), num_channels=1,
                     preprocessing_name="lenet")  # fmt: skip
    RunDirectory(str(run)).write_model_info(info)
    code, out, _ = command("diff", checkpoint_path=run)
    assert (code, out[1]) == (0, "matched 8 of 8 variables")
    # The number of channels is the run's, but for another network the default.
    code, out, _ = command("diff", checkpoint_path=run, model_name="cifarnet")
    assert code == 0
    assert out[-1] == "This checkpoint looks like lenet (8 of 8 variables match)"


@pytest.mark.slow
def test_diff_guesses_the_network_of_the_checkpoint(command, tmp_path):
    path = layout(tmp_path, "mobilenet_v1_025")
    code, out, _ = command("diff", checkpoint_path=path, model_name="mobilenet_v1_050")
    assert code == 0
    assert out[1].startswith("matched 1 of 137")
    assert out[-1] == "This checkpoint looks like mobilenet_v1_025 (137 of 137 variables match)"


@pytest.mark.slow
def test_diff_guesses_another_width(command, tmp_path):
    def widen(values):
        for name, value in values.items():
            values[name] = np.zeros([*value.shape[:-1], value.shape[-1] + 1], np.float32)

    path = layout(tmp_path, "mobilenet_v1_025", widen)
    code, out, _ = command("diff", checkpoint_path=path, model_name="mobilenet_v1")
    assert code == 0
    assert out[-1] == "Most shapes differ: likely mobilenet_v1 with another width"


def test_diff_without_a_network_is_an_error(command, tmp_path, lenet):
    line = error_line(command("diff", checkpoint_path=lenet))
    assert line == (
        "checkpoints diff: --model_name is required: there is no model_info.json next to the "
        "checkpoint. Its scopes match lenet"
    )


@pytest.mark.parametrize(
    "name", ["lenet", "cifarnet", pytest.param("nasnet_cifar", marks=pytest.mark.slow)]
)
def test_conversion_to_keras_and_back_is_bit_identical(command, tmp_path, name):
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
    # The other commands read the file too.
    assert command("inspect", checkpoint_path=keras)[1][-2].startswith("network variables: ")
    code, out, _ = command("diff", checkpoint_path=keras, model_name=name)
    assert (code, out[-1]) == (0, "All variables match: no flags needed")


def test_convert_skips_variables_outside_the_network(command, lenet, tmp_path):
    code, out, _ = command(
        "convert", checkpoint_path=lenet, output=tmp_path / "net.weights.h5", model_name="lenet"
    )
    assert code == 0
    assert out[-1] == "Skipped: 8 moving averages, 8 optimizer slots, 1 global step"


@pytest.mark.parametrize(
    "decay, choice, has_averages",
    [(None, "auto", False), (0.9, "auto", True), (0.9, "false", False), (None, "true", True)],
)
def test_averages_are_converted_in_place_of_the_weights(
    command, lenet, tmp_path, decay, choice, has_averages
):
    run = shutil.copytree(os.path.dirname(lenet), tmp_path / "run")
    info = ModelInfo(model_name="lenet", num_classes=10, image_size=(28, 28), num_channels=1,
                     preprocessing_name="lenet", moving_average_decay=decay)  # fmt: skip
    RunDirectory(str(run)).write_model_info(info)
    output = tmp_path / "net.weights.h5"
    code, out, _ = command("convert", checkpoint_path=run, output=output, use_averages=choice)
    assert code == 0
    assert out[0].endswith(" (moving averages)") is has_averages
    moving = "" if has_averages else "8 moving averages, "
    assert out[-1] == f"Skipped: {moving}8 optimizer slots, 1 global step"
    written, saved = keras_weights.WeightsFile(output), slim_checkpoints.read(lenet)
    assert len(written.variables()) == 8
    suffix = "/ExponentialMovingAverage" if has_averages else ""
    for name in written.variables():
        np.testing.assert_array_equal(written.get(name), saved.get(f"{name}{suffix}"))
    name = "LeNet/conv1/weights"
    assert (saved.get(name) != saved.get(f"{name}/ExponentialMovingAverage")).any()


def test_both_weights_and_averages_are_kept_in_a_checkpoint(command, lenet, tmp_path):
    flags = {"model_name": "lenet", "use_averages": "both"}
    command("convert", checkpoint_path=lenet, output=tmp_path / "model.ckpt-0", **flags)
    written, saved = slim_checkpoints.read(tmp_path / "model.ckpt-0"), slim_checkpoints.read(lenet)
    assert len(written.variables()) == 16
    for name in written.variables():
        np.testing.assert_array_equal(written.get(name), saved.get(name))
    result = command("convert", checkpoint_path=lenet, output=tmp_path / "a.weights.h5", **flags)
    assert "--use_averages=both needs a checkpoint as --output: Keras" in error_line(result)
    bare = layout(tmp_path, "lenet")
    result = command("convert", checkpoint_path=bare, output=tmp_path / "model.ckpt-1", **flags)
    assert "needs moving averages of the weights, but" in error_line(result)


@pytest.mark.slow
def test_training_only_heads_are_converted(command, tmp_path):
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
    assert (code, out[-1]) == (0, "Skipped: 1 network variable")
    assert set(keras_weights.WeightsFile(output).variables()) == set(values)


@pytest.mark.parametrize("name", reference.names(reference.LAYOUTS))
def test_every_scope_has_its_own_layer(name):
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


@pytest.mark.slow
def test_converted_checkpoint_evaluates_like_its_source(command, lenet, tmp_path, evaluate):
    keras, back = tmp_path / "net.weights.h5", tmp_path / "model.ckpt-0"
    command("convert", checkpoint_path=lenet, output=keras, model_name="lenet")
    command("convert", checkpoint_path=keras, output=back, model_name="lenet")
    results = [evaluate(p, model_name="lenet", dataset_name="digits") for p in (lenet, back)]
    assert results[0].code == 0
    # Only the source has moving averages and a warning about them.
    lines = [[line for line in result.out[1:] if "averages" not in line] for result in results]
    assert lines[0] == lines[1]


@pytest.mark.parametrize(
    "flags, message",
    [
        (
            {"model_name": "cifarnet"},
            "This checkpoint looks like lenet (8 of 8 variables match)",
        ),
        (
            {"model_name": "lenet", "num_classes": 5},
            "6 of the 8 variables of lenet with 5 classes. LeNet/fc4/weights: checkpoint shape",
        ),
    ],
)
def test_converting_for_another_network_is_an_error(command, lenet, tmp_path, flags, message):
    output = tmp_path / "net.weights.h5"
    line = error_line(command("convert", checkpoint_path=lenet, output=output, **flags))
    assert message in line
    assert os.listdir(tmp_path) == []


def test_converting_with_missing_variables_is_an_error(command, tmp_path):
    path = layout(tmp_path, "lenet", lambda values: values.pop("LeNet/fc3/biases"))
    output = tmp_path / "out" / "model.ckpt-0"
    line = error_line(command("convert", checkpoint_path=path, output=output, model_name="lenet"))
    assert "has 7 of the 8 variables of lenet with 10 classes. missing: LeNet/fc3/biases" in line
    assert not output.parent.exists()


@pytest.mark.parametrize("output", ["net.h5", "net.keras", "model.ckpt-0.index"])
def test_output_with_another_suffix_is_an_error(command, lenet, tmp_path, output):
    flags = {"checkpoint_path": lenet, "output": tmp_path / output, "model_name": "lenet"}
    assert "must end in .weights.h5" in error_line(command("convert", **flags))


def test_failed_write_leaves_the_earlier_file(command, lenet, tmp_path, monkeypatch):
    def full(self, path):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    output = tmp_path / "net.weights.h5"
    keras_weights.save(output, {"a/weights": np.ones([2], "f")})
    before = output.read_bytes()
    monkeypatch.setattr(tf.keras.Model, "save_weights", full)
    line = error_line(
        command("convert", checkpoint_path=lenet, output=output, model_name="lenet"), code=1
    )
    message = f"checkpoints convert: Could not save {output}: No space left on device. Free some"
    assert line.startswith(message)
    assert os.listdir(tmp_path) == ["net.weights.h5"]
    assert output.read_bytes() == before


@pytest.fixture
def weights(tmp_path):
    """A file with two variables."""
    path = tmp_path / "net.weights.h5"
    keras_weights.save(path, {"a/weights": np.ones([64, 64], "f"), "z/b/biases": np.ones(3, "f")})
    return path


def test_weights_file_has_one_layer_per_scope(weights):
    with h5py.File(weights) as file:
        assert set(file) == {"a", "z.b", "vars"}
        assert file["z.b/vars/biases"].shape == (3,)


@pytest.mark.parametrize("size", [0, 100, 3000, -1])
def test_damaged_weights_file_is_an_error(command, weights, size):
    os.truncate(weights, size if size >= 0 else weights.stat().st_size - 1)
    line = error_line(command("inspect", checkpoint_path=weights), code=1)
    assert f"{weights} is damaged or not an HDF5 file: " in line


def test_weights_file_without_slim_names_is_an_error(command, tmp_path):
    model = tf.keras.Sequential([tf.keras.Input([2]), tf.keras.layers.Dense(3)])
    path = tmp_path / "dense.weights.h5"
    with h5py.File(path, "w") as file:  # the layout Keras uses for such a model
        for index, weight in enumerate(model.get_weights()):
            file[f"layers/dense/vars/{index}"] = weight
    line = error_line(command("diff", checkpoint_path=path, model_name="lenet"))
    assert (
        "not a weights file of slim: it contains layers/dense/vars/0. To write one, use `python"
        in line
    )


def test_empty_weights_file_is_an_error(tmp_path):
    h5py.File(tmp_path / "e.weights.h5", "w").close()
    with pytest.raises(_checks.UserError, match="weights file of slim: it contains no variables"):
        keras_weights.WeightsFile(tmp_path / "e.weights.h5")


def test_missing_weights_file_is_an_error(tmp_path):
    with pytest.raises(_checks.UserError, match="File not found: .*n.weights.h5"):
        keras_weights.WeightsFile(tmp_path / "n.weights.h5")


def test_half_precision_dtypes_are_preserved(tmp_path):
    values = {"a/w": np.arange(4, dtype=np.float16), "b/w": tf.constant([1.5], tf.bfloat16).numpy()}
    keras_weights.save(tmp_path / "h.weights.h5", values)
    file = keras_weights.WeightsFile(tmp_path / "h.weights.h5")
    assert {n: v.dtype for n, v in file.variables().items()} == {
        "a/w": tf.float16, "b/w": tf.bfloat16,
    }  # fmt: skip
    assert all(file.get(n).tobytes() == v.tobytes() for n, v in values.items())


@pytest.mark.parametrize(
    "argv, message",
    [
        (
            ["inspct"],
            "command='inspct' is not known; did you mean 'inspect' or 'list'? Known: ",
        ),
        (["diff"], "--checkpoint_path is required"),
        (["inspect", "--checkpoint_path=/nowhere/x"], "--checkpoint_path='/nowhere/x' does not "),
        (["inspect", "--model_name=lenet"], "Unknown flag --model_name=lenet"),
    ],
)
def test_invalid_command_line_is_an_error(capsys, argv, message):
    assert checkpoints.main(["checkpoints.py", *argv]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["--help"], ["convert", "--help"]])
def test_help_is_printed(capsys, argv):
    assert checkpoints.main(["checkpoints.py", *argv]) == 0
    out, err = capsys.readouterr()
    assert not err
    usage = "convert --checkpoint_path" if argv[1:] else "COMMAND"
    assert f"Usage: python -m classifier.checkpoints {usage}" in out


@pytest.mark.parametrize("argv", [["--version"], ["diff", "--version"]])
def test_version(capsys, argv):
    assert checkpoints.main(["checkpoints.py", *argv]) == 0
    assert ": slim " in capsys.readouterr().out


def test_help_and_usage_errors_do_not_load_tensorflow():
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


def test_command_runs_as_a_module(lenet, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-m", "inspect", f"--checkpoint_path={lenet}"])
    monkeypatch.delitem(sys.modules, checkpoints.__name__)
    monkeypatch.setattr(stopping, "last", int)  # it ignores signals from then on
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("classifier.checkpoints", run_name="__main__", alter_sys=True)
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (0, "")
    assert out.splitlines()[-1].startswith("total: 25, ")
