"""Export to ONNX with tf2onnx, checked with onnxruntime."""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from classifier.cli import native_stderr
from classifier.export import checks, model_card, usage
from classifier.export.job import Job
from classifier.export.properties import properties
from classifier.export.signature import Signature
from classifier.inference.runtimes import Onnx
from slim import _paths

# Of 2022: supported by older runtimes, and sufficient for these networks.
_OPSET = 17


def write(job: Job) -> checks.Exported:
    """Writes `MODEL.onnx`.

    Args:
      job: checkpoint and options.

    Raises:
      RunError: if its logits differ from the checkpoint's.
    """
    trial = job.trial(job.batch_size)
    proto = _convert(Signature(job.classifier, trial.spec), trial.spec)
    _describe(proto, job)
    content = proto.SerializeToString()
    comparison = checks.compare(job.classifier, Onnx(content), trial)
    checks.check(comparison, job.classifier)
    path = job.target("onnx")
    _paths.write_atomically(path, content)
    shape = usage.shape_text(trial.spec)
    print(f"{path}: input images float32 {shape}, output logits, probabilities, opset {_OPSET}")
    text = usage.image_model("onnx", job.classifier, path, job.batch_size)
    return checks.Exported(path, comparison, text)


def _convert(signature: Signature, spec: tf.TensorSpec) -> Any:
    """Returns the `ModelProto`."""
    import tf2onnx  # optional dependency

    # Otherwise it copies the graph including weights before each pass.
    os.environ.setdefault(tf2onnx.constants.ENV_TF2ONNX_CATCH_ERRORS, "FALSE")
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with native_stderr.capture_native_stderr(), _without_constant_updates():
            proto, _ = tf2onnx.convert.from_function(
                signature.classify, [signature.images], opset=_OPSET
            )
    finally:
        logger.setLevel(level)
    if spec.shape[0] is None:
        _name_batch(proto.graph)
    return proto


def _describe(proto: Any, job: Job) -> None:
    """Adds the description and the properties that callers need."""
    proto.doc_string = f"{model_card.summary(job.classifier)}."
    for key, value in properties(job).items():
        proto.metadata_props.add(key=key, value=value)


@contextlib.contextmanager
def _without_constant_updates() -> Iterator[None]:
    """Makes tf2onnx skip constants when it updates the protocol buffers of nodes.

    It updates all buffers after each pass, and protobuf keeps the memory of earlier contents: about
    forty times that of the weights. A constant's buffer is never read; the file gets its value from
    the node.
    """
    from tf2onnx.graph import Node  # optional dependency

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
    """Names the first dimension of inputs and outputs `batch`."""
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
