"""Checkpoints whose variables are below another scope, or are moving averages alone."""

import pytest

from classifier.checkpoints.sources import likely_renaming
from tests.classifier import originals


@pytest.mark.parametrize(
    "scope",
    [
        "clone_0",
        *(pytest.param(scope, marks=pytest.mark.slow) for scope in ("FeatureExtractor", "a/b")),
    ],
)
def test_a_checkpoint_with_one_more_scope_is_answered_with_the_flag(
    scope, train, evaluate, tmp_path
):
    values = {f"{scope}/{name}": v for name, v in originals.network_values("lenet").items()}
    prefix = originals.write(tmp_path / "other" / "model.ckpt-1", values)
    answer = train(tmp_path / "run", checkpoint_path=prefix)
    pair = f"{scope}/LeNet:LeNet"
    assert answer.code == 2
    assert f"Add --checkpoint_scope_map={pair}: that scope has variables" in answer.err[0]
    answer = evaluate(prefix, model_name="lenet", dataset_name="digits")
    assert f"below '{scope}'. To rename its scopes, train from it with" in answer.err[-1]
    if scope == "clone_0":
        answer = train(tmp_path / "run", checkpoint_path=prefix, checkpoint_scope_map=pair)
        assert answer.code == 0, answer.err
        assert any("restored 8, skipped 0, missing 0, unused 0" in line for line in answer.out)


def test_one_more_scope_of_a_network_without_a_common_scope():
    missing = ["cell_0/w", "cell_1/w", "final_layer/FC/b"]
    saved = [f"tower/{name}" for name in missing]
    expected = "tower/cell_0:cell_0,tower/cell_1:cell_1,tower/final_layer:final_layer"
    assert likely_renaming(missing, saved) == expected
    assert likely_renaming(missing, saved[:1]) == ""


@pytest.mark.slow
def test_moving_averages_alone_are_read_as_the_weights(train, evaluate, tmp_path):
    weights = originals.network_values("lenet")
    averages = {f"{name}/ExponentialMovingAverage": value for name, value in weights.items()}
    prefix = originals.write(tmp_path / "other" / "model.ckpt-1", averages)
    answer = train(tmp_path / "run", checkpoint_path=prefix)
    assert answer.code == 0, answer.err
    assert f"{prefix} has only moving averages: they are read as the weights" in answer.out
    assert any("restored 8" in line for line in answer.out)
    plain = originals.write(tmp_path / "plain" / "model.ckpt-1", weights)
    flags = {"model_name": "lenet", "dataset_name": "digits"}
    lines = [evaluate(plain, **flags).out, evaluate(prefix, **flags).out]
    lines.append(evaluate(prefix, **flags, moving_average_decay=0.9).out)
    accuracies = [[line for line in each if " accuracy" in line] for each in lines]
    assert accuracies[0] == accuracies[1] == accuracies[2] != []
