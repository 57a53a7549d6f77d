"""Results of training benchmarks, their tables, and the comparison with committed ratios."""

import re

import pytest

from benchmarks import inference, performance_page, results, run, start, training
from tests import source_tree


def result(**seconds):
    values = {
        label.replace("_", " "): {"seconds": each, "multiply_adds": 100, "parameters": 2_000_000}
        for label, each in seconds.items()
    }
    values[training.PRODUCT] = {"seconds": [0.5, 1.0], "multiply_adds": 10**9}
    return {"batch": 10, "contestants": values}


def test_added_rounds_follow_the_earlier_ones():
    both = results.added(result(slim=[1.0, 2.0]), result(slim=[3.0, 4.0]))
    assert both["contestants"]["slim"]["seconds"] == [1.0, 2.0, 3.0, 4.0]


def test_rounds_of_other_contestants_are_not_added():
    with pytest.raises(SystemExit, match="--add: the earlier rounds have other contestants. Run"):
        results.added(result(slim=[1.0]), result(slim=[1.0], timm=[1.0]))


def test_results_of_other_keys_stay(tmp_path):
    results.write("training", "b", {"batch": 2}, tmp_path)
    results.write("training", "a", {"batch": 1}, tmp_path)
    results.write("training", "b", {"batch": 3}, tmp_path)
    assert list(results.read("training", tmp_path).items()) == [
        ("a", {"batch": 1}),
        ("b", {"batch": 3}),
    ]


def test_speeds_have_the_time_relative_to_the_first():
    sections = {
        "mobilenet_v1, float32": result(slim=[1.0, 2.0], Keras_3=[1.5, 3.0]),
        "mobilenet_v2, float32": result(slim=[2.0, 2.0], TF_Slim=[1.0, 1.0]),
    }
    assert performance_page.speeds(sections).splitlines() == [
        "| images/s (time) | `mobilenet_v1`, batch 10 | `mobilenet_v2`, batch 10 |",
        "| --- | ---: | ---: |",
        "| slim | 6.7 (1.00) | 5.0 (1.00) |",
        "| Keras 3 | 4.4 (1.50) | - |",
        "| TF Slim | - | 10.0 (0.50) |",
    ]


def test_share_is_computed_within_a_round():
    first = training.NETWORKS["mobilenet_v1"].first_layer
    values = result(slim=[1.0, 2.0])["contestants"]
    values["slim"]["multiply_adds"] = (10**8 + first) // 3
    assert training.share("mobilenet_v1", 10, values) == pytest.approx(0.5)


def test_share_of_inference_is_that_of_the_fastest_float32_format():
    seconds = {"frozen, folded": 2.0, "onnx": 1.0, "tflite_int8": 0.1, training.PRODUCT: 2.0}
    values = {
        "batch": 16,
        "multiply_adds": performance_page.SIDE**3 // 64,
        "contestants": {label: {"seconds": [each]} for label, each in seconds.items()},
    }
    table = performance_page.inference_shares({"resnet_v1_50, batch 16": values})
    assert table.splitlines()[-1] == "| `resnet_v1_50`, batch 16 | onnx | 0.50 |"


def test_page_keeps_its_text(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "DIRECTORY", tmp_path)
    text = "before\n<!-- benchmarks: memory, float32 -->\nold\n<!-- end -->\nafter\n"
    renewed = performance_page.renewed(text)
    assert renewed.startswith("before\n<!-- benchmarks: memory, float32 -->\nNot measured.\n<!--")
    assert renewed.endswith("\n<!-- end -->\nafter\n")
    assert "old" not in renewed


def test_unknown_table_is_an_error():
    with pytest.raises(SystemExit, match="unknown table: speed. Allowed: machine, training"):
        performance_page.renewed("<!-- benchmarks: speed -->\n<!-- end -->")


def test_documented_tables_are_those_of_the_results():
    text = performance_page.PAGE.read_text("utf-8")
    assert performance_page.renewed(text) == text, "python benchmarks/performance_page.py"


def test_ratios_below_the_tolerance_are_listed():
    committed = {"a": 2.0, "b": 2.0, "c": 2.0, "d": 1.0}
    assert run.fallen(committed, {"a": 1.79, "b": 1.81, "c": 3.0}, tolerance=0.1) == [
        "a: 1.79, committed 2.00 (-10%)",
        "d: not measured",
    ]


def test_flags_of_the_pages_commands_exist(capsys):
    programs = {"training": training, "inference": inference, "start": start, "run": run}
    page = (source_tree.ROOT / "docs" / "performance.md").read_text("utf-8")
    commands = re.findall(r"^python benchmarks/(\w+)\.py(.*)$", page, re.M)
    assert {name for name, _ in commands} == set(programs)
    for name, arguments in commands:
        with pytest.raises(SystemExit, match="0"):
            programs[name].main(["--help"])
        flags = set(re.findall(r"--\w+", capsys.readouterr().out))
        assert set(re.findall(r"--\w+", arguments)) <= flags, name
