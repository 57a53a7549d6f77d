"""Logits and one training step equal TF-Slim's, from the same weights.

They are computed in a separate process without oneDNN, as TF-Slim's were: its rounding changes some
gradients of mobilenet_v1 by more than the tolerance.
"""

import concurrent.futures
import math
import multiprocessing

import numpy as np
import pytest

from tests.conformance import checks, exemptions, numbers, reference

LOSSES, GRADIENT_NORMS, VARIABLES = 1e-4, 1e-2, 1e-3  # relative


@pytest.fixture(scope="module")
def worker():
    """A process without oneDNN for all tests of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
            yield pool


def first_divergence(golden, statistics):
    """Returns the first end point whose statistics differ from TF-Slim's, with both; or None."""
    for key, expected in golden.items():
        if key.startswith("ep/"):
            name = key[3:].replace("|", "/")
            ours = statistics[name]
            if not np.allclose(ours, expected, rtol=1e-3, atol=1e-3 * expected[1]):
                return f"first at {name}: mean, std, largest {ours}, TF-Slim's {list(expected)}"
    return None


@pytest.mark.parametrize(
    "name",
    checks.networks("test_logits_equal_tf_slims", "logits", reference.names(reference.GOLDENS)),
)
def test_logits_equal_tf_slims(name, worker):
    golden = reference.golden(name)
    logits, statistics = worker.submit(numbers.inference, name).result()
    divergence = first_divergence(golden, statistics)
    difference = np.abs(logits - golden["logits"]).max() / golden["logits"].std()
    assert difference <= exemptions.logits_tolerance(name), divergence
    assert divergence is None


def test_first_divergence_names_the_first_end_point_that_differs():
    golden = {"logits": np.zeros(1), "ep/a|b": np.array([0.0, 1.0, 2.0]), "ep/c": np.ones(3)}
    same = {"a/b": [0.0, 1.0, 2.0], "c": [1.0, 1.0, 1.0]}
    assert first_divergence(golden, same) is None
    assert first_divergence(golden, {**same, "c": [1.0, 1.1, 1.0]}).startswith("first at c: ")
    assert first_divergence(golden, {"a/b": [0.1, 1.0, 2.0], "c": [0.0] * 3}).startswith(
        "first at a/b"
    )


@pytest.mark.parametrize(
    "name",
    checks.networks(
        "test_training_step_equals_tf_slims", "training", reference.names(reference.TRAINING)
    ),
)
def test_training_step_equals_tf_slims(name, worker):
    expected = reference.training(name)
    ours = worker.submit(numbers.training, name).result()
    for key in ("cross_entropy", "aux_loss", "regularization_loss", "total_loss"):
        assert ours[key] == pytest.approx(expected[key], rel=LOSSES), key
    norms = expected["gradient_norms"]
    assert set(ours["gradient_norms"]) == set(norms)
    for key, norm in ours["gradient_norms"].items():
        assert norm == pytest.approx(norms[key], rel=GRADIENT_NORMS, abs=1e-6), key
    after = expected["variables_after_step_mean_std"]
    sizes = {row[0]: math.prod(row[1]) for row in reference.layout(name)["variables"]}
    assert set(ours["variables_after_step_mean_std"]) == set(after)
    for key, values in ours["variables_after_step_mean_std"].items():
        tolerance = VARIABLES * max(*map(abs, after[key]), 1e-3)
        if key in norms:
            # An error of the gradient changes the updated variable.
            per_element = norms[key] / math.sqrt(sizes[key])
            tolerance += exemptions.more_after_a_step(name) * abs(after[key][0])
            tolerance += expected["learning_rate"] * GRADIENT_NORMS * per_element
        np.testing.assert_allclose(values, after[key], atol=tolerance, rtol=0, err_msg=key)
