"""The Python of the tutorials that people learned TF-Slim from runs as it is printed.

The tutorials are not part of the project; the test runs where they are next to it.
"""

import json
import os
import subprocess
import sys

import pytest

from tests import source_tree

TUTORIALS = source_tree.ROOT.parent / "shared" / "tutorials"

# Blocks and commands of each tutorial.
COUNTS = {"000": 4, "001": 17, "002": 3, "003": 6, "004": 4}


@pytest.mark.slow
@pytest.mark.skipif(not TUTORIALS.is_dir(), reason="no tutorials next to the project")
def test_every_python_block_runs(tmp_path):
    script = "tests/end_to_end/tutorial_blocks.py"
    result = subprocess.run(
        [sys.executable, "-m", "slim.run", script, TUTORIALS, tmp_path],
        cwd=source_tree.ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    blocks = [json.loads(line[6:]) for line in lines if line.startswith("BLOCK ")]
    assert {b["block"]: b["error"] for b in blocks if b["error"]} == {}
    files = [block["block"].partition("_")[0] for block in blocks]
    assert {name: files.count(name) for name in files} == COUNTS
