"""Exported models, for prediction: a frozen graph, a SavedModel, TFLite, ONNX, OpenVINO or
Keras."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from classifier import label_kinds
from classifier.checkpoints import sources
from classifier.cli import native_stderr
from classifier.config import formats
from classifier.config.formats import SAVED_MODEL
from classifier.inference import runtimes
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from slim import _checks, _files

_MAX_BYTES = 1 << 31  # of a protocol buffer, and thus of all these files
_INPUT_TYPES = {
    tf.float32: "float_image",
    tf.uint8: "uint8_image",
    tf.string: "encoded_image",
}
_BLACK_SIZE = 64, 64
_PROBABILITIES = "probabilities"  # of a frozen graph
ASSETS = "assets.extra"  # of a SavedModel


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A loaded export.

    Attributes:
      path: of the export.
      shape: of a batch; None for any size.
      probabilities: function from a batch to probabilities, [batch, classes].
      input_type: "float_image" (preprocessed), "uint8_image" (decoded; at the network's size if
        `shape` has one) or "encoded_image".
    """

    path: str
    shape: Sequence[int | None]
    probabilities: Callable[[Any], np.ndarray]
    input_type: str = "float_image"

    @property
    def batch_size(self) -> int | None:
        """Batch size; None for any."""
        return self.shape[0]

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width of the input; None for any size, and for encoded images."""
        height, width = self.shape[1:3] if len(self.shape) == 4 else (None, None)
        return (height, width) if height and width else None

    @property
    def num_classes(self) -> int:
        """Number of classes, by classifying a black image."""
        channels = self.shape[3] if len(self.shape) == 4 else 3
        black = tf.zeros([*(self.image_size or _BLACK_SIZE), channels], tf.uint8)
        if self.input_type == "float_image":
            black = tf.cast(black, tf.float32)
        elif self.input_type == "encoded_image":
            black = tf.io.encode_png(black)
        return self.classify([black]).shape[1]

    def classify(self, batch: Sequence[Any]) -> np.ndarray:
        """Returns probabilities, [number, classes], of any number of inputs."""
        size = self.batch_size or len(batch)
        step = size
        if self.input_type == "uint8_image" and not self.image_size:  # the sizes differ
            step, size = 1, self.batch_size or 1
        rows: list[np.ndarray] = []
        for start in range(0, len(batch), step):
            part = list(batch[start : start + step])
            padded = part + part[:1] * (size - len(part))
            rows += list(self.probabilities(tf.stack(padded)))[: len(part)]
        return np.stack(rows)


def read_model_info(export: formats.ExportedModel) -> ModelInfo | None:
    """Returns the model info of an export: in a SavedModel, or next to the file; None if missing.

    Raises:
      UserError: if the file is damaged.
    """
    is_directory = export.kind == SAVED_MODEL
    directory = os.path.join(export.path, ASSETS) if is_directory else os.path.dirname(export.path)
    return sources.read_model_info(RunDirectory(directory or "."))


def load(
    export: formats.ExportedModel, info: ModelInfo | None = None, *, multi_label: bool = False
) -> Runtime:
    """Loads an export.

    Args:
      export: the file or directory.
      info: its model; None if unknown.
      multi_label: whether an image has any number of labels, if the model is unknown.

    Raises:
      UserError: if a package is not installed, or it is not a model that classifies images.
      RunError: if it cannot be loaded.
    """
    _checks.installed(export.packages)
    try:
        return _LOADERS[export.kind](export.path, _Probabilities.of(info, multi_label))
    except _checks.UserError:
        raise
    except Exception as error:  # each runtime has its own errors
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _checks.RunError(f"{export.path} cannot be loaded: {reason[:200]}") from error


@dataclasses.dataclass(frozen=True)
class _Probabilities:
    """How logits become probabilities, for a file that ends with the logits."""

    kind: label_kinds.LabelKind
    temperature: float | None

    @classmethod
    def of(cls, info: ModelInfo | None, multi_label: bool) -> "_Probabilities":
        if info is None:
            kind = label_kinds.SEVERAL_CLASSES if multi_label else label_kinds.ONE_CLASS
            return cls(kind, None)
        temperature = info.calibration.temperature if info.calibration else None
        return cls(label_kinds.kind_of(info), temperature)

    def __call__(self, logits: tf.Tensor) -> tf.Tensor:
        return self.kind.probabilities(logits, {}, self.temperature)


def _content(path: str) -> bytes:
    return _files.read_bounded(path, _MAX_BYTES)


def _frozen(path: str, _: _Probabilities) -> Runtime:
    graph_def = runtimes.read_graph(_content(path))
    inputs = [node for node in graph_def.node if node.op == "Placeholder"]
    # A calibrated graph also has the probabilities of the network itself, and one of several labels
    # an image only has sigmoids.
    own = [node for node in graph_def.node if node.name == _PROBABILITIES]
    outputs = own or [node for node in graph_def.node if node.op == "Softmax"]
    variables = [node for node in graph_def.node if node.op in ("VariableV2", "VarHandleOp")]
    if len(inputs) != 1 or not outputs or variables:
        raise _checks.UserError(
            f"{path} has {len(inputs)} inputs, {len(variables)} variables and {len(outputs)}"
            " outputs with probabilities. A frozen graph of a classifier has one input, no"
            " variables, and at least one such output"
        )
    dtype, shape = tf.as_dtype(inputs[0].attr["dtype"].type), inputs[0].attr["shape"].shape
    # Encoded and decoded images have no fixed size.
    sides = [None if each.size < 0 else each.size for each in shape.dim]
    output = outputs[-1].name
    call = runtimes.graph_function(graph_def, f"{inputs[0].name}:0", f"{output}:0")

    def probabilities(batch: tf.Tensor) -> np.ndarray:
        rows = call(batch)
        return rows.reshape(len(rows), -1)

    return Runtime(path, sides or [None], probabilities, _input_type(dtype, path))


def _input_type(dtype: tf.DType, path: str) -> str:
    if dtype not in _INPUT_TYPES:
        names = _checks.listed(each.name for each in _INPUT_TYPES)
        raise _checks.UserError(f"{path} has an input of {dtype.name}. Allowed: {names}")
    return _INPUT_TYPES[dtype]


def _saved_model(path: str, _: _Probabilities) -> Runtime:
    loaded = tf.saved_model.load(path)
    signatures: Mapping[str, Any] = loaded.signatures
    if "image_tensor" not in signatures:
        raise _checks.UserError(
            f"{path} has no signature 'image_tensor'; it has:"
            f" {_checks.listed(signatures) or 'none'}"
        )
    (spec,) = signatures["image_tensor"].structured_input_signature[1].values()

    def probabilities(batch: tf.Tensor) -> np.ndarray:
        signature = loaded.signatures["image_tensor"]  # the variables live as long as `loaded`
        return signature(**{spec.name: batch})["probabilities"].numpy()

    return Runtime(path, spec.shape.as_list(), probabilities)


def _tflite(path: str, _: _Probabilities) -> Runtime:
    lite = runtimes.Lite(_content(path))
    input_type = "uint8_image" if lite.takes_pixels else "float_image"
    return Runtime(path, lite.shape, lambda batch: lite(batch, "probabilities"), input_type)


def _onnx(path: str, _: _Probabilities) -> Runtime:
    onnx = runtimes.Onnx(_content(path))
    return Runtime(path, onnx.shape, lambda batch: onnx(batch, "probabilities"))


def _openvino(path: str, _: _Probabilities) -> Runtime:
    weights = _content(f"{os.path.splitext(path)[0]}.bin")
    model = runtimes.OpenVino(_content(path), weights)
    return Runtime(path, model.shape, lambda batch: model(batch, "probabilities"))


def _keras(path: str, probabilities: _Probabilities) -> Runtime:
    with native_stderr.capture_native_stderr():
        model = tf.keras.models.load_model(path, compile=False)
    # The file ends with the logits.
    call = tf.function(
        lambda batch: probabilities(model(batch, training=False)),
        autograph=False,
    )
    return Runtime(path, model.input_shape, lambda batch: call(batch).numpy())


_LOADERS: Mapping[str, Callable[[str, _Probabilities], Runtime]] = {
    ".pb": _frozen,
    SAVED_MODEL: _saved_model,
    ".tflite": _tflite,
    ".onnx": _onnx,
    ".xml": _openvino,
    ".keras": _keras,
}
