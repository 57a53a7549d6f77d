"""The formats of export; no TensorFlow."""

import dataclasses
from collections.abc import Mapping


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
    no_videos: str = ""


_LITERT = {"ai_edge_litert": "ai-edge-litert"}
_NO_POOLING = "TensorFlow Lite has no three-dimensional pooling"
_ONNX = {"tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime"}

FORMATS: Mapping[str, FormatRow] = {
    "frozen_pb": FormatRow(module="frozen", file="{model}.pb", rounds=True),
    "saved_model": FormatRow(module="saved_model", file="saved_model/{version}", rounds=True),
    "tflite": FormatRow(
        module="tflite",
        function="write_float",
        file="{model}.tflite",
        rounds=True,
        packages=_LITERT,
        no_videos=_NO_POOLING,
    ),
    "tflite_float16": FormatRow(
        module="tflite",
        function="write_float16",
        file="{model}_float16.tflite",
        quantized=True,
        packages=_LITERT,
        no_videos=_NO_POOLING,
    ),
    "tflite_dynamic": FormatRow(
        module="tflite",
        function="write_dynamic",
        file="{model}_dynamic.tflite",
        quantized=True,
        measured=True,
        packages=_LITERT,
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
        no_videos=_NO_POOLING,
    ),
    "onnx": FormatRow(module="onnx", file="{model}.onnx", packages=_ONNX),
    "keras": FormatRow(module="keras", function="write_model", file="{model}.keras"),
    "weights_h5": FormatRow(
        module="keras", function="write_weights", file="{model}.weights.h5", rounds=True
    ),
}
