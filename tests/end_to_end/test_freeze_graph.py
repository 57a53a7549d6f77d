"""A graph without weights, and the printed command that freezes it with TensorFlow's tool."""

import dataclasses
import shlex
import subprocess
import sys

import commands
import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import sources
from classifier.inference import model
from classifier.run_directory import RunDirectory


@pytest.mark.slow
def test_printed_command_freezes_a_trained_checkpoint(trained, digits, tmp_path):
    output = commands.run(
        "export_inference_graph",
        "--model_name=lenet",
        f"--output_file={tmp_path / 'lenet.pb'}",
        "--dataset_name=digits",
        f"--dataset_dir={digits}",
    ).stdout
    (line,) = (line for line in output.splitlines() if line.startswith("python -m tensorflow"))
    line = line.replace("CHECKPOINT", str(trained / f"model.ckpt-{commands.STEPS}"))
    arguments = shlex.split(line.replace("FROZEN.pb", str(tmp_path / "frozen.pb")))
    subprocess.run([sys.executable, *arguments[1:]], check=True, capture_output=True, timeout=200)
    graph_def = tf.compat.v1.GraphDef.FromString((tmp_path / "frozen.pb").read_bytes())
    images = np.random.default_rng(0).uniform(-1, 1, [3, 28, 28, 1]).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        probabilities = session.run("Predictions/Reshape_1:0", {"input:0": images})
    # The command freezes the weights themselves, not their moving averages.
    info = RunDirectory(str(trained)).read_model_info()
    raw = dataclasses.replace(info, moving_average_decay=None)
    restored = model.InferenceModel(raw, sources.open_checkpoint(str(trained)))
    expected = restored(images)["probabilities"]
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
