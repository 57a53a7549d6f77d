"""A graph without weights, and the command that the script prints for TensorFlow's own tool."""

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
def test_the_printed_command_freezes_a_trained_checkpoint(trained, digits, tmp_path):
    said = commands.run(
        "export_inference_graph",
        "--model_name=lenet",
        f"--output_file={tmp_path / 'lenet.pb'}",
        "--dataset_name=digits",
        f"--dataset_dir={digits}",
    ).stdout
    (line,) = (line for line in said.splitlines() if line.startswith("python -m tensorflow"))
    line = line.replace("CHECKPOINT", str(trained / "model.ckpt-60"))
    arguments = shlex.split(line.replace("FROZEN.pb", str(tmp_path / "frozen.pb")))
    subprocess.run([sys.executable, *arguments[1:]], check=True, capture_output=True, timeout=200)
    graph_def = tf.compat.v1.GraphDef.FromString((tmp_path / "frozen.pb").read_bytes())
    images = np.random.default_rng(0).uniform(-1, 1, [3, 28, 28, 1]).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        found = session.run("Predictions/Reshape_1:0", {"input:0": images})
    # A graph without weights knows no averages: it holds the weights themselves.
    info = RunDirectory(str(trained)).read_model_info()
    plain = dataclasses.replace(info, moving_average_decay=None)
    restored = model.InferenceModel(plain, sources.open_checkpoint(str(trained)))
    wanted = restored(images)["probabilities"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
