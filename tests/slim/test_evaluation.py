"""Evaluation of one checkpoint and of each new one."""

import logging

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks, checkpoints, evaluation, learning, metrics
from tests.slim import tiny

METRICS = {"accuracy": metrics.Accuracy, "recall": lambda: metrics.RecallAtK(2)}


def eval_fn(images, labels):
    logits = tiny.network(images, is_training=False)
    return {"accuracy": (tf.argmax(logits, -1), labels), "recall": (logits, labels)}


def batches(size=10):
    return tiny.batches(size, 64, repeat=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Returns the directory of a run of 6 steps with averages and a checkpoint every 2 steps."""
    folder = tmp_path_factory.mktemp("run")
    op = tiny.train_op(moving_average_decay=0.5)
    learning.train(
        op,
        str(folder),
        tiny.batches(),
        number_of_steps=6,
        save_interval_secs=0,
        save_interval_steps=2,
    )
    return str(folder)


def by_hand(prefix, average=False):
    """Returns the accuracy over all images in one batch."""
    store = slim.VariableStore(seed=0)
    images, labels = tiny.arrays()
    with store.as_default():
        tiny.network(tf.constant(images), is_training=False)
    reader = checkpoints.read(prefix)
    for name, variable in store.named_variables.items():
        variable.assign(reader.get(f"{name}/ExponentialMovingAverage" if average else name))
    with store.as_default():
        logits = tiny.network(tf.constant(images), is_training=False)
    return float(np.mean(logits.numpy().argmax(-1) == labels))


def scalars(folder):
    """Returns (step, name, value) from the event files of a directory, in order of writing."""
    events = [
        tf.compat.v1.Event.FromString(record.numpy())
        for path in folder.glob("events*")
        for record in tf.data.TFRecordDataset(str(path))
    ]
    return [
        (event.step, value.tag, float(tf.make_ndarray(value.tensor)))
        for event in sorted(events, key=lambda event: event.wall_time)
        for value in event.summary.value
    ]


def test_each_example_counts_once_for_any_batch_size(run):
    results = [
        evaluation.evaluate_once(run, None, batches(size), eval_fn, METRICS) for size in (10, 64)
    ]
    assert results[0] == results[1]
    assert results[0]["accuracy"] == by_hand(checkpoints.find(run))
    assert results[0]["recall"] >= results[0]["accuracy"]


def test_a_named_checkpoint_is_evaluated(run):
    prefix = f"{run}/model.ckpt-2"
    results = evaluation.evaluate_once(prefix, None, batches(), eval_fn, METRICS)
    assert results["accuracy"] == by_hand(prefix)


def test_results_are_written_at_the_step_of_the_checkpoint(run, tmp_path):
    results = evaluation.evaluate_once(
        f"{run}/model.ckpt-4", tmp_path / "eval", batches(), eval_fn, METRICS
    )
    written = scalars(tmp_path / "eval")
    assert [(step, name) for step, name, _ in written] == [(4, "accuracy"), (4, "recall")]
    for _, name, value in written:
        assert value == pytest.approx(results[name])


def test_results_that_are_arrays_are_returned_and_not_written(run, tmp_path):
    def with_matrix(images, labels):
        answers = eval_fn(images, labels)
        classes = answers["accuracy"][0]
        return answers | {"matrix": (classes, labels, tf.ones_like(labels))}

    more = METRICS | {"matrix": lambda: metrics.ConfusionMatrix(5)}
    results = evaluation.evaluate_once(run, str(tmp_path), batches(), with_matrix, more)
    assert results["matrix"].sum() == 64
    assert {name for _, name, _ in scalars(tmp_path)} == set(METRICS)


def test_num_evals_limits_the_number_of_batches(run):
    images, labels = tiny.arrays()
    results = evaluation.evaluate_once(run, None, batches(8), eval_fn, METRICS, num_evals=2)
    first = tf.data.Dataset.from_tensors((images[:16], labels[:16]))
    assert results == evaluation.evaluate_once(run, None, first, eval_fn, METRICS)


def test_moving_averages_are_restored_by_their_names(run):
    def average(name):
        return f"{name}/ExponentialMovingAverage"

    results = evaluation.evaluate_once(
        run, None, batches(), eval_fn, METRICS, variables_to_restore=average
    )
    assert results["accuracy"] == by_hand(checkpoints.find(run), average=True)


def test_variables_renamed_to_none_are_not_restored(run):
    def extra(images, labels):
        with slim.variable_scope("more"):
            bias = slim.variable("bias", initializer=np.zeros(tiny.CLASSES, np.float32))
        logits = tiny.network(images, is_training=False) + bias
        return {"accuracy": (tf.argmax(logits, -1), labels)}

    arguments = (run, None, batches(), extra, {"accuracy": metrics.Accuracy})
    with pytest.raises(_checks.UserError, match="Missing: more/bias"):
        evaluation.evaluate_once(*arguments)
    results = evaluation.evaluate_once(
        *arguments, variables_to_restore=lambda name: None if name.startswith("more") else name
    )
    assert results["accuracy"] == by_hand(checkpoints.find(run))


def test_batches_may_be_dictionaries(run):
    named = batches().map(lambda images, labels: {"labels": labels, "images": images})
    by_name = evaluation.evaluate_once(run, None, named, eval_fn, METRICS)
    assert by_name == evaluation.evaluate_once(run, None, batches(), eval_fn, METRICS)


def test_eval_fn_with_other_keys_than_metrics_is_an_error(run):
    message = r"eval_fn returns \['accuracy', 'recall'\], but the metrics are \['accuracy'\]"
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate_once(run, None, batches(), eval_fn, {"accuracy": metrics.Accuracy})


def test_empty_dataset_is_an_error(run):
    with pytest.raises(ValueError, match="batches is empty"):
        evaluation.evaluate_once(run, None, batches().take(0), eval_fn, METRICS)


def test_directory_without_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(_checks.UserError, match="No checkpoint in"):
        evaluation.evaluate_once(str(tmp_path), None, batches(), eval_fn, METRICS)


def test_arguments_out_of_range_are_errors(run):
    with pytest.raises(_checks.UserError, match="num_evals=0 must be positive"):
        evaluation.evaluate_once(run, None, batches(), eval_fn, METRICS, num_evals=0)
    with pytest.raises(_checks.UserError, match="max_number_of_evaluations=0 must be positive"):
        evaluation.evaluation_loop(
            run, None, batches(), eval_fn, METRICS, max_number_of_evaluations=0
        )


def loop(folder, logdir=None, fn=eval_fn, **arguments):
    arguments = {"eval_interval_secs": 0, "timeout": 0, **arguments}
    return evaluation.evaluation_loop(str(folder), logdir, batches(), fn, METRICS, **arguments)


def copy(run, folder, step):
    """Copies a checkpoint of the run to a directory, as a trainer would save it."""
    reader = checkpoints.read(f"{run}/model.ckpt-{step}")
    tensors = {name: reader.get(name) for name in reader.variables()}
    return checkpoints.save(folder / f"model.ckpt-{step}", tensors)


def test_the_loop_evaluates_each_new_checkpoint_once(run, tmp_path):
    folder = tmp_path / "run"
    copy(run, folder, 2)
    steps = [6, 4]

    def more():
        if steps:
            copy(run, folder, steps.pop())
        return False

    results = loop(folder, tmp_path / "eval", timeout_fn=more, max_number_of_evaluations=3)
    assert results["accuracy"] == by_hand(f"{run}/model.ckpt-6")
    assert [step for step, name, _ in scalars(tmp_path / "eval") if name == "recall"] == [2, 4, 6]


def test_the_loop_ends_at_the_timeout(run, tmp_path):
    assert loop(tmp_path) is None
    assert loop(run)["accuracy"] == by_hand(f"{run}/model.ckpt-6")


def test_timeout_fn_ends_the_loop_when_true(tmp_path):
    answers = [False, False, True]
    assert loop(tmp_path, timeout_fn=lambda: answers.pop(0)) is None
    assert answers == []


def test_checkpoint_that_disappears_is_skipped_with_a_warning(run, tmp_path, caplog):
    folder = tmp_path / "run"
    copy(run, folder, 2)
    removed = []

    def fn(images, labels):
        # The first checkpoint is removed while the network is built, before it is read.
        if not removed:
            for path in sorted(folder.glob("model.ckpt-2*")):
                path.unlink()
                removed.append(path.name)
        return eval_fn(images, labels)

    def more():
        copy(run, folder, 4)
        return False

    with caplog.at_level(logging.WARNING):
        results = loop(folder, fn=fn, timeout_fn=more, max_number_of_evaluations=1)
    assert len(removed) == 2
    assert results["accuracy"] == by_hand(f"{run}/model.ckpt-4")
    assert "was removed before it could be read; continuing with the next" in caplog.text
