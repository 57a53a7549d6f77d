"""The streaming metrics under `tf.compat.v1.disable_v2_behavior()`, as old scripts run."""

import pathlib
import subprocess
import sys

import pytest

CODE = """
import sys, pytest, tensorflow as tf
tf.compat.v1.disable_v2_behavior()
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


@pytest.mark.slow
def test_values_are_the_same_with_reference_variables():
    streams = pathlib.Path(__file__).with_name("test_streams.py")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(streams)],
        cwd=streams.parents[3],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
