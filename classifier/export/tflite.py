"""Export to TensorFlow Lite: float, with 16-bit or 8-bit weights, and integer-only.

Files are checked with LiteRT (ai-edge-litert), which runs them on devices.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from classifier.cli import native_stderr
from classifier.export import checks, input_types, model_card, samples, usage
from classifier.export.devices import edge_tpu, lite_file, metadata, micro
from classifier.export.job import Job
from classifier.export.signature import Signature
from classifier.inference.runtimes import Lite
from classifier.inputs import preprocessing
from datasets import progress
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

    Input and outputs are int8 too, or uint8 with pixels as input. Arguments and errors as in
    `write_float16`.
    """

    content, lite, comparison = convert_int8(job)
    checked = _check_devices(lite_file.LiteFile(content))
    exported = _keep(job, "tflite_int8", content, lite, comparison, checked)
    print(checked)
    return exported


def convert_int8(job: Job) -> tuple[bytes, Lite, checks.Comparison]:
    """Returns the content of the integer file, converted once, loaded, and compared with the
    checkpoint.

    Raises:
      RunError: if the accuracy drops by more than `max_drop`.
    """
    trial = job.trial(job.lite_batch_size, _input_type(job))

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _calibration(job)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        dtype = tf.uint8 if trial.spec.dtype == tf.uint8 else tf.int8
        converter.inference_input_type = converter.inference_output_type = dtype

    def convert() -> bytes:
        spec = tf.TensorSpec(trial.spec.shape, tf.float32)
        inside = preprocessing.normalize_fn(job.classifier.info)
        signature = Signature(job.classifier, spec, *[inside] * _normalizes(job))
        return _convert(job, signature, settings, normalized=not _normalizes(job))

    content = job.content("int8", convert)
    lite = Lite(content)
    comparison = checks.compare(job.classifier, lite, trial)
    return content, lite, checks.check(comparison, job.classifier, None, job.max_drop)


def _input_type(job: Job) -> str:
    """Returns the name of the trial."""
    return input_types.PIXELS if job.options.input_type == "uint8_image" else "float_image"


def _normalizes(job: Job) -> bool:
    """Returns whether the integer file normalizes pixels with operations.

    With one mean for all channels, the scale and the zero point of its input do.
    """
    if job.options.input_type != "uint8_image":
        return False
    known = preprocessing.normalization(job.classifier.info)
    return known is not None and len(known[0]) > 1


def _calibration(job: Job) -> Iterator[list[np.ndarray]]:
    """Yields batches for the ranges of the integers.

    Two pixels of the first image are the smallest and the largest possible, so that the range of
    the input is that of pixels.
    """
    info = job.classifier.info
    if _normalizes(job):
        images = samples.pixels(job.calibration, job.classifier).astype(np.float32)
        limits: Any = (0.0, 255.0)
    else:
        images = samples.preprocessed(job.calibration, job.classifier)
        limits = preprocessing.normalization(info) and [
            preprocessing.normalize_fn(info)([float(pixel)]).numpy() for pixel in (0, 255)
        ]
    if limits:
        images[0, 0, 0], images[0, -1, -1] = limits
    batches = checks.make_batches(images, job.lite_batch_size)
    with progress.bar(len(batches), "batch", "calibrate", leave=False) as bar:
        for batch in batches:
            yield [batch]
            bar.update()


def _write(
    job: Job, name: str, settings: Callable[[Any], None], tolerance: float | None
) -> checks.Exported:
    trial = job.trial(job.lite_batch_size, _input_type(job))
    signature = Signature(job.classifier, trial.spec, trial.preprocess)
    normalized = trial.spec.dtype != tf.uint8
    content = _convert(job, signature, settings, normalized)
    lite = Lite(content)
    comparison = checks.compare(job.classifier, lite, trial)
    checks.check(comparison, job.classifier, tolerance, job.max_drop)
    return _keep(job, name, content, lite, comparison)


def _convert(
    job: Job, signature: Signature, settings: Callable[[Any], None], normalized: bool
) -> bytes:
    """Returns the file with metadata; `normalized` tells whether its input is normalized pixels."""
    function = signature.classify.get_concrete_function()
    with native_stderr.capture_native_stderr():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], signature)
        settings(converter)
        content = converter.convert()
    known = preprocessing.normalization(job.classifier.info) if normalized else ((0.0,), 1.0)
    normalization = known and metadata.Normalization(known[0], [known[1]] * len(known[0]))
    description = f"{model_card.summary(job.classifier)}."
    return metadata.add(content, job.classifier, description, normalization, job.options.license)


def _keep(
    job: Job,
    name: str,
    content: bytes,
    lite: Lite,
    comparison: checks.Comparison,
    notes: str = "",
) -> checks.Exported:
    path = job.target(name)
    _paths.write_atomically(path, content)
    print(f"{path}: {lite.description()}, {len(content)} bytes")
    kinds = {np.int8: "tflite_int8", np.uint8: "tflite_uint8"}
    kind = kinds.get(lite.input["dtype"], "tflite")
    text = usage.image_model(kind, job.classifier, path, job.lite_batch_size, notes=notes)
    return checks.Exported(path, comparison, text)


def _check_devices(file: lite_file.LiteFile) -> str:
    """Returns what small devices need to know of an integer file, as a Markdown list."""
    count, total = file.per_channel
    missing, reasons = micro.missing_operators(file), edge_tpu.problems(file)
    lacks = f"no operator {', '.join(missing)}" if missing else "all operators are available"
    ready = f"not ready: {'; '.join(reasons)}" if reasons else "ready for its compiler"
    lines = (
        f"operators: {', '.join(file.operator_names)}",
        f"per-channel weights: {count} of {total} convolutions",
        f"TensorFlow Lite for Microcontrollers: {lacks}",
        f"Edge TPU: {ready}",
    )
    return "\n".join(f"- {line}" for line in lines)
