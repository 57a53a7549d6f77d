"""An ONNX file, made by tf2onnx and checked with onnxruntime."""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from classifier.cli import native_stderr
from classifier.export import checks, usage
from classifier.export.job import Job
from classifier.export.signature import Signature
from slim import _paths

# Of 2022, so that older runtimes read it; nothing here needs a later one.
_OPSET = 17


class Runtime:
    """An ONNX file from `images` to `logits` and `probabilities`.

    Args:
      content: of the file.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime  # an extra

        self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def __call__(self, images: tf.Tensor) -> np.ndarray:
        """Returns the logits of preprocessed images, float32 [batch, classes]."""
        return self.session.run(["logits"], {"images": np.asarray(images)})[0]


def write(job: Job) -> checks.Exported:
    """Writes `MODEL.onnx`.

    Args:
      job: the checkpoint, the folder and `batch_size`.

    Raises:
      RunError: if it does not give the checkpoint's logits.
    """
    trial = job.trial(job.options.batch_size)
    content = _converted(Signature(job.classifier, trial.spec), trial.spec)
    found = checks.compare(job.classifier, Runtime(content), trial)
    checks.check(found, job.classifier)
    path = job.target("onnx")
    _paths.write_atomically(path, content)
    shape = usage.shape_text(trial.spec)
    print(f"{path}: takes images float32 {shape}, gives logits, probabilities, opset {_OPSET}")
    called = usage.loaded("onnx", job.classifier, path, job.options.batch_size)
    return checks.Exported(path, found, called)


def _converted(signature: Signature, spec: tf.TensorSpec) -> bytes:
    import tf2onnx  # an extra

    # Or else it copies the whole graph, weights and all, before each of its passes.
    os.environ.setdefault(tf2onnx.constants.ENV_TF2ONNX_CATCH_ERRORS, "FALSE")
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with native_stderr.capture_native_stderr(), _constants_written_once():
            proto, _ = tf2onnx.convert.from_function(
                signature.classify, [signature.images], opset=_OPSET
            )
    finally:
        logger.setLevel(level)
    if spec.shape[0] is None:
        _name_batch(proto.graph)
    return proto.SerializeToString()


@contextlib.contextmanager
def _constants_written_once() -> Iterator[None]:
    """Makes tf2onnx leave constants alone until it writes the file.

    After each of its passes it fills the protocol buffers of all nodes anew, and protobuf keeps the
    memory of what was in them: that of the weights some forty times. Nothing reads a constant's
    buffer, for a file gets its value from the node.
    """
    from tf2onnx.graph import Node  # an extra

    update = Node.update_proto

    def update_others(node: Any, *arguments: Any, **named: Any) -> None:
        if not node.is_const():
            update(node, *arguments, **named)

    Node.update_proto = update_others
    try:
        yield
    finally:
        Node.update_proto = update


def _name_batch(graph: Any) -> None:
    """Gives the first side of inputs and outputs the name `batch`, where it has one by number."""
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
