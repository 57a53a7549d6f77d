"""A frozen GraphDef: one file with the weights as constants and slim's own names.

`tf.compat.v1` is used because the file is for TensorFlow 1's sessions: one of them checks it, and
its loops are ops as they were there. With loops as functions, importing the graph failed now and
then in the process that had made it.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

import slim
from classifier import network
from classifier.export import checks, folding, usage
from classifier.export.job import Job
from classifier.inference.model import InferenceModel
from slim import _checks, _paths


def write(job: Job) -> checks.Exported:
    """Writes `MODEL.pb`.

    Args:
      job: the checkpoint, the folder, `batch_size`, `input_type`, `fold_batch_norm` and
        `final_endpoint`.

    Raises:
      UserError: if the network has no such end point.
      RunError: if it does not give the checkpoint's logits.
    """
    classifier, options = job.classifier, job.options
    trial = job.trial(options.batch_size, options.input_type)
    built = _built(classifier, trial, options.final_endpoint)
    kept = [tensor.op.name for tensor in built.outputs]
    graph_def = folding.pruned(built.graph.as_graph_def(), kept)
    unfolded = len(graph_def.node)
    if options.fold_batch_norm:
        graph_def = folding.folded(graph_def, kept)
    ops = f"{len(graph_def.node)} ops"
    if len(graph_def.node) < unfolded:
        ops += f" ({unfolded} before folding)"
    call = graph_function(graph_def, built.inputs.name, built.outputs[0].name)
    found = checks.compare(classifier, call, trial, options.final_endpoint)
    checks.check(found, classifier)
    path = job.target("frozen_pb")
    _paths.write_atomically(path, graph_def.SerializeToString(deterministic=True))
    print(
        f"{path}: input {built.inputs.name} {trial.spec.dtype.name}"
        f" {usage.shape_text(trial.spec)}, "
        + ", ".join(f"{name} {tensor.name}" for name, tensor in built.described.items())
        + f", {ops}"
    )
    asked = built.described.get("probabilities", built.outputs[0])
    called = usage.frozen(
        classifier, path, options.input_type, trial.spec, asked, options.final_endpoint is None
    )
    return checks.Exported(path, found, called)


@dataclasses.dataclass(frozen=True)
class _Built:
    """A graph with constants for weights.

    Attributes:
      graph: it.
      inputs: its placeholder.
      outputs: the tensors to keep; the first is compared with the checkpoint's.
      described: those that the user is told of, by what they are.
    """

    graph: tf.Graph
    inputs: tf.Tensor
    outputs: Sequence[tf.Tensor]
    described: Mapping[str, tf.Tensor]


def _built(
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
            prepared = trial.prepare(inputs)
        with store.as_default():
            logits, end_points = classifier.network(prepared)
        if final_endpoint is not None:
            found = end_points[_checks.one_of("final_endpoint", final_endpoint, end_points)]
            return _Built(graph, inputs, [found], {final_endpoint: found})
        described = {"logits": logits, "probabilities": network.probabilities(logits, end_points)}
    return _Built(graph, inputs, [*described.values(), *end_points.values()], described)


@contextlib.contextmanager
def _without_functions() -> Iterator[None]:
    """Makes loops and branches of a plain graph ops of the graph, as TensorFlow 1 did.

    Otherwise they are functions, which a GraphDef carries in a library of its own: readers older
    than them, and tools that rewrite nodes alone, do not know what to do with it.
    """
    if not tf.compat.v1.control_flow_v2_enabled():
        yield
        return
    tf.compat.v1.disable_control_flow_v2()
    try:
        yield
    finally:
        tf.compat.v1.enable_control_flow_v2()


def graph_function(
    graph_def: Any, input_name: str, output_name: str
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a GraphDef as a function from one of its tensors to another, run by a session."""

    # Read from its bytes, as its users will.
    read = type(graph_def).FromString(graph_def.SerializeToString())
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(read, name="")
    session = tf.compat.v1.Session(graph=graph)
    return lambda inputs: session.run(output_name, {input_name: inputs.numpy()})
