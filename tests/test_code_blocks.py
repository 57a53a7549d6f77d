"""The code blocks of the pages: a test runs each, and each command is one that slim accepts.

tests/page_blocks.py has the rules.
"""

import json
import pathlib
import re
import shlex
import shutil
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import slim
from classifier.config import options
from tests import flags_page, page_blocks, source_tree
from tests.datasets import sample_files

PAGES = page_blocks.PAGES
GENERAL = ("dry_run",)  # flags of every script
SHELL = {"cd", "curl", "make", "mkdir", "pip", "printf", "split", "srun", "tar"}
COMMANDS = {
    "slim-train": "train_image_classifier",
    "slim-eval": "eval_image_classifier",
    "slim-export": "export_inference_graph",
    "slim-predict": "predict_image_classifier",
    "slim-data": "download_and_convert_data",
    "slim-serve": "classifier/serve",
    "classifier.serve": "classifier/serve",
}


pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pages
def test_each_block_has_a_known_language(page):
    blocks = page_blocks.read(page)
    assert {block.language for block in blocks} <= page_blocks.LANGUAGES
    assert not [block for block in blocks if block.indent]
    fences = re.findall(r"^ *```", page.read_text("utf-8"), re.M)
    assert len(fences) == 2 * len(blocks)


def test_blocks_run_in_the_tests_that_are_named():
    blocks = [block for page in PAGES for block in page_blocks.read(page)]
    others = [block for block in blocks if (block.page, block.language) in page_blocks.RUNNERS]
    assert {(block.page, block.language) for block in others} == set(page_blocks.RUNNERS)
    for runner in page_blocks.RUNNERS.values():
        path, _, test = runner.partition("::")
        assert f"def {test}(" in (source_tree.ROOT / path).read_text("utf-8")


def test_notes_name_the_test_or_a_reason():
    notes = [block for page in PAGES for block in page_blocks.read(page) if block.note]
    for block in notes:
        kind, _, rest = block.note.partition(" by " if block.note.startswith("run") else ": ")
        assert block.language == "bash"
        assert len(rest) > 3
        if kind == "run":
            program = re.search(r"(\w+)\.(?:sh|py)\b", block.source)[1]
            assert program in (source_tree.ROOT / rest).read_text("utf-8"), block.source


def config_of(words):
    """Returns the options of a command's program; None if the command has no flags of slim."""
    name, *rest = words[2:] if words[1:2] == ["-m"] else words[words[0] == "python" :]
    if name in ("classifier.checkpoints", "slim-checkpoints"):
        return flags_page.OTHER_PROGRAMS[f"slim-checkpoints {rest[0]}"]
    if name in SHELL or name in ("slim.run", "tensorflow.python.tools.freeze_graph"):
        return None
    name = COMMANDS.get(name, name.removesuffix(".py"))
    if name not in flags_page.SCRIPTS:
        assert any((source_tree.ROOT / (name + end)).is_file() for end in ("", ".py")), words
        return flags_page.OTHER_PROGRAMS.get(name)
    return flags_page.SCRIPTS[name]


@pages
def test_commands_and_their_flags_exist(page):
    sources = [
        block.source
        for block in page_blocks.read(page)
        if block.language == "bash" and not block.note.startswith("not run")
    ]
    for line in "".join(sources).replace("\\\n", "").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):  # of the environment
            words.pop(0)
        if not words:
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
    for number, source in enumerate(page_blocks.without_note(page, "python")):
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
        for source in page_blocks.without_note(source_tree.ROOT / "docs" / page, "python"):
            source = source.replace("/tmp/", f"{tmp_path}/").replace('"imagenet"', "None")
            exec(compile(source, page, "exec"), names)
    assert list(pathlib.Path("mobilenet_v2").glob("model.ckpt-0.index"))


def test_converter_of_contributing_runs(tmp_path):
    from datasets import conversion, sources

    (page,) = (page for page in PAGES if page.name == "CONTRIBUTING.md")
    (source,) = page_blocks.without_note(page, "python")
    paths = [str(tmp_path / f"{number}.jpg") for number in range(2)]
    for number, path in enumerate(paths):
        pathlib.Path(path).write_bytes(sample_files.jpeg(seed=number))
    names = {
        "conversion": conversion,
        "sources": sources,
        "paths": paths,
        "files": [(path, label, str(label)) for label, path in enumerate(paths)],
        "dataset_dir": str(tmp_path / "data"),
        "on_bad_image": "error",
        "max_pixels": 10_000,
    }
    exec(f"def convert(work):\n{textwrap.indent(source, '    ')}", names)
    with conversion.work_directory(names["dataset_dir"]) as names["work"]:
        names["convert"](names["work"])
    info = json.loads((tmp_path / "data" / "dataset_info.json").read_text())
    assert info["classes"] == ["cat", "dog"]
    assert len(list((tmp_path / "data").glob("<name>_train-*"))) == 2
