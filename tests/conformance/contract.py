"""The contract of every network, checked on its plain graphs; see `nets/nets_factory.py`."""

from tests.conformance.builds import Graph


def problems(
    inference: Graph, training: Graph, num_classes: int, own_names: bool = False
) -> list[str]:
    """Returns how a network breaks the contract, each with what to do; empty if it does not.

    Args:
      inference: built for inference, with a batch of 1 and a weight decay.
      training: built for training, with a batch of 2.
      num_classes: number of classes of both.
      own_names: whether scopes, logits and predictions may have other names, as some in TF-Slim.
    """
    lines = []
    for batch, graph in ((1, inference), (2, training)):
        shape = [batch, num_classes]
        if graph.logits_shape != shape:
            lines.append(f"the logits have shape {graph.logits_shape}; return {shape}")
        for name in () if own_names else ("Logits", "Predictions"):
            if name not in graph.end_points:
                lines.append(f"no end point {name}; add it: {list(graph.end_points)}")
            elif graph.end_points[name][0] != shape:
                lines.append(f"end point {name} has shape {graph.end_points[name][0]}, not {shape}")
    scopes = {name.partition("/")[0] for name in training.variables} - {*training.outside_model}
    if len(scopes) > 1 and not own_names:
        lines.append(f"variables are not below one scope, but: {sorted(scopes)}")
    if missing := [
        name for name, row in inference.variables.items() if training.variables.get(name) != row
    ]:
        lines.append(f"variables of inference that training lacks or builds otherwise: {missing}")
    if not any(is_regularized for _, _, is_regularized in inference.variables.values()):
        lines.append("no variable is regularized; use `weight_decay` in the network's arg_scope")
    return lines
