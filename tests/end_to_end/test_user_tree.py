"""A user's directory tree stays unchanged when any script gets it as any argument."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import commands
import pytest

from tests.user_files import snapshot

pytestmark = pytest.mark.slow

NAMES = (
    *("labels.txt", "bad_files.csv", "dataset_info.json", "digits_train-00000-of-00002.tfrecord"),
    *("downloads/thesis", "conversion.partial/lock", "conversion.partial/journal.jsonl"),
    *("samples/0_zero.png", "config.json", "model_info.json", "metrics.jsonl", "checkpoint"),
    *("model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001", "best/best.json"),
    *("best/model.ckpt-7.index", "eval/notes", "images/step-0.png", "plugins/profile/notes"),
    *("curves.png", "nan_restores.json", "set_aside/1/thesis", "train.lock", "README.md"),
    *("lenet.pb", "lenet.weights.h5", "saved_model/60/saved_model.pb", "0.png", "thesis.tex"),
    *(".slim", ".saving-abcd1234/lock", "inception_v1_2016_08_28.tar.gz.part", "train.log"),
)
KILLS = 30


@pytest.fixture
def tree(tmp_path):
    """A user's tree: regular files, links out of it, a dangling link, a FIFO."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "thesis").write_text("behind a link")
    home = tmp_path / "home"
    for name in NAMES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"my {name}")
    (home / "link").symlink_to("../elsewhere")
    (home / "filelink").symlink_to("../elsewhere/thesis")
    (home / "dangling").symlink_to("../nowhere")
    os.mkfifo(home / "fifo")
    return tmp_path


def roles(tree, digits, trained):
    """Yields each command line with the tree, or a file of it, as an argument."""
    home, out = tree / "home", tree / "new"
    data = [f"--dataset_dir={digits}", "--dataset_name=digits"]
    validation = [f"--dataset_dir={digits}", "--dataset_split_name=validation"]
    train = ["--model_name=lenet", "--batch_size=16", "--max_number_of_steps=2"]
    run = f"--checkpoint_path={trained}"
    files = [home / name for name in ("thesis.tex", "filelink", "dangling", "fifo", "labels.txt")]
    convert, fit = "download_and_convert_data", "train_image_classifier"
    for dataset in ("digits", "folder", "mnist", "verify"):
        yield commands.command(convert, f"--dataset_name={dataset}", f"--dataset_dir={home}")
    for target in (out / "folder", home, home / "new", tree):
        yield commands.command(
            convert, "--dataset_name=folder", f"--source_dir={home}", f"--dataset_dir={target}"
        )
    for directory in (home, home / "link"):
        for more in ([], ["--restart"]):
            yield commands.command(fit, *data, *train, f"--train_dir={directory}", *more)
    new = f"--train_dir={out / 'run'}"
    yield commands.command(fit, *train, new, "--dataset_name=digits", f"--dataset_dir={home}")
    yield commands.command(fit, *data, *train, new, f"--checkpoint_path={home}")
    evaluate, export = "eval_image_classifier", "export_inference_graph"
    yield commands.command(evaluate, *validation, f"--checkpoint_path={home}")
    yield commands.command(evaluate, *validation, run, f"--eval_dir={home}")
    yield commands.command(export, f"--checkpoint_path={home}", f"--output_dir={out / 'export'}")
    yield commands.command(export, run, f"--output_dir={home}", "--formats=frozen_pb,saved_model")
    predict = "predict_image_classifier"
    yield commands.command(predict, run, f"--images={home}", f"--output_csv={out / 'a.csv'}")
    for file in files:
        yield commands.command(evaluate, *validation, run, f"--eval_json={file}")
        yield commands.command(export, "--model_name=lenet", f"--output_file={file}")
        yield commands.command(predict, run, f"--images={digits}/samples", f"--output_csv={file}")
        tool = [sys.executable, "-m", "classifier.checkpoints", "convert"]
        yield [*tool, run, "--model_name=lenet", f"--output={file}"]
    scripts = commands.ROOT / "scripts"
    archive, source = "inception_v1_2016_08_28.tar.gz", f"--source_dir={tree / 'elsewhere'}"
    yield [sys.executable, "-m", "classifier.checkpoints", "fetch", archive, str(home), source]
    yield [
        sys.executable,
        str(scripts / "try_export.py"),
        str(home),
        str(digits),
        "train",
        str(home),
    ]


def start(command):
    return subprocess.Popen(
        command, cwd=commands.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_no_script_changes_a_users_tree(tree, digits, trained):
    trained = shutil.copytree(trained, tree / "run")
    before = snapshot(tree / "home") | snapshot(tree / "elsewhere")
    for command in roles(tree, digits, trained):
        process = start(command)
        output, _ = process.communicate(timeout=600)
        assert snapshot(tree / "home") | snapshot(tree / "elsewhere") == before, (command, output)
        assert "Traceback" not in output, (command, output)


def test_no_killed_script_changes_a_users_tree(tree, digits, trained):
    trained = shutil.copytree(trained, tree / "run")
    before = snapshot(tree / "home") | snapshot(tree / "elsewhere")
    rng = random.Random(0)
    commands_of_roles = list(roles(tree, digits, trained))
    for _ in range(KILLS):
        command = rng.choice(commands_of_roles)
        process = start(command)
        time.sleep(rng.uniform(0.1, 8))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert snapshot(tree / "home") | snapshot(tree / "elsewhere") == before, command
