"""The flags that absl defines act in every script."""

import logging
import pstats
import sys
import types
from xml.etree import ElementTree

import pytest
from absl import flags as absl_flags_module
from absl import logging as absl_logging

from classifier.cli import absl_flags, flags
from classifier.config.conversion import DataConfig
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.config.training import TrainConfig
from tests.classifier.cli.test_flags import _light_tensorflow  # noqa: F401

CONFIGS = [TrainConfig, EvalConfig, ExportConfig, PredictConfig, DataConfig]


@pytest.fixture(autouse=True)
def _root_logger():
    """Restores what absl changes of Python's logging."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    handler = absl_logging.get_absl_handler().python_handler
    if str(getattr(handler.stream, "name", "")).startswith("/"):
        handler.stream.close()
    handler.stream = sys.stderr
    logging.getLogger("some.library").setLevel(logging.NOTSET)
    root.handlers[:] = handlers
    root.setLevel(level)
    absl_flags.define(absl_flags_module.FlagValues())  # back to the defaults


@pytest.fixture
def run(tmp_path):
    """Runs a script whose work logs a message of each kind; returns its exit code."""

    def work(config):
        logger = logging.getLogger("some.library")
        logger.debug("a detail")
        logger.info("a note")
        logger.warning("a warning")

    def call(*argv, work=work):
        # absl keeps the stderr of its import, which here is another test's.
        absl_logging.get_absl_handler().python_handler.stream = sys.stderr
        argv = ["d.py", "--dataset_name=digits", f"--dataset_dir={tmp_path}/data", *argv]
        return flags.main(DataConfig, work, "Data.", argv)

    return call


@pytest.mark.parametrize("config_class", CONFIGS)
def test_every_flag_of_absl_is_known_and_in_the_help(config_class, capsys):
    known = flags._defined(flags.options.by_name(config_class))
    names = {*absl_flags.LOGGING, *absl_flags.RUNNING}
    assert names <= set(known)
    assert flags.main(config_class, None, "", ["s.py", "--helpshort"]) == 0
    text = capsys.readouterr().out
    for name in names:
        value = f"--[no]{name}\n" if known[name].boolean else f"--{name}="
        assert f"  {value}" in text
    for usage in ("--flagfile=FILE", "--undefok=A,B", "--version", "--help", "--helpxml"):
        assert f"  {usage}\n" in text


def test_the_list_of_flags_is_complete():
    module = absl_flags_module.FLAGS.flags_by_module_dict()
    defined = {flag.name for name in ("absl.logging", "absl.app") for flag in module[name]}
    helps = {"help", "helpshort", "helpfull", "helpxml", "only_check_flags"}
    assert defined - helps == {*absl_flags.LOGGING, *absl_flags.RUNNING}


def test_logging_flags_log_to_stderr(run, capfd):
    assert run("--alsologtostderr") == 0
    shown = capfd.readouterr().err
    assert "a note" in shown
    assert "a warning" in shown
    assert "a detail" not in shown


@pytest.mark.parametrize(
    "flag, shown",
    [
        ("--verbosity=1", ["a detail", "a note", "a warning"]),
        ("-v=0", ["a note", "a warning"]),
        ("--v=-1", ["a warning"]),
        ("--logger_levels=some.library:ERROR", []),
    ],
)
def test_verbosity_and_logger_levels_filter(run, capfd, flag, shown):
    assert run(flag) == 0
    err = capfd.readouterr().err
    assert [text for text in ("a detail", "a note", "a warning") if text in err] == shown


@pytest.mark.parametrize("flag, prefixed", [("true", True), ("false", False)])
def test_showprefixforinfo(run, capfd, flag, prefixed):
    assert run("--verbosity=0", f"--showprefixforinfo={flag}") == 0
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "a note" in line]
    assert line.startswith("I") == prefixed


@pytest.mark.parametrize(
    "argv, in_file, on_stderr",
    [
        ([], True, False),
        (["--alsologtostderr"], True, True),
        (["--logtostderr"], False, True),
        (["--stderrthreshold=warning"], True, True),
    ],
)
def test_log_dir_writes_a_file(run, tmp_path, capfd, argv, in_file, on_stderr):
    assert run(f"--log_dir={tmp_path}/logs", *argv) == 0
    files = [path for path in (tmp_path / "logs").glob("d.*") if not path.is_symlink()]
    assert any("a warning" in path.read_text() for path in files) == in_file, files
    assert ("a warning" in capfd.readouterr().err) == on_stderr


def test_log_dir_must_be_a_directory(run, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(f"--log_dir={tmp_path}/file") == 2
    assert "--log_dir=" in capsys.readouterr().err


def test_only_check_args_checks_and_does_nothing(run, capsys):
    def work(config):
        raise AssertionError("the work began")

    assert run("--only_check_args", work=work) == 0
    assert run("--only_check_args", "--max_pixels=0", work=work) == 2
    assert "--max_pixels=0 must be positive" in capsys.readouterr().err


def test_run_with_pdb_runs_in_the_debugger(run, monkeypatch):
    calls = []
    monkeypatch.setattr(absl_flags.pdb, "runcall", lambda work: calls.append(work) or 0)
    assert run("--run_with_pdb") == 0
    assert len(calls) == 1


@pytest.mark.parametrize("flag", ["--pdb", "--pdb_post_mortem"])
def test_pdb_post_mortem_starts_at_an_unexpected_error(run, monkeypatch, flag):
    traces = []
    monkeypatch.setattr(absl_flags.pdb, "post_mortem", traces.append)

    def work(config):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(flag, work=work)
    assert isinstance(traces[0], types.TracebackType)
    assert run(flag, "--max_pixels=0", work=work) == 2
    assert len(traces) == 1


@pytest.mark.parametrize("flag", ["--run_with_profiling", "--nouse_cprofile_for_profiling"])
def test_profiling_prints_the_calls(run, capsys, flag):
    assert run("--run_with_profiling", flag) == 0
    assert "function calls" in capsys.readouterr().out


def test_profile_file_is_written(run, tmp_path):
    assert run(f"--profile_file={tmp_path}/calls.prof") == 0
    assert pstats.Stats(f"{tmp_path}/calls.prof").total_calls > 0


def test_use_cprofile_for_profiling_chooses_the_profiler(run, monkeypatch):
    used = []
    monkeypatch.setattr(absl_flags.profile.Profile, "print_stats", lambda self: used.append(self))
    run("--run_with_profiling", "--nouse_cprofile_for_profiling")
    assert len(used) == 1


def test_undefok_ignores_unknown_flags(run, capsys):
    assert run("--undefok=frobnicate,other", "--frobnicate=3", "--noother") == 0
    assert run("--undefok=frobnicate", "--more=3") == 2
    assert "Unknown flag --more=3" in capsys.readouterr().err


def test_helpxml_prints_the_flags(capsys):
    assert flags.main(EvalConfig, None, "", ["s.py", "--helpxml"]) == 0
    names = [each.text for each in ElementTree.fromstring(capsys.readouterr().out).iter("name")]
    assert {"checkpoint_path", "alsologtostderr", "batch_size"} <= set(names)


@pytest.mark.parametrize("name", ["-h", "--help", "--helpshort", "--helpfull", "-helpfull"])
def test_help_flags_print_the_help(capsys, name):
    assert flags.main(EvalConfig, None, "What it does.", ["s.py", name]) == 0
    assert capsys.readouterr().out.startswith("What it does.")
