"""Records the layout of a network that TF-Slim does not have, from our own build.

    python -m tests.conformance.record NAME [--num_classes=N] [--frames=16]

Layouts obtained from TF-Slim are never overwritten.
"""

import argparse
import math
import sys
from typing import Any

from nets import nets_factory
from tests.conformance import builds, reference


def recorded_layout(name: str, num_classes: int | None = None, frames: int = 16) -> dict[str, Any]:
    """Returns a network's current layout.

    Args:
      name: a name of the registry.
      num_classes: number of classes to build it with; default: that of its row.
      frames: length of a video.
    """
    spec = nets_factory.NETWORKS[name]
    video = [frames] if spec.input_rank == 5 else []
    shape = [*video, spec.image_size, spec.image_size, spec.channels]
    num_classes = num_classes or spec.classes
    inference = builds.graph_of(name, False, num_classes, (1, *shape))
    training = builds.graph_of(name, True, num_classes, (2, *shape))
    return {
        "origin": "recorded",
        "network": name,
        "num_classes": num_classes,
        "default_image_size": spec.image_size,
        "input_shape": [1, *shape],
        "logits_op": inference.logits_op,
        "end_points": {key: value for key, (value, _) in inference.end_points.items()},
        "train_end_points": {key: value for key, (value, _) in training.end_points.items()},
        "end_point_ops": {key: op for key, (_, op) in inference.end_points.items()},
        "variables": [[key, *row] for key, row in inference.variables.items()],
        "train_only_variables": train_only(inference, training),
        "non_model_variables": inference.outside_model,
        "trainable_parameters": trainable_parameters(training),
    }


def train_only(inference: builds.Graph, training: builds.Graph) -> list[list[Any]]:
    """Returns [name, regularized] of the network's variables that inference lacks, sorted."""
    known = {*inference.variables, *training.outside_model}
    return sorted([key, row[2]] for key, row in training.variables.items() if key not in known)


def trainable_parameters(graph: builds.Graph) -> int:
    """Returns the number of trainable parameters."""
    return sum(math.prod(shape) for shape, trainable, _ in graph.variables.values() if trainable)


def main() -> int:
    """Writes the layout of the network named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(nets_factory.NETWORKS))
    parser.add_argument("--num_classes", type=int, help="default: that of the network's row")
    parser.add_argument("--frames", type=int, default=16, help="length of a video; default: 16")
    options = parser.parse_args()
    path = reference.LAYOUTS / f"{options.name}.json.gz"
    if reference.is_from_tf_slim(options.name):
        print(f"{path} was obtained from TF-Slim and is not overwritten", file=sys.stderr)
        return 2
    reference.write_json(path, recorded_layout(options.name, options.num_classes, options.frames))
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
