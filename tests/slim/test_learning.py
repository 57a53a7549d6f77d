"""The training loop: resuming, saving, stopping, hooks, and the end of the data."""

import os
import signal

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks, checkpoints, learning, run_input
from tests.slim import tiny


def train(logdir, steps, op=None, batches=None, **arguments):
    """Trains the tiny network; no checkpoint is saved by time."""
    arguments = {"save_interval_secs": 0, **arguments}
    op = op or tiny.shared_op()
    return learning.train(
        op, str(logdir), batches or tiny.batches(), number_of_steps=steps, **arguments
    )


def steps_on_disk(logdir):
    return checkpoints.Checkpoints(logdir).all_steps()


def saved_values(logdir):
    reader = checkpoints.read(checkpoints.find(logdir))
    return {name: reader.get(name) for name in reader.variables()}


def assert_equal_runs(one, other):
    values, expected = saved_values(one), saved_values(other)
    assert list(values) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(values[name], value, err_msg=name)


class Recorder(learning.Hook):
    """A hook that logs its calls and may act after a step."""

    def __init__(self, name="", log=None, after=None):
        self.name, self.log, self.after = name, [] if log is None else log, after or {}

    def begin(self, run):
        self.log.append((self.name, "begin", run.step))

    def after_steps(self, run, numbers):
        self.log.append((self.name, "steps", run.step))
        for step, act in self.after.items():
            if run.step == step:
                act(run)

    def after_save(self, run, prefix):
        self.log.append((self.name, "save", os.path.basename(prefix)))

    def end(self, run):
        self.log.append((self.name, "end", run.step))


def terminate(run):
    os.kill(os.getpid(), signal.SIGTERM)


def test_the_loss_falls_and_the_last_one_is_returned(tmp_path):
    losses = []
    hook = learning.Hook()
    hook.after_steps = lambda run, numbers: losses.extend(numbers["loss"].tolist())
    last = train(tmp_path, 80, hooks=[hook])
    assert len(losses) == 80
    assert last == losses[-1]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    assert steps_on_disk(tmp_path) == [80]


def full_op():
    """Dropout, batch norm, Adam, averages and a schedule: everything that has a state."""
    rate = tf.keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.5)
    optimizer = slim.optimizers.Adam(learning_rate=rate)
    return tiny.train_op(
        tiny.loss_with_dropout, optimizer=optimizer, moving_average_decay=0.9, seed=5
    )


@pytest.mark.parametrize("by_function", [False, True], ids=["skipped", "from_step"])
def test_resumed_run_is_bit_identical_to_an_uninterrupted_one(tmp_path, by_function):
    for steps in (4, 5, 11):
        # A new dataset each time and once a new training step, as in another process.
        batches = (lambda step: tiny.batches().skip(step)) if by_function else tiny.batches()
        op = full_op() if steps == 11 and not by_function else tiny.shared_op(full_op)
        train(tmp_path / "resumed", steps, op, batches)
    train(tmp_path / "uninterrupted", 11, tiny.shared_op(full_op), tiny.batches())
    assert_equal_runs(tmp_path / "resumed", tmp_path / "uninterrupted")
    assert saved_values(tmp_path / "uninterrupted")["global_step"] == 11


@pytest.mark.parametrize(
    "steps, steps_per_loop, ends", [(9, 4, [4, 8, 9]), (4, 100, [4])], ids=["4", "100"]
)
def test_several_steps_per_loop_are_bit_identical_to_single_steps(
    tmp_path, steps, steps_per_loop, ends
):
    loss = train(tmp_path / "single", steps, tiny.shared_op(full_op))
    recorder = Recorder()
    arguments = {"steps_per_loop": steps_per_loop, "hooks": [recorder]}
    assert train(tmp_path / "loop", steps, tiny.shared_op(full_op), **arguments) == loss
    assert_equal_runs(tmp_path / "loop", tmp_path / "single")
    assert [step for _, event, step in recorder.log if event == "steps"] == ends


def test_resuming_a_finished_run_takes_no_step_and_saves_nothing(tmp_path):
    train(tmp_path, 3)
    before = saved_values(tmp_path)
    written = os.stat(tmp_path / "model.ckpt-3.index").st_mtime_ns
    recorder = Recorder()
    assert np.isnan(train(tmp_path, 3, hooks=[recorder]))
    assert os.stat(tmp_path / "model.ckpt-3.index").st_mtime_ns == written
    assert before["global_step"] == 3
    assert [event for _, event, _ in recorder.log] == ["begin", "end"]


def test_hooks_are_called_in_order_and_ended_in_reverse_order(tmp_path):
    log = []
    hooks = [Recorder("a", log), Recorder("b", log)]
    train(tmp_path, 2, save_interval_steps=1, hooks=hooks)
    assert log == [
        ("a", "begin", 0),
        ("b", "begin", 0),
        ("a", "steps", 1),
        ("b", "steps", 1),
        ("a", "save", "model.ckpt-1"),
        ("b", "save", "model.ckpt-1"),
        ("a", "steps", 2),
        ("b", "steps", 2),
        ("a", "save", "model.ckpt-2"),
        ("b", "save", "model.ckpt-2"),
        ("b", "end", 2),
        ("a", "end", 2),
    ]


def test_hooks_see_the_checkpoint_that_the_run_resumes_from(tmp_path):
    runs = []
    hook = learning.Hook()
    hook.begin = lambda run: runs.append((run.step, run.number_of_steps, run.restored))
    train(tmp_path, 2, hooks=[hook])
    train(tmp_path, 4, hooks=[hook])
    assert runs[0] == (0, 2, None)
    assert runs[1][:2] == (2, 4)
    assert runs[1][2].step == 2


def test_all_hooks_end_when_one_fails(tmp_path):
    def fail(run):
        raise OSError("disk on fire")

    recorder = Recorder("first")
    with pytest.raises(OSError, match="disk on fire"):
        train(tmp_path, 5, hooks=[recorder, Recorder(after={2: fail})])
    assert recorder.log[-1] == ("first", "end", 2)
    # The directory is unlocked.
    train(tmp_path, 1)


def test_saves_every_save_interval_steps_and_at_the_end(tmp_path):
    recorder = Recorder()
    train(tmp_path, 10, save_interval_steps=4, hooks=[recorder])
    saves = [name for _, event, name in recorder.log if event == "save"]
    assert saves == ["model.ckpt-4", "model.ckpt-8", "model.ckpt-10"]


def test_saves_after_the_loop_that_passes_a_save_step(tmp_path):
    train(tmp_path, 20, save_interval_steps=5, steps_per_loop=4, max_to_keep=None)
    assert steps_on_disk(tmp_path) == [8, 12, 16, 20]


def test_saves_every_save_interval_secs(tmp_path):
    now = [0.0]
    hook = learning.Hook()

    def tick(run, numbers):
        now[0] += 10.0

    hook.after_steps = tick
    train(tmp_path, 10, save_interval_secs=25, clock=lambda: now[0], hooks=[hook], max_to_keep=None)
    assert steps_on_disk(tmp_path) == [3, 6, 9, 10]


def test_checkpoints_beyond_max_to_keep_are_removed(tmp_path):
    train(tmp_path, 6, save_interval_steps=1, max_to_keep=2)
    assert steps_on_disk(tmp_path) == [5, 6]


def test_checkpoint_holds_slots_and_averages_under_tf_slims_names(tmp_path):
    train(tmp_path, 1, tiny.train_op(moving_average_decay=0.9))
    names = set(saved_values(tmp_path))
    assert {
        "global_step",
        "tiny/hidden/weights",
        "tiny/hidden/weights/Momentum",
        "tiny/hidden/weights/ExponentialMovingAverage",
        "tiny/norm/moving_mean/ExponentialMovingAverage",
    } <= names
    assert "tiny/norm/moving_mean/Momentum" not in names


def test_init_fn_runs_only_in_a_new_run_and_before_the_averages(tmp_path):
    calls = []

    def constant_op():
        return tiny.train_op(rate=0.0, moving_average_decay=0.9)

    def run(steps):
        op = tiny.shared_op(constant_op)

        def init():
            calls.append(steps)
            weights = op.store.named_variable("tiny/logits/weights")
            weights.assign(tf.fill(weights.shape, 7.0))

        train(tmp_path, steps, op, init_fn=init)

    run(1)
    run(2)
    assert calls == [1]
    values = saved_values(tmp_path)
    for name in ("tiny/logits/weights", "tiny/logits/weights/ExponentialMovingAverage"):
        np.testing.assert_array_equal(values[name], np.full([8, 3], 7.0, np.float32))


def test_end_of_the_data_saves_and_ends_the_run(tmp_path):
    recorder = Recorder()
    loss = train(tmp_path, 100, batches=tiny.batches(16, 64, repeat=False), hooks=[recorder])
    assert np.isfinite(loss)
    assert steps_on_disk(tmp_path) == [4]
    assert recorder.log[-1] == ("", "end", 4)


def test_run_without_a_number_of_steps_ends_with_the_data(tmp_path):
    train(tmp_path, None, batches=tiny.batches(16, 40, repeat=False))
    assert steps_on_disk(tmp_path) == [3]


def test_end_of_the_data_within_a_loop(tmp_path):
    recorder = Recorder()
    batches = tiny.batches(16, 96, repeat=False)
    train(tmp_path / "loop", 100, batches=batches, steps_per_loop=4, hooks=[recorder])
    train(tmp_path / "single", 100, batches=batches)
    assert steps_on_disk(tmp_path / "loop") == [6]
    assert_equal_runs(tmp_path / "loop", tmp_path / "single")


def batches_with_nan(at):
    """Returns batches of which number `at` (from 0) is NaN."""

    def spoil(number, batch):
        images, labels = batch
        return tf.where(number == at, images * np.float32("nan"), images), labels

    return tiny.batches().enumerate().map(spoil)


@pytest.mark.parametrize(
    "steps_per_loop, save_interval_steps, saved", [(1, 4, [4]), (4, 4, [4]), (4, 6, [])]
)
def test_nan_loss_stops_the_run_with_its_step_and_saves_nothing_after_it(
    tmp_path, steps_per_loop, save_interval_steps, saved
):
    recorder = Recorder()
    message = (
        r"(loss|gradient_norm) is nan at step 6 \(learning rate 0.1, loss .*, loss before [\d.]+\)"
    )
    with pytest.raises(learning.NonFiniteError, match=message) as error:
        train(
            tmp_path, 20, batches=batches_with_nan(5), save_interval_steps=save_interval_steps,
            steps_per_loop=steps_per_loop, hooks=[recorder],
        )  # fmt: skip
    assert error.value.step == 5
    assert isinstance(error.value, _checks.RunError)
    assert "Earlier checkpoints are intact" in str(error.value)
    assert steps_on_disk(tmp_path) == saved
    assert recorder.log[-1][1] == "end"


def test_infinite_loss_at_the_first_step_stops_the_run(tmp_path):
    def loss(images, labels):
        return tf.reduce_mean(tiny.network(images)) * np.float32("inf")

    message = r"loss is -?(inf|nan) at step 1 \(learning rate 0.1, loss -?(inf|nan)\)\. Earlier"
    with pytest.raises(learning.NonFiniteError, match=message):
        train(tmp_path, 5, tiny.train_op(loss))
    assert steps_on_disk(tmp_path) == []


def test_nan_gradient_with_a_finite_loss_stops_the_run(tmp_path):
    def loss(images, labels):
        # The slope of the square root at 0 is infinite, its value is finite.
        logits = tiny.network(images)
        return tf.reduce_mean(tf.sqrt(tf.abs(logits - tf.stop_gradient(logits))))

    with pytest.raises(learning.NonFiniteError, match="gradient_norm is (nan|inf) at step 1 "):
        train(tmp_path, 5, tiny.train_op(loss))
    assert steps_on_disk(tmp_path) == []


def test_error_names_the_first_non_finite_step_before_the_loss_is_nan(tmp_path):
    def loss(images, labels):
        logits = tiny.network(images)
        # For images of 0 the value is 0 and its slope is NaN.
        return tf.reduce_mean(tf.sqrt(tf.abs(logits * tf.reduce_max(tf.abs(images)))))

    def blank(number, batch):
        return tf.where(number == 2, tf.zeros_like(batch[0]), batch[0]), batch[1]

    batches = tiny.batches().enumerate().map(blank)
    message = r"gradient_norm is nan at step 3 \(learning rate 0.1, loss 0, loss before [\d.]+\)"
    with pytest.raises(learning.NonFiniteError, match=message):
        train(tmp_path, 20, tiny.train_op(loss), batches=batches, steps_per_loop=4)


def test_nan_before_the_end_of_the_data_within_a_loop_is_not_saved(tmp_path):
    batches = batches_with_nan(5).take(6)
    message = "weights is not finite at step 6, where the data ended; it was still finite at step 4"
    with pytest.raises(learning.NonFiniteError, match=message):
        train(tmp_path, 100, batches=batches, steps_per_loop=4, save_interval_steps=4)
    assert steps_on_disk(tmp_path) == [4]


def test_resume_after_sigterm_is_bit_identical(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    recorder = Recorder(after={4: terminate})
    with pytest.raises(learning.Preempted, match="stopped by SIGTERM at step 4, which is saved"):
        train(tmp_path / "stopped", 9, tiny.shared_op(full_op), hooks=[recorder])
    assert recorder.log[-2:] == [("", "save", "model.ckpt-4"), ("", "end", 4)]
    assert signal.getsignal(signal.SIGTERM) is before
    train(tmp_path / "stopped", 9, tiny.shared_op(full_op))
    train(tmp_path / "uninterrupted", 9, tiny.shared_op(full_op))
    assert_equal_runs(tmp_path / "stopped", tmp_path / "uninterrupted")


def test_sigterm_at_the_last_step_ends_the_run_as_usual(tmp_path):
    assert np.isfinite(train(tmp_path, 3, hooks=[Recorder(after={3: terminate})]))
    assert steps_on_disk(tmp_path) == [3]


def test_second_trainer_of_a_directory_is_an_error(tmp_path):
    message = f"{tmp_path} is in use by process {os.getpid()}"

    def start_another(run):
        with pytest.raises(_checks.UserError, match=message):
            train(tmp_path, 5, tiny.train_op())

    train(tmp_path, 2, hooks=[Recorder(after={1: start_another})])


def test_unreadable_checkpoints_are_an_error_and_not_overwritten(tmp_path):
    train(tmp_path, 2)
    (tmp_path / "model.ckpt-2.index").write_bytes(b"nonsense")
    with pytest.raises(_checks.RunError, match=r"None of 1 checkpoint\(s\) in .* is readable"):
        train(tmp_path, 4)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"steps": 0}, "number_of_steps=0 must be positive"),
        ({"steps": 1, "steps_per_loop": 0}, "steps_per_loop=0 must be positive"),
        ({"steps": 1, "save_interval_secs": -1}, "save_interval_secs=-1 must not be negative"),
        ({"steps": 1, "save_interval_steps": -1}, "save_interval_steps=-1 must not be negative"),
        ({"steps": 1, "max_to_keep": -1}, "max_to_keep=-1 must not be negative"),
    ],
)
def test_arguments_out_of_range_are_errors(tmp_path, arguments, message):
    with pytest.raises(_checks.UserError, match=message):
        train(tmp_path, **arguments)
    assert not any(name.startswith("model") for name in os.listdir(tmp_path))


def test_two_replicas_resume(tmp_path, mirrored):
    def make():
        return tiny.train_op(strategy=mirrored)

    for steps in (3, 6):
        train(tmp_path / "resumed", steps, tiny.shared_op(make))
    train(tmp_path / "uninterrupted", 6, tiny.shared_op(make))
    expected = saved_values(tmp_path / "uninterrupted")
    for name, value in saved_values(tmp_path / "resumed").items():
        # The checkpoint holds the mean of the replicas' moving statistics, which rounds.
        tolerance = 1e-6 if "norm/moving" in name else 0.0
        np.testing.assert_allclose(value, expected[name], rtol=tolerance, err_msg=name)


@pytest.mark.parametrize("steps_per_loop, traces", [(1, 1), (2, 2)])
def test_a_run_traces_its_step_once_and_opens_its_batches_once(
    tmp_path, monkeypatch, steps_per_loop, traces
):
    traced, opened, opener = [], [], run_input.RunInput._opened

    def loss(images, labels):
        traced.append(1)
        return tiny.loss_fn(images, labels)

    monkeypatch.setattr(
        run_input.RunInput, "_opened", lambda *args: opened.append(1) or opener(*args)
    )
    op = tiny.train_op(loss, trace_once=True)
    train(tmp_path, 4, op, steps_per_loop=steps_per_loop)
    assert len(traced) == traces, "a loop has the step before it and the step in it"
    assert opened == [1]


def test_batches_are_created_once_by_a_run(tmp_path):
    steps = []

    def batches(step):
        steps.append(step)
        return tiny.batches().skip(step)

    for number_of_steps, expected in ((2, [0]), (2, [2]), (3, [2])):
        steps.clear()
        train(tmp_path, number_of_steps, batches=batches)
        assert steps == expected
    (tmp_path / "model.ckpt-3.data-00000-of-00001").write_bytes(b"damaged")
    steps.clear()
    train(tmp_path, 4, batches=batches)
    assert steps == [3, 2], "the specs of the newest checkpoint's, then the batches of the restored"
