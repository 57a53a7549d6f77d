"""The code blocks of docs/ and README.md: Python runs, and each command is one that slim accepts.

The blocks of start.md, serving.md and concepts.md run in test_wheel.py, test_examples.py and
test_site.py. A block that needs other programs or machines is marked `<!-- not run: why -->`.
"""

import pathlib
import re
import shlex
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import slim
from classifier.config import options
from tests import flags_page, source_tree

README = source_tree.ROOT / "README.md"
PAGES = [*sorted((source_tree.ROOT / "docs").glob("*.md")), README]
RUN_ELSEWHERE = {"start.md", "serving.md", "concepts.md"}
GENERAL = ("dry_run",)  # flags of every script
SHELL = {"cd", "mkdir", "pip", "split", "srun", "tar"}
COMMANDS = {
    "slim-train": "train_image_classifier",
    "slim-eval": "eval_image_classifier",
    "slim-export": "export_inference_graph",
    "slim-predict": "predict_image_classifier",
    "slim-data": "download_and_convert_data",
    "slim-serve": "classifier/serve",
    "classifier.serve": "classifier/serve",
}


def blocks(page, language):
    """Returns the blocks of a language, except those that are marked as not run."""
    text = re.sub(r"<!-- not run: [^>]+-->\n```.*?\n```\n", "", page.read_text("utf-8"), flags=re.S)
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_block_has_a_language(page):
    fences = re.findall(r"^ *```(\w*).*?^ *```$", page.read_text("utf-8"), re.M | re.S)
    assert set(fences) <= {"bash", "python", "text"}


def config_of(words):
    """Returns the options of a command's program; None if the command has no flags of slim."""
    name, *rest = words[2:] if words[1:2] == ["-m"] else words[words[0] == "python" :]
    if name in ("classifier.checkpoints", "slim-checkpoints"):
        return flags_page.OTHER_PROGRAMS[f"slim-checkpoints {rest[0]}"]
    if name in SHELL or name == "slim.run":
        return None
    name = COMMANDS.get(name, name.removesuffix(".py"))
    if name not in flags_page.SCRIPTS:
        assert any((source_tree.ROOT / (name + end)).is_file() for end in ("", ".py")), words
        return flags_page.OTHER_PROGRAMS.get(name)
    return flags_page.SCRIPTS[name]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "serving.md"], ids=lambda page: page.name
)
def test_commands_and_their_flags_exist(page):
    for line in "".join(blocks(page, "bash")).replace("\\\n", "").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):  # of the environment
            words.pop(0)
        if (page.name.startswith("start.") and words[:1] == ["curl"]) or not words:
            continue
        config_class = config_of(words)
        known = dict(options.by_name(config_class)) if config_class else {}
        known |= {alias: each for each in known.values() for alias in each.declared.aliases}
        for flag in (word[2:] for word in words if config_class and word.startswith("--")):
            name, _, value = flag.partition("=")
            if name in GENERAL:
                continue
            option = known.get(name) or known.get(name.removeprefix("no"))
            assert option, line
            if value and not re.fullmatch(r"[A-Z_]+|.*\.\.\.", value):  # what the reader sets
                option.parse(value)


def batches(images, labels):
    return tf.data.Dataset.from_tensors((images, labels)).repeat()


def library_names():
    """Returns what the reader of library.md has: images, labels, and functions of his own."""
    random = np.random.RandomState(0)
    images, labels = random.rand(4, 32, 32, 3).astype(np.float32), np.array([0, 1, 1, 0])
    return {
        "images": images,
        "labels": labels,
        "one_hot_labels": np.eye(10, dtype=np.float32)[labels],
        "batches": batches(images, labels),
        "eval_batches": batches(images, labels).take(2),
        "keras": keras,
        "slim": slim,
        "tf": tf,
        "network": lambda images: tf.reshape(images, [4, -1])[:, :8],
        "net": tf.constant(random.rand(4, 8, 8, 64), tf.float32),
        "f": lambda net: slim.conv2d(net, 32, [3, 3]),
        "g": lambda net: slim.conv2d(net, 32, [3, 3]),
        "step": 0,
        "loss": tf.constant(1.0),
        "predictions": labels,
        "logits": random.rand(4, 10).astype(np.float32),
        "num_batches": 2,
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras
def test_python_of_the_library_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = source_tree.ROOT / "docs" / "library.md"
    shorter = {"number_of_steps=1000": "number_of_steps=2", "epochs=5": "epochs=1"}
    functions = {}  # of earlier blocks
    for number, source in enumerate(blocks(page, "python")):
        for text, replacement in shorter.items():
            source = source.replace(text, replacement)
        names = library_names() | functions
        if "metrics.Precision" in source:  # of two classes
            names["network"] = lambda images: tf.reduce_mean(images, [1, 2, 3])
        shutil.rmtree("run", ignore_errors=True)  # each block begins a run of its own
        with slim.VariableStore().as_default():
            exec(compile(source, f"library.md, block {number + 1}", "exec"), names)
        functions["vgg_like"] = names["vgg_like"]
    assert re.search(r"'accuracy': (np\.float32\()?1\.0", capsys.readouterr().out)


@pytest.mark.slow
def test_python_of_the_datasets_and_checkpoints_pages_runs(tmp_path, monkeypatch):
    from datasets import dataset_factory, digits

    monkeypatch.chdir(tmp_path)
    digits.convert(str(tmp_path / "digits"))
    (tmp_path / "flowers").mkdir()
    shutil.copy(next((tmp_path / "digits").glob("*train*")), tmp_path / "flowers" / "train-0")
    names = {"dataset_factory": dataset_factory, "slim": slim, "tf": tf}
    for page in ("datasets.md", "checkpoints.md"):
        for source in blocks(source_tree.ROOT / "docs" / page, "python"):
            source = source.replace("/tmp/", f"{tmp_path}/").replace('"imagenet"', "None")
            exec(compile(source, page, "exec"), names)
    assert list(pathlib.Path("mobilenet_v2").glob("model.ckpt-0.index"))
