"""The runtimes of exported files: TensorFlow graphs, LiteRT, ONNX Runtime, OpenVINO.

`tf.compat.v1` is used because a frozen graph is for sessions of TensorFlow 1.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from classifier.cli import native_stderr


def read_graph(content: bytes) -> Any:
    """Returns the GraphDef in a file's content.

    Raises:
      google.protobuf.message.DecodeError: if it is damaged.
    """
    return tf.compat.v1.GraphDef.FromString(content)


def graph_function(
    graph_def: Any, input_name: str, output_name: str
) -> Callable[[tf.Tensor], np.ndarray]:
    """Returns a GraphDef as a function from one of its tensors to another, run by a session."""
    # Parse the serialized graph, as its users will.
    parsed = type(graph_def).FromString(graph_def.SerializeToString())
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(parsed, name="")
    session = tf.compat.v1.Session(graph=graph)
    return lambda inputs: session.run(output_name, {input_name: np.asarray(inputs)})


class Lite:
    """A TFLite file with a signature `images` -> `logits`, `probabilities`.

    It is called with preprocessed images, or with pixels if its input is uint8. For integer files,
    preprocessed images are quantized and outputs are dequantized. It is run by LiteRT
    (ai-edge-litert), as on devices; the interpreter in `tf.lite` is deprecated.

    Args:
      content: content of the file.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import interpreter  # optional dependency

        with native_stderr.capture_native_stderr():
            self._runner = interpreter.Interpreter(model_content=content).get_signature_runner()
            self.input = self._runner.get_input_details()["images"]
            self.outputs = self._runner.get_output_details()
            self._runner(images=np.zeros(self.input["shape"], self.input["dtype"]))

    @property
    def shape(self) -> Sequence[int | None]:
        """Shape of a batch; None for any size."""
        return [None if side < 0 else int(side) for side in self.input["shape_signature"]]

    @property
    def takes_pixels(self) -> bool:
        """Whether the input is pixels; otherwise it is preprocessed images."""
        return self.input["dtype"] == np.uint8

    def __call__(self, images: tf.Tensor, output: str = "logits") -> np.ndarray:
        """Returns an output for a batch, float32 [batch, classes]."""
        values = np.asarray(images)
        quantized = values if self.takes_pixels else _quantize(values, self.input)
        return _dequantize(self._runner(images=quantized)[output], self.outputs[output])

    def description(self) -> str:
        """Returns input and outputs in one line."""
        parts = [
            f"{name} {each['dtype'].__name__} {_shape_text(each)}"
            for name, each in {"input images": self.input, **self.outputs}.items()
        ]
        if self.input["dtype"] == np.int8:
            scale, zero = self.input["quantization"]
            parts[0] += f" (preprocessed / {scale:.6g} + {zero})"
        return ", ".join(parts)


def _shape_text(details: Mapping[str, Any]) -> str:
    sides = ("any" if side < 0 else str(side) for side in details["shape_signature"])
    return f"[{', '.join(sides)}]"


def _quantize(values: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    if details["dtype"] == np.float32:
        return values
    limits = np.iinfo(details["dtype"])
    integers = np.clip(np.rint(values / scale + zero), limits.min, limits.max)
    return integers.astype(details["dtype"])


def _dequantize(values: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    if details["dtype"] == np.float32:
        return values
    return ((values.astype(np.int32) - zero) * scale).astype(np.float32)


class Onnx:
    """A session of an ONNX file from `images` to `logits` and `probabilities`.

    Args:
      content: content of the file.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime  # optional dependency

        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    @property
    def shape(self) -> Sequence[int | None]:
        """Shape of a batch; None for any size."""
        (images,) = self.session.get_inputs()
        return [side if isinstance(side, int) else None for side in images.shape]

    def __call__(self, images: tf.Tensor, output: str = "logits") -> np.ndarray:
        """Returns an output for preprocessed images, float32 [batch, classes]."""
        return self.session.run([output], {"images": np.asarray(images)})[0]


def openvino() -> Any:
    """Imports OpenVINO, which must be installed, without its telemetry.

    An import and a conversion would send usage statistics to a server, and write an identifier to
    the home directory.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino  # optional dependency

    return openvino


class OpenVino:
    """An OpenVINO model from `images` to `logits` and `probabilities`, compiled for the CPU.

    Args:
      xml: content of the `.xml` file.
      weights: content of the `.bin` file.
    """

    def __init__(self, xml: bytes, weights: bytes) -> None:
        core = openvino().Core()
        # By default, CPUs with bfloat16 compute in it.
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        self._model = core.compile_model(core.read_model(xml, weights), "CPU", exact)

    @property
    def shape(self) -> Sequence[int | None]:
        """Shape of a batch; None for any size."""
        sides = self._model.input("images").partial_shape
        return [side.get_length() if side.is_static else None for side in sides]

    def __call__(self, images: tf.Tensor, output: str = "logits") -> np.ndarray:
        """Returns an output for preprocessed images, float32 [batch, classes]."""
        return self._model({"images": np.asarray(images)})[output]
