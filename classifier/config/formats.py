"""The formats of export: what each of them is, before TensorFlow is loaded."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, kw_only=True)
class FormatFacts:
    """One format.

    Attributes:
      file: path below the folder of the export; `{model}` and `{version}` stand for the network and
        the training step.
      quantized: whether weights or activations are rounded, so that answers may differ.
      measured: whether it is judged by its accuracy on a dataset, so that it needs one.
      calibrated: whether it needs images of the training split.
      rounds: whether it can hold the rounding of a quantized run.
      packages: import name -> name to install, of what the check needs.
      no_videos: why it cannot take a network of videos; empty if it can.
    """

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

FORMATS: Mapping[str, FormatFacts] = {
    "frozen_pb": FormatFacts(file="{model}.pb", rounds=True),
    "saved_model": FormatFacts(file="saved_model/{version}", rounds=True),
    "tflite": FormatFacts(
        file="{model}.tflite",
        rounds=True,
        packages=_LITERT,
        no_videos=_NO_POOLING,
    ),
    "tflite_float16": FormatFacts(
        file="{model}_float16.tflite",
        quantized=True,
        packages=_LITERT,
        no_videos=_NO_POOLING,
    ),
    "tflite_dynamic": FormatFacts(
        file="{model}_dynamic.tflite",
        quantized=True,
        measured=True,
        packages=_LITERT,
        no_videos=_NO_POOLING,
    ),
    "tflite_int8": FormatFacts(
        file="{model}_int8.tflite",
        quantized=True,
        measured=True,
        calibrated=True,
        rounds=True,
        packages=_LITERT,
        no_videos=_NO_POOLING,
    ),
    "onnx": FormatFacts(file="{model}.onnx", packages=_ONNX),
    "keras": FormatFacts(file="{model}.keras"),
    "weights_h5": FormatFacts(file="{model}.weights.h5", rounds=True),
}
