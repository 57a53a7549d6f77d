"""Loops in frozen graphs with preprocessing are ops, which any session can import."""

import gc
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.classifier.export.test_formats import classifier_of, export_to, make_run, read

IMAGES = np.random.default_rng(6).integers(0, 256, [2, 40, 33, 3]).astype(np.uint8)
LOOP = {"Enter", "NextIteration", "Exit"}
FRESH = """
import pathlib, sys
import numpy as np
import tensorflow as tf
inputs, rows = np.load(sys.argv[1], allow_pickle=True), []
for path in sys.argv[3:]:
    graph_def = tf.compat.v1.GraphDef.FromString(pathlib.Path(path).read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        rows.append(session.run("Predictions/Reshape_1:0", {"input:0": inputs}))
np.save(sys.argv[2], rows)
"""


def check_no_functions(graph_def):
    """Asserts that the graph contains and references no functions."""
    assert not graph_def.library.function
    assert not [
        (node.name, name)
        for node in graph_def.node
        for name, value in node.attr.items()
        if value.HasField("func") or value.list.func
    ]


def answer(graph_def, images):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        return session.run("CifarNet/logits/BiasAdd:0", {"input:0": images})


@pytest.mark.parametrize(
    "preprocessing",
    [
        "cifarnet",
        "inception",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("lenet", "vgg")),
    ],
)
def test_loops_are_ops_and_outputs_match_the_checkpoint(tmp_path, preprocessing):
    from classifier.inputs import preprocessing as images

    run = make_run(
        tmp_path.with_name(f"{tmp_path.name}-run"),
        "cifarnet",
        3,
        label_names=(),
        preprocessing_name=preprocessing,
    )
    export_to(tmp_path, run, "frozen_pb", input_type="uint8_image")
    graph_def = read(tmp_path / "cifarnet.pb")
    check_no_functions(graph_def)
    assert {node.op for node in graph_def.node} >= LOOP
    classifier = classifier_of(run)
    prepare = images.image_fn(classifier.info, (32, 32))
    prepared = tf.stack([prepare(tf.constant(image)) for image in IMAGES])
    expected = classifier(prepared)["logits"].numpy()
    actual = answer(graph_def, IMAGES)
    np.testing.assert_allclose(actual, expected, atol=2e-5 * np.abs(expected).max())
    assert tf.compat.v1.control_flow_v2_enabled()


@pytest.mark.slow
def test_export_keeps_control_flow_v2_disabled(tmp_path):
    run = make_run(tmp_path.with_name(f"{tmp_path.name}-run"))
    tf.compat.v1.disable_control_flow_v2()
    try:
        export_to(tmp_path, run, "frozen_pb", input_type="uint8_image")
        assert not tf.compat.v1.control_flow_v2_enabled()
    finally:
        tf.compat.v1.enable_control_flow_v2()


@pytest.mark.slow
@pytest.mark.parametrize("input_type", ["uint8_image", "encoded_image"])
def test_twenty_exports_are_imported_in_this_and_another_process(tmp_path, input_type):
    run = make_run(tmp_path.with_name(f"{tmp_path.name}-run"))
    images = IMAGES[..., :1]
    inputs = images
    if input_type == "encoded_image":
        inputs = np.array([tf.io.encode_png(each).numpy() for each in images], object)
    actual, paths = [], [tmp_path / str(number) / "lenet.pb" for number in range(20)]
    for path in paths:
        export_to(path.parent, run, "frozen_pb", input_type=input_type)
        graph_def = read(path)
        check_no_functions(graph_def)
        gc.collect()
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.graph_util.import_graph_def(graph_def, name="")
            actual.append(session.run("Predictions/Reshape_1:0", {"input:0": inputs}))
    np.save(tmp_path / "inputs.npy", inputs)
    names = [str(path) for path in (tmp_path / "inputs.npy", tmp_path / "rows.npy", *paths)]
    subprocess.run([sys.executable, "-c", FRESH, *names], check=True, timeout=200)
    for each in (*actual, *np.load(tmp_path / "rows.npy")):
        np.testing.assert_array_equal(each, actual[0])
