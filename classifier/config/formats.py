"""The formats of export; no TensorFlow."""

import dataclasses
import os
from collections.abc import Mapping

from slim import _checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class FormatRow:
    """One format.

    Attributes:
      module: module of `classifier.export` that writes it.
      function: function of that module, from a `Job` to the exported files.
      file: path in the export's directory; `{model}` and `{version}` stand for the network and the
        training step.
      quantized: whether weights or activations are rounded, so that outputs may differ.
      measured: whether its accuracy is measured, which needs a dataset.
      calibrated: whether it needs training images.
      rounds: whether it supports the rounding of a quantized run.
      packages: import name -> distribution, of what the check needs.
      input_types: values of `input_type` besides the default.
      no_videos: why networks of videos are not supported; empty if they are.
    """

    module: str
    function: str = "write"
    file: str
    quantized: bool = False
    measured: bool = False
    calibrated: bool = False
    rounds: bool = False
    packages: Mapping[str, str] = dataclasses.field(default_factory=dict)
    input_types: tuple[str, ...] = ()
    no_videos: str = ""


_LITERT = {"ai_edge_litert": "ai-edge-litert"}
_PIXELS = ("uint8_image",)
_NO_POOLING = "TensorFlow Lite has no three-dimensional pooling"
_OPENVINO = {"openvino": "openvino"}
_ONNX = {"tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime"}

FORMATS: Mapping[str, FormatRow] = {
    "frozen_pb": FormatRow(
        module="frozen",
        file="{model}.pb",
        rounds=True,
        input_types=("uint8_image", "encoded_image"),
    ),
    "saved_model": FormatRow(module="saved_model", file="saved_model/{version}", rounds=True),
    "tflite": FormatRow(
        module="tflite",
        function="write_float",
        file="{model}.tflite",
        rounds=True,
        packages=_LITERT,
        input_types=_PIXELS,
        no_videos=_NO_POOLING,
    ),
    "tflite_float16": FormatRow(
        module="tflite",
        function="write_float16",
        file="{model}_float16.tflite",
        quantized=True,
        packages=_LITERT,
        input_types=_PIXELS,
        no_videos=_NO_POOLING,
    ),
    "tflite_dynamic": FormatRow(
        module="tflite",
        function="write_dynamic",
        file="{model}_dynamic.tflite",
        quantized=True,
        measured=True,
        packages=_LITERT,
        input_types=_PIXELS,
        no_videos=_NO_POOLING,
    ),
    "tflite_int8": FormatRow(
        module="tflite",
        function="write_int8",
        file="{model}_int8.tflite",
        quantized=True,
        measured=True,
        calibrated=True,
        rounds=True,
        packages=_LITERT,
        input_types=_PIXELS,
        no_videos=_NO_POOLING,
    ),
    "c_array": FormatRow(
        module="devices.c_array",
        file="c_array/{model}_int8.c",
        quantized=True,
        measured=True,
        calibrated=True,
        rounds=True,
        packages=_LITERT,
        input_types=_PIXELS,
        no_videos=_NO_POOLING,
    ),
    "onnx": FormatRow(module="onnx", file="{model}.onnx", packages=_ONNX),
    "openvino": FormatRow(module="openvino", file="{model}.xml", packages=_OPENVINO),
    "keras": FormatRow(module="keras", function="write_model", file="{model}.keras"),
    "weights_h5": FormatRow(
        module="keras", function="write_weights", file="{model}.weights.h5", rounds=True
    ),
}

# Formats that other programs write -> what to export for them, and the command. tensorflowjs
# requires an older TensorFlow, and Core ML runs on macOS alone, so results cannot be verified here.
CONVERSIONS: Mapping[str, tuple[str, str]] = {
    "tfjs": (
        "frozen_pb, whose output is NODE",
        # Newer versions of ydf contradict tensorflowjs's other requirements.
        (
            "pip install tensorflowjs 'ydf<0.12' && tensorflowjs_converter"
            " --input_format=tf_frozen_model --output_node_names=NODE OUT/MODEL.pb OUT/tfjs"
        ),
    ),
    "coreml": (
        "saved_model with a batch size of 1",
        # The signatures also return class names; Core ML has no strings.
        (
            'pip install coremltools tensorflow && python -c "import coremltools as ct, tensorflow'
            " as tf; m = tf.saved_model.load('OUT/saved_model/STEP'); spec ="
            " m.signatures['image_tensor'].structured_input_signature[1]['images']; f ="
            " tf.function(lambda images: m.from_images(images)['probabilities'],"
            " input_signature=[spec]); ct.convert([f.get_concrete_function()],"
            " source='tensorflow').save('OUT/MODEL.mlpackage')\""
        ),
    ),
}

# Suffix of an exported file that classifies images -> what its runtime needs.
_RUNTIMES: Mapping[str, Mapping[str, str]] = {
    ".pb": {},
    ".tflite": _LITERT,
    ".onnx": {"onnxruntime": "onnxruntime"},
    ".xml": _OPENVINO,
    ".keras": {},
}
SAVED_MODEL = "saved_model"


@dataclasses.dataclass(frozen=True)
class ExportedModel:
    """An exported model on disk.

    Attributes:
      path: of the file, or of the SavedModel's directory.
      kind: suffix of the file; `SAVED_MODEL` for a directory.
      packages: import name -> distribution, of what its runtime needs.
    """

    path: str
    kind: str
    packages: Mapping[str, str] = dataclasses.field(default_factory=dict)


def no_conversion(**values: tuple[str, ...] | None) -> None:
    """Raises UserError for a format that another program writes; it has the command."""
    for option, names in values.items():
        for name in names or ():
            if name in CONVERSIONS:
                source, command = CONVERSIONS[name]
                raise _checks.UserError(
                    f"{option}={name!r} is not supported. Export {source}, and convert it in"
                    f" another environment: {command}"
                )


def find_export(path: str) -> ExportedModel | None:
    """Returns the exported model at a path; None if there is none, but maybe a checkpoint.

    Of a directory with versions of a SavedModel, the newest is used.
    """
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        return ExportedModel(path, SAVED_MODEL)
    if os.path.isdir(path):
        versions = sorted((name for name in os.listdir(path) if name.isdecimal()), key=int)
        exports = (find_export(os.path.join(path, name)) for name in reversed(versions))
        return next((each for each in exports if each and each.kind == SAVED_MODEL), None)
    kind = os.path.splitext(path)[1]
    is_file = kind in _RUNTIMES and os.path.isfile(path)
    return ExportedModel(path, kind, _RUNTIMES[kind]) if is_file else None
