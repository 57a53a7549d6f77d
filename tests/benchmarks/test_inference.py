"""The benchmark of the formats on small networks, and the effect of folding."""

import importlib.util
import re

import numpy as np
import pytest

from benchmarks import inference


def is_installed(package):
    return importlib.util.find_spec(package) is not None


@pytest.mark.slow
def test_every_format_is_timed_at_both_batch_sizes(capsys, tmp_path):
    inference.main(["lenet", "--rounds=3", f"--results={tmp_path}"])
    output = capsys.readouterr().out
    for batch in inference.BATCHES:
        assert f"lenet, batch {batch}\n" in output
    extras = [name for name, (package, _) in inference.EXTRAS.items() if is_installed(package)]
    for name in ("frozen, folded", "frozen, not folded", "SavedModel", *extras):
        assert len(re.findall(rf"^  {name}(?:, \d+ ops)?  ", output, re.MULTILINE)) == 2


def test_different_outputs_of_formats_are_an_error():
    images = np.zeros([2, 3], np.float32)
    calls = {"a": lambda images: images + 1, "b": lambda images: images + 1.01}
    with pytest.raises(SystemExit, match=r"b differs from the first by 1.0e-02 of its maximum"):
        inference.check_same(calls, images)
    inference.check_same({"a": calls["a"], "c": calls["a"]}, images)


def test_probabilities_are_the_output_that_sums_to_one():
    logits, probabilities = np.array([[1.0, 2.0]]), np.array([[0.25, 0.75]])
    assert inference.probabilities([logits, probabilities]) is probabilities


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1", "resnet_v1_50"])
def test_folding_shrinks_the_graph(name):
    folded, plain, *_ = inference.measure(name, batch=1, rounds=1, keys=["tflite"])
    assert int(folded.split()[-2]) < int(plain.split()[-2])
