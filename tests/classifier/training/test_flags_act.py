"""Options of training that no other test changes: each changes what a run does."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from classifier.config import options as options_lib
from classifier.config.training import TrainConfig
from classifier.resolve.training import training_run
from classifier.run_directory import RunDirectory
from classifier.training import optimizers
from classifier.training import run as training
from classifier.training.batches import TrainingBatches
from classifier.training.hooks.make import make_hooks
from classifier.training.hooks.tensorboard import EventHook
from classifier.training.step import make_train_op
from datasets import dataset_factory
from slim import learning


@pytest.fixture
def resolved(digits, tmp_path):
    """Returns runs of LeNet on the digits, by their options."""

    def resolve(**values):
        given = {"train_dir": str(tmp_path), "dataset_name": "digits", "dataset_dir": str(digits)}
        given |= {"model_name": "lenet", "batch_size": 4, "max_number_of_steps": 2}
        return training_run(options_lib.build(TrainConfig, **given | values))

    return resolve


# Option -> its value, and the options it acts with.
NUMBERS = {
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
    """Returns a matrix after some updates of the optimizer that the options ask for."""
    optimizer = optimizers.make_optimizer(config.optimizer, 0.1)
    store, random = slim.VariableStore(seed=0), np.random.RandomState(0)
    store.build(lambda: slim.variable("scope/weights", [3, 4], initializer=tf.ones_initializer()))
    variables = store.named_variables
    optimizer.build(store, dict(variables))
    for _ in range(6):
        gradient = tf.constant(random.standard_normal([3, 4]), tf.float32)
        optimizer.apply(store, {"scope/weights": gradient}, tf.constant(0.1))
    return store.named_variable("scope/weights").numpy()


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_an_optimizer_changes_its_updates(resolved, name):
    value, others = NUMBERS[name]
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
def test_an_option_of_the_step_changes_its_weights(resolved):
    plain = values_after_two_steps(resolved())
    for name, value in STEP.items():
        changed = values_after_two_steps(resolved(**{name: value}))
        weights = "LeNet/conv1/weights"
        assert np.abs(plain[weights] - changed[weights]).max() > 1e-6, name


def test_the_decay_of_the_averages(resolved):
    name = "LeNet/conv1/weights"
    plain, fast, slow = (values_after_two_steps(resolved(moving_average_decay=decay))
                         for decay in (None, 0.01, 0.1))  # fmt: skip
    assert f"{name}/ExponentialMovingAverage" not in plain
    distances = [np.abs(each[f"{name}/ExponentialMovingAverage"] - plain[name]).max()
                 for each in (fast, slow)]  # fmt: skip
    # After a step of size s, and one before it, the averages are about a decay times s away.
    assert 0 < 5 * distances[0] < distances[1]


def test_the_batches_are_those_of_split_seed_and_preprocessing(resolved):
    def batch(**values):
        run = resolved(**values)
        data = run.config.data
        dataset = dataset_factory.get_dataset("digits", data.dataset_split_name, data.dataset_dir)
        return next(iter(TrainingBatches(run, dataset)(0)))["image"].numpy()

    plain = batch()
    np.testing.assert_array_equal(plain, batch())
    for other in ({"dataset_split_name": "validation"}, {"seed": 1}):
        assert not np.array_equal(plain, batch(**other))
    assert batch(train_image_size=(20, 24)).shape == (4, 20, 24, 1)
    # Cifarnet's images have unit variance, LeNet's lie in [-1, 1].
    assert batch(preprocessing_name="cifarnet").max() > 1.001 >= plain.max()


def test_the_options_of_the_loop_reach_it(resolved, monkeypatch):
    """What the loop makes of them is tested in tests/slim."""
    given = {
        "steps_per_loop": 7,
        "save_interval_secs": 8,
        "max_to_keep": 9,
        "keep_checkpoint_every_n_hours": 0.5,
    }
    asked = {}
    monkeypatch.setattr(learning, "train", lambda *_, **arguments: asked.update(arguments))
    assert training.run(resolved(**given).config) is None
    assert {name: asked[name] for name in given} == given


def test_events_are_written_if_asked_for(resolved, tmp_path):
    for seconds, wanted in ((0, False), (600, True)):
        run = resolved(save_summaries_secs=seconds)
        dataset = dataset_factory.get_dataset("digits", "train", run.config.data.dataset_dir)
        hooks = make_hooks(run, RunDirectory(str(tmp_path)), TrainingBatches(run, dataset))
        assert any(isinstance(hook, EventHook) for hook in hooks) is wanted


def test_the_factor_of_the_decay(resolved):
    def rate(**values):
        run = resolved(learning_rate_decay_type="exponential", decay_steps=1, **values)
        rate_at = optimizers.make_learning_rate(run.schedule)
        return float(rate_at(tf.constant(1, tf.int64)))

    assert rate(learning_rate_decay_factor=0.5) == pytest.approx(0.005)
    assert rate(learning_rate_decay_factor=0.25) == pytest.approx(0.0025)
