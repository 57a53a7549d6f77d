"""The report of the evaluation script."""

import json
import re
import shutil

import pytest

from classifier import report
from classifier.cli import flags
from classifier.config.evaluation import EvalConfig
from tests.user_files import unchanged


@pytest.fixture
def evaluate(trained, digits, tmp_path, capsys):
    """Evaluates two steps of training on 16 digits, with a report; flags as keywords."""

    def run(**more):
        values = {
            "checkpoint_path": trained,
            "dataset_dir": digits,
            "dataset_split_name": "validation",
            "batch_size": 8,
            "max_num_batches": 2,
            "eval_dir": tmp_path / "eval",
            "report_dir": tmp_path / "report",
        } | more
        argv = ["eval", *(f"--{name}={value}" for name, value in values.items())]
        code = int(flags.main(EvalConfig, report.evaluate, "", argv))
        captured = capsys.readouterr()
        page = tmp_path / "report" / "index.html"
        return code, captured, page.read_text("utf-8") if page.exists() else ""

    return run


def test_a_report_shows_the_evaluation_and_the_run(evaluate, tmp_path):
    code, captured, page = evaluate()
    assert code == 0, captured.err
    assert f"report: {tmp_path / 'report' / 'index.html'}" in captured.out
    accuracy = float(re.search(r"eval/Accuracy\[(.*)\]", captured.out)[1])
    assert f'<dt>Accuracy</dt><dd class="value">{accuracy:.1%}</dd>' in page
    assert "16 images, 10 classes; model.ckpt-2, step 2" in page
    assert '<section id="curves"' in page
    assert "<dt>batch_size</dt><dd>8</dd>" in page  # of the run
    assert len(set(re.findall(r"data:image/webp;base64,[^\"]+", page))) == 16
    assert 'id="duplicates"' not in page


@pytest.mark.slow
def test_near_duplicates_of_another_split_are_searched(evaluate, digits, tmp_path):
    copy = shutil.copytree(digits, tmp_path / "digits")
    name = "digits_{}-00000-of-00001.tfrecord"
    shutil.copy(copy / name.format("validation"), copy / name.format("again"))
    info = json.loads((copy / "dataset_info.json").read_text())
    text = json.dumps(info["splits"]["validation"]).replace("digits_validation", "digits_again")
    info["splits"]["again"] = json.loads(text)
    (copy / "dataset_info.json").write_text(json.dumps(info))
    code, captured, page = evaluate(dataset_dir=copy, report_duplicates_of="again")
    assert code == 0, captured.err
    assert "Near-duplicates in again" in page
    assert "16 pairs, the first 12 shown" in page
    pairs = re.findall(r"validation: ([^<]+)<br>again: ([^<]+)<", page)
    assert len(set(pairs)) == 12
    assert all(name == other and name.endswith(".png") for name, other in pairs)
    assert page.count("similarity <b>1.000</b>") == 12


@pytest.mark.parametrize(
    "more, message",
    [
        (
            {"report_duplicates_of": "validation"},
            "report_duplicates_of=validation is the evaluated",
        ),
        ({"report_duplicates_of": "traln"}, "traln"),
        ({"report_dir": "", "report_thumbnails": 3}, "--report_thumbnails needs --report_dir"),
    ],
)
def test_options_of_the_report_are_checked_before_the_evaluation(evaluate, more, message):
    code, captured, page = evaluate(**more)
    assert (code, page) == (2, "")
    assert message in captured.err
    assert "accuracy" not in captured.out


@pytest.mark.slow
def test_a_report_replaces_a_report_and_limits_thumbnails(evaluate, tmp_path):
    directory = tmp_path / "report"
    directory.mkdir()
    (directory / "index.html").write_text("mine")
    with unchanged(directory):
        code, captured, _ = evaluate()
    assert code == 2
    assert "holds files that slim did not create: index.html" in captured.err
    (directory / "index.html").unlink()
    for count in (3, 2):
        code, _, page = evaluate(report_thumbnails=count)
        assert code == 0
        assert len(set(re.findall(r"data:image/webp;base64,[^\"]+", page))) == count
