"""The benchmark of the formats, on small networks; and that folding pays."""

import importlib.util
import re

import numpy as np
import pytest

from benchmarks import inference


def is_there(package):
    return importlib.util.find_spec(package) is not None


@pytest.mark.slow
def test_every_format_is_timed_at_both_batches(capsys):
    inference.main(["--networks=lenet", "--rounds=3"])
    said = capsys.readouterr().out
    for batch in inference.BATCHES:
        assert f"lenet, batch {batch}\n" in said
    extras = [name for name, (package, _) in inference.EXTRAS.items() if is_there(package)]
    for name in ("frozen, folded", "frozen, not folded", "SavedModel", *extras):
        assert len(re.findall(rf"^  {name}\b", said, re.MULTILINE)) == 2


def test_formats_that_answer_otherwise_are_not_compared():
    images = np.zeros([2, 3], np.float32)
    calls = {"a": lambda images: images + 1, "b": lambda images: images + 1.01}
    with pytest.raises(SystemExit, match=r"b answers otherwise: by 1.0e-02 of the largest"):
        inference.check_same(calls, images)
    inference.check_same({"a": calls["a"], "c": calls["a"]}, images)


def test_probabilities_are_the_output_that_sums_to_one():
    logits, shares = np.array([[1.0, 2.0]]), np.array([[0.25, 0.75]])
    assert inference.probabilities([logits, shares]) is shares


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet_v1_50"])
def test_folding_makes_the_graph_smaller_and_no_slower(name):
    found = inference.measure(name, rounds=9)
    for by_name in found.values():
        folded, plain, *_ = by_name
        assert int(folded.split()[-2]) < int(plain.split()[-2])
        # Relative to the folded one; the machine is a noisy one.
        assert by_name[plain][1] > 0.9
