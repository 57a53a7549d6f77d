"""Directories and files that the classifier may write to.

`slim._ownership` defines the rules. This module recognizes the output of earlier versions, which
did not mark their directories. It loads TensorFlow only to read a model.
"""

import os
import re
import zipfile
from collections.abc import Callable, Mapping

from classifier.headlines import ONE_CLASS, SEVERAL_CLASSES
from slim import _ownership

CARD_MARK = (
    "<!-- Written by export_inference_graph.py. Without this line, no export changes it. -->"
)
CARD = "README.md"
RUN_DIRECTORIES = ("best", "eval", "images", "plugins", "set_aside")
_NOT_MODELS = (CARD, "labels.txt", "model_info.json", _ownership.MARK)
_TABLE = bytes.fromhex("57fb808b247547db")  # last bytes of each TensorFlow table
_PNG = b"\x89PNG\r\n\x1a\n"
# Keys of an evaluation's JSON, besides those of its kind of labels.
_EVALUATED = ("checkpoint", "num_images", "split", "step")
_KINDS = (ONE_CLASS.evaluation, SEVERAL_CLASSES.evaluation)
_WARM_UP = ("assets.extra", "tf_serving_warmup_requests")  # in each exported SavedModel
_MAX_CARD_BYTES = 64 << 20


def _has_best(path: str) -> bool:
    return _ownership.is_real_directory(path) and (
        not os.listdir(path) or "best.json" in os.listdir(path)
    )


# File or directory name of a run -> whether a path's content was written by a run.
_RUN_CONTENT: Mapping[str, Callable[[str], bool]] = {
    "config.json": lambda path: _ownership.has_keys(path, ("options",)),
    "model_info.json": lambda path: _ownership.has_keys(path, ("model_name", "num_classes")),
    "metrics.jsonl": lambda path: _ownership.starts_with(path, b'{"step": '),
    "bad_files.csv": lambda path: _ownership.starts_with(path, b"path,shard,record,reason"),
    "nan_restores.json": lambda path: _ownership.starts_with(path, b"["),
    "frozen_features.npz": lambda path: _ownership.starts_with(path, b"PK\x03\x04"),
    "curves.png": lambda path: _ownership.starts_with(path, _PNG),
    "best": _has_best,
}
RUN_FILES = (*(name for name in _RUN_CONTENT if name != "best"), "checkpoint")


def check_run(train_dir: str) -> None:
    """Checks that a run may write to a directory, without writing.

    Runs of earlier versions and of TF-Slim are recognized by their files.

    Raises:
      UserError: if it contains files that no run wrote, or a link named like a file of a run.
    """
    _ownership.check(train_dir, "run", name="train_dir", recognize=_is_run)
    _ownership.check_entries(train_dir, files=RUN_FILES, directories=RUN_DIRECTORIES)


def claim_run(train_dir: str) -> None:
    """Marks a directory as a run's, creating it if needed.

    Raises:
      UserError: as `check_run`.
    """
    check_run(train_dir)
    _ownership.claim(train_dir, "run", name="train_dir", recognize=_is_run)


def _is_run(directory: str) -> bool:
    present = [name for name in _RUN_CONTENT if os.path.lexists(os.path.join(directory, name))]
    paths = {name: os.path.join(directory, name) for name in present}
    if not all(_RUN_CONTENT[name](path) or _is_empty(path) for name, path in paths.items()):
        return False
    if {"config.json", "model_info.json"} & set(present):
        return True
    return any(_is_table(os.path.join(directory, name)) for name in os.listdir(directory))


def _is_empty(path: str) -> bool:
    """Returns whether a regular file is empty, as after running out of disk space."""
    return _ownership.is_regular(path) and not os.path.getsize(path)


def _is_table(path: str) -> bool:
    """Returns whether a file is a checkpoint index or a checkpoint in TensorFlow's V1 format."""
    if not re.search(r"\.ckpt(-\d+)?(\.index)?$", path) or not _ownership.is_regular(path):
        return False
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - len(_TABLE)))
        return file.read() == _TABLE


def check_evaluation(eval_dir: str, is_default: bool) -> None:
    """Checks that event files may be written to a directory, without writing.

    The directory needs no mark, because event files have unique names and replace nothing. They may
    be in a run's directory, as in TF-Slim.

    Args:
      eval_dir: directory of the event files.
      is_default: whether the user did not set it; a default directory must not be a link.

    Raises:
      UserError: if it is such a link, or contains files from elsewhere.
    """
    if is_default:
        parent, base = os.path.split(os.path.abspath(eval_dir))
        _ownership.check_entries(parent, files=(), directories=(base,))
    _ownership.check(eval_dir, "evaluation", name="eval_dir", recognize=_has_events, also=("run",))


def _has_events(directory: str) -> bool:
    return any(name.startswith("events.out.tfevents.") for name in os.listdir(directory))


def claim_report(report_dir: str) -> None:
    """Marks a directory as a report's, creating it if needed.

    Raises:
      UserError: if it contains files that no report wrote.
    """
    _ownership.claim(report_dir, "report", name="report_dir")


def claim_explanations(explain_dir: str) -> None:
    """Marks a directory as one of explanations, creating it if needed.

    Raises:
      UserError: if it contains files that no prediction wrote.
    """
    _ownership.claim(explain_dir, "explanations", name="explain_dir")


def check_export(output_dir: str) -> None:
    """Checks that an export may write to a directory, without writing.

    Exports of earlier versions are recognized by their model card or their files.

    Raises:
      UserError: if it contains files that no export wrote.
    """
    _ownership.check(output_dir, "export", name="output_dir", recognize=_is_export)


def claim_export(output_dir: str) -> None:
    """Marks a directory as an export's, creating it if needed.

    Raises:
      UserError: as `check_export`.
    """
    _ownership.claim(output_dir, "export", name="output_dir", recognize=_is_export)


def _is_export(directory: str) -> bool:
    names = os.listdir(directory)
    if is_generated_card(os.path.join(directory, CARD)):
        return True
    models = [name for name in names if name not in _NOT_MODELS]
    return bool(models) and all(_is_model(os.path.join(directory, name)) for name in models)


def is_generated_card(path: str) -> bool:
    """Returns whether a file is a model card that the user has not taken over."""
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
    return any(name.endswith(suffix) and is_model(path) for suffix, is_model in _MODELS.items())


def _is_graph_def(path: str) -> bool:
    import tensorflow as tf
    from google.protobuf import text_format

    graph = type(tf.Graph().as_graph_def())()
    with open(path, "rb") as file:
        content = file.read()
    try:
        graph.ParseFromString(content)
    except Exception:  # protobuf's error class depends on its implementation
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

    return bool(keras_weights.is_weights_file(path))


def _is_feature_file(path: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist() == ["features.npy", "files.npy"]
    except (OSError, zipfile.BadZipFile):
        return False


_MODELS: Mapping[str, Callable[[str], bool]] = {
    ".pb": _is_graph_def,
    ".tflite": _is_tflite,
    ".onnx": lambda path: _ownership.starts_with(path, b"\x08"),  # starts with the IR version
    ".keras": lambda path: _ownership.starts_with(path, b"PK\x03\x04"),
    ".weights.h5": _is_keras_weights,
}
# Output option -> description of the file, and whether an existing file is such an output.
_OUTPUTS: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    "eval_json": (
        "an evaluation result",
        lambda path: any(_ownership.has_keys(path, (*_EVALUATED, kind)) for kind in _KINDS),
    ),
    "predictions_csv": (
        "a table of an evaluation's predictions",
        lambda path: _ownership.starts_with(path, b"file,shard,record,label"),
    ),
    "output_csv": (
        "a table of predictions",
        lambda path: _ownership.starts_with(
            path, b"file,rank,class,probability", b"file,rank,neighbor,class"
        ),
    ),
    "features_file": ("a file of features", _is_feature_file),
    "output_file": ("a GraphDef", _is_graph_def),
}


def check_output(name: str, path: str | None) -> None:
    """Checks that an output file would replace nothing but an earlier output.

    Args:
      name: output option; a key of `_OUTPUTS`.
      path: its value; None if nothing is written.

    Raises:
      UserError: if the path exists and is not such an output.
    """
    if path is not None:
        description, is_output = _OUTPUTS[name]
        _ownership.check_output(path, name, description, is_output)
