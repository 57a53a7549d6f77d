"""Evaluates with 1 to 4 clones on 4 parts of the CPU, in a process of its own, and prints the
metrics as JSON."""

import dataclasses
import json
import sys

import numpy as np

from classifier.inference.clones import Clones
from classifier.inference.metrics import Evaluator
from deployment import strategies
from tests.classifier.inference import fakes

CLASSES, BATCH_SIZE = 6, 7


def main() -> None:
    """Prints a list of [clones, images, metrics, labels of the answers]."""
    strategies.split_cpu(4)
    random = np.random.default_rng(3)
    rows = []
    for size in map(int, sys.argv[1:]):
        labels = random.integers(0, CLASSES, size)
        logits = random.integers(-2, 3, [size, CLASSES]).astype(np.float32)
        mask = random.random(size) < 0.8
        for clones in range(1, 5):
            deployment = strategies.Devices(num_clones=clones, clone_on_cpu=True)
            model = fakes.Model(logits)
            each = Clones(model, deployment.strategy())
            gather = each.gathered if clones > 1 else None
            evaluator = Evaluator(model, each, keep_outcomes=True, gather=gather)
            batches = fakes.batches(labels, BATCH_SIZE, mask)
            result = dataclasses.asdict(evaluator(batches, -(-size // BATCH_SIZE)))
            kept = evaluator.details().outcomes.labels.tolist() == labels[mask].tolist()
            rows.append([clones, int(mask.sum()), kept, result])
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
