"""ONNX files, run by onnxruntime."""

import ast
import json
import subprocess
import sys

import numpy as np
import pytest

from classifier.export import run as exporting
from tests.classifier.exports import config, needs

ALONE = """
import sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(images,) = session.get_inputs()
print(images.name, images.type, images.shape, [each.shape for each in session.get_outputs()])
answer = session.run(["logits", "probabilities"], {"images": np.load(sys.argv[2])})
np.savez(sys.argv[3], *answer)
print(session.get_modelmeta().custom_metadata_map)
assert not {"tensorflow", "slim"} & set(sys.modules)
"""


@pytest.mark.parametrize(
    "batch_size, side", [(None, "'batch'"), pytest.param(3, "3", marks=pytest.mark.slow)]
)
def test_outputs_match_in_a_process_without_tensorflow(
    lenet_run, lenet_classifier, tmp_path, capsys, batch_size, side
):
    needs("onnx")
    exporting.run(config(lenet_run, tmp_path, formats=("onnx",), batch_size=batch_size))
    assert f"onnx {tmp_path / 'lenet.onnx'} largest difference" in capsys.readouterr().out
    images = np.random.default_rng(1).uniform(-1, 1, [3, 28, 28, 1]).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    names = [str(tmp_path / name) for name in ("lenet.onnx", "images.npy", "answer.npz")]
    command = [sys.executable, "-c", ALONE, *names]
    stdout = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    stdout, properties = stdout.strip().splitlines()
    assert {key: json.loads(value) for key, value in ast.literal_eval(properties).items()} == {
        "labels": list(lenet_classifier.info.label_names),
        "image_size": [28, 28],
        "preprocessing": "lenet",
        "mean": [128.0],
        "std": [128.0],
    }
    assert stdout == (f"images tensor(float) [{side}, 28, 28, 1] [[{side}, 10], [{side}, 10]]")
    actual, expected = np.load(tmp_path / "answer.npz"), lenet_classifier(images)
    np.testing.assert_allclose(actual["arr_0"], expected["logits"], atol=1e-5)
    np.testing.assert_allclose(actual["arr_1"], expected["probabilities"], atol=1e-5)
