"""The command lines of the benchmarks."""

import argparse
import importlib
import pathlib

import pytest

import benchmarks
from benchmarks import flags

COMMANDS = sorted(
    path.stem
    for path in pathlib.Path(benchmarks.__path__[0]).glob("*.py")
    if "ArgumentParser(" in path.read_text("utf-8")
)


def without_help(parser):
    """Returns the names of the parser's arguments that do not say what they are."""
    names = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            names += [name for each in action.choices.values() for name in without_help(each)]
        elif not action.help:
            names.append(action.dest)
    return names


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_of_a_benchmark_has_help(command, monkeypatch, capsys):
    parsers = []
    print_help = argparse.ArgumentParser.print_help
    monkeypatch.setattr(
        argparse.ArgumentParser,
        "print_help",
        lambda parser, file=None: parsers.append(parser) or print_help(parser, file),
    )
    monkeypatch.setattr("sys.argv", [command, "--help"])
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(f"benchmarks.{command}").main()
    assert capsys.readouterr().out.startswith("usage:")
    [parser] = parsers
    assert not without_help(parser)


@pytest.fixture
def parser():
    return argparse.ArgumentParser(prog="benchmark")


def test_networks_are_the_default_ones_or_those_named(parser):
    flags.add_networks(parser, ("lenet",), allowed=("lenet", "cifarnet"))
    assert parser.parse_args([]).networks == ["lenet"]
    assert parser.parse_args(["cifarnet", "lenet"]).networks == ["cifarnet", "lenet"]


@pytest.mark.parametrize("allowed", [None, ["lenet", "cifarnet"]])
def test_an_unknown_network_is_an_error_with_the_allowed_ones(parser, allowed, capsys):
    flags.add_networks(parser, ["lenet", "cifarnet"], allowed)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["lenet", "vgg"])
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (
        "benchmark: error: argument networks: unknown network: vgg. Allowed: lenet, cifarnet"
    )


def test_help_states_the_default_networks(parser, capsys):
    flags.add_networks(parser, map(str, range(5)))
    parser.print_help()
    assert "to measure; default: all 5" in capsys.readouterr().out
