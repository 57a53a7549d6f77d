"""Environment of all tests, set before any of them loads TensorFlow."""

import os

# The reference values were computed without oneDNN, whose kernels round differently.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
