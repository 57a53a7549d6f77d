"""Every flag of TF-Slim's four scripts exists, with its default or a reason for another."""

import pytest

from classifier.config import options
from classifier.config.conversion import DataConfig
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.training import TrainConfig

REQUIRED = "required"
# TF-Slim's defaults, by script.
ORIGINAL = {
    "train_image_classifier": {
        "master": "",
        "train_dir": "/tmp/tfmodel/",
        "warmup_epochs": 0,
        "num_clones": 1,
        "clone_on_cpu": False,
        "worker_replicas": 1,
        "num_ps_tasks": 0,
        "num_readers": 4,
        "num_preprocessing_threads": 4,
        "log_every_n_steps": 10,
        "save_summaries_secs": 600,
        "save_interval_secs": 600,
        "task": 0,
        "weight_decay": 4e-05,
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
        "quantize_delay": -1,
        "learning_rate_decay_type": "exponential",
        "learning_rate": 0.01,
        "end_learning_rate": 0.0001,
        "label_smoothing": 0.0,
        "learning_rate_decay_factor": 0.94,
        "num_epochs_per_decay": 2.0,
        "sync_replicas": False,
        "replicas_to_aggregate": 1,
        "moving_average_decay": None,
        "dataset_name": "imagenet",
        "dataset_split_name": "train",
        "dataset_dir": None,
        "labels_offset": 0,
        "model_name": "inception_v3",
        "preprocessing_name": None,
        "batch_size": 32,
        "train_image_size": None,
        "max_number_of_steps": None,
        "use_grayscale": False,
        "checkpoint_path": None,
        "checkpoint_exclude_scopes": None,
        "trainable_scopes": None,
        "ignore_missing_vars": False,
    },
    "eval_image_classifier": {
        "batch_size": 100,
        "max_num_batches": None,
        "master": "",
        "checkpoint_path": "/tmp/tfmodel/",
        "eval_dir": "/tmp/tfmodel/",
        "num_preprocessing_threads": 4,
        "dataset_name": "imagenet",
        "dataset_split_name": "test",
        "dataset_dir": None,
        "labels_offset": 0,
        "model_name": "inception_v3",
        "preprocessing_name": None,
        "moving_average_decay": None,
        "eval_image_size": None,
        "quantize": False,
        "use_grayscale": False,
    },
    "export_inference_graph": {
        "model_name": "inception_v3",
        "is_training": False,
        "image_size": None,
        "batch_size": None,
        "dataset_name": "imagenet",
        "labels_offset": 0,
        "output_file": "",
        "dataset_dir": "",
        "quantize": False,
        "is_video_model": False,
        "num_frames": None,
        "write_text_graphdef": False,
        "use_grayscale": False,
    },
    "download_and_convert_data": {
        "dataset_name": None,
        "dataset_dir": None,
        "small_object_area_threshold": 0.005,
        "foreground_class_of_interest": "person",
    },
}
CONFIGS = {
    "train_image_classifier": TrainConfig,
    "eval_image_classifier": EvalConfig,
    "export_inference_graph": ExportConfig,
    "download_and_convert_data": DataConfig,
}
ROWS = [(script, name) for script, flags in ORIGINAL.items() for name in flags]

# A default that differs, and why.
_PLACE = "required: /tmp/tfmodel/ silently resumed another run"
_INFO = "it is read from model_info.json next to the checkpoint"
_NONE = "None stands for TF-Slim's empty text"
_LIST = "an empty list stands for TF-Slim's None or empty text"
_MACHINE = "auto, where TF-Slim uses 4"
_OTHERS = "the converter's default, so that other datasets can reject the flag"
DIFFERENT = {
    ("train_image_classifier", "train_dir"): (REQUIRED, _PLACE),
    ("train_image_classifier", "num_preprocessing_threads"): (None, _MACHINE),
    ("train_image_classifier", "master"): ((), _LIST),
    ("train_image_classifier", "checkpoint_exclude_scopes"): ((), _LIST),
    ("train_image_classifier", "trainable_scopes"): ((), _LIST),
    ("eval_image_classifier", "num_preprocessing_threads"): (None, _MACHINE),
    ("eval_image_classifier", "master"): ((), _LIST),
    ("eval_image_classifier", "checkpoint_path"): (None, "this or train_dir is required"),
    ("eval_image_classifier", "eval_dir"): (None, "`eval` next to the checkpoint"),
    ("eval_image_classifier", "dataset_name"): (None, _INFO),
    ("eval_image_classifier", "dataset_split_name"): (
        None,
        "the run's, or else test as in TF-Slim",
    ),
    ("eval_image_classifier", "labels_offset"): (None, _INFO),
    ("eval_image_classifier", "model_name"): (None, _INFO),
    ("eval_image_classifier", "use_grayscale"): (None, _INFO),
    ("eval_image_classifier", "quantize"): (None, _INFO),
    ("export_inference_graph", "model_name"): (None, _INFO),
    ("export_inference_graph", "labels_offset"): (None, _INFO),
    ("export_inference_graph", "use_grayscale"): (None, _INFO),
    ("export_inference_graph", "quantize"): (None, _INFO),
    ("export_inference_graph", "dataset_name"): (None, _INFO),
    ("export_inference_graph", "dataset_dir"): (None, _NONE),
    ("export_inference_graph", "output_file"): (None, _NONE),
    ("download_and_convert_data", "dataset_name"): (REQUIRED, "TF-Slim required it too"),
    ("download_and_convert_data", "dataset_dir"): (REQUIRED, "TF-Slim required it too"),
    ("download_and_convert_data", "small_object_area_threshold"): (None, _OTHERS),
    ("download_and_convert_data", "foreground_class_of_interest"): (None, _OTHERS),
}


def default_of(script, name):
    actual = options.by_name(CONFIGS[script])[name]
    return REQUIRED if actual.required else actual.default


@pytest.mark.parametrize("script, name", ROWS)
def test_a_flag_of_tf_slim_has_its_default_or_a_reason(script, name):
    expected, reason = DIFFERENT.get((script, name), (ORIGINAL[script][name], "TF-Slim's"))
    assert default_of(script, name) == expected, reason


def test_no_difference_is_out_of_date():
    for (script, name), (ours, reason) in DIFFERENT.items():
        assert ORIGINAL[script][name] != ours, f"{script} {name}: {reason}"


def test_the_table_has_all_flags_of_tf_slim():
    counts = {script: len(flags) for script, flags in ORIGINAL.items()}
    assert list(counts.values()) == [51, 16, 13, 4]
