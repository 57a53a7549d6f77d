"""Evaluation over several devices counts each image once, with the metrics of one device."""

import json
import subprocess
import sys

import pytest

from classifier.config import options
from classifier.config.evaluation import EvalConfig
from slim import _checks
from tests.end_to_end import commands

SIZES = (1, 6, 7, 8, 13, 14, 15, 21)  # one image to three batches of 7


@pytest.mark.slow
def test_each_image_counts_once_whatever_the_number_of_clones():
    command = [sys.executable, "-m", "tests.classifier.inference.clones_worker", *map(str, SIZES)]
    done = subprocess.run(command, cwd=commands.ROOT, stdout=subprocess.PIPE, check=True)
    rows = json.loads(done.stdout)
    assert len(rows) == 4 * len(SIZES)
    for clones, count, in_order, result in rows:
        if clones == 1:
            alone = result
        assert in_order
        assert result["num_images"] == count
        assert result == pytest.approx(alone, rel=1e-12, nan_ok=True)


def test_more_clones_than_images_are_an_error():
    with pytest.raises(_checks.UserError, match="num_clones=3 must be at most batch_size=2: each "):
        options.build(EvalConfig, checkpoint_path="run", num_clones=3, batch_size=2)
