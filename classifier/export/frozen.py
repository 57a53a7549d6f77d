"""Export of a frozen GraphDef: one file with weights as constants, under slim's names.

`tf.compat.v1` is used because the file is for TensorFlow 1 sessions: a session checks it, and loops
are ops as in TensorFlow 1. With loops as functions, importing the graph into the process that wrote
it sometimes failed.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf

import slim
from classifier import label_kinds
from classifier.export import checks, folding, usage
from classifier.export.job import Job
from classifier.inference import runtimes
from classifier.inference.model import InferenceModel
from slim import _checks, _paths


def write(job: Job) -> checks.Exported:
    """Writes `MODEL.pb`.

    Args:
      job: checkpoint and options.

    Raises:
      UserError: if the network has no such end point.
      RunError: if its outputs differ from the checkpoint's.
    """
    classifier, options = job.classifier, job.options
    trial = job.trial(job.batch_size, options.input_type)
    built = _build(classifier, trial, options.final_endpoint)
    outputs = [tensor.op.name for tensor in built.outputs]
    graph_def = folding.pruned(built.graph.as_graph_def(), outputs)
    num_unfolded = len(graph_def.node)
    if options.fold_batch_norm:
        graph_def = folding.folded(graph_def, outputs)
    ops = f"{len(graph_def.node)} ops"
    if len(graph_def.node) < num_unfolded:
        ops += f" ({num_unfolded} before folding)"
    call = runtimes.graph_function(graph_def, built.inputs.name, built.outputs[0].name)
    comparison = checks.compare(classifier, call, trial, options.final_endpoint)
    checks.check(comparison, classifier)
    path = job.target("frozen_pb")
    _paths.write_atomically(path, graph_def.SerializeToString(deterministic=True))
    print(
        f"{path}: input {built.inputs.name} {trial.spec.dtype.name}"
        f" {usage.shape_text(trial.spec)}, "
        + ", ".join(f"{name} {tensor.name}" for name, tensor in built.described.items())
        + f", {ops}"
    )
    output = built.described.get("probabilities", built.outputs[0])
    text = usage.frozen(
        classifier, path, options.input_type, trial.spec, output, options.final_endpoint is None
    )
    return checks.Exported(path, comparison, text)


@dataclasses.dataclass(frozen=True)
class _Built:
    """A graph with weights as constants.

    Attributes:
      graph: the graph.
      inputs: its placeholder.
      outputs: tensors to keep; the first is compared with the checkpoint's.
      described: tensors to print, by description.
    """

    graph: tf.Graph
    inputs: tf.Tensor
    outputs: Sequence[tf.Tensor]
    described: Mapping[str, tf.Tensor]


def _build(
    classifier: InferenceModel,
    trial: checks.Trial,
    final_endpoint: str | None,
) -> _Built:
    graph, store = tf.Graph(), slim.FrozenStore(classifier.values())
    with graph.as_default(), _without_functions():
        inputs = tf.raw_ops.Placeholder(
            dtype=trial.spec.dtype, shape=trial.spec.shape, name="input"
        )
        with tf.name_scope("preprocessing"):
            images = trial.preprocess(inputs)
        with store.as_default():
            logits, end_points = classifier.network(images)
        if final_endpoint is not None:
            output = end_points[_checks.one_of("final_endpoint", final_endpoint, end_points)]
            return _Built(graph, inputs, [output], {final_endpoint: output})
        kind = label_kinds.kind_of(classifier.info)
        answers = kind.probabilities(logits, end_points, classifier.temperature)
        described = {"logits": logits, "probabilities": answers}
    kept = [value for name, value in end_points.items() if kind.keeps(name)]
    return _Built(graph, inputs, [*described.values(), *kept], described)


@contextlib.contextmanager
def _without_functions() -> Iterator[None]:
    """Writes loops and branches of a plain graph as ops, as in TensorFlow 1.

    Otherwise they are functions in the GraphDef's library, which older readers and tools that only
    rewrite nodes do not support.
    """
    if not tf.compat.v1.control_flow_v2_enabled():
        yield
        return
    tf.compat.v1.disable_control_flow_v2()
    try:
        yield
    finally:
        tf.compat.v1.enable_control_flow_v2()
