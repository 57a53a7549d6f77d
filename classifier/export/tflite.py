"""TensorFlow Lite files: float, with weights of 16 or 8 bits, and with integers alone.

LiteRT (ai-edge-litert), which runs them on devices, runs them here for the check; `tf.lite` has an
interpreter too, and says that it will go.
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

# Weights of 16 bits keep 11 of them; the rest adds up over the layers.
_FLOAT16_TOLERANCE = 1e-2


class Lite:
    """A TFLite file with a signature of `images` -> `logits`, `probabilities`, in floats.

    Integer files are given what floats stand for, and their answers are turned back.

    Args:
      content: of the file.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import interpreter  # an extra

        with native_stderr.capture_native_stderr():
            self._runner = interpreter.Interpreter(model_content=content).get_signature_runner()
            self.input = self._runner.get_input_details()["images"]
            self.outputs = self._runner.get_output_details()
            self._runner(images=np.zeros(self.input["shape"], self.input["dtype"]))

    def __call__(self, images: tf.Tensor) -> np.ndarray:
        """Returns the logits of preprocessed images, float32 [batch, classes]."""
        given = _rounded(np.asarray(images), self.input)
        return _as_floats(self._runner(images=given)["logits"], self.outputs["logits"])

    def description(self) -> str:
        """Returns what it takes and gives, in one line."""
        takes = self.input
        parts = [f"takes images {takes['dtype'].__name__} {takes['shape'].tolist()}"]
        parts += [
            f"{name} {each['dtype'].__name__} {each['shape'].tolist()}"
            for name, each in self.outputs.items()
        ]
        if takes["dtype"] == np.int8:
            scale, zero = takes["quantization"]
            parts[0] += f" (preprocessed / {scale:.6g} + {zero})"
        return ", ".join(parts)


def _rounded(values: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    if details["dtype"] == np.float32:
        return values
    limits = np.iinfo(details["dtype"])
    whole = np.clip(np.rint(values / scale + zero), limits.min, limits.max)
    return whole.astype(details["dtype"])


def _as_floats(values: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    if details["dtype"] == np.float32:
        return values
    return ((values.astype(np.int32) - zero) * scale).astype(np.float32)


def write_float(job: Job) -> checks.Exported:
    """Writes `MODEL.tflite`, with the weights as they are.

    Args:
      job: the checkpoint, the folder and the batch size (1 if it is not given).

    Raises:
      RunError: if it does not give the checkpoint's logits.
    """
    return _write(job, "tflite", lambda _: None, checks.TOLERANCE)


def write_float16(job: Job) -> checks.Exported:
    """Writes `MODEL_float16.tflite`: weights of 16 bits, half the size; arguments and errors as
    `write_float`, and a RunError too if it gets fewer images right than `max_drop` allows."""

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    return _write(job, "tflite_float16", settings, _FLOAT16_TOLERANCE)


def write_dynamic(job: Job) -> checks.Exported:
    """Writes `MODEL_dynamic.tflite`: weights of 8 bits, and activations that are rounded to 8 bits
    as they come; arguments and errors as `write_float16`."""

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    return _write(job, "tflite_dynamic", settings, None)


def write_int8(job: Job) -> checks.Exported:
    """Writes `MODEL_int8.tflite`: integers of 8 bits alone, input and output too, with ranges from
    `job.calibration`; arguments and errors as `write_float16`."""

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _calibration(job)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    return _write(job, "tflite_int8", settings, None)


def _calibration(job: Job) -> Iterator[list[tf.Tensor]]:
    batch_size = job.options.batch_size or 1
    images = samples.prepared(job.calibration, job.classifier)
    for batch in checks.batches_of(images, batch_size)[0]:
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
    found = checks.compare(job.classifier, lite, trial)
    checks.check(found, job.classifier, tolerance, job.max_drop)
    path = job.target(name)
    _paths.write_atomically(path, content)
    print(f"{path}: {lite.description()}, {len(content)} bytes")
    kind = "tflite_int8" if lite.input["dtype"] == np.int8 else "tflite"
    called = usage.loaded(kind, job.classifier, path, job.options.batch_size or 1)
    return checks.Exported(path, found, called)
