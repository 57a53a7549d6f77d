import re

import pytest

from classifier.config import conversion, evaluation, export, options, prediction, training
from slim import _checks

CONFIGS = [
    training.TrainConfig,
    conversion.DataConfig,
    evaluation.EvalConfig,
    export.ExportConfig,
    prediction.PredictConfig,
]

# Of TF-Slim's three scripts; paths are required here, where TF-Slim used directories in /tmp.
TF_SLIM_DEFAULTS = {
    "warmup_epochs": 0,
    "num_clones": 1,
    "clone_on_cpu": False,
    "num_readers": 4,
    "log_every_n_steps": 10,
    "save_summaries_secs": 600,
    "save_interval_secs": 600,
    "weight_decay": 0.00004,
    "optimizer": "rmsprop",
    "adadelta_rho": 0.95,
    "adagrad_initial_accumulator_value": 0.1,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "opt_epsilon": 1.0,
    "ftrl_learning_rate_power": -0.5,
    "ftrl_initial_accumulator_value": 0.1,
    "ftrl_l1": 0.0,
    "ftrl_l2": 0.0,
    "momentum": 0.9,
    "rmsprop_momentum": 0.9,
    "rmsprop_decay": 0.9,
    "learning_rate_decay_type": "exponential",
    "learning_rate": 0.01,
    "end_learning_rate": 0.0001,
    "label_smoothing": 0.0,
    "learning_rate_decay_factor": 0.94,
    "num_epochs_per_decay": 2.0,
    "moving_average_decay": None,
    "dataset_name": "imagenet",
    "dataset_split_name": "train",
    "labels_offset": 0,
    "model_name": "inception_v3",
    "preprocessing_name": None,
    "batch_size": 32,
    "train_image_size": None,
    "max_number_of_steps": None,
    "use_grayscale": False,
    "checkpoint_path": None,
    "ignore_missing_vars": False,
}


def train_config(**values):
    return options.build(training.TrainConfig, train_dir="run", dataset_dir="data", **values)


@pytest.mark.parametrize("name", TF_SLIM_DEFAULTS)
def test_training_defaults_are_those_of_tf_slim(name):
    assert options.by_name(training.TrainConfig)[name].default == TF_SLIM_DEFAULTS[name]


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("seed", 2**31, "seed=2147483648 must lie between 0 and 2147483647"),
        ("seed", -1, "seed=-1 must lie between"),
        ("label_smoothing", 1.0, "label_smoothing=1.0 must be below 1"),
        ("label_smoothing", -0.1, "label_smoothing=-0.1 must not be negative"),
    ],
)
def test_numbers_outside_their_bounds_are_errors(name, value, message):
    with pytest.raises(_checks.UserError, match=message):
        train_config(**{name: value})
    assert train_config(seed=2**31 - 1, label_smoothing=0.99).run.seed == 2**31 - 1


def test_the_number_of_threads_is_automatic():
    # TF-Slim's default is 4.
    for config_class in (training.TrainConfig, evaluation.EvalConfig):
        assert options.by_name(config_class)["num_preprocessing_threads"].default is None


@pytest.mark.parametrize("config_class", CONFIGS)
def test_each_flag_is_declared_once_and_has_help(config_class):
    declared = [each for group in options.groups_of(config_class) for each in group.options]
    names = [each.name for each in declared]
    assert len(names) == len(set(names))
    for each in declared:
        assert each.declared.help.endswith("."), each.name
        assert len(each.declared.help) >= 11, each.name


@pytest.mark.parametrize("config_class", CONFIGS)
def test_defaults_are_valid(config_class):
    for each in options.by_name(config_class).values():
        if not each.required:
            assert list(each.problems(each.default)) == []


@pytest.mark.parametrize(
    "values, problem",
    [
        ({"batch_size": 0}, "batch_size=0 must be positive"),
        ({"labels_offset": -2}, "labels_offset=-2 must not be negative"),
        ({"label_smoothing": 1.5}, "label_smoothing=1.5 must be below 1"),
        ({"ftrl_learning_rate_power": 0.5}, "ftrl_learning_rate_power=0.5 must lie between"),
        ({"optimizer": "adm"}, "optimizer='adm' is not known; did you mean 'adam'"),
        ({"color_distortion": "slow"}, "color_distortion='slow' is not known.* none, fast, full"),
        ({"learning_rate_decay_type": "linear"}, "Known: fixed, exponential, polynomial, cosine"),
        ({"train_image_size": (28, 0)}, "train_image_size=0 must be positive"),
        ({"trainable_scopes": ("LeNet", "")}, "trainable_scopes='LeNet,' has an empty item"),
        ({"checkpoint_exclude_scopes": ("A",)}, "checkpoint_exclude_scopes needs checkpoint_path"),
        ({"ignore_missing_vars": True}, "ignore_missing_vars needs checkpoint_path"),
        ({"checkpoint_scope_map": ("a:b",)}, "checkpoint_scope_map needs checkpoint_path"),
        (
            {"checkpoint_exclude_scopes": ("a", "none"), "checkpoint_path": "c"},
            "checkpoint_exclude_scopes: none cannot be combined with scopes",
        ),
        ({"finetune": "head"}, "finetune=head needs checkpoint_path"),
        (
            {"finetune": "head", "checkpoint_path": "c", "trainable_scopes": ("A",)},
            "finetune=head and trainable_scopes are mutually exclusive",
        ),
        ({"checkpoint_scope_map": ("a",), "checkpoint_path": "c"}, "'a' is not CHECKPOINT:NETWORK"),
        ({"checkpoint_scope_map": ("a:",), "checkpoint_path": "c"}, "'a:' is not CHECKPOINT"),
        ({"checkpoint_scope_map": ("a:b:c",), "checkpoint_path": "c"}, "'a:b:c' is not"),
        ({"checkpoint_scope_map": ("a:c", "b:c/")}, "two scopes are mapped to 'c'"),
        ({"batch_norm_decay": 1.0}, "batch_norm_decay=1 never updates the moving averages"),
        (
            {"freeze_batch_norm": True, "update_frozen_batch_norm": True},
            "freeze_batch_norm and update_frozen_batch_norm are mutually exclusive",
        ),
        (
            {"freeze_batch_norm": True, "batch_norm_decay": 0.9},
            "batch_norm_decay has no effect with freeze_batch_norm",
        ),
        (
            {"freeze_batch_norm": True, "sync_batch_norm": True},
            "sync_batch_norm has no effect with freeze_batch_norm",
        ),
        (
            {"data_service": "grpc://h:1", "balanced_sampling": True},
            "balanced_sampling cannot be used with data_service",
        ),
        ({"accumulate_steps": 0}, "accumulate_steps=0 must be positive"),
        ({"jit_compile": "yes"}, "jit_compile='yes' is not known. Known: auto, true, false"),
        ({"learning_rate_multipliers": ("A",)}, "'A' is not SCOPE:FACTOR with"),
        ({"learning_rate_multipliers": ("A:x",)}, "'A:x' is not SCOPE:FACTOR with"),
        ({"learning_rate_multipliers": ("A:1", "A:2")}, "'A' has several factors"),
        (
            {"optimizer_weight_decay": 0.1},
            "optimizer_weight_decay applies to optimizer=adafactor, adamw, lamb, lion or muon only",
        ),
        (
            {"piecewise_epochs": (3.0, 2.0)},
            "piecewise_epochs must be positive and increasing: 2 follows 3",
        ),
        ({"piecewise_rates": (0.1, -1.0)}, "piecewise_rates=-1.0 must not be negative"),
        (
            {"warmup_epochs": 1.0, "warmup_steps": 5},
            "warmup_epochs and warmup_steps are mutually exclusive",
        ),
        ({"learning_rate_decay_type": "piecewise"}, "piecewise needs piecewise_epochs"),
        ({"piecewise_steps": (3,)}, "piecewise_rates need learning_rate_decay_type=piecewise"),
        (
            {
                "learning_rate_decay_type": "piecewise",
                "piecewise_steps": (3, 5),
                "piecewise_rates": (0.1,),
            },
            "piecewise_rates has 1 rates for 2 changes",
        ),
        (
            {"optimizer": "adamw", "opt_epsilon": 0.1},
            "opt_epsilon applies to optimizer=adadelta, adam or rmsprop only; with adamw use",
        ),
        (
            {"optimizer": "adam", "adamw_epsilon": 0.1},
            "adamw_epsilon applies to optimizer=adamw, lamb or muon only; with adam use opt_e",
        ),
        (
            {"optimizer": "adam", "lion_beta1": 0.1},
            "lion_beta1 applies to optimizer=lion only; with adam use adam_beta1",
        ),
        (
            {"optimizer": "lion", "momentum": 0.1},
            "momentum applies to optimizer=momentum only; lion has optimizer_weight_decay, li",
        ),
        (
            {"balanced_sampling": True, "shuffle_buffer_mb": 100},
            "shuffle_buffer_mb has no effect with balanced_sampling",
        ),
        (
            {"max_number_of_steps": 5, "max_number_of_epochs": 1.0},
            "max_number_of_steps and max_number_of_epochs are mutually exclusive",
        ),
        (
            {"eval_every_steps": 5, "eval_every_epochs": 1.0},
            "eval_every_epochs and eval_every_steps are mutually exclusive",
        ),
    ],
)
def test_contradictions_are_errors(values, problem):
    with pytest.raises(_checks.UserError, match=problem):
        train_config(**values)


@pytest.mark.parametrize(
    "values, expected",
    [
        (
            {"momentum": 0.1},
            "momentum=0.1 has no effect with optimizer=rmsprop; with rmsprop use rmsprop_momentum",
        ),
        (
            {"optimizer": "sgd", "ftrl_l1": 0.1},
            "ftrl_l1=0.1 has .*=sgd; sgd has no options of its own",
        ),
        ({"optimizer": "adagrad", "ftrl_l2": 2.0}, "ftrl_l2=2 .*; adagrad has adagrad_initial_acc"),
        (
            {"learning_rate_decay_type": "fixed", "learning_rate_decay_factor": 0.5},
            "learning_rate_decay_factor=0.5 has no effect with learning_rate_decay_type=fixed",
        ),
        (
            {"end_learning_rate": 0.5},
            "end_learning_rate=0.5 has .* with learning_rate_decay_type=expo",
        ),
        (
            {"num_epochs_per_decay": 3.0, "decay_steps": 5},
            "num_epochs_per_decay=3 .* with decay_steps=5",
        ),
        (
            {"learning_rate_decay_type": "fixed", "decay_steps": 5},
            "decay_steps=5 has no effect with learning_rate_decay_type=fixed",
        ),
        (
            {
                "learning_rate_decay_type": "piecewise",
                "piecewise_steps": (3,),
                "piecewise_rates": (0.1,),
                "learning_rate_decay_factor": 0.5,
            },
            "learning_rate_decay_factor=0.5 has no effect with piecewise_rates",
        ),
        (
            {"decay_per_clone": True, "decay_steps": 5},
            "decay_per_clone has no effect: no duration of the learning rate is in epochs",
        ),
    ],
)
def test_options_without_effect_that_tf_slim_accepts_are_reported(values, expected):
    built = train_config(**values)
    (actual,) = [*built.optimizer.without_effect(), *built.schedule.without_effect()]
    assert re.match(expected, actual)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"optimizer": "momentum", "momentum": 0.1},
        {"optimizer": "adam", "momentum": 0.9, "adam_beta1": 0.1},
        {"decay_per_clone": True},
        {"learning_rate_decay_type": "fixed", "decay_per_clone": True, "warmup_epochs": 1.0},
        {"learning_rate_decay_type": "cosine", "end_learning_rate": 0.1, "decay_steps": 5},
        {
            "learning_rate_decay_type": "piecewise",
            "piecewise_epochs": (3.0,),
            "learning_rate_decay_factor": 0.5,
            "decay_per_clone": True,
        },
    ],
)
def test_options_with_an_effect_are_not_reported(values):
    built = train_config(**values)
    assert not [*built.optimizer.without_effect(), *built.schedule.without_effect()]


def test_build_puts_options_into_their_groups():
    built = train_config(model_name="lenet", num_clones=2, learning_rate=0.5, max_to_keep=1)
    assert built.run.train_dir == "run"
    assert built.data.dataset_dir == "data"
    assert built.network.model_name == "lenet"
    assert built.strategy.num_clones == 2
    assert built.schedule.learning_rate == 0.5
    assert built.saving.max_to_keep == 1


@pytest.mark.parametrize(
    "values, problem",
    [
        ({"task": 1}, "task=1 must be below worker_replicas=1: tasks are numbered from 0"),
        ({"master": ("h:1",)}, "master needs several workers, and worker_replicas=1"),
        (
            {"worker_replicas": 2, "master": ("h:1",)},
            "master has 1 addresses, but worker_replicas=2",
        ),
        ({"worker_replicas": 2, "master": ("h", "h:2")}, "master: 'h' is not host:port"),
        ({"worker_replicas": 2, "master": ("h:0", "h:2")}, "master: 'h:0' is not host:port"),
        ({"worker_replicas": 2, "master": ("http://h:1", "h:2")}, "'http://h:1' is not host:port"),
        (
            {"worker_replicas": 2, "all_reduce": "cpu"},
            "all_reduce=cpu cannot be used with worker_replicas=2. Use nccl or ring",
        ),
        (
            {"all_reduce_bucket_mb": 1.0},
            "all_reduce_bucket_mb needs several workers, or all_",
        ),
        ({"num_clones": 0}, "num_clones=0 must be positive"),
    ],
)
def test_impossible_workers_are_errors(values, problem):
    with pytest.raises(_checks.UserError, match=problem):
        train_config(**values)


@pytest.mark.parametrize(
    "values, problem",
    [
        ({}, "checkpoint_path or train_dir is required"),
        ({"checkpoint_path": "all"}, "checkpoint_path=all needs train_dir"),
        ({"checkpoint_path": "c", "eval_loop": True}, "eval_loop needs train_dir"),
        (
            {"train_dir": "r", "checkpoint_path": "c", "eval_loop": True},
            "checkpoint_path has no effect with eval_loop",
        ),
        ({"train_dir": "r", "timeout_secs": 3.0}, "timeout_secs needs eval_loop"),
        ({"train_dir": "r", "eval_interval_secs": 3.0}, "eval_interval_secs needs eval_loop"),
        (
            {"train_dir": "r", "checkpoint_path": "all", "calibrate": True},
            "calibrate and checkpoint_path=all are mutually exclusive",
        ),
        (
            {"train_dir": "r", "eval_loop": True, "predictions_csv": "p.csv"},
            "predictions_csv and eval_loop are mutually exclusive",
        ),
        (
            {"train_dir": "r", "calibrate": True, "flip": True},
            "flip and calibrate are mutually exclusive",
        ),
        (
            {"train_dir": "r", "calibrate": True, "use_averages": "false"},
            "use_averages=false cannot be used with calibrate, which is for the weights that",
        ),
        (
            {"train_dir": "r", "use_averages": "both", "recalibrate_batch_norm": 2},
            "use_averages=both and recalibrate_batch_norm are mutually exclusive",
        ),
        ({"train_dir": "r", "num_crops": 3}, "num_crops=3 must be 1 or 5"),
    ],
)
def test_contradictions_of_an_evaluation_are_errors(values, problem):
    with pytest.raises(_checks.UserError, match=problem):
        options.build(evaluation.EvalConfig, **values)
