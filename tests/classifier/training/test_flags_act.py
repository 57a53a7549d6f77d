"""Effects of training options that no other test covers."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from classifier.run_directory import RunDirectory
from classifier.training import optimizers
from classifier.training import run as training
from classifier.training.batches import TrainingBatches
from classifier.training.hooks.make import make_hooks
from classifier.training.hooks.tensorboard import EventHook
from classifier.training.step import make_train_op
from datasets import dataset_factory
from slim import checkpoints, learning

# Option -> (value, options it depends on).
OPTIMIZER_OPTIONS = {
    "adadelta_rho": (0.5, {"optimizer": "adadelta"}),
    "adagrad_initial_accumulator_value": (0.7, {"optimizer": "adagrad"}),
    "adam_beta1": (0.5, {"optimizer": "adam"}),
    "adam_beta2": (0.5, {"optimizer": "adam"}),
    "opt_epsilon": (0.1, {"optimizer": "rmsprop"}),
    "ftrl_learning_rate_power": (-0.3, {"optimizer": "ftrl"}),
    "ftrl_initial_accumulator_value": (0.7, {"optimizer": "ftrl"}),
    "ftrl_l1": (0.1, {"optimizer": "ftrl"}),
    "ftrl_l2": (0.1, {"optimizer": "ftrl"}),
    "momentum": (0.5, {"optimizer": "momentum"}),
    "rmsprop_momentum": (0.5, {"optimizer": "rmsprop"}),
    "rmsprop_decay": (0.5, {"optimizer": "rmsprop"}),
    "adamw_epsilon": (0.1, {"optimizer": "adamw"}),
    "optimizer_weight_decay": (0.5, {"optimizer": "adamw"}),
    "lion_beta1": (0.1, {"optimizer": "lion"}),
    "lion_beta2": (0.1, {"optimizer": "lion"}),
    "muon_momentum": (0.5, {"optimizer": "muon"}),
    "adafactor_beta2_decay": (-0.4, {"optimizer": "adafactor"}),
    "adafactor_clip_threshold": (0.1, {"optimizer": "adafactor"}),
}


def updated(config):
    """Returns a matrix after some updates of the configured optimizer."""
    optimizer = optimizers.make_optimizer(config.optimizer, 0.1)
    store, random = slim.VariableStore(seed=0), np.random.RandomState(0)
    store.build(lambda: slim.variable("scope/weights", [3, 4], initializer=tf.ones_initializer()))
    variables = store.named_variables
    optimizer.build(store, dict(variables))
    for _ in range(6):
        gradient = tf.constant(random.standard_normal([3, 4]), tf.float32)
        optimizer.apply(store, {"scope/weights": gradient}, tf.constant(0.1))
    return store.named_variable("scope/weights").numpy()


@pytest.mark.parametrize("name", OPTIMIZER_OPTIONS)
def test_an_option_of_an_optimizer_changes_its_updates(resolved, name):
    value, others = OPTIMIZER_OPTIONS[name]
    plain, changed = resolved(**others), resolved(**others, **{name: value})
    assert np.abs(updated(plain.config) - updated(changed.config)).max() > 1e-4


STEP = {
    "weight_decay": 0.5,
    "label_smoothing": 0.3,
    "clip_gradient_norm": 0.001,
}


def values_after_two_steps(run):
    op = make_train_op(run, tf.distribute.get_strategy())
    random = np.random.RandomState(0)
    batch = {
        "image": tf.constant(random.uniform(-1, 1, [4, 28, 28, 1]), tf.float32),
        "label": tf.constant([1, 5, 9, 0], tf.int64),
    }
    batches = tf.data.Dataset.from_tensors(batch).repeat()
    op.build(batches.element_spec)
    op.run(iter(batches), 2)
    return {name: variable.numpy() for name, variable in op.store.named_variables.items()}


@pytest.mark.slow
def test_an_option_of_the_step_changes_the_weights(resolved):
    plain = values_after_two_steps(resolved())
    for name, value in STEP.items():
        changed = values_after_two_steps(resolved(**{name: value}))
        weights = "LeNet/conv1/weights"
        assert np.abs(plain[weights] - changed[weights]).max() > 1e-6, name


def test_moving_average_decay_changes_the_averages(resolved, trained):
    name = "LeNet/conv1/weights"
    assert (
        f"{name}/ExponentialMovingAverage"
        not in checkpoints.read(checkpoints.find(trained)).variables()
    )
    both = [values_after_two_steps(resolved(moving_average_decay=decay)) for decay in (0.01, 0.1)]
    distances = [np.abs(each[f"{name}/ExponentialMovingAverage"] - each[name]).max()
                 for each in both]  # fmt: skip
    # After two steps of size s, the averages are about decay * s away.
    assert 0 < 5 * distances[0] < distances[1]


@pytest.mark.slow
def test_batches_depend_on_split_seed_and_preprocessing(resolved):
    def batch(**values):
        run = resolved(batch_size=4, **values)
        data = run.config.data
        dataset = dataset_factory.get_dataset("digits", data.dataset_split_name, data.dataset_dir)
        return next(iter(TrainingBatches(run, dataset)(0)))["image"].numpy()

    plain = batch()
    np.testing.assert_array_equal(plain, batch())
    for other in ({"dataset_split_name": "validation"}, {"seed": 1}):
        assert not np.array_equal(plain, batch(**other))
    other = batch(train_image_size=(20, 24), preprocessing_name="cifarnet")
    assert other.shape == (4, 20, 24, 1)
    # CifarNet's images have unit variance, LeNet's are in [-1, 1].
    assert other.max() > 1.001 >= plain.max()


def test_options_are_passed_to_the_training_loop(resolved, monkeypatch):
    """Their effect is tested in tests/slim."""
    flags = {
        "steps_per_loop": 7,
        "save_interval_secs": 8,
        "max_to_keep": 9,
        "keep_checkpoint_every_n_hours": 0.5,
    }
    received = {}
    monkeypatch.setattr(learning, "train", lambda *_, **arguments: received.update(arguments))
    assert training.run(resolved(**flags).config) is None
    assert {name: received[name] for name in flags} == flags


def test_zero_seconds_disable_summaries(resolved, tmp_path):
    for seconds, expected in ((0, False), (600, True)):
        run = resolved(save_summaries_secs=seconds)
        dataset = dataset_factory.get_dataset("digits", "train", run.config.data.dataset_dir)
        hooks = make_hooks(run, RunDirectory(str(tmp_path)), TrainingBatches(run, dataset))
        assert any(isinstance(hook, EventHook) for hook in hooks) is expected


def test_learning_rate_decay_factor(resolved):
    def rate(**values):
        run = resolved(learning_rate_decay_type="exponential", decay_steps=1, **values)
        rate_at = optimizers.make_learning_rate(run.schedule)
        return float(rate_at(tf.constant(1, tf.int64)))

    assert rate(learning_rate_decay_factor=0.5) == pytest.approx(0.005)
    assert rate(learning_rate_decay_factor=0.25) == pytest.approx(0.0025)
