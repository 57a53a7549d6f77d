"""Every recipe, offline, as users run it, on small archives in the published layouts."""

import json
import os
import pathlib
import re
import subprocess
import sys

import commands
import pytest

from tests.classifier import originals
from tests.datasets import sample_files as archives

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
RECIPES = {*TRAINED, *(f"finetune_{name}_on_flowers" for name in FLOWERS), "finetune_on_folder"}


def lines_of(recipe):
    return (SCRIPTS / f"{recipe}.sh").read_text("utf-8").splitlines()


def test_every_recipe_is_tested():
    assert {path.stem for path in SCRIPTS.glob("*_on_*.sh")} == RECIPES


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_header_states_command_hardware_time_and_result(recipe):
    header = "\n".join(line for line in lines_of(recipe) if line.startswith("#"))
    assert f"scripts/{recipe}.sh " in header
    for what in ("Hardware: ", "Time: ", "Result: ", "Verified"):
        assert what.lower() in header.lower()
    assert os.access(SCRIPTS / f"{recipe}.sh", os.X_OK)
    assert max(map(len, lines_of(recipe))) <= 125


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The environment of a recipe: this interpreter, and no check of the archives' digests."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(
        "from datasets import download\ndownload._problem = lambda file, path: None\n"
    )
    path = os.pathsep.join([str(site), str(commands.ROOT)])
    return {"PYTHON": sys.executable, "PYTHONPATH": path, "BATCH_SIZE": "4"}


def run(recipe, *arguments, **environment):
    """Runs a recipe, which has to succeed, and returns its output."""
    finished = subprocess.run(
        ["bash", str(SCRIPTS / f"{recipe}.sh"), *map(str, arguments)],
        capture_output=True, text=True, timeout=1800, check=False, env=os.environ | environment,
    )  # fmt: skip
    assert finished.returncode == 0, f"{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"
    return finished.stdout


def check(output, directory, splits):
    """Checks that a recipe evaluated, exported, and predicted with the export."""
    for run_name, split in splits:
        metrics = json.loads((directory / run_name / f"{split}.json").read_text())
        assert 0 <= metrics["accuracy"] <= 1
    assert list((directory / "export").glob("*.pb"))
    assert list((directory / "export" / "saved_model").iterdir())
    by_export = dict(re.findall(r"pb: (\S+) is (\S+) \(it is", output))
    by_checkpoint = dict(re.findall(r"^(\S+): (\S+) [01]\.\d+$", output, re.MULTILINE))
    assert len(by_export) == 8
    assert by_export == by_checkpoint


@pytest.fixture
def source(tmp_path):
    """A directory for archives, separate from the recipe's."""
    path = tmp_path / "source"
    path.mkdir()
    return path


@pytest.mark.slow
def test_training_lenet_on_mnist(environment, source, tmp_path):
    files, _ = archives.mnist_files(40, 20)
    for name, content in files.items():
        (source / name).write_bytes(content)
    output = run(
        "train_lenet_on_mnist", tmp_path / "out", **environment, SOURCE_DIR=str(source), STEPS="3"
    )
    check(output, tmp_path / "out", [("run", "test")])


@pytest.mark.slow
def test_training_cifarnet_on_cifar10(environment, source, tmp_path):
    (source / "cifar-10-binary.tar.gz").write_bytes(archives.cifar10_archive(per_batch=10)[0])
    output = run(
        "train_cifarnet_on_cifar10",
        tmp_path / "out",
        **environment,
        SOURCE_DIR=str(source),
        STEPS="3",
    )
    check(output, tmp_path / "out", [("run", "test")])


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
def test_finetuning_a_published_checkpoint_on_flowers(environment, flowers, source, tmp_path, name):
    (source / flowers.name).symlink_to(flowers)
    pack(name, source)
    output = run(
        f"finetune_{name}_on_flowers", tmp_path / "out", **environment, SOURCE_DIR=str(source),
        HEAD_STEPS="2", ALL_STEPS="1", IMAGE_SIZE=str(FLOWERS[name][2]),
    )  # fmt: skip
    check(output, tmp_path / "out", [("head", "validation"), ("all", "validation")])
    starts = [line for line in output.splitlines() if line.startswith("Starting at step 0: ")]
    assert re.search(r"restored \d+, skipped \d+ \(.*\), missing 0, unused", starts[0])
    assert re.search(r"restored \d+, skipped 0, missing 0, unused", starts[1])


@pytest.mark.slow
def test_finetuning_on_a_directory_of_images(environment, digits, tmp_path):
    for number, image in enumerate(sorted((digits / "samples").iterdir())):
        label = tmp_path / "images" / ("even" if number % 2 else "odd")
        label.mkdir(parents=True, exist_ok=True)
        for copy in range(8):  # eight images are held out
            (label / f"{number}{copy}.png").write_bytes(image.read_bytes())
    checkpoint = originals.write(
        tmp_path / "pretrained" / "model.ckpt-1", originals.network_values("mobilenet_v1_025")
    )
    output = run(
        "finetune_on_folder", tmp_path / "images", tmp_path / "out", **environment,
        MODEL_NAME="mobilenet_v1_025", CHECKPOINT=checkpoint, IMAGE_SIZE="32", HEAD_STEPS="2",
        ALL_STEPS="2",
    )  # fmt: skip
    check(output, tmp_path / "out", [("head", "validation"), ("all", "validation")])
    assert "Checkpoint head has 1001 classes, dataset 'folder' has 2 (MobilenetV1/Logits)" in output
