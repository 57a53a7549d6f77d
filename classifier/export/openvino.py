"""Export to OpenVINO's intermediate representation, checked with OpenVINO."""

import os
import pathlib
from typing import Any

from classifier.cli import native_stderr
from classifier.export import checks, usage
from classifier.export.job import Job
from classifier.export.properties import properties
from classifier.export.signature import Signature
from classifier.inference import runtimes
from slim import _paths

# As `checks.TOLERANCE`, for networks with hard sigmoids. OpenVINO divides them by 6, where the
# checkpoints of MobileNet v3 multiply by 0.16667, and the differences add up.
HARD_SIGMOID_TOLERANCE = 3e-3


def write(job: Job) -> checks.Exported:
    """Writes `MODEL.xml`, the network, and `MODEL.bin`, its weights in float32.

    Args:
      job: checkpoint and options.

    Raises:
      RunError: if its logits differ from the checkpoint's.
    """
    trial = job.trial(job.batch_size)
    path, weights_path = job.target("openvino"), job.target("openvino", ".bin")
    openvino = runtimes.openvino()
    with _paths.scratch_directory(str(job.options.output_dir)) as scratch:
        temporary = pathlib.Path(scratch, os.path.basename(path))
        model = _convert(openvino, Signature(job.classifier, trial.spec), job)
        with _paths.named_in_errors(path):
            openvino.save_model(model, temporary, compress_to_fp16=False)
        operations = {each.get_type_name() for each in model.get_ops()}
        del model  # it holds a copy of the weights
        xml, weights = temporary.read_bytes(), temporary.with_suffix(".bin").read_bytes()
    comparison = checks.compare(job.classifier, runtimes.OpenVino(xml, weights), trial)
    tolerance = HARD_SIGMOID_TOLERANCE if "HSigmoid" in operations else checks.TOLERANCE
    checks.check(comparison, job.classifier, tolerance)
    _paths.write_atomically(weights_path, weights)
    _paths.write_atomically(path, xml)
    shape = usage.shape_text(trial.spec)
    print(f"{path}: input images float32 {shape}, output logits, probabilities")
    text = usage.image_model("openvino", job.classifier, path, job.batch_size)
    return checks.Exported(path, comparison, text)


def _convert(openvino: Any, signature: Signature, job: Job) -> Any:
    """Returns the `openvino.Model`."""
    with native_stderr.capture_native_stderr():
        model = openvino.convert_model(signature.classify.get_concrete_function())
    for key, value in properties(job).items():
        model.set_rt_info(value, ["slim", key])
    return model
