import dataclasses
import re

import pytest

from classifier.config import checkpoints, conversion, evaluation, export, prediction, training
from classifier.config import options as options_module
from classifier.config.problems import OptionError, Problem, as_flags, error, named, shown

CONFIGS = [
    training.TrainConfig,
    conversion.DataConfig,
    evaluation.EvalConfig,
    export.ExportConfig,
    prediction.PredictConfig,
    checkpoints.ConvertConfig,
]
OPTIONS = {name for config in CONFIGS for name in options_module.by_name(config)}


def test_a_problem_names_options_plainly_and_as_flags():
    problem = Problem("{} needs {}, not {!r}", named("top_k", 5), named("images"), "--top_k {}")
    assert problem == "top_k=5 needs images, not '--top_k {}'"
    assert problem.as_flags == "--top_k=5 needs --images, not '--top_k {}'"


def test_problems_nest():
    problem = Problem("{}; {}", named("a"), Problem("use {}", named("b")))
    assert (problem, problem.as_flags) == ("a; use b", "--a; use --b")


@pytest.mark.parametrize(
    "value, text",
    [(True, "x"), (False, "x=false"), (0.5, "x=0.5"), ((1, 2), "x=1,2"), ("y", "x=y"), (3, "x=3")],
)
def test_a_mention_shows_the_value_as_typed(value, text):
    assert named("x", value) == text
    assert named("x") == "x"


def test_an_error_has_all_problems_in_both_forms():
    mistake = OptionError(Problem("{} is odd", named("a")), "the rest too")
    assert str(mistake) == "a is odd\nthe rest too"
    assert as_flags(mistake) == "--a is odd\nthe rest too"
    assert as_flags("plain") == "plain"
    assert as_flags(RuntimeError(Problem("{} is odd", named("a")))) == "--a is odd"
    assert as_flags(RuntimeError("plain")) == "plain"
    assert str(error("{} is {}", named("a", 1), "odd")) == "a=1 is odd"
    assert shown(("a", "b")) == "a,b"


def mentions(text):
    return re.findall(r"(?<![\w-])--(\w+)", text)


@pytest.mark.parametrize("config", CONFIGS)
def test_help_mentions_existing_options(config):
    for each in options_module.by_name(config).values():
        assert set(mentions(each.declared.help)) <= OPTIONS, each.name


def train(**values):
    return options_module.build(
        training.TrainConfig, **{"train_dir": "r", "dataset_dir": "d", **values}
    )


def exported(**values):
    return options_module.build(export.ExportConfig, **values)


CONFLICTS = [
    (exported, {"checkpoint_path": "c", "output_dir": "o", "final_endpoint": "e"}),
    (exported, {"checkpoint_path": "c", "output_file": "f", "write_text_graphdef": True}),
    (exported, {"output_file": "f", "max_drop": 1.0, "input_type": "uint8_image"}),
    (exported, {"output_file": "f", "fold_batch_norm": False, "num_frames": 3}),
    (exported, {"checkpoint_path": "c"}),
    (exported, {}),
    (train, {"optimizer": "momentum", "muon_momentum": 0.5}),
    (train, {"optimizer": "lion", "momentum": 0.5, "optimizer_weight_decay": 0.1}),
    (train, {"optimizer": "sgd", "optimizer_weight_decay": 0.1}),
    (train, {"auto_augment": "imagenet", "rand_augment": 3.0}),
    (train, {"rand_augment_layers": 3}),
    (train, {"max_bad_fraction": 0.5, "max_nan_restores": 2}),
    (train, {"cache": "memory", "data_service": "grpc://h:1", "balanced_sampling": True}),
    (train, {"finetune": "head", "trainable_scopes": ("a",), "ignore_missing_vars": True}),
    (train, {"freeze_batch_norm": True, "batch_norm_decay": 1.0}),
    (train, {"max_number_of_steps": 1, "max_number_of_epochs": 1.0}),
    (train, {"save_interval_steps": 1, "save_interval_epochs": 1.0}),
    (train, {"learning_rate_decay_type": "piecewise", "warmup_steps": 1, "warmup_epochs": 1.0}),
    (train, {"piecewise_steps": (1,)}),
    (train, {"quantize_delay": 1, "quantize_delay_epochs": 1.0}),
    (train, {"task": 1, "master": ("h:1",)}),
    (train, {"worker_replicas": 2, "all_reduce": "cpu", "master": ("h:1",)}),
    (train, {"early_stopping_patience": 1}),
    (train, {"eval_every_steps": 1, "eval_every_epochs": 1.0}),
    (train, {"train_dir": " ", "batch_size": 0}),
]


@pytest.mark.parametrize("build, values", CONFLICTS)
def test_each_option_in_a_problem_is_rendered_as_a_flag(build, values):
    with pytest.raises(OptionError) as caught:
        build(**values)
    for problem in filter(lambda each: isinstance(each, Problem), caught.value.problems):
        assert mentions(problem.as_flags), problem
        assert set(mentions(problem.as_flags)) <= OPTIONS
        # Only the dashes differ, and no word of the sentence got them.
        assert problem.as_flags.replace("--", "") == problem
        words = set(re.findall(r"(?<![-\w.=])\w+_\w+", problem.as_flags))
        assert not words & OPTIONS, "an option without dashes"


def test_words_that_are_also_options_stay_words():
    with pytest.raises(OptionError) as caught:
        exported(checkpoint_path="c", output_dir="o", final_endpoint="e")
    assert caught.value.as_flags == (
        "--final_endpoint needs --formats=frozen_pb: the other formats output class probabilities"
    )
    with pytest.raises(OptionError) as caught:
        train(optimizer="momentum", muon_momentum=0.5)
    assert caught.value.as_flags == (
        "--muon_momentum applies to --optimizer=muon only; with momentum use --momentum"
    )


def test_every_group_yields_problems():
    for config in CONFIGS:
        for group in options_module.groups_of(config):
            assert dataclasses.is_dataclass(group.type)
            returned = group.type.conflicts.__annotations__["return"]
            assert "Problem" in str(returned)
