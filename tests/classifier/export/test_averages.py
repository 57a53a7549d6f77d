"""--moving_average_decay: exports TF-Slim's moving averages instead of the weights."""

import numpy as np
import pytest
import tensorflow as tf

from classifier.config import options
from classifier.config.export import ExportConfig
from classifier.export import run as exporting
from tests.classifier import originals

IMAGES = np.random.RandomState(0).uniform(-1, 1, [2, 28, 28, 1]).astype(np.float32)


def logits(path):
    """Returns the logits of a frozen graph for `IMAGES`."""
    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        return session.run("LeNet/fc4/BiasAdd:0", {"input:0": IMAGES})


@pytest.mark.slow
def test_the_averages_take_the_place_of_the_weights(tmp_path, digits):
    values = originals.run_values("lenet")
    checkpoint = originals.write(tmp_path / "run" / "model.ckpt-1234", values)
    trained = {name: values[name] for name in originals.network_values("lenet")}
    averages = {name: values[f"{name}/ExponentialMovingAverage"] for name in trained}
    for decay, weights in ((None, trained), (0.9, averages)):
        out = tmp_path / f"out {decay}"
        config = options.build(
            ExportConfig, checkpoint_path=checkpoint, output_dir=str(out), formats=("frozen_pb",),
            model_name="lenet", dataset_name="digits", dataset_dir=str(digits),
            moving_average_decay=decay,
        )  # fmt: skip
        exporting.run(config)
        expected = originals.lenet(weights, IMAGES).numpy()
        np.testing.assert_allclose(logits(out / "lenet.pb"), expected, rtol=1e-4, atol=1e-4)
