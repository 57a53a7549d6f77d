"""From nothing to predictions, by the scripts alone."""

import csv
import json

import commands
import numpy as np
import pytest
import tensorflow as tf


def test_evaluates_each_image_once(trained, digits, tmp_path):
    said = commands.run(
        "eval_image_classifier",
        f"--checkpoint_path={trained}",
        f"--dataset_dir={digits}",
        "--dataset_split_name=validation",
        "--batch_size=100",
        f"--eval_json={tmp_path / 'eval.json'}",
    ).stdout
    found = json.loads((tmp_path / "eval.json").read_text())
    assert f"validation accuracy {found['accuracy']:.3f} (360 of 360 images)" in said
    assert found["num_images"] == 360
    assert found["step"] == 60
    assert found["accuracy"] > 0.8
    assert "moving averages" in said


def test_exports_and_predicts(trained, digits, tmp_path):
    said = commands.run(
        "export_inference_graph", f"--checkpoint_path={trained}", f"--output_dir={tmp_path}"
    ).stdout
    assert f"frozen_pb {tmp_path / 'lenet.pb'} largest difference" in said
    assert f"saved_model {tmp_path / 'saved_model' / '60'} largest difference" in said
    model = tf.saved_model.load(str(tmp_path / "saved_model" / "60"))
    pictures = sorted((digits / "samples").glob("*.png"))
    answer = model.signatures["serving_default"](
        image_bytes=tf.constant([path.read_bytes() for path in pictures])
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
    best = answer["probabilities"].numpy().max(axis=1)
    np.testing.assert_allclose([float(row["probability"]) for row in rows], best, rtol=1e-4)
    right = [row["class"] in row["file"] for row in rows]
    assert sum(right) >= 8


def test_the_frozen_graph_answers_by_slims_names(trained, digits, tmp_path):
    commands.run(
        "export_inference_graph",
        f"--checkpoint_path={trained}",
        f"--output_dir={tmp_path}",
        "--formats=frozen_pb",
    )
    graph_def = tf.compat.v1.GraphDef.FromString((tmp_path / "lenet.pb").read_bytes())
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        images = np.zeros([3, 28, 28, 1], np.float32)
        probabilities = session.run("Predictions/Reshape_1:0", {"input:0": images})
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.slow
def test_an_existing_version_is_not_overwritten(trained, tmp_path):
    flags = [f"--checkpoint_path={trained}", f"--output_dir={tmp_path}", "--formats=saved_model"]
    commands.run("export_inference_graph", *flags)
    failed = commands.run("export_inference_graph", *flags, code=2)
    assert failed.stderr.count("\n") == 1
    assert "saved_model/60 exists; remove it, or choose another output_dir" in failed.stderr


def test_a_picture_that_is_none_is_named(trained, digits, tmp_path):
    (tmp_path / "a.png").write_bytes((digits / "samples" / "7_seven.png").read_bytes())
    (tmp_path / "b.png").write_text("<html>404</html>")
    done = commands.run(
        "predict_image_classifier",
        f"--checkpoint_path={trained}",
        f"--images={tmp_path}",
        code=1,
    )
    assert "a.png: seven" in done.stdout
    assert "1 of 2 pictures cannot be decoded" in done.stderr
    assert "b.png" in done.stderr


@pytest.mark.parametrize(
    "flag, message",
    [
        ("--use_grayscale --dataset_split_name=train", "use_grayscale=True contradicts"),
        (
            "--model_name=cifarnet --dataset_split_name=train",
            "model_name='cifarnet' contradicts 'lenet' in model_info.json",
        ),
        ("--dataset_split_name=test", "Split 'test' not in"),
    ],
)
def test_a_flag_that_contradicts_the_run_is_refused(trained, digits, flag, message):
    failed = commands.run(
        "eval_image_classifier",
        f"--checkpoint_path={trained}",
        f"--dataset_dir={digits}",
        *flag.split(),
        code=2,
    )
    assert message in failed.stderr
    assert failed.stderr.count("\n") == 1
