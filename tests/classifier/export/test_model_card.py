"""The model card: what Hugging Face reads of it, and where its numbers come from."""

import json

import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import keras_weights
from classifier.config import options
from classifier.config.export import ExportConfig
from classifier.export import model_card
from classifier.run_directory import RunDirectory
from slim import _checks, checkpoints
from slim.moving_averages import average_name
from tests.classifier.export.test_formats import NAMES, classifier_of, export_to, make_run
from tests.conformance import builds

EVALUATION = {"accuracy": 0.9, "recall_at_k": 0.99, "k": 5, "macro_recall": 0.89, "loss": 0.3}
EVALUATION |= {"num_images": 360, "step": 7, "split": "test", "checkpoint": "model.ckpt-7"}


@pytest.fixture
def run(tmp_path):
    """A run that says its step, its data and two evaluations."""
    directory = make_run(tmp_path / "run", dataset_name="digits")
    variables = {"global_step": tf.Variable(7, dtype=tf.int64)}
    variables |= classifier_of(directory).store.named_variables
    checkpoints.save(directory / "model.ckpt-7", variables)
    data = tmp_path / "data"
    data.mkdir()
    about = {"attribution": "E. Alpaydin and C. Kaynak", "source": "UCI"}
    (data / "dataset_info.json").write_text(json.dumps(about))
    config = {
        "eval_split_name": "held_out",
        "dataset_split_name": "train",
        "dataset_dir": str(data),
    }
    RunDirectory(str(directory)).write_config({"options": config})
    lines = [{"step": 7, "loss": 0.1}]
    for step, accuracy in ((6, 0.5), (7, 0.75), (8, 0.25)):
        values = EVALUATION | {"accuracy": accuracy, "macro_recall": float("nan"), "step": step}
        lines.append({(k if k == "step" else f"eval_{k}"): v for k, v in values.items()})
    (directory / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return directory


def card(directory):
    """Returns the front matter as YAML has it, and the text."""
    yaml = pytest.importorskip("yaml")
    _, front, text = (directory / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def test_the_card_of_a_run_that_evaluated_itself(run, tmp_path, capsys):
    export_to(tmp_path / "out", run, "frozen_pb", "saved_model", license="Apache-2.0")
    front, text = card(tmp_path / "out")
    metrics = [
        {"type": "accuracy", "value": 0.75},
        {"type": "recall_at_5", "value": 0.99},
        {"type": "loss", "value": 0.3},
    ]
    dataset = {"name": "digits", "type": "digits", "split": "held_out"}
    task = {"type": "image-classification"}
    assert front == {
        "license": "apache-2.0",
        "library_name": "tensorflow",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "tf-slim", "lenet"],
        "datasets": ["digits"],
        "metrics": ["accuracy", "recall_at_5", "loss"],
        "model-index": [
            {
                "name": "lenet",
                "results": [{"task": task, "dataset": dataset, "metrics": metrics}],
            }
        ],
    }
    for line in (
        "An image classifier with 10 classes: the weights of step 7.",
        "Trained on `digits`, split `train`.\nBy: E. Alpaydin and C. Kaynak\nFrom: UCI\n",
        "On all 360 images of the split `held_out`:",
        "| accuracy | 0.7500 |",
        "28x28 pixels, 1 channel; values -1 to 0.992.",
        f"0. {NAMES[0]}\n",
        "| frozen_pb | `lenet.pb` | ",
        "| saved_model | `saved_model/7` | ",
        'open("lenet.pb", "rb")',
        'tf.saved_model.load("saved_model/7")',
    ):
        assert line in text, line
    assert f"model card {tmp_path / 'out' / 'README.md'}" in capsys.readouterr().out


@pytest.mark.parametrize("decay", [None, 0.9])
def test_card_says_whether_moving_averages_are_exported(tmp_path, capsys, decay):
    run = make_run(tmp_path / "run", moving_average_decay=decay)
    variables = builds.shared_network("lenet").store.named_variables
    averages = {average_name(name): tf.Variable(each + 1) for name, each in variables.items()}
    checkpoints.save(run / "model.ckpt-7", variables | averages)
    export_to(tmp_path / "out", run, "weights_h5")
    file = keras_weights.WeightsFile(tmp_path / "out" / "lenet.weights.h5")
    for name, variable in variables.items():
        np.testing.assert_array_equal(file.get(name), variable + (decay is not None))
    kind = "the moving averages of the weights" if decay else "the weights"
    sentence = f"An image classifier with 10 classes: {kind}"
    assert f"lenet {run / 'model.ckpt-7'} {sentence}" in capsys.readouterr().out
    assert f"{sentence}.\n" in (tmp_path / "out" / "README.md").read_text()


def test_hugging_face_parses_the_card(run, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    export_to(tmp_path / "out", run, "frozen_pb")
    data = hub.ModelCard.load(tmp_path / "out" / "README.md").data
    assert (data.license, data.library_name) == ("unknown", "tensorflow")
    assert {each.metric_type: each.metric_value for each in data.eval_results} == {
        "accuracy": 0.75,
        "recall_at_5": 0.99,
        "loss": 0.3,
    }
    assert {each.dataset_split for each in data.eval_results} == {"held_out"}


def test_card_of_a_checkpoint_without_run_files(tmp_path):
    run = make_run(tmp_path / "run", label_names=("a", "b: c", *map(str, range(8))))
    export_to(tmp_path / "out", run, "frozen_pb")
    front, text = card(tmp_path / "out")
    assert "model-index" not in front
    assert "datasets" not in front
    assert "Trained on `unknown`." in text
    assert "Not evaluated." in text


@pytest.mark.parametrize("place", ["run", "copied/run"])
def test_an_evaluation_by_the_script_comes_first(run, tmp_path, capsys, place):
    path = tmp_path / "eval.json"
    evaluated = tmp_path / place / "model.ckpt-7"
    path.write_text(json.dumps(EVALUATION | {"checkpoint": str(evaluated)}))
    export_to(tmp_path / "out", run, "frozen_pb", eval_json=str(path))
    warning = f"warning: --eval_json={str(path)!r} is of {evaluated}: the model card shows"
    assert (warning in capsys.readouterr().out) == (place != "run")
    front, _ = card(tmp_path / "out")
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["split"] == "test"
    assert result["metrics"][0] == {"type": "accuracy", "value": 0.9}


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "eval.json' is not a file written by eval_image_classifier.py"),
        ({"accuracy": 1.0}, "is not a file written by eval_image_classifier.py"),
        (
            EVALUATION | {"checkpoint": "/else/net.ckpt"},
            "is of /else/net.ckpt, not of the checkpoint .*/run/model.ckpt-7. Evaluate the",
        ),
        (EVALUATION | {"step": 6}, "is of step 6, the checkpoint of step 7. Evaluate the"),
    ],
)
def test_eval_json_of_another_checkpoint_is_an_error_before_anything_is_written(
    run, tmp_path, content, message
):
    path = tmp_path / "eval.json"
    if content is not None:
        path.write_text(json.dumps(content))
    with pytest.raises(_checks.UserError, match=message):
        export_to(tmp_path / "out", run, "frozen_pb", eval_json=str(path))
    assert not (tmp_path / "out").exists()


def test_best_checkpoint_has_the_metrics_of_its_run(run):
    best = run / "best"
    best.mkdir()
    for place in (best, f"{best}/", best / "model.ckpt-7"):
        directory = RunDirectory.of_checkpoint(str(place))
        prefix = str(best / "model.ckpt-7")
        assert model_card.find_evaluation(None, directory, prefix, 7).metrics["accuracy"] == 0.75
        assert model_card.find_evaluation(None, directory, prefix, 5) is None


@pytest.mark.slow
def test_card_edited_by_hand_is_not_overwritten(run, tmp_path, capsys):
    out = tmp_path / "out"
    export_to(out, run, "frozen_pb")
    first = (out / "README.md").read_text()
    export_to(out, run, "frozen_pb", license="mit")
    assert (out / "README.md").read_text() == first.replace("unknown", "mit", 1)
    (out / "README.md").write_text("mine")
    export_to(out, run, "frozen_pb")
    assert (out / "README.md").read_text() == "mine"
    assert "model card not overwritten (edited by hand)" in capsys.readouterr().out


def test_list_of_classes_is_truncated():
    text = model_card._classes(tuple(f"thing {index}" for index in range(1001)))
    assert "99. thing 99\n\n... and 901 more: see `labels.txt`." in text
    assert "thing 100" not in text


@pytest.mark.parametrize("name", ["two words", "", "(c)"])
def test_invalid_license_is_an_error(name):
    with pytest.raises(
        _checks.UserError, match="license='.*' is not a license identifier such as apache"
    ):
        options.build(ExportConfig, checkpoint_path="r", output_dir="o", license=name)


@pytest.mark.parametrize("name", ["license", "eval_json"])
def test_card_options_need_a_checkpoint(name):
    with pytest.raises(_checks.UserError, match=f"{name} needs checkpoint_path"):
        options.build(ExportConfig, output_file="f", **{name: "mit"})


def test_the_card_has_no_path_of_this_machine(run, tmp_path):
    about = {"attribution": "me", "source": f"{tmp_path}/my_images/"}
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps(about))
    text = "\n".join(model_card._data("folder", RunDirectory(str(run))))
    assert "From: my_images" in text
    assert str(tmp_path) not in text
