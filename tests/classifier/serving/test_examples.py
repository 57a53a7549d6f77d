"""The examples in docs/serving.md."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests import source_tree
from tests.classifier.serving import servers
from tests.classifier.serving.servers import encoded, png

PAGE = (source_tree.ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def client(lenet_run):
    with servers.running(servers.load(lenet_run)) as started:
        yield started


@pytest.fixture
def run(client, tmp_path):
    """Runs a command with a program of the page on its standard input, next to an image."""
    (tmp_path / "image.png").write_bytes(png(3))

    def run(command, program):
        done = subprocess.run(
            command, input=program.replace("localhost:8501", f"127.0.0.1:{client.port}"),
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def expected(client):
    return client.predict({"instances": [encoded(png(3))]})[1]["predictions"]


def test_the_lines_for_curl(client, run):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (program,) = [block for block in blocks("bash") if block.startswith("curl")]
    output = run(["bash", "-e"], program)
    decoder, values = json.JSONDecoder(), []
    while output:
        value, end = decoder.raw_decode(output)
        values.append(value)
        output = output[end:]
    assert [list(value) for value in values] == [
        ["model_version_status"],
        ["results"],
        ["predictions"],
    ]
    assert values[2]["predictions"] == expected(client)
    assert values[1]["results"][0][0][0] == expected(client)[0]["classes"]


def test_the_client_in_python(client, run):
    (program,) = blocks("python")
    (prediction,) = expected(client)
    line = f"{prediction['classes']} {max(prediction['probabilities'])}\n"
    assert run([sys.executable, "-"], program) == line


def test_the_limits_are_the_defaults():
    from classifier.config import options
    from classifier.config.serving import ServeConfig

    known = options.by_name(ServeConfig)
    shown = re.findall(r"\| `--(\w+)=(\d+)`", PAGE)
    assert len(shown) == 4
    for name, value in shown:
        assert known[name].default == int(value)
