"""`--dry_run` shows what a run would use, and where it comes from, and writes nothing."""

import pathlib
import sys

import pytest

from classifier.cli import flags
from classifier.config.conversion import DataConfig
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.config.training import TrainConfig


def files(*folders):
    """Returns path -> time of the last change."""
    return {path: path.stat().st_mtime_ns for each in folders for path in each.rglob("*")}


@pytest.fixture
def dry_run(capsys, monkeypatch, tmp_path, digits, trained):
    """Runs a script with --dry_run; returns its exit code, name -> (value, origin), and stderr."""
    monkeypatch.setenv("SLIM_CACHE_DIR", str(tmp_path / "cache"))

    def run(config_class, *arguments):
        from classifier.export import dry_run as of_export
        from classifier.inference import dry_run as of_inference
        from classifier.training import dry_run as of_training
        from datasets import download_and_convert

        resolvers = {
            TrainConfig: of_training.resolve,
            EvalConfig: of_inference.evaluation,
            PredictConfig: of_inference.prediction,
            ExportConfig: of_export.resolve,
            DataConfig: lambda config, _: download_and_convert.check_options(**vars(config)),
        }
        folders = [tmp_path, pathlib.Path(digits), trained]
        before = files(*folders)
        code = flags.main(
            config_class,
            None,  # not called
            "",
            ["s.py", "--dry_run", *map(str, arguments)],
            dry_run=resolvers[config_class],
        )
        assert files(*folders) == before
        out, err = capsys.readouterr()
        rows = [line.split("  ", 1) for line in out.replace("  --", "  ").split("\n  ")[1:]]
        values = {
            name: tuple(filter(None, map(str.strip, rest.splitlines()[0].split("  "))))
            for name, rest in rows
        }
        return code, values, err

    return run


def test_each_value_of_training_has_its_origin(dry_run, digits, tmp_path):
    flagfile = tmp_path / "lenet.flags"
    flagfile.write_text("--model_name=lenet\n--learning_rate=0.5\n--batch_size=4\n")
    arguments = ["--dataset_name=digits", f"--dataset_dir={digits}", f"--flagfile={flagfile}"]
    arguments += [f"--train_dir={tmp_path}/run", "--learning_rate=0.1", "--max_number_of_epochs=2"]
    code, values, _ = dry_run(TrainConfig, *arguments, "--multi_label=false")
    assert code == 0
    expected = {
        "learning_rate": ("0.1", "flag"),
        "batch_size": ("4", f"flagfile {flagfile}"),
        "momentum": ("0.9", "default"),
        "preprocessing_name": ("lenet", "network lenet"),
        "train_image_size": ("28,28", "network lenet"),
        "num_classes": ("10", "data"),
        "multi_label": ("false", "flag"),
        "number_of_steps": ("719", "options and data"),
        "resumes": ("nothing: a new run", "train_dir"),
    }
    assert {name: values[name] for name in expected} == expected
    _, values, _ = dry_run(TrainConfig, *arguments, "--batch_size=auto")
    assert values["global_batch_size"] == ("auto", "the first steps of the run, by memory")
    assert "number_of_steps" not in values


def test_a_resumed_run_shows_what_changes_and_refuses_what_must_not(dry_run, digits, trained):
    arguments = ["--dataset_name=digits", f"--dataset_dir={digits}", f"--train_dir={trained}"]
    arguments += ["--model_name=lenet", "--optimizer=momentum", "--max_number_of_steps=2"]
    arguments += ["--save_summaries_secs=0"]
    _, values, _ = dry_run(TrainConfig, *arguments, "--batch_size=8", "--learning_rate=0.5")
    assert values["resumes"][0].startswith(str(trained)[:57])
    assert values["changed"] == ("learning_rate: 0.01 -> 0.5", "run's config.json")
    code, _, err = dry_run(TrainConfig, *arguments, "--batch_size=8", "--seed=1")
    assert code == 2
    assert "contains a run with other options (seed: 0 -> 1)" in err


def test_a_published_checkpoint_sets_options_and_is_not_downloaded(dry_run, digits, tmp_path):
    name = "mobilenet_v1_1.0_224"
    code, values, _ = dry_run(
        TrainConfig,
        *("--dataset_name=digits", f"--dataset_dir={digits}", f"--train_dir={tmp_path}/run"),
        *(f"--checkpoint_path={name}", "--finetune=auto"),
    )
    assert code == 0
    assert values["model_name"] == ("mobilenet_v1", "published checkpoint")
    assert values["learning_rate"][1] == "finetune=auto"
    data = ("--dataset_name=digits", f"--dataset_dir={digits}")
    code, values, _ = dry_run(EvalConfig, f"--checkpoint_path={name}", *data)
    assert code == 0
    assert values["checkpoint"] == (name, "not in the cache: it would be downloaded")
    assert values["eval_image_size"] == ("224,224", "published checkpoint")
    assert values["num_classes"] == ("10", "data")


def test_a_run_describes_its_model_and_data(dry_run, digits, trained, tmp_path):
    code, values, _ = dry_run(EvalConfig, f"--train_dir={trained}")
    assert code == 0
    assert values["dataset_name"] == ("digits", "model_info.json")
    assert values["dataset_dir"][-1] == "run's config.json"
    assert values["dataset_split_name"] == ("validation", "data")
    image = next(pathlib.Path(digits).rglob("*.png"))
    code, predicted, _ = dry_run(PredictConfig, f"--model={trained}", image)
    assert code == 0
    assert predicted["images"][-1] == "argument"
    assert predicted["num_images"] == ("1", "images")
    output = f"--output_dir={tmp_path}/export"
    code, exported, _ = dry_run(ExportConfig, f"--checkpoint_path={trained}", output)
    assert code == 0
    assert exported["formats"] == ("frozen_pb,saved_model", "default")
    for each in (values, predicted, exported):
        assert each["model_name"] == ("lenet", "model_info.json")


def test_a_graph_and_a_conversion_are_checked(dry_run, tmp_path):
    code, values, _ = dry_run(
        ExportConfig, "--model_name=lenet", "--dataset_name=mnist", f"--output_file={tmp_path}/g.pb"
    )
    assert code == 0
    assert values["num_classes"] == ("10", "data")
    directory = f"--dataset_dir={tmp_path}/d"
    code, values, _ = dry_run(DataConfig, "--dataset_name=digits", directory)
    assert (code, values["dataset_name"]) == (0, ("digits", "flag"))
    code, _, err = dry_run(DataConfig, "--dataset_name=digits", directory, "--split_seed=1")
    assert code == 2
    assert "--split_seed cannot be used with the dataset 'digits'" in err


def test_without_a_resolver_the_options_are_shown(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # not needed
    argv = ["d.py", "--dry_run", "--dataset_name=digits", f"--dataset_dir={tmp_path}"]
    assert flags.main(DataConfig, None, "Data.", argv) == 0
    assert "  --dataset_name " in capsys.readouterr().out
