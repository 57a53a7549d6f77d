"""`slim-recipe` lists the recipes and replaces itself by the one that is asked for."""

import sys

from classifier.cli import recipes


def run(capsys, *arguments):
    code = recipes.main(["slim-recipe", *arguments])
    return code, *capsys.readouterr()


def test_without_a_name_the_recipes_are_listed(capsys):
    code, out, _ = run(capsys)
    names = [line.partition(":")[0] for line in out.splitlines()]
    assert code == 0
    assert {"quickstart", "finetune_on_folder", "train_lenet_on_mnist"} <= set(names)
    assert not {"recipe", "environment", "lock", "test"} & set(names)
    assert all(line.endswith(".") for line in out.splitlines())


def test_help_explains_the_command(capsys):
    assert run(capsys, "--help")[1].startswith("Lists slim's recipes")


def test_unknown_recipe_is_an_error_of_one_line(capsys):
    code, _, err = run(capsys, "quickstar")
    assert code == 2
    assert err.startswith("slim-recipe: recipe='quickstar' is not known; did you mean 'quickstart'")


def test_recipe_runs_with_this_interpreter(capsys, monkeypatch):
    calls = []
    monkeypatch.setattr("os.execvpe", lambda *call: calls.append(call))
    run(capsys, "train_lenet_on_mnist", "out")
    ((program, (_, path, directory), environment),) = calls
    assert (program, directory) == ("bash", "out")
    assert path.endswith("scripts/train_lenet_on_mnist.sh")
    assert environment["PYTHON"] == sys.executable


def test_missing_bash_is_an_error_of_one_line(capsys, monkeypatch):
    def missing(*call):
        raise FileNotFoundError

    monkeypatch.setattr("os.execvpe", missing)
    code, _, err = run(capsys, "quickstart")
    assert (code, err) == (2, "slim-recipe: The recipes need bash, which is not installed\n")
