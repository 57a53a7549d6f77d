"""`--final_endpoint`: a frozen graph that ends there."""

import numpy as np
import pytest
import tensorflow as tf

from classifier.config import options
from classifier.config.export import ExportConfig
from slim import _checks
from tests.classifier.export.test_formats import classifier_of, export_to, make_run, read


@pytest.mark.parametrize("fold", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_frozen_graph_ends_at_an_end_point(tmp_path, capsys, fold):
    run = make_run(
        tmp_path.with_name(f"{tmp_path.name}-run"), "mobilenet_v1_025", 3, label_names=()
    )
    name, op = "Conv2d_3_pointwise", "MobilenetV1/MobilenetV1/Conv2d_3_pointwise/Relu6"
    export_to(tmp_path, run, "frozen_pb", final_endpoint=name, fold_batch_norm=fold)
    stdout = capsys.readouterr().out
    assert f"input input:0 float32 [any, 224, 224, 3], {name} {op}:0," in stdout
    graph_def = read(tmp_path / "mobilenet_v1_025.pb")
    names = {node.name for node in graph_def.node}
    assert op in names
    assert not [each for each in names if "Conv2d_4" in each or "Logits" in each]
    images = np.random.default_rng(0).uniform(-1, 1, [2, 224, 224, 3]).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        actual = session.run(f"{op}:0", {"input:0": images})
    expected = classifier_of(run).output(name, images).numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5 * max(1, expected.max()))


def test_end_point_is_not_described_as_classes(lenet_run, tmp_path, capsys):
    export_to(tmp_path, lenet_run, "frozen_pb", final_endpoint="conv2")
    stdout = capsys.readouterr().out
    assert "An image classifier with 10 classes, up to the end point 'conv2': the weights" in stdout
    assert " for 24 images (8 random, 16 of digits)" in stdout
    assert "same class" not in stdout
    assert "rows.shape" in stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [".slim", "README.md", "lenet.pb"]
    assert "up to the end point 'conv2'" in (tmp_path / "README.md").read_text()


def test_unknown_end_point_is_an_error_with_a_suggestion(tmp_path):
    run = make_run(tmp_path.with_name(f"{tmp_path.name}-run"))
    message = (
        r"final_endpoint='con3' is not known; did you mean 'conv2' or 'conv1'\? Known: .*Logits"
    )
    with pytest.raises(_checks.UserError, match=message):
        export_to(tmp_path / "out", run, "frozen_pb", final_endpoint="con3")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "values, message",
    [
        ({"output_file": "f"}, "final_endpoint needs checkpoint_path"),
        ({"checkpoint_path": "r", "output_dir": "o"}, "final_endpoint needs formats=frozen_pb"),
        (
            {"checkpoint_path": "r", "output_dir": "o", "formats": ("saved_model", "frozen_pb")},
            "final_endpoint needs formats=frozen_pb: the other formats output class",
        ),
    ],
)
def test_final_endpoint_needs_a_checkpoint_and_frozen_pb(values, message):
    with pytest.raises(_checks.UserError, match=message):
        options.build(ExportConfig, final_endpoint="Logits", **values)
