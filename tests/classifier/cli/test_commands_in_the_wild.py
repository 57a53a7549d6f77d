"""The flags that public tutorials and scripts pass to TF-Slim's programs are read and act."""

import pytest

from classifier.cli import flags
from classifier.config import options
from classifier.config.conversion import DataConfig
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.training import TrainConfig

PERSON_DETECTION = (
    "--train_dir=DIR/run --dataset_name=visualwakewords --dataset_split_name=train"
    " --dataset_dir=DIR/data --model_name=mobilenet_v1_025 --preprocessing_name=mobilenet_v1"
    " --train_image_size=96 --input_grayscale=True --save_summaries_secs=300 --learning_rate=0.045"
    " --label_smoothing=0.1 --learning_rate_decay_factor=0.98 --num_epochs_per_decay=2.5"
    " --moving_average_decay=0.9999 --batch_size=96 --max_number_of_steps=1000000"
    " --clone_on_cpu=True"
)
FINE_TUNING = (
    "--train_dir=DIR/run --dataset_dir=DIR/data --dataset_name=flowers --dataset_split_name=train"
    " --model_name=inception_v3 --checkpoint_path=DIR/model.ckpt-7"
    " --checkpoint_exclude_scopes=InceptionV3/Logits,InceptionV3/AuxLogits"
    " --trainable_scopes=InceptionV3/Logits,InceptionV3/AuxLogits --max_number_of_steps=5"
    " --batch_size=32 --learning_rate=0.01 --learning_rate_decay_type=fixed"
    " --save_interval_secs=60 --save_summaries_secs=60 --log_every_n_steps=100"
    " --optimizer=rmsprop --weight_decay=0.00004"
)
EVALUATION = (
    "--alsologtostderr --checkpoint_path=DIR/model.ckpt-7 --dataset_dir=DIR/data"
    " --dataset_name=imagenet --dataset_split_name=validation --model_name=inception_v3"
)
PERSON_EVALUATION = (
    "--alsologtostderr --checkpoint_path=DIR/model.ckpt-7 --dataset_dir=DIR/data"
    " --dataset_name=visualwakewords --dataset_split_name=val --model_name=mobilenet_v1_025"
    " --preprocessing_name=mobilenet_v1 --input_grayscale=True --train_image_size=96"
)
PERSON_EXPORT = (
    "--alsologtostderr --dataset_name=visualwakewords --model_name=mobilenet_v1_025"
    " --image_size=96 --input_grayscale=True --output_file=DIR/f.pb"
)


@pytest.fixture
def parsed(tmp_path):
    """Returns the options of a command line by name."""
    (tmp_path / "data").mkdir()
    (tmp_path / "model.ckpt-7.index").touch()

    def parse(config_class, command):
        argv = ["script.py", *command.replace("DIR", str(tmp_path)).split()]
        return options.flatten(flags.parse(config_class, argv))

    return parse


@pytest.mark.parametrize(
    "config_class, command, expected",
    [
        (TrainConfig, PERSON_DETECTION, {"use_grayscale": True, "train_image_size": [96, 96]}),
        (TrainConfig, FINE_TUNING, {"learning_rate_decay_type": "fixed"}),
        (EvalConfig, EVALUATION, {"dataset_split_name": "validation"}),
        (EvalConfig, PERSON_EVALUATION, {"use_grayscale": True, "eval_image_size": [96, 96]}),
        (ExportConfig, PERSON_EXPORT, {"use_grayscale": True, "image_size": [96, 96]}),
        (
            ExportConfig,
            "--alsologtostderr --model_name=inception_v3 --output_file=DIR/f.pb",
            {"model_name": "inception_v3"},
        ),
    ],
)
def test_a_command_line_is_accepted_and_its_flags_act(parsed, config_class, command, expected):
    values = parsed(config_class, command)
    assert values | expected == values
    known = options.by_name(config_class)
    for item in command.split():
        name, _, text = item.removeprefix("--").partition("=")
        if name in known and "DIR" not in text:
            value = known[name].parse(text)
            assert values[name] == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize(
    "config_class, flag, name, value",
    [
        (TrainConfig, "--input_grayscale", "use_grayscale", True),
        (TrainConfig, "--noinput_grayscale", "use_grayscale", False),
        (TrainConfig, "--image_size=64,32", "train_image_size", [64, 32]),
        (EvalConfig, "--train_image_size=64", "eval_image_size", [64, 64]),
        (EvalConfig, "--image_size=64", "eval_image_size", [64, 64]),
        (EvalConfig, "--noinput_grayscale", "use_grayscale", False),
        (ExportConfig, "--train_image_size=64", "image_size", [64, 64]),
        (ExportConfig, "--eval_image_size=64", "image_size", [64, 64]),
        (ExportConfig, "-input_grayscale=true", "use_grayscale", True),
        (DataConfig, "--output_dir=there", "dataset_dir", "there"),
    ],
)
def test_an_alias_sets_its_option(parsed, config_class, flag, name, value):
    required = {
        TrainConfig: "--train_dir=DIR/run --dataset_dir=DIR/data --dataset_name=digits",
        EvalConfig: "--checkpoint_path=DIR/model.ckpt-7 --dataset_dir=DIR/data",
        ExportConfig: "--output_file=DIR/f.pb",
        DataConfig: "--dataset_name=digits",
    }
    assert parsed(config_class, f"{required[config_class]} {flag}")[name] == value


def test_the_last_of_an_option_and_its_alias_wins(parsed):
    command = "--output_file=DIR/f.pb --image_size=32 --train_image_size=64"
    assert parsed(ExportConfig, command)["image_size"] == [64, 64]


@pytest.mark.parametrize("config_class", [TrainConfig, EvalConfig, ExportConfig])
def test_no_alias_is_the_name_of_another_option(config_class):
    known = options.by_name(config_class)
    aliases = [alias for each in known.values() for alias in each.declared.aliases]
    assert len(aliases) == len({*aliases, *known} - set(known))


def test_paths_expand_the_home_directory(parsed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    values = parsed(
        TrainConfig,
        "--train_dir=~/run --dataset_dir=~/data --dataset_name=digits --cache=~/cache"
        " --class_weights=~/weights.csv --checkpoint_path=~/model.ckpt-7",
    )
    for name in ("train_dir", "dataset_dir", "cache", "class_weights", "checkpoint_path"):
        assert values[name].startswith(f"{tmp_path}/"), name


@pytest.mark.parametrize("config_class", [TrainConfig, EvalConfig, ExportConfig])
def test_every_path_option_expands_the_home_directory(config_class, monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/somebody")
    for each in options.by_name(config_class).values():
        if each.declared.path:
            assert each.parse("~/x") == "/home/of/somebody/x"
