"""Every recipe, offline, in a fresh clone, on small archives in the published layouts."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sysconfig
import venv

import commands
import pytest

from tests.classifier import originals
from tests.datasets import sample_files as archives
from tests.datasets import test_visualwakewords

SCRIPTS = commands.ROOT / "scripts"
FLOWERS = {
    "inception_v1": ("inception_v1_2016_08_28.tar.gz", "inception_v1.ckpt", 224),
    "inception_v3": ("inception_v3_2016_08_28.tar.gz", "inception_v3.ckpt", 139),
    "inception_resnet_v2": (
        "inception_resnet_v2_2016_08_30.tar.gz",
        "inception_resnet_v2_2016_08_30.ckpt",
        139,
    ),
    "resnet_v1_50": ("resnet_v1_50_2016_08_28.tar.gz", "resnet_v1_50.ckpt", 64),
}
TRAINED = {"train_lenet_on_mnist": 28, "train_cifarnet_on_cifar10": 32}
DEVICES = {"photos_to_device", "train_person_detection_on_visualwakewords"}
FOLDER = {"finetune_on_folder", "photos_to_device"}
RECIPES = {*TRAINED, *(f"finetune_{name}_on_flowers" for name in FLOWERS), *FOLDER, *DEVICES}


def lines_of(recipe):
    return (SCRIPTS / f"{recipe}.sh").read_text("utf-8").splitlines()


def test_every_recipe_is_tested():
    named = (*SCRIPTS.glob("*_on_*.sh"), *SCRIPTS.glob("*_to_*.sh"))
    assert {path.stem for path in named} == RECIPES


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_header_states_command_hardware_time_and_result(recipe):
    header = "\n".join(line for line in lines_of(recipe) if line.startswith("#"))
    assert f"scripts/{recipe}.sh " in header
    for what in ("Hardware: ", "Time: ", "Result: ", "Verified"):
        assert what.lower() in header.lower()
    assert os.access(SCRIPTS / f"{recipe}.sh", os.X_OK)
    assert max(map(len, lines_of(recipe))) <= 125


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with an environment that does not check the archives' digests."""
    root = tmp_path_factory.mktemp("clone")
    ignored = shutil.ignore_patterns(".*", "build", "tests", "__pycache__")
    shutil.copytree(commands.ROOT, root, ignore=ignored, dirs_exist_ok=True)
    venv.create(root / ".venv", symlinks=True)
    (site,) = (root / ".venv").glob("lib/python*/site-packages")
    (site / "shared.pth").write_text(
        f"{sysconfig.get_path('purelib')}\n{root}\nimport without_digests\n"
    )
    (site / "without_digests.py").write_text(
        "from datasets import download\ndownload._problem = lambda file, path: None\n"
    )
    for name in ("base", "dev"):
        with open(root / "requirements" / f"{name}.txt", "rb") as lock:
            stamp = subprocess.run(["cksum"], stdin=lock, capture_output=True, check=True).stdout
        (root / ".venv" / f"installed-{name}").write_bytes(stamp)
    return root


def run(clone, recipe, *arguments, code=0, **environment):
    """Runs a recipe from another directory, without PYTHON; returns its output.

    Args:
      clone: the checkout.
      recipe: name of the recipe.
      *arguments: of its command line.
      code: the expected exit code.
      **environment: further variables.
    """
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHON", "PYTHONPATH")}
    finished = subprocess.run(
        ["bash", str(clone / "scripts" / f"{recipe}.sh"), *map(str, arguments)],
        capture_output=True, text=True, timeout=1800, check=False, cwd=clone.parent,
        env=inherited | {"BATCH_SIZE": "4"} | environment,
    )  # fmt: skip
    output = finished.stdout if code == 0 else finished.stderr
    assert finished.returncode == code, f"{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"
    return output


def check(output, directory, splits):
    """Checks that a recipe evaluated, exported, and predicted with the export."""
    for run_name, split in splits:
        metrics = json.loads((directory / run_name / f"{split}.json").read_text())
        assert 0 <= metrics["accuracy"] <= 1
    assert list((directory / "export").glob("*.pb"))
    assert list((directory / "export" / "saved_model").iterdir())
    by_export = dict(re.findall(r"pb: (\S+) is (\S+) \(label: ", output))
    by_checkpoint = dict(re.findall(r"^(\S+): (\S+) [01]\.\d+$", output, re.MULTILINE))
    assert len(by_export) == 8
    assert by_export == by_checkpoint


@pytest.fixture
def source(tmp_path):
    """A directory for archives, separate from the recipe's."""
    path = tmp_path / "source"
    path.mkdir()
    return path


def outputs(clone, name, tmp_path):
    """Yields a recipe's arguments without and with a directory, and where its output goes."""
    yield (), clone / "build" / name
    yield (tmp_path / "out",), tmp_path / "out"


@pytest.mark.slow
def test_training_lenet_on_mnist(clone, source, tmp_path):
    files, _ = archives.mnist_files(40, 20)
    for name, content in files.items():
        (source / name).write_bytes(content)
    for arguments, directory in outputs(clone, "lenet_mnist", tmp_path):
        output = run(clone, "train_lenet_on_mnist", *arguments, SOURCE_DIR=str(source), STEPS="3")
        check(output, directory, [("run", "test")])


@pytest.mark.slow
def test_training_cifarnet_on_cifar10(clone, source, tmp_path):
    (source / "cifar-10-binary.tar.gz").write_bytes(archives.cifar10_archive(per_batch=10)[0])
    for arguments, directory in outputs(clone, "cifarnet_cifar10", tmp_path):
        output = run(
            clone, "train_cifarnet_on_cifar10", *arguments, SOURCE_DIR=str(source), STEPS="3"
        )
        check(output, directory, [("run", "test")])


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """flower_photos.tgz, with just enough images."""
    path = tmp_path_factory.mktemp("flowers") / "flower_photos.tgz"
    path.write_bytes(archives.flowers_archive(per_class=72)[0])
    return path


def pack(name, directory):
    """Writes a network's published archive, with a checkpoint of format V1, to a directory."""
    archive, member, _ = FLOWERS[name]
    path = pathlib.Path(
        originals.write(directory / "v1" / member, originals.network_values(name), "V1")
    )
    (directory / archive).write_bytes(archives.tar_bytes({member: path.read_bytes()}))
    path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWERS)
def test_finetuning_a_published_checkpoint_on_flowers(clone, flowers, source, tmp_path, name):
    (source / flowers.name).symlink_to(flowers)
    pack(name, source)
    for arguments, directory in outputs(clone, f"{name}_flowers", tmp_path):
        output = run(
            clone, f"finetune_{name}_on_flowers", *arguments, SOURCE_DIR=str(source),
            HEAD_STEPS="2", ALL_STEPS="1", IMAGE_SIZE=str(FLOWERS[name][2]),
        )  # fmt: skip
        check(output, directory, [("head", "validation"), ("all", "validation")])
        starts = [line for line in output.splitlines() if line.startswith("Starting at step 0: ")]
        assert re.search(r"restored \d+, skipped \d+ \(.*\), missing 0, unused", starts[0])
        assert re.search(r"restored \d+, skipped 0, missing 0, unused", starts[1])


@pytest.mark.slow
def test_finetuning_on_a_directory_of_images(clone, digits, tmp_path):
    for number, image in enumerate(sorted((digits / "samples").iterdir())):
        label = tmp_path / "images" / ("even" if number % 2 else "odd")
        label.mkdir(parents=True, exist_ok=True)
        for copy in range(8):  # eight images are held out
            (label / f"{number}{copy}.png").write_bytes(image.read_bytes())
    checkpoint = originals.write(
        tmp_path / "pretrained" / "model.ckpt-1", originals.network_values("mobilenet_v1_025")
    )
    message = "Checkpoint head has 1001 classes, dataset 'folder' has 2 (MobilenetV1/Logits)"
    for arguments, directory in outputs(clone, "finetune_on_folder", tmp_path):
        output = run(
            clone, "finetune_on_folder", tmp_path / "images", *arguments,
            MODEL_NAME="mobilenet_v1_025", CHECKPOINT=checkpoint, IMAGE_SIZE="32",
            HEAD_STEPS="2", ALL_STEPS="2",
        )  # fmt: skip
        check(output, directory, [("head", "validation"), ("all", "validation")])
        assert message in output


@pytest.mark.slow
def test_photos_to_device_writes_each_result_once(clone, digits, tmp_path):
    for number, image in enumerate(sorted((digits / "samples").iterdir())):
        label = tmp_path / "images" / ("even" if number % 2 else "odd")
        label.mkdir(parents=True, exist_ok=True)
        for copy in range(8):
            (label / f"{number}{copy}.png").write_bytes(image.read_bytes())
    checkpoint = originals.write(
        tmp_path / "pretrained" / "model.ckpt-1", originals.network_values("mobilenet_v1_025")
    )
    arguments = clone, "photos_to_device", tmp_path / "images", tmp_path / "out"
    values = {"MODEL_NAME": "mobilenet_v1_025", "CHECKPOINT": checkpoint, "IMAGE_SIZE": "32"}
    values |= {"HEAD_STEPS": "2", "ALL_STEPS": "2", "MAX_DROP": "100"}
    output = run(*arguments, **values)
    assert "global step 2" in output
    export = tmp_path / "out" / "export"
    array = (export / "c_array" / "mobilenet_v1_025_int8.c").read_text("ascii").split("char ")[-1]
    file = (export / "mobilenet_v1_025_int8.tflite").read_bytes()
    assert bytes(int(each, 16) for each in re.findall("0x(..)", array)) == file
    assert (tmp_path / "out" / "report" / "index.html").exists()
    assert "mobilenet_v1_025_int8.tflite" in (export / "README.md").read_text()
    (export / "mobilenet_v1_025_int8.tflite").rename(tmp_path / "moved")
    (tmp_path / "out" / "complete" / "export").unlink()
    again = run(*arguments, **values)
    assert "global step" not in again
    assert "validation accuracy" not in again
    assert (export / "mobilenet_v1_025_int8.tflite").exists()


@pytest.mark.slow
def test_person_detection_on_visual_wake_words(clone, source, tmp_path):
    contents = test_visualwakewords.archives(12)
    for name, content in contents.items():
        (source / name).write_bytes(content)
    run(
        clone, "train_person_detection_on_visualwakewords", tmp_path / "out",
        SOURCE_DIR=str(source), STEPS="2", DECAY="0.9", MAX_DROP="100",
    )  # fmt: skip
    header = tmp_path / "out" / "export" / "c_array" / "mobilenet_v1_025_int8.h"
    assert "Input 0: int8, 1 x 96 x 96 x 1" in header.read_text()
    metrics = json.loads((tmp_path / "out" / "run" / "val.json").read_text())
    assert metrics["num_images"] == 12


@pytest.mark.parametrize(
    "recipe, arguments, message",
    [
        ("photos_to_device", (), "IMAGES is missing"),
        ("finetune_on_folder", (), "IMAGES is missing"),
        ("finetune_on_folder", ("nowhere", "out"), "nowhere is not a directory"),
        ("finetune_on_folder", (".", "out", "more"), "unexpected argument more"),
        ("train_lenet_on_mnist", ("out", "more"), "unexpected argument more"),
        ("quickstart", ("--steps=3",), "unknown option --steps=3"),
    ],
)
def test_wrong_arguments_end_in_one_line_with_the_usage(clone, recipe, arguments, message):
    error = run(clone, recipe, *arguments, code=2)
    usage = f"Usage: {clone}/scripts/{recipe}.sh {'IMAGES ' * (recipe in FOLDER)}["
    assert error.startswith(f"{recipe}: {message}. {usage}DIR] (default: build/")
    assert error.count("\n") == 1
    assert not (clone.parent / "out").exists()


@pytest.mark.parametrize("recipe", ["quickstart", *sorted(RECIPES)])
def test_help_prints_header_and_environment_variables(clone, recipe):
    output = run(clone, recipe, "--help")
    assert output.startswith(lines_of(recipe)[1].removeprefix("# "))
    assert "Result: " in output
    assert ("IMAGE_SIZE  height" in output) == (recipe != "quickstart")


def test_exported_cdpath_has_no_effect(clone):
    command = ['. scripts/recipe.sh name; echo "$ROOT"', "scripts/quickstart.sh"]
    output = subprocess.run(
        ["bash", "-c", *command], capture_output=True, text=True, check=True, cwd=clone,
        env=os.environ | {"CDPATH": str(clone), "PYTHON": "python3"},
    )  # fmt: skip
    assert output.stdout == f"{clone}\n"
