"""Training, evaluation and prediction answer the same images alike, to the last bit."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import sources
from classifier.inference.model import InferenceModel
from classifier.inference.one_class import OneClassEvaluation
from classifier.inference.predict import predict
from classifier.inference.predictor import of_checkpoint

pytestmark = pytest.mark.slow
BATCH = 7  # does not divide the number of images: the last batch is padded


@pytest.fixture
def run(train, tmp_path):
    done = train(
        tmp_path / "run", batch_size=BATCH, max_number_of_steps=20, eval_every_steps=20,
        moving_average_decay=0.9,
    )  # fmt: skip
    assert done.code == 0, done.err
    return tmp_path / "run"


def test_evaluation_equals_that_of_training(run, evaluate, tmp_path):
    path = tmp_path / "e.json"
    done = evaluate(run, batch_size=BATCH, use_averages="both", eval_json=path)
    assert done.code == 0, done.err
    actual = json.loads(path.read_text())
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (trained,) = [line for line in map(json.loads, lines) if "eval_accuracy" in line]
    for field in dataclasses.fields(OneClassEvaluation):
        assert trained[f"eval_{field.name}"] == actual[field.name], field.name
    assert (trained["eval_raw_accuracy"], trained["eval_raw_loss"]) == (
        actual["raw_accuracy"], actual["raw_loss"],
    )  # fmt: skip


def test_prediction_equals_evaluation(run, evaluate, digits, tmp_path):
    path = tmp_path / "p.csv"
    evaluate(run, batch_size=BATCH, predictions_csv=path)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    (shard,) = digits.glob("digits_validation-*")
    files = []
    for number, raw in enumerate(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()):
        image = tf.train.Example.FromString(raw).features.feature["image/encoded"]
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(image.bytes_list.value[0])
    checkpoint = sources.open_checkpoint(str(run))
    classifier = InferenceModel(checkpoint.info, checkpoint)
    names = np.array(checkpoint.info.class_names)
    assert len(files) % BATCH
    answers = predict(of_checkpoint(classifier), list(map(str, files)), BATCH)
    for row, (_, outputs) in zip(rows, answers, strict=True):
        probabilities = outputs.probabilities
        best = np.argsort(-probabilities, kind="stable")[:5]
        for rank, place in enumerate(best, 1):
            assert row[f"class_{rank}"] == names[place]
            assert np.float32(row[f"probability_{rank}"]) == probabilities[place]
