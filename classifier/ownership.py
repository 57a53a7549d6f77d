"""Which directories and files the classifier may write to; loads TensorFlow only to read a model.

`slim._ownership` has the rules. Here is how the content of earlier versions, which did not mark
their directories, is recognized.
"""

import os
import re
from collections.abc import Callable, Mapping

from slim import _ownership

CARD_MARK = (
    "<!-- Written by export_inference_graph.py. Without this line, no export changes it. -->"
)
CARD = "README.md"
RUN_DIRECTORIES = ("best", "eval", "images", "plugins", "set_aside")
_TABLE = bytes.fromhex("57fb808b247547db")  # ends each of TensorFlow's tables
_PNG = b"\x89PNG\r\n\x1a\n"
_EVALUATED = ("accuracy", "checkpoint", "num_images", "split", "step")
_WARM_UP = ("assets.extra", "tf_serving_warmup_requests")  # in each SavedModel that we write
_MAX_CARD_BYTES = 64 << 20


def _has_best(path: str) -> bool:
    return _ownership.is_real_directory(path) and (
        not os.listdir(path) or "best.json" in os.listdir(path)
    )


# Name of a file or directory of a run -> whether its content is a run's.
_OF_A_RUN: Mapping[str, Callable[[str], bool]] = {
    "config.json": lambda path: _ownership.has_keys(path, ("options",)),
    "model_info.json": lambda path: _ownership.has_keys(path, ("model_name", "num_classes")),
    "metrics.jsonl": lambda path: _ownership.starts_with(path, b'{"step": '),
    "bad_files.csv": lambda path: _ownership.starts_with(path, b"path,shard,record,reason"),
    "nan_restores.json": lambda path: _ownership.starts_with(path, b"["),
    "curves.png": lambda path: _ownership.starts_with(path, _PNG),
    "best": _has_best,
}
RUN_FILES = (*(name for name in _OF_A_RUN if name != "best"), "checkpoint")


def claim_run(train_dir: str) -> None:
    """Marks the directory of a run as ours, creating it if needed.

    Runs of earlier versions and of TF-Slim are recognized by their files.

    Raises:
      UserError: if it holds files that no run wrote, or a link has the name of a run's file.
    """
    _ownership.check(train_dir, "run", name="train_dir", recognize=_is_run)
    _ownership.check_entries(train_dir, files=RUN_FILES, directories=RUN_DIRECTORIES)
    _ownership.claim(train_dir, "run", name="train_dir", recognize=_is_run)


def _is_run(directory: str) -> bool:
    present = [name for name in _OF_A_RUN if os.path.lexists(os.path.join(directory, name))]
    paths = {name: os.path.join(directory, name) for name in present}
    if not all(_OF_A_RUN[name](path) or _is_empty(path) for name, path in paths.items()):
        return False
    if {"config.json", "model_info.json"} & set(present):
        return True
    return any(_is_table(os.path.join(directory, name)) for name in os.listdir(directory))


def _is_empty(path: str) -> bool:
    """Returns whether a regular file has no content, as a full disk leaves it."""
    return _ownership.is_regular(path) and not os.path.getsize(path)


def _is_table(path: str) -> bool:
    """Returns whether a file is a checkpoint's index, or a checkpoint of TensorFlow's format V1."""
    if not re.search(r"\.ckpt(-\d+)?(\.index)?$", path) or not _ownership.is_regular(path):
        return False
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - len(_TABLE)))
        return file.read() == _TABLE


def check_evaluation(eval_dir: str, is_default: bool) -> None:
    """Checks that events may be written to a directory; writes nothing.

    It needs no mark: nothing in it is ever replaced, for event files have names of their own, by
    which it is recognized. They may lie in a run's directory, as TF-Slim's did.

    Args:
      eval_dir: the directory.
      is_default: whether the user did not name it; it may not be a link then.

    Raises:
      UserError: if it is such a link, or holds files that we did not create.
    """
    if is_default:
        above, base = os.path.split(os.path.abspath(eval_dir))
        _ownership.check_entries(above, files=(), directories=(base,))
    _ownership.check(eval_dir, "evaluation", name="eval_dir", recognize=_has_events, also=("run",))


def _has_events(directory: str) -> bool:
    return any(name.startswith("events.out.tfevents.") for name in os.listdir(directory))


def claim_export(output_dir: str) -> None:
    """Marks the directory of an export as ours, creating it if needed.

    Exports of earlier versions are recognized by their model card, or else by their files.

    Raises:
      UserError: if it holds files that no export wrote.
    """
    _ownership.claim(output_dir, "export", name="output_dir", recognize=_is_export)


def _is_export(directory: str) -> bool:
    names = os.listdir(directory)
    if is_our_card(os.path.join(directory, CARD)):
        return True
    models = [name for name in names if name not in (CARD, "labels.txt", _ownership.MARK)]
    return bool(models) and all(_is_model(os.path.join(directory, name)) for name in models)


def is_our_card(path: str) -> bool:
    """Returns whether a file is a model card that no user has taken over."""
    if not _ownership.is_regular(path) or os.path.getsize(path) > _MAX_CARD_BYTES:
        return False
    with open(path, encoding="utf-8", errors="replace") as file:
        return CARD_MARK in file.read()


def _is_model(path: str) -> bool:
    name = os.path.basename(path)
    if name == "saved_model":
        return _ownership.is_real_directory(path) and any(
            os.path.isfile(os.path.join(path, version, *_WARM_UP)) for version in os.listdir(path)
        )
    return any(name.endswith(ending) and fits(path) for ending, fits in _MODELS.items())


def _is_graph_def(path: str) -> bool:
    import tensorflow as tf
    from google.protobuf import text_format

    graph = type(tf.Graph().as_graph_def())()
    with open(path, "rb") as file:
        content = file.read()
    try:
        graph.ParseFromString(content)
    except Exception:  # of protobuf, whose class depends on its implementation
        try:
            text_format.Parse(content.decode(), graph)
        except (text_format.ParseError, UnicodeDecodeError):
            return False
    return any(node.op and node.name for node in graph.node)


def _is_tflite(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(8)[4:] == b"TFL3"


def _is_keras_weights(path: str) -> bool:
    from classifier.checkpoints import keras_weights

    return bool(keras_weights.is_one(path))


_MODELS: Mapping[str, Callable[[str], bool]] = {
    ".pb": _is_graph_def,
    ".tflite": _is_tflite,
    ".onnx": lambda path: _ownership.starts_with(path, b"\x08"),  # begins with its IR version
    ".keras": lambda path: _ownership.starts_with(path, b"PK\x03\x04"),
    ".weights.h5": _is_keras_weights,
}
# Option of a file to write -> what it holds, and whether an existing file is such a one.
_OUTPUTS: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    "eval_json": (
        "an evaluation's result",
        lambda path: _ownership.has_keys(path, _EVALUATED),
    ),
    "output_csv": (
        "a table of predictions",
        lambda path: _ownership.starts_with(path, b"file,rank,class,probability"),
    ),
    "output_file": ("a GraphDef", _is_graph_def),
}


def check_output(name: str, path: str | None) -> None:
    """Checks, before any work, that writing a file replaces nothing but an earlier output.

    Args:
      name: the option; a key of `_OUTPUTS`.
      path: its value; None if there is nothing to write.

    Raises:
      UserError: if something else has that name.
    """
    if path is not None:
        what, is_earlier = _OUTPUTS[name]
        _ownership.check_output(path, name, what, is_earlier)
