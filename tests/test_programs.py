"""The programs that TF-Slim's users call one by one, on small data."""

import json
import os
import subprocess
import sys

import pytest

from classifier.config import options
from classifier.config.mobilenet_v1 import MobilenetEvalConfig, MobilenetTrainConfig
from classifier.run_directory import RunDirectory
from datasets import dataset_info, imagenet_files
from slim import _checks
from tests import source_tree
from tests.datasets import sample_files
from tests.user_files import unchanged

SYNSETS = ("n01440764", "n01443537", "n01484850")
XML = (
    "<annotation><size><width>100</width><height>50</height></size><object><name>{}</name>"
    "<bndbox><xmin>10</xmin><ymin>5</ymin><xmax>60</xmax><ymax>55</ymax></bndbox></object>"
    "</annotation>"
)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def validation_images(root, count=6):
    for number in range(1, count + 1):
        write(
            root / "validation" / f"ILSVRC2012_val_{number:08d}.JPEG",
            sample_files.jpeg(20, 30, number),
        )
    labels = "".join(f"{SYNSETS[number % 3]}\n" for number in range(count))
    write(root / "labels.txt", labels.encode())


def run(root, program, *arguments):
    """Runs a program, which has to succeed, in a directory; returns its stdout."""
    done = subprocess.run(
        [sys.executable, str(source_tree.ROOT / program), *arguments],
        cwd=root, capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_validation_images_are_moved_once(tmp_path):
    validation_images(tmp_path)
    arguments = str(tmp_path / "validation"), str(tmp_path / "labels.txt")
    assert imagenet_files.sort_validation_images(*arguments) == 6
    moved = sorted(os.listdir(tmp_path / "validation" / SYNSETS[1]))
    assert moved == ["ILSVRC2012_val_00000002.JPEG", "ILSVRC2012_val_00000005.JPEG"]
    with unchanged(tmp_path):
        assert imagenet_files.sort_validation_images(*arguments) == 0


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda root: (root / "ILSVRC2012_val_00000003.JPEG").unlink(), "is missing; nothing was"),
        (lambda root: (root / SYNSETS[0]).write_text("mine"), "already exists .a regular file"),
        (lambda root: (root / SYNSETS[0]).symlink_to(root.parent), "already exists .a link"),
        (
            lambda root: write(root / SYNSETS[2] / "ILSVRC2012_val_00000003.JPEG", b"mine"),
            "already exists .a regular file",
        ),
        (lambda root: (root.parent / "labels.txt").write_text("../up\n"), "is not the id of a"),
    ],
)
def test_nothing_is_moved_if_an_image_is_missing_or_a_target_exists(tmp_path, spoil, message):
    validation_images(tmp_path)
    spoil(tmp_path / "validation")
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match=message):
        imagenet_files.sort_validation_images(
            str(tmp_path / "validation"), str(tmp_path / "labels.txt")
        )


def test_unreadable_annotation_is_an_error(tmp_path):
    os.mkfifo(tmp_path / "a.xml")
    with pytest.raises(_checks.RunError, match="a.xml cannot be read: not a regular file"):
        imagenet_files.boxes_in_file(str(tmp_path / "a.xml"), set())


def test_flags_of_mobilenet_v1_are_translated():
    common = {"dataset_dir": "data", "checkpoint_dir": "run", "image_size": 96}
    quantized = options.build(MobilenetTrainConfig, **common, quantize=True, depth_multiplier=0.5)
    training = quantized.training()
    assert training.network.model_name == "mobilenet_v1_050"
    assert options.flatten(training)["quantize_delay"] == 250_000
    assert options.flatten(training)["learning_rate"] == 0.045
    finetuned = options.build(
        MobilenetTrainConfig, **common, quantize=True, fine_tune_checkpoint="model.ckpt-1"
    ).training()
    values = options.flatten(finetuned)
    assert (values["quantize_delay"], values["learning_rate"]) == (0, 1e-4)
    assert (values["checkpoint_path"], values["ignore_missing_vars"]) == ("model.ckpt-1", True)
    evaluation = options.build(MobilenetEvalConfig, **common, num_examples=501).evaluation()
    assert options.flatten(evaluation)["max_num_batches"] == 3
    with pytest.raises(_checks.UserError, match="depth_multiplier=0.3 is not known"):
        options.build(MobilenetTrainConfig, **common, depth_multiplier=0.3)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A directory in which TF-Slim's programs prepared ImageNet, in `data`."""
    root = tmp_path_factory.mktemp("imagenet")
    validation_images(root)
    for place, synset in enumerate(SYNSETS):
        write(root / "xml" / synset / f"{synset}_0.xml", XML.format(synset).encode())
        for number in range(4):
            image = sample_files.jpeg(20, 30, 10 * place + number)
            write(root / "train" / synset / f"{synset}_{number}.JPEG", image)
    write(root / "xml" / "n09999999" / "n09999999_0.xml", XML.format("n09999999").encode())
    write(root / "synsets.txt", "\n".join(SYNSETS).encode())
    write(root / "metadata.txt", "".join(f"{s}\tname of {s}\n" for s in SYNSETS).encode())
    run(root, "datasets/preprocess_imagenet_validation_data.py", "validation", "labels.txt")
    boxes = run(root, "datasets/process_bounding_boxes.py", "xml", "synsets.txt")
    assert boxes.splitlines() == [f"{s}_0.JPEG,0.1000,0.1000,0.6000,1.0000" for s in SYNSETS]
    (root / "boxes.csv").write_text(boxes)
    run(
        root, "datasets/build_imagenet_data.py", "--train_directory=train", "--train_shards=2",
        "--validation_directory=validation", "--validation_shards=1", "--output_directory=data",
        "--num_threads=1", "--labels_file=synsets.txt", "--imagenet_metadata_file=metadata.txt",
        "--bounding_box_file=boxes.csv", "--logtostderr",
    )  # fmt: skip
    return root


@pytest.mark.slow
def test_imagenet_is_built_from_directories(imagenet):
    info = dataset_info.read_complete(str(imagenet / "data"))
    assert info.splits["train"].per_class == (0, 4, 4, 4)
    assert info.splits["validation"].per_class == (0, 2, 2, 2)
    assert (imagenet / "data" / "train-00001-of-00002").is_file()


@pytest.mark.slow
def test_mobilenet_v1_is_trained_and_evaluated(imagenet):
    common = ["--checkpoint_dir=run", "--dataset_dir=data", "--quantize=True", "--batch_size=2"]
    common += ["--image_size=32", "--depth_multiplier=0.25", "--num_classes=1001"]
    run(imagenet, "nets/mobilenet_v1_train.py", *common, "--number_of_steps=1")
    assert "eval/Accuracy[" in run(imagenet, "nets/mobilenet_v1_eval.py", *common)
    info = RunDirectory(str(imagenet / "run")).read_model_info()
    assert (info.num_classes, info.label_names[2:5]) == (
        1001,
        ("name of n01443537", "name of n01484850", "4"),
    )
    done = subprocess.run(
        [sys.executable, str(source_tree.ROOT / "nets" / "mobilenet_v1_eval.py"), *common[:-1],
         "--num_classes=3"],
        cwd=imagenet, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--num_classes=3 contradicts 1001 in model_info.json" in done.stderr


@pytest.mark.slow
def test_visual_wake_words_are_built_from_directories(tmp_path):
    for split in ("train", "val"):
        images, objects = [], []
        for number in range(4):
            write(tmp_path / split / f"{number}.jpg", sample_files.jpeg(20, 40, number))
            images.append({"id": number, "file_name": f"{number}.jpg", "height": 20, "width": 40})
            if number % 2:
                box = {"bbox": [1.0, 2.0, 20.0, 15.0], "area": 300.0}
                objects.append({"image_id": number, "category_id": 1, **box})
        content = {"images": images, "annotations": objects}
        content["categories"] = [{"id": 1, "name": "person"}]
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    run(
        tmp_path, "datasets/build_visualwakewords_data.py", "--logtostderr",
        "--train_image_dir=train", "--val_image_dir=val", "--train_annotations_file=train.json",
        "--val_annotations_file=val.json", "--output_dir=out",
        "--small_object_area_threshold=0.005", "--foreground_class_of_interest=person",
    )  # fmt: skip
    info = dataset_info.read_complete(str(tmp_path / "out"))
    assert [split.per_class for split in info.splits.values()] == [(2, 2), (2, 2)]


def test_imagenet_is_downloaded_and_unpacked_once(tmp_path):
    inner = {f"{s}.tar": sample_files.tar_bytes({f"{s}_1.JPEG": b"x"}, "w") for s in SYNSETS}
    write(tmp_path / "web" / "ILSVRC2012_img_train.tar", sample_files.tar_bytes(inner, "w"))
    validation = sample_files.tar_bytes({"ILSVRC2012_val_00000001.JPEG": b"x"}, "w")
    write(tmp_path / "web" / "ILSVRC2012_img_val.tar", validation)
    boxes = sample_files.tar_bytes({"n01440764/n01440764_1.xml": b"x"})
    write(tmp_path / "web" / "ILSVRC2012_bbox_train_v2.tar.gz", boxes)
    (tmp_path / "synsets.txt").write_text("\n".join(SYNSETS[:2]))
    account = {"IMAGENET_USERNAME": "me", "IMAGENET_ACCESS_KEY": "key"}
    command = ["bash", str(source_tree.ROOT / "datasets" / "download_imagenet.sh"), "out/"]
    for _ in range(2):
        done = subprocess.run(
            [*command, "synsets.txt"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ | account | {"IMAGENET_URL": f"file://{tmp_path}/web"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    files = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")}
    assert files == {
        "ILSVRC2012_bbox_train_v2.tar.gz", "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar",
        "bounding_boxes/n01440764/n01440764_1.xml", "validation/ILSVRC2012_val_00000001.JPEG",
        *(f"train/{s}/{s}_1.JPEG" for s in SYNSETS[:2]),
    }  # fmt: skip
