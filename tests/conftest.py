"""Environment of all tests, set before any of them loads TensorFlow."""

import gc
import os
import sys

import pytest

# The reference values were computed without oneDNN, whose kernels round differently.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

gc.disable()  # while modules are imported


def pytest_collection_finish() -> None:
    """Exempts TensorFlow and the tests from garbage collection, which took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()
    if "tensorflow" in sys.modules:  # before its first operation, for input pipelines too
        _set_graph_optimizer(False)


@pytest.fixture
def graph_optimizer():
    """Optimizes graphs, as outside the tests.

    The other tests in this process do without: optimizing a graph that runs once takes longer than
    running it. Scripts in processes of their own optimize theirs.
    """
    _set_graph_optimizer(True)
    yield
    _set_graph_optimizer(False)


def _set_graph_optimizer(enabled: bool) -> None:
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not enabled})
