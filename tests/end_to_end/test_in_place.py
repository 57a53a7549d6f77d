"""Training on a directory, a list, an archive and TFRecords of the same images."""

import random
import time

import commands
import pytest

from tests.datasets import local_sources

STEPS = 200


@pytest.fixture(scope="module")
def locations(tmp_path_factory):
    return local_sources.write_all(str(tmp_path_factory.mktemp("local")), photos=179)


def flags(train_dir, location, steps=STEPS, **more):
    """Returns the flags of a run."""
    values = {"dataset_dir": location.directory, "save_interval_steps": 10, "train_image_size": 24}
    return [
        flag
        for flag in commands.train_flags(
            train_dir, steps=steps, digits=None, **values | more | local_sources.flags(location)
        )
        if not flag.endswith("=None")
    ]


def final_bytes(train_dir, steps=STEPS):
    """Returns the contents of the last checkpoint's files."""
    files = sorted(train_dir.glob(f"model.ckpt-{steps}.*"))
    assert len(files) == 2
    return [file.read_bytes() for file in files]


def train(train_dir, location, steps=STEPS):
    commands.run("train_image_classifier", *flags(train_dir, location, steps))
    return final_bytes(train_dir, steps)


@pytest.fixture(scope="module")
def expected(locations, tmp_path_factory):
    """The last checkpoint of an undisturbed run on the TFRecords."""
    return train(tmp_path_factory.mktemp("run") / "records", locations["records"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["directory", "list", "zip", "tar"])
def test_200_steps_are_bit_identical_to_those_on_the_records(locations, expected, tmp_path, kind):
    assert train(tmp_path, locations[kind]) == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["records", "directory", "list", "zip"])
def test_a_killed_run_is_resumed_bit_identically(locations, expected, tmp_path, kind):
    delays = random.Random(kind)
    for _ in range(2):
        before = commands.checkpoint_steps(tmp_path)
        process = commands.start("train_image_classifier", *flags(tmp_path, locations[kind]))
        while process.poll() is None and commands.checkpoint_steps(tmp_path) <= before:
            time.sleep(0.01)
        time.sleep(delays.random() / 5)
        process.kill()
        process.wait()
    assert commands.checkpoint_steps(tmp_path), "the run was killed before its first checkpoint"
    assert train(tmp_path, locations[kind]) == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["directory", "list"])
def test_evaluation_and_export_need_no_option_of_the_run(locations, tmp_path, kind):
    location = locations[kind]
    run, report = tmp_path / "run", tmp_path / "report"
    options = {"eval_every_steps": 2, "split_seed": 5, "validation_fraction": 0.25, "batch_size": 8}
    output = commands.run("train_image_classifier", *flags(run, location, 2, **options)).stdout
    assert "dataset: " in output
    assert "3 classes, read in place" in output
    (accuracy,) = [line for line in output.splitlines() if line.startswith("validation accuracy")]
    assert "(50 of 50 images)" in accuracy
    evaluated = commands.run(
        "eval_image_classifier",
        f"--train_dir={run}",
        f"--report_dir={report}",
        "--report_duplicates_of=train",
        f"--predictions_csv={tmp_path / 'rows.csv'}",
    ).stdout
    assert "(50 of 50 images)" in evaluated
    assert accuracy.split("(")[0].split()[-1] in evaluated
    assert list(report.glob("*.html"))
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 51
    error = commands.error("eval_image_classifier", f"--train_dir={run}", "--split_seed=6")
    assert "--split_seed=6 contradicts the run of the model: 5" in error
    exported = ["--dataset_dir=" + location.directory] if kind == "directory" else []
    exported += [f"--dataset_file={location.file}"] if location.file else []
    commands.run(
        "export_inference_graph",
        f"--checkpoint_path={run}",
        f"--output_dir={tmp_path / 'export'}",
        *exported,
        "--formats=tflite",
        "--check_images=9",
    )
