"""OpenVINO files, run by OpenVINO."""

import ast
import importlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from classifier.config import formats, options
from classifier.config.export import ExportConfig
from classifier.export import run as exporting
from classifier.inference import exported, runtimes
from slim import _checks
from tests import source_tree
from tests.classifier.exports import config, needs

ALONE = """
import sys
sys.modules["openvino_telemetry"] = None
import numpy as np, openvino
model = openvino.Core().read_model(sys.argv[1])
rows = model.get_rt_info()["slim"].items()
print(model.input("images").get_partial_shape(), {key: each.value for key, each in rows})
compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
answer = compiled({"images": np.load(sys.argv[2])})
np.savez(sys.argv[3], answer["logits"], answer["probabilities"])
assert not {"tensorflow", "slim"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def network(lenet_run, tmp_path_factory):
    """Path of an exported LeNet."""
    needs("openvino")
    directory = tmp_path_factory.mktemp("openvino")
    exporting.run(config(lenet_run, directory, formats=("openvino",)))
    assert sys.modules["openvino_telemetry"] is None  # neither import nor conversion reports
    return directory / "lenet.xml"


@pytest.mark.slow
def test_outputs_match_in_a_process_without_tensorflow(network, lenet_classifier, tmp_path):
    images = np.random.default_rng(1).uniform(-1, 1, [3, 28, 28, 1]).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    files = [network, tmp_path / "images.npy", tmp_path / "answer.npz"]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *map(str, files)], check=True, capture_output=True, text=True
    )
    shape, properties = done.stdout.strip().split(" ", 1)
    assert shape == "[?,28,28,1]"
    assert {key: json.loads(value) for key, value in ast.literal_eval(properties).items()} == {
        "labels": list(lenet_classifier.info.label_names),
        "image_size": [28, 28],
        "preprocessing": "lenet",
        "mean": [128.0],
        "std": [128.0],
    }
    actual, expected = np.load(tmp_path / "answer.npz"), lenet_classifier(images)
    np.testing.assert_allclose(actual["arr_0"], expected["logits"], atol=1e-5)
    np.testing.assert_allclose(actual["arr_1"], expected["probabilities"], atol=1e-5)


@pytest.mark.slow
def test_network_without_its_weights_is_an_error(network, tmp_path):
    (tmp_path / "lenet.xml").write_bytes(network.read_bytes())
    export = formats.find_export(str(tmp_path / "lenet.xml"))
    with pytest.raises(_checks.RunError, match=r"lenet.xml cannot be loaded: .*lenet.bin"):
        exported.load(export)


@pytest.mark.slow
def test_weights_of_a_user_are_kept(network, lenet_run, tmp_path):
    exporting.run(config(lenet_run, tmp_path, formats=("weights_h5",)))
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "lenet.bin").symlink_to("mine")
    with pytest.raises(_checks.UserError, match=r"lenet.bin exists. Remove it"):
        exporting.run(config(lenet_run, tmp_path, formats=("openvino",)))
    assert os.readlink(tmp_path / "lenet.bin") == "mine"
    assert not (tmp_path / "lenet.xml").exists()


def test_openvino_is_imported_without_its_telemetry(monkeypatch):
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", "the package")
    assert runtimes.openvino() == "the package"
    with pytest.raises(ImportError):
        importlib.import_module("openvino_telemetry")


@pytest.mark.parametrize("name", formats.CONVERSIONS)
def test_format_of_another_program_is_an_error_with_its_command(name):
    values = {"checkpoint_path": "c", "output_dir": "o", "formats": ("frozen_pb", name)}
    with pytest.raises(
        _checks.UserError, match=rf"formats='{name}' is not supported. Expo"
    ) as caught:
        options.build(ExportConfig, **values)
    _, command = formats.CONVERSIONS[name]
    assert str(caught.value).endswith(f"another environment: {command}")
    assert command in (source_tree.ROOT / "docs" / "devices.md").read_text()
