"""Export of a GraphDef without weights, under TF-Slim's names, for TensorFlow's `freeze_graph`."""

import tensorflow as tf
from google.protobuf import text_format

import slim
from classifier import network
from classifier.resolve.graph import ResolvedGraph
from slim import _paths


def write(resolved: ResolvedGraph) -> None:
    """Writes the inference graph of a network and prints the names of its inputs and outputs.

    Its variables are reference variables with the checkpoint's names, which `freeze_graph` and
    TensorFlow 1's `Saver` can restore.

    Args:
      resolved: network, input and output file.

    Raises:
      UserError: if the network does not support the image size.
    """
    network_fn = network.inference_network(
        resolved.model_name, resolved.num_classes, resolved.quantized
    )
    graph, store = tf.Graph(), slim.VariableStore(seed=0)
    with graph.as_default():
        inputs = tf.raw_ops.Placeholder(dtype=tf.float32, shape=resolved.input_shape, name="input")
        with (
            store.as_default(),
            network.check_image_size(resolved.model_name, network_fn, inputs.shape),
        ):
            logits, end_points = network_fn(inputs)
    graph_def = graph.as_graph_def()
    if resolved.as_text:
        content = text_format.MessageToString(graph_def).encode()
    else:
        content = graph_def.SerializeToString(deterministic=True)
    _paths.write_new_file(resolved.output_file, content)
    names = [each for each in ("Predictions", "predictions") if each in end_points]
    output = (end_points[names[0]] if names else logits).op.name
    print(
        f"{resolved.output_file}: {resolved.model_name} without weights,"
        f" {resolved.num_classes} classes, {len(store.named_variables)} variables"
    )
    print(
        f"input input:0 float32 {list(resolved.input_shape)}, logits {logits.name}"
        + (f", probabilities {output}:0" if names else "")
    )
    print(
        "python -m tensorflow.python.tools.freeze_graph"
        f" --input_graph={resolved.output_file} --input_binary={str(not resolved.as_text).lower()}"
        f" --input_checkpoint=CHECKPOINT --output_node_names={output}"
        " --output_graph=FROZEN.pb"
    )
