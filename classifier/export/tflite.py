"""Export to TensorFlow Lite: float, with 16-bit or 8-bit weights, and integer-only.

Files are checked with LiteRT (ai-edge-litert), which runs them on devices; the interpreter in
`tf.lite` is deprecated.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from classifier.cli import native_stderr
from classifier.export import checks, samples, usage
from classifier.export.job import Job
from classifier.export.signature import Signature
from slim import _paths

# 16-bit weights have 11 significant bits; errors add up over the layers.
_FLOAT16_TOLERANCE = 1e-2


class Lite:
    """A TFLite file with a signature `images` -> `logits`, `probabilities`, called with floats.

    For integer files, inputs are quantized and outputs are dequantized.

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

    def __call__(self, images: tf.Tensor) -> np.ndarray:
        """Returns the logits of preprocessed images, float32 [batch, classes]."""
        quantized = _quantize(np.asarray(images), self.input)
        return _dequantize(self._runner(images=quantized)["logits"], self.outputs["logits"])

    def description(self) -> str:
        """Returns input and outputs in one line."""
        parts = [f"input images {self.input['dtype'].__name__} {self.input['shape'].tolist()}"]
        parts += [
            f"{name} {each['dtype'].__name__} {each['shape'].tolist()}"
            for name, each in self.outputs.items()
        ]
        if self.input["dtype"] == np.int8:
            scale, zero = self.input["quantization"]
            parts[0] += f" (preprocessed / {scale:.6g} + {zero})"
        return ", ".join(parts)


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


def write_float(job: Job) -> checks.Exported:
    """Writes `MODEL.tflite` with float32 weights.

    Args:
      job: checkpoint and options; the batch size defaults to 1.

    Raises:
      RunError: if its logits differ from the checkpoint's.
    """
    return _write(job, "tflite", lambda _: None, checks.TOLERANCE)


def write_float16(job: Job) -> checks.Exported:
    """Writes `MODEL_float16.tflite`: 16-bit weights, half the size.

    Arguments and errors as in `write_float`; RunError is also raised if the accuracy drops by
    more than `max_drop`.
    """

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    return _write(job, "tflite_float16", settings, _FLOAT16_TOLERANCE)


def write_dynamic(job: Job) -> checks.Exported:
    """Writes `MODEL_dynamic.tflite`: 8-bit weights, and activations quantized dynamically.

    Arguments and errors as in `write_float16`.
    """

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    return _write(job, "tflite_dynamic", settings, None)


def write_int8(job: Job) -> checks.Exported:
    """Writes `MODEL_int8.tflite`: 8-bit integers only, with ranges from `job.calibration`.

    Input and outputs are int8 too. Arguments and errors as in `write_float16`.
    """

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _calibration(job)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    return _write(job, "tflite_int8", settings, None)


def _calibration(job: Job) -> Iterator[list[tf.Tensor]]:
    batch_size = job.options.batch_size or 1
    images = samples.preprocessed(job.calibration, job.classifier)
    for batch in checks.make_batches(images, batch_size):
        yield [batch]


def _write(
    job: Job, name: str, settings: Callable[[Any], None], tolerance: float | None
) -> checks.Exported:
    trial = job.trial(job.options.batch_size or 1)
    module = Signature(job.classifier, trial.spec)
    function = module.classify.get_concrete_function()
    with native_stderr.capture_native_stderr():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
        settings(converter)
        content = converter.convert()
    lite = Lite(content)
    comparison = checks.compare(job.classifier, lite, trial)
    checks.check(comparison, job.classifier, tolerance, job.max_drop)
    path = job.target(name)
    _paths.write_atomically(path, content)
    print(f"{path}: {lite.description()}, {len(content)} bytes")
    kind = "tflite_int8" if lite.input["dtype"] == np.int8 else "tflite"
    text = usage.image_model(kind, job.classifier, path, job.options.batch_size or 1)
    return checks.Exported(path, comparison, text)
