import pathlib
import sys
import types

import pytest

from classifier.cli import flags
from classifier.cli.exit_codes import ExitCode
from classifier.config import options
from classifier.config.conversion import DataConfig
from classifier.config.evaluation import EvalConfig
from classifier.config.prediction import PredictConfig
from classifier.config.training import TrainConfig
from slim import _checks


@pytest.fixture(autouse=True)
def _light_tensorflow(monkeypatch):
    """Spares `main` the seconds of loading TensorFlow."""
    if "tensorflow" not in sys.modules:
        monkeypatch.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))


@pytest.fixture
def argv_of_run(tmp_path):
    """A command line in order."""
    (tmp_path / "data").mkdir()
    return [
        "train.py",
        f"--train_dir={tmp_path}/run",
        f"--dataset_dir={tmp_path}/data",
        "--dataset_name=digits",
        "--model_name=lenet",
    ]


def problems(config_class, argv):
    with pytest.raises(_checks.UserError) as caught:
        flags.parse(config_class, argv)
    return str(caught.value).splitlines()


def test_each_kind_of_flag_is_read(argv_of_run):
    config = flags.parse(
        TrainConfig,
        [
            *argv_of_run,
            "--batch_size=4",
            "--learning_rate",
            "0.5",
            "-momentum=0.1",
            "--clone_on_cpu",
            "--nouse_grayscale",
            "--train_image_size=32,24",
            "--trainable_scopes=LeNet/fc3,LeNet/fc4",
            "--batch_size=8",
        ],
    )
    assert config.data.batch_size == 8
    assert config.schedule.learning_rate == 0.5
    assert config.optimizer.momentum == 0.1
    assert config.strategy.clone_on_cpu is True
    assert config.network.use_grayscale is False
    assert config.network.train_image_size == (32, 24)
    assert config.finetune.trainable_scopes == ("LeNet/fc3", "LeNet/fc4")


def test_flags_that_are_not_set_keep_their_defaults(argv_of_run):
    config = flags.parse(TrainConfig, argv_of_run)
    for name, each in options.by_name(TrainConfig).items():
        if not each.required and name not in ("dataset_name", "dataset_dir", "model_name"):
            default = list(each.default) if isinstance(each.default, tuple) else each.default
            assert options.flatten(config)[name] == default


def test_a_flagfile_is_read(argv_of_run, tmp_path):
    (tmp_path / "recipe.cfg").write_text("# steps\n--batch_size=16\n--clone_on_cpu\n")
    config = flags.parse(TrainConfig, [*argv_of_run, f"--flagfile={tmp_path}/recipe.cfg"])
    assert config.data.batch_size == 16
    assert config.strategy.clone_on_cpu


def test_a_missing_flagfile_is_named(argv_of_run):
    assert "nowhere.cfg" in problems(TrainConfig, [*argv_of_run, "--flagfile=nowhere.cfg"])[0]


def test_all_problems_are_reported_at_once(argv_of_run):
    lines = problems(
        TrainConfig,
        [
            *argv_of_run[:1],
            *argv_of_run[3:],
            "--save_inerval_secs=5",
            "--batch_size=0",
            "--learning_rate=high",
            "--optimizer=adma",
            "--use_grayscale=perhaps",
            "InceptionV3/Mixed_7c",
        ],
    )
    assert lines[0].startswith(
        "Unknown flag --save_inerval_secs=5; did you mean '--save_interval_secs' or"
    )
    assert lines[1] == (
        "Unexpected argument 'InceptionV3/Mixed_7c': a space in a flag's value, or no '\\' at the"
        " end of a line?"
    )
    assert lines[2:4] == [
        "--batch_size=0 must be positive",
        "--use_grayscale='perhaps' is not true or false",
    ]
    assert lines[4].startswith("--optimizer='adma' is not known; did you mean 'adam'")
    assert lines[5] == "--learning_rate='high' is not a number or auto"
    assert lines[6].startswith("--train_dir is required: ")
    assert "Arguments received: --dataset_name=digits --model_name=lenet" in lines[6]
    assert len(lines) == 7


def test_the_value_of_an_unknown_flag_is_not_reported_again(argv_of_run):
    assert problems(TrainConfig, [*argv_of_run, "--frobnicate", "3"]) == [
        "Unknown flag --frobnicate; --help lists the flags"
    ]


def test_a_flag_without_value_is_named(argv_of_run):
    assert problems(TrainConfig, [*argv_of_run, "--seed", "--batch_size=3"]) == [
        "--seed has no value: the next argument is '--batch_size=3'"
    ]
    assert "--seed" in problems(TrainConfig, [*argv_of_run, "--seed"])[0]


@pytest.mark.parametrize(
    "flag, problem",
    [
        ("--model_name=lenett", "--model_name='lenett' is not known; did you mean 'lenet'"),
        ("--dataset_name=digit", "--dataset_name='digit' is not known; did you mean 'digits'"),
        ("--preprocessing_name=vg", "--preprocessing_name='vg' is not known; did you mean 'vgg'"),
        ("--dataset_dir=/nowhere/at/all", "--dataset_dir='/nowhere/at/all' does not exist"),
        ("--checkpoint_path=/nowhere/m", "--checkpoint_path='/nowhere/m' does not exist"),
        ("--checkpoint_exclude_scopes=a,", "--checkpoint_exclude_scopes='a,' has an empty item"),
    ],
)
def test_names_and_places_are_checked(argv_of_run, flag, problem):
    (line,) = problems(TrainConfig, [*argv_of_run, flag])
    assert line.startswith(problem)


def test_a_resumed_run_does_not_need_the_checkpoint_it_started_from(argv_of_run, tmp_path):
    moved = "--checkpoint_path=/nowhere/m"
    argv_of_run = [each for each in argv_of_run if not each.startswith("--train_dir")]
    run = f"--train_dir={tmp_path}"
    assert len(problems(TrainConfig, [*argv_of_run, run, moved])) == 1
    (tmp_path / "model.ckpt-1.index").touch()
    config = flags.parse(TrainConfig, [*argv_of_run, run, moved])
    assert config.finetune.checkpoint_path == "/nowhere/m"


def test_an_unknown_default_is_reported(argv_of_run, monkeypatch):
    monkeypatch.setattr(flags, "known_names", lambda table: ("lenet", "digits"))
    (line,) = problems(TrainConfig, argv_of_run[:4])
    assert line.startswith("--model_name='inception_v3' is not known")


def test_conflicts_call_the_options_by_their_flags(argv_of_run):
    assert problems(TrainConfig, [*argv_of_run, "--ignore_missing_vars"]) == [
        "--ignore_missing_vars needs --checkpoint_path"
    ]


def test_images_may_be_a_pattern(tmp_path):
    (tmp_path / "model.ckpt-1.index").touch()
    (tmp_path / "a.png").touch()
    pattern = f"{tmp_path}/*.png"
    config = flags.parse(PredictConfig, ["p", f"--checkpoint_path={tmp_path}", "--images", pattern])
    assert config.run.images == (pattern,)


def test_repeated_and_positional_images(tmp_path):
    (tmp_path / "model.ckpt-1.index").touch()
    names = [f"{tmp_path}/{name}.png" for name in ("a", "b,c", "d")]
    for name in names:
        pathlib.Path(name).touch()
    argv = ["p", f"--images={names[0]}", f"--checkpoint_path={tmp_path}", names[1], "-", names[2]]
    assert flags.parse(PredictConfig, argv).run.images == (*names[:2], "-", names[2])
    with pytest.raises(_checks.UserError, match="images or --image_list is required"):
        flags.parse(PredictConfig, argv[:1] + argv[2:3])
    with pytest.raises(_checks.UserError, match=r"--images='.*/no\.png' does not exist"):
        flags.parse(PredictConfig, [*argv, f"{tmp_path}/no.png"])


@pytest.mark.parametrize(
    "outcome, code",
    [(None, 0), (ExitCode.DONE, 0), (ExitCode.FAILED, 1), (ExitCode.PREEMPTED, 75)],
)
def test_main_returns_how_the_run_ended(tmp_path, outcome, code):
    argv = ["d.py", "--dataset_name=digits", f"--dataset_dir={tmp_path}"]
    assert flags.main(DataConfig, lambda config: outcome, "Data.", argv) == code


@pytest.mark.parametrize(
    "error, code, line",
    [
        (_checks.UserError("no such split"), 2, "d.py: no such split\n"),
        (_checks.RunError("the loss is NaN"), 1, "d.py: the loss is NaN\n"),
        (KeyboardInterrupt(), 130, "d.py: interrupted\n"),
    ],
)
def test_main_prints_an_error_as_one_line(tmp_path, capsys, error, code, line):
    def run(config):
        raise error

    argv = ["x/d.py", "--dataset_name=digits", f"--dataset_dir={tmp_path}"]
    assert flags.main(DataConfig, run, "Data.", argv) == code
    assert capsys.readouterr().err == line


def test_main_leaves_other_errors_alone(tmp_path):
    def run(config):
        raise ZeroDivisionError

    argv = ["d.py", "--dataset_name=digits", f"--dataset_dir={tmp_path}"]
    with pytest.raises(ZeroDivisionError):
        flags.main(DataConfig, run, "Data.", argv)


@pytest.mark.parametrize("config_class", [TrainConfig, EvalConfig, PredictConfig, DataConfig])
def test_help_lists_every_flag_in_narrow_lines(capsys, config_class):
    assert flags.main(config_class, None, "What it does.", ["s.py", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "What it does."
    assert max(map(len, lines)) <= 100
    for name in options.by_name(config_class):
        assert any(line.startswith((f"  --{name}", f"  --[no]{name}")) for line in lines), name


def test_help_shows_defaults_and_names(capsys):
    flags.main(TrainConfig, None, "Trains.", ["s.py", "-h"])
    text = capsys.readouterr().out
    names = " ".join(flags.known_names("networks"))
    assert "  --batch_size=INT (default: 32)\n" in text
    assert "  --train_dir=DIRECTORY (required; TF-Slim: /tmp/tfmodel/)\n" in text
    assert f"Choices: {names}." in " ".join(text.replace(",", "").split())


def test_environment_is_set_unless_the_user_has(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    flags.main(DataConfig, None, "Data.", ["d.py"])
    assert flags.os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
    assert flags.os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_an_error_never_moves_the_cursor_of_a_terminal(capsys):
    def run(config):
        raise _checks.RunError("\x1b[2J\u202e\nsecond\rline")

    argv = ["p", "--checkpoint_path=.", "--images=."]
    flags.main(PredictConfig, run, "", argv)
    assert all(line.isprintable() for line in capsys.readouterr().err.split("\n"))
