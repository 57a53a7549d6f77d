"""From a dataset to predictions, by the scripts alone."""

import csv

import commands
import numpy as np
import pytest
import tensorflow as tf

STEPS = commands.STEPS


def test_evaluation_counts_each_image_once(trained, digits, tmp_path):
    metrics, output = commands.evaluate(trained, digits, tmp_path / "eval.json")
    assert f"validation accuracy {metrics['accuracy']:.3f} (360 of 360 images)" in output
    assert metrics["num_images"] == 360
    assert metrics["step"] == STEPS
    assert metrics["accuracy"] > 0.8
    assert "moving averages" in output


def test_exports_and_predicts(trained, exported_with_output, digits, tmp_path):
    export, output = exported_with_output
    assert f"frozen_pb {export / 'lenet.pb'} largest difference" in output
    assert f"saved_model {export / 'saved_model' / str(STEPS)} largest difference" in output
    model = tf.saved_model.load(str(export / "saved_model" / str(STEPS)))
    images = sorted((digits / "samples").glob("*.png"))
    answer = model.signatures["serving_default"](
        image_bytes=tf.constant([path.read_bytes() for path in images])
    )
    table = tmp_path / "predictions.csv"
    commands.run(
        "predict_image_classifier",
        f"--checkpoint_path={trained}",
        f"--images={digits / 'samples' / '*.png'}",
        "--top_k=1",
        f"--output_csv={table}",
    )
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["class"].encode() for row in rows] == list(answer["classes"].numpy())
    probabilities = answer["probabilities"].numpy().max(axis=1)
    np.testing.assert_allclose(
        [float(row["probability"]) for row in rows], probabilities, rtol=1e-4
    )
    assert sum(row["class"] in row["file"] for row in rows) >= 8


def test_frozen_graph_has_tf_slims_tensor_names(exported_with_output):
    export, _ = exported_with_output
    graph_def = tf.compat.v1.GraphDef.FromString((export / "lenet.pb").read_bytes())
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        images = np.zeros([3, 28, 28, 1], np.float32)
        probabilities = session.run("Predictions/Reshape_1:0", {"input:0": images})
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)


def test_existing_saved_model_version_is_not_overwritten(trained, exported_with_output):
    export, _ = exported_with_output
    before = commands.snapshot(export)
    message = commands.error(
        "export_inference_graph",
        f"--checkpoint_path={trained}",
        f"--output_dir={export}",
        "--formats=saved_model",
    )
    assert f"saved_model/{STEPS} exists. Remove it, or use another --output_dir" in message
    assert commands.snapshot(export) == before


def test_file_that_is_not_an_image_is_reported_and_the_others_are_classified(
    trained, digits, tmp_path
):
    (tmp_path / "a.png").write_bytes((digits / "samples" / "7_seven.png").read_bytes())
    (tmp_path / "b.png").write_text("<html>404</html>")
    finished = commands.run(
        "predict_image_classifier",
        f"--checkpoint_path={trained}",
        f"--images={tmp_path}",
        code=1,
    )
    assert "a.png: seven" in finished.stdout
    assert "1 of 2 images cannot be decoded" in finished.stderr
    assert "b.png" in finished.stderr


@pytest.mark.parametrize(
    "flags, message",
    [
        ("--use_grayscale --dataset_split_name=train", "use_grayscale=True contradicts"),
        (
            "--model_name=cifarnet --dataset_split_name=train",
            "model_name='cifarnet' contradicts 'lenet' in model_info.json",
        ),
        ("--dataset_split_name=test", "Split 'test' not in"),
    ],
)
def test_evaluation_flag_that_contradicts_the_run_is_an_error(trained, digits, flags, message):
    assert message in commands.error(
        "eval_image_classifier",
        f"--checkpoint_path={trained}",
        f"--dataset_dir={digits}",
        *flags.split(),
    )
