"""A frozen GraphDef: one file with the weights as constants and slim's own names."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

import slim
from classifier import model
from classifier.exporting import checks, folding, input_types
from classifier.exporting.job import Job
from slim import _paths


def write(job: Job) -> checks.Exported:
    """Writes `MODEL.pb`.

    Args:
      job: the checkpoint, the folder, `batch_size`, `input_type` and `fold_batch_norm`.

    Raises:
      RunError: if it does not give the checkpoint's logits.
    """
    classifier, options = job.classifier, job.options
    trial = input_types.make(options.input_type, classifier, options.batch_size, job.real)
    # Kept until the check is over: with the graph go its functions (the loop over a batch of
    # pictures), also for those who use their names in this process.
    graph, names = _built(classifier, trial)
    kept = [name.removesuffix(":0") for name in names[1:]]
    graph_def = folding.pruned(graph.as_graph_def(), kept)
    ops = f"{len(graph_def.node)} ops"
    if options.fold_batch_norm:
        graph_def = folding.folded(graph_def, kept)
        ops = f"{len(graph_def.node)} ops ({ops} before folding)"
    call = graph_function(graph_def, names[0], names[1], trial.spec)
    found = checks.check(checks.compare(classifier, call, trial), classifier)
    path = job.target("frozen_pb")
    _paths.write_atomically(path, graph_def.SerializeToString(deterministic=True))
    print(
        f"{path}: input {names[0]} {trial.spec.dtype.name} {trial.spec.shape.as_list()},"
        f" logits {names[1]}, probabilities {names[2]}, {ops}"
    )
    return checks.Exported(path, found)


def _built(classifier: model.InferenceModel, trial: checks.Trial) -> tuple[tf.Graph, Sequence[str]]:
    """Returns the graph with constants, and its tensors: the input, the logits, the probabilities
    and the other end points."""
    graph, store = tf.Graph(), slim.FrozenStore(classifier.values())
    with graph.as_default():
        inputs = tf.raw_ops.Placeholder(
            dtype=trial.spec.dtype, shape=trial.spec.shape, name="input"
        )
        with tf.name_scope("preprocessing"):
            prepared = trial.prepare(inputs)
        with store.as_default():
            logits, end_points = classifier.network(prepared)
        probabilities = model.probabilities(logits, end_points)
    tensors = [inputs, logits, probabilities, *end_points.values()]
    return graph, [tensor.name for tensor in tensors]


def graph_function(
    graph_def: Any, input_name: str, output_name: str, spec: tf.TensorSpec
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a GraphDef as a function from one of its tensors to another."""

    @tf.function(autograph=False, input_signature=[spec])
    def call(inputs: tf.Tensor) -> tf.Tensor:
        return tf.graph_util.import_graph_def(
            graph_def, input_map={input_name: inputs}, return_elements=[output_name], name=""
        )[0]

    return call
