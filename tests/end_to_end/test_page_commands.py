"""The commands of the pages, each page's in order in one shell, on small data.

A reader sets paths and step counts of his own: page_substitutions.py has this one's.
"""

import re
import shutil
import socket
import subprocess
import sys

import pytest
import tensorflow as tf
from page_substitutions import SUBSTITUTIONS

from nets import published
from tests import page_blocks, source_tree
from tests.classifier import originals
from tests.datasets import sample_files

pytestmark = pytest.mark.slow

SESSIONS = {page.name: page for page in page_blocks.PAGES if page_blocks.session(page)}
COMMANDS = {
    "slim-train": "train_image_classifier.py",
    "slim-eval": "eval_image_classifier.py",
    "slim-export": "export_inference_graph.py",
    "slim-predict": "predict_image_classifier.py",
    "slim-checkpoints": "-m classifier.checkpoints",
}
PRELUDE = """set -eo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
all() { for job in $(jobs -p); do wait "$job"; done; }
"""
# `srun` of one machine.
SRUN = """#!/usr/bin/env bash
# srun -n COUNT COMMAND...
for ((SLURM_PROCID = 0; SLURM_PROCID < $2; SLURM_PROCID++)); do
  SLURM_PROCID=$SLURM_PROCID "${@:3}"
done
"""
# A script of TF-Slim's time, for `python -m slim.run`.
TRAIN = """import tensorflow as tf
slim = tf.contrib.slim
tf.app.flags.DEFINE_string("train_dir", None, "")
def main(_):
    logits = slim.fully_connected(tf.ones([4, 3]), 2, activation_fn=None)
    tf.losses.sparse_softmax_cross_entropy([0, 1, 0, 1], logits)
    op = slim.learning.create_train_op(tf.losses.get_total_loss(), tf.train.AdamOptimizer(0.1))
    slim.learning.train(op, tf.app.flags.FLAGS.train_dir, number_of_steps=2)
tf.app.run(main)
"""


@pytest.fixture(scope="module")
def belongings(tmp_path_factory, digits, trained):
    """What the reader of a page has; a session gets a copy."""
    place = tmp_path_factory.mktemp("belongings")
    shutil.copytree(digits, place / "digits")
    shutil.copytree(trained, place / "trained")
    rows = ["path,label,split"]
    for number in range(24):
        split, label = ("train", "validation")[number % 4 == 3], ("cat", "dog")[number % 2]
        path = place / "images" / label / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample_files.jpeg(48, 64, number))
        rows.append(f"images/{label}/{number}.jpg,{label},{split}")
    (place / "images.csv").write_text("\n".join(rows))
    (place / "photos").mkdir()
    for number, name in enumerate(("photos/a.jpg", "photos/b.png", "photo.jpg", "image.png")):
        kind = "PNG" if name.endswith("png") else "JPEG"
        image = sample_files.PIL.Image.fromarray(sample_files.photo(48, 64, number))
        image.save(place / name, kind)
    (place / "images.txt").write_text("photos/a.jpg\nphotos/b.png\nphoto.jpg\nimage.png\n")
    (place / "train.py").write_text(TRAIN)
    imagenet(place / "imagenet")
    checkpoints = place / "cache" / "checkpoints"
    for name in ("mobilenet_v1_1.0_224", "mobilenet_v2_1.0_224", "resnet_v2_50"):
        row = published.named(name)
        values = originals.network_values(row.network)
        originals.write(checkpoints / row.stem / f"{name}.ckpt", values)
    files = {path.name: path.read_bytes() for path in (checkpoints / row.stem).iterdir()}
    (place / row.file).write_bytes(sample_files.tar_bytes(files))
    originals.write(place / "inception_v3.ckpt", originals.network_values("inception_v3"))
    return place


def imagenet(directory):
    """Writes four validation images as TF-Slim's script does."""
    directory.mkdir()
    with tf.io.TFRecordWriter(str(directory / "validation-00000-of-00001")) as writer:
        for label in (1, 2, 999, 1000):
            values = {
                "image/encoded": tf.train.BytesList(value=[sample_files.jpeg(48, 64, label)]),
                "image/format": tf.train.BytesList(value=[b"JPEG"]),
            }
            features = {key: tf.train.Feature(bytes_list=value) for key, value in values.items()}
            number = tf.train.Int64List(value=[label])
            features["image/class/label"] = tf.train.Feature(int64_list=number)
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    (directory / "labels.txt").write_text("".join(f"{n}:class {n}\n" for n in range(1001)))


@pytest.fixture
def home(belongings, tmp_path):
    """A checkout with the reader's files and the installed commands."""
    shutil.copytree(belongings, tmp_path, dirs_exist_ok=True)
    for path in source_tree.ROOT.iterdir():
        if not path.name.startswith(".") and path.name not in ("build", "docs"):
            (tmp_path / path.name).symlink_to(path)
    programs = {"srun": SRUN, "python": f'#!/bin/sh\nexec {sys.executable} "$@"\n'}
    for name, script in COMMANDS.items():
        place = "" if script.startswith("-m") else f"{tmp_path}/"
        programs[name] = f'#!/bin/sh\nexec {sys.executable} {place}{script} "$@"\n'
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def ports(source):
    """Returns the source with free ports in place of host0:2222, ... and of PORT0."""
    for number in range(5):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        source = source.replace(f"host{number}:2222", f"127.0.0.1:{port}")
        source = source.replace(f"PORT{number}", str(port))
    return source


def session(page):
    """Returns the program of a page's session."""
    lines, unused = [PRELUDE], dict(SUBSTITUTIONS.get(page.name, {}))
    for number, block in enumerate(page_blocks.session(page), 1):
        source = block.source
        for text, replacement in SUBSTITUTIONS.get(page.name, {}).items():
            if text in source:
                unused.pop(text, None)
                source = source.replace(text, replacement)
        if block.language == "python":
            source = f"python - <<'PYTHON'\n{source}PYTHON\n"
        # Some output has no newline at its end.
        lines.append(f"printf '\\nblock %d\\n' {number}\n{source}")
    assert not unused, f"{page.name} no longer has these"
    return ports("\n".join(lines))


@pytest.mark.parametrize("name", SESSIONS)
def test_commands_of_the_page_run(name, home):
    program = session(SESSIONS[name])
    environment = {
        "HOME": str(home), "LANG": "C.UTF-8", "PATH": f"{home}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHON": sys.executable, "SLIM_CACHE_DIR": str(home / "cache"),
        "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", program], cwd=home, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=3600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{program}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert len(re.findall(r"^block \d+$", done.stdout, re.M)) == len(
        page_blocks.session(SESSIONS[name])
    )
