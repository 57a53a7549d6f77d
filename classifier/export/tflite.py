"""Export to TensorFlow Lite: float, with 16-bit or 8-bit weights, and integer-only.

Files are checked with LiteRT (ai-edge-litert), which runs them on devices.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from classifier.cli import native_stderr
from classifier.export import checks, samples, usage
from classifier.export.job import Job
from classifier.export.signature import Signature
from classifier.inference.runtimes import Lite
from slim import _paths

# 16-bit weights have 11 significant bits; errors add up over the layers.
_FLOAT16_TOLERANCE = 1e-2


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
