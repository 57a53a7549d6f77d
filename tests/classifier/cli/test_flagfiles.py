"""The recipes of ImageNet's size, read by the real flags."""

import math
import types

import pytest

from classifier.cli import flags
from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve import training as resolve
from nets import published
from slim import _checks
from tests import source_tree

FOLDER = source_tree.ROOT / "scripts" / "flagfiles"
# Steps of an epoch, of one decay, of the warm-up, and epochs of the run.
EXPECTED = {
    "resnet_v1_50": (1_281_167 / 256, 150_136, 25_022.79, 90),
    "mobilenet_v2": (1_281_167 / 768, 4_170, 0, 419.6),
    "inception_v3": (1_281_167 / 256, 10_009, 0, 100),
}
IMAGENET = types.SimpleNamespace(
    name="imagenet",
    split_name="train",
    num_samples=1_281_167,
    per_class=(),
    num_classes=1001,
    labels_to_names={},
    num_channels=3,
    decoding="stored",
    multi_label=False,
)


def test_every_flagfile_is_expected():
    assert {path.stem for path in FOLDER.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_flagfile_is_read_and_gives_the_schedule(name, tmp_path):
    argv = ["t.py", f"--flagfile={FOLDER}/{name}.flags", f"--train_dir={tmp_path}/run"]
    config = flags.parse(TrainConfig, [*argv, f"--dataset_dir={tmp_path}"])
    run = resolve.resolve_training(config, IMAGENET)
    per_epoch, decay, warmup, epochs = EXPECTED[name]
    assert run.model.model_name == name
    assert run.steps_per_epoch == per_epoch
    assert run.schedule.decay_steps == decay
    assert math.isclose(run.schedule.warmup_steps, warmup, abs_tol=0.01)
    assert math.isclose(run.number_of_steps / per_epoch, epochs, abs_tol=0.1)
    # The classes are those of the published checkpoint.
    offsets = {
        each.labels_offset
        for each in published.checkpoints()
        if each.network == name and each.kind == "float"
    }
    assert offsets == {config.data.labels_offset}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_flagfile_says_each_flag_once_with_a_value_of_its_kind(name):
    lines = (FOLDER / f"{name}.flags").read_text("utf-8").splitlines()
    values = [line for line in lines if not line.startswith("#")]
    known = options.by_name(TrainConfig)
    names = [line.removeprefix("--").partition("=")[0] for line in values]
    assert len(set(names)) == len(names)
    assert set(names) <= set(known)
    header = "\n".join(line for line in lines if line.startswith("#"))
    for what in ("Hardware: ", "Target: ", "Verified: ", "Not verified: "):
        assert what in header


def test_bare_name_is_a_packaged_flagfile_unless_the_working_directory_has_one(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    argv = ["t.py", "--flagfile", "mobilenet_v2.flags", "--train_dir=run", "--dataset_dir=."]
    assert flags.parse(TrainConfig, argv).network.model_name == "mobilenet_v2"
    (tmp_path / "mobilenet_v2.flags").write_text("--model_name=lenet\n")
    argv[1:3] = ["--flagfile=mobilenet_v2.flags"]
    assert flags.parse(TrainConfig, argv).network.model_name == "lenet"


def test_unknown_flagfile_is_an_error_that_lists_the_packaged_ones():
    names = "inception_v3.flags, mobilenet_v2.flags, resnet_v1_50.flags"
    with pytest.raises(_checks.UserError, match=f"vgg.flags.*No such file.*of slim: {names}"):
        flags.parse(TrainConfig, ["t.py", "--flagfile=vgg.flags"])
