"""Environment of all tests, set before any of them loads TensorFlow."""

import gc
import os

# The reference values were computed without oneDNN, whose kernels round differently.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_collection_finish() -> None:
    """Exempts TensorFlow and the tests from garbage collection, which took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
