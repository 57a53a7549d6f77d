"""Evaluations of checkpoints in a plain graph: counts of batches, results, summaries and hooks."""

import os
import re

import pytest
import tensorflow as tf

from slim import evaluation, train_eval

v1 = tf.compat.v1
VALUE = 3.0


@pytest.fixture(autouse=True)
def _in_a_graph():
    with tf.Graph().as_default():
        yield


@pytest.fixture
def checkpoint(tmp_path):
    """Returns a checkpoint of the graph's variable, whose value is 3."""
    v1.get_variable("variable", [], initializer=v1.constant_initializer(VALUE))
    step = v1.train.get_or_create_global_step()
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        session.run(step.assign(7))
        return v1.train.Saver().save(session, str(tmp_path / "run" / "model.ckpt"), 7)


def count():
    """Returns (update, value) of a metric: the sum of the variable over the batches."""
    variable = v1.global_variables()[0]
    total = v1.get_variable(
        "total",
        [],
        initializer=v1.zeros_initializer(),
        trainable=False,
        collections=[v1.GraphKeys.LOCAL_VARIABLES],
    )
    return v1.assign_add(total, variable), tf.identity(total)


def summaries(directory):
    """Returns {tag: (step, value)} of a directory's event files."""
    return {
        value.tag: (event.step, value.simple_value)
        for name in os.listdir(directory)
        for event in v1.train.summary_iterator(os.path.join(directory, name))
        for value in event.summary.value
    }


@pytest.mark.parametrize("num_evals", [1, 5, 40])
def test_evaluate_once_runs_the_batches_and_returns_the_final_value(
    checkpoint, tmp_path, num_evals
):
    update, value = count()
    v1.summary.scalar("sum", value)
    result = evaluation.evaluate_once(
        "", checkpoint, str(tmp_path / "eval"), num_evals, eval_op=update, final_op=value
    )
    assert result == num_evals * VALUE
    assert summaries(tmp_path / "eval") == {"sum": (7, result)}


def test_the_values_of_dictionaries_may_be_evaluated(checkpoint, tmp_path):
    update, value = count()
    ops = {"eval_op": {"sum": update}.values(), "final_op": {"sum": value}.values()}
    results = evaluation.evaluate_once("", checkpoint, str(tmp_path / "eval"), 2, **ops)
    assert results == [2 * VALUE]


def test_without_an_eval_op_only_the_final_one_is_run(checkpoint, tmp_path):
    _, value = count()
    final = {"total": value + 1.0}
    results = evaluation.evaluate_once("", checkpoint, str(tmp_path), final_op=final)
    assert results == {"total": 1.0}


def test_feed_dicts_and_chosen_variables(checkpoint, tmp_path):
    update, value = count()
    fed = v1.placeholder(tf.float32)
    final = evaluation.evaluate_once(
        "",
        checkpoint,
        str(tmp_path),
        initial_op=v1.global_variables_initializer(),
        eval_op=[update, fed + 1.0],
        eval_op_feed_dict={fed: 1.0},
        final_op=value * fed,
        final_op_feed_dict={fed: 2.0},
        summary_op=None,
        variables_to_restore={each.op.name: each for each in v1.global_variables()},
    )
    assert final == 2 * VALUE


def test_evaluation_loop_evaluates_until_the_timeout(checkpoint, tmp_path):
    update, value = count()
    calls = []

    def timeout_fn():
        calls.append(1)
        return len(calls) == 2

    arguments = {"eval_op": update, "final_op": value, "eval_interval_secs": 0}
    run = os.path.dirname(checkpoint)
    result = evaluation.evaluation_loop(
        "", run, str(tmp_path), 2, timeout=0, timeout_fn=timeout_fn, **arguments
    )
    assert result == 2 * VALUE
    assert len(calls) == 2


def test_evaluate_repeatedly_stops_after_a_number_of_evaluations(checkpoint):
    update, value = count()
    hooks = [train_eval.StopAfterNEvalsHook(3)]
    arguments = {"eval_ops": {"update": update}, "final_ops": value, "hooks": hooks}
    run = os.path.dirname(checkpoint)
    result = train_eval.evaluate_repeatedly(run, max_number_of_evaluations=1, **arguments)
    assert result == 3 * VALUE
    assert len(hooks) == 1
    assert list(arguments["eval_ops"]) == ["update"]
    assert train_eval.evaluate_once(checkpoint, **arguments) == 3 * VALUE


def test_progress_is_logged_ten_times_of_many_batches(checkpoint, monkeypatch):
    lines = []
    monkeypatch.setattr(v1.logging, "info", lambda text, *values: lines.append(text % values))
    update, _ = count()
    for hook in (evaluation.StopAfterNEvalsHook(20), evaluation.StopAfterNEvalsHook(20, False)):
        train_eval.evaluate_once(checkpoint, eval_ops=update, hooks=[hook])
    progress = [line for line in lines if re.match(r"Evaluation \[", line)]
    assert progress == [f"Evaluation [{done}/20]" for done in range(2, 21, 2)]


def test_the_summary_hook_needs_a_directory_or_a_writer():
    with pytest.raises(ValueError, match="SummaryAtEndHook needs a log_dir or a summary_writer"):
        evaluation.SummaryAtEndHook()


def test_the_eval_step_is_one_local_variable():
    step = evaluation.get_or_create_eval_step()
    assert evaluation.get_or_create_eval_step() is step
    assert step in v1.local_variables()
    assert step not in v1.global_variables()
    v1.add_to_collection(v1.GraphKeys.EVAL_STEP, v1.get_variable("second", []))
    with pytest.raises(ValueError, match="EVAL_STEP has 2 variables, but must have one: eval_step"):
        evaluation.get_or_create_eval_step()


def test_batches_have_no_effect_in_a_graph(checkpoint, tmp_path):
    with pytest.raises(ValueError, match="evaluate_once has no argument 'eval_fn' in a tf.Graph"):
        evaluation.evaluate_once("", checkpoint, str(tmp_path), eval_fn=print)


def test_evaluation_in_an_open_session(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        value = tf.compat.v1.placeholder(tf.float32, [])
        mean, update = tf.compat.v1.metrics.mean(value)
        summary = tf.compat.v1.summary.scalar("mean", mean)
        writer = tf.compat.v1.summary.FileWriter(tmp_path)
        step = tf.compat.v1.train.create_global_step()
        session.run(step.initializer)
        with pytest.raises(ValueError, match="summary_op needs a summary_writer: pass tf.summary"):
            evaluation.evaluation(session, summary_op=summary)
        for number in (2.0, 4.0):
            result = evaluation.evaluation(
                session, 3, tf.compat.v1.local_variables_initializer() if number == 2 else None,
                eval_op={"mean": update}.values(), eval_op_feed_dict={value: number},
                final_op=mean, summary_op=summary, summary_writer=writer,
            )  # fmt: skip
        assert result == 3.0  # of 2, 2, 2, 4, 4, 4
        assert evaluation.evaluation(session) is None
    (file,) = tmp_path.iterdir()
    events = list(tf.compat.v1.train.summary_iterator(str(file)))
    scalars = [(event.step, v.simple_value) for event in events for v in event.summary.value]
    assert scalars == [(0, 2.0), (0, 3.0)]
