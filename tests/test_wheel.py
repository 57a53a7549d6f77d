"""The wheel in a new environment: commands, from another directory, next to a user's packages."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import venv

import pytest

from tests import source_tree

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Returns a function that runs an installed command and returns its output."""
    root = tmp_path_factory.mktemp("wheel")
    source, home = root / "source", root / "home"
    shutil.copytree(
        source_tree.ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", "build", "tests")
    )
    venv.create(root / "venv", with_pip=True)
    python = root / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", str(source)],
        check=True,
        env=os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")},
    )
    (site,) = (root / "venv").glob("lib/python*/site-packages")
    (site / "shared.pth").write_text(sysconfig.get_path("purelib"))
    for name in ("nets", "datasets", "preprocessing"):
        (home / "code" / name).mkdir(parents=True)
        (home / "code" / name / "__init__.py").write_text("raise ImportError('of the user')\n")

    def run(*arguments, code=0):
        done = subprocess.run(
            [str(python.parent / arguments[0]), *arguments[1:]],
            cwd=home, capture_output=True, text=True, timeout=1800, check=False,
            env=os.environ | {"PYTHONPATH": str(home / "code")},
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    @contextlib.contextmanager
    def start(name, *arguments):
        process = subprocess.Popen(
            [str(python.parent / name), *arguments],
            cwd=home, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with process:
            try:
                yield process
            finally:
                process.terminate()

    run.home, run.start, run.bin = home, start, python.parent
    run.scripts = pathlib.Path(site, "slim", "scripts")
    return run


def test_help_and_version_are_printed(command):
    assert "--train_dir" in command("slim-train", "--help")
    assert "slim 0.1.0" in command("slim-train", "--version")
    assert "Usage: slim-serve " in command("slim-serve", "--help")
    assert "slim-checkpoints fetch NAME [DIRECTORY]" in command(
        "slim-checkpoints", "fetch", "--help"
    )
    assert "Usage: slim-checkpoints COMMAND" in command("slim-checkpoints")


def test_messages_name_installed_commands(command):
    code = "from slim.datasets import digits; digits.get_split('train', 'missing')"
    error = command("python", "-P", "-c", code, code=1)
    assert "Create it with: slim-data --dataset_name=digits --dataset_dir=missing" in error


def test_recipes_and_flagfiles_are_installed(command):
    names = {path.name for path in command.scripts.glob("*.sh")}
    assert "train_lenet_on_mnist.sh" in names
    assert not {"environment.sh", "lock.sh", "site.sh", "test.sh"} & names
    assert "train_lenet_on_mnist: " in command("slim-recipe")
    flags = ["--train_dir=imagenet", "--dataset_dir=.", "--only_check_args"]
    command("slim-train", "--flagfile=mobilenet_v2.flags", *flags)


def test_digits_are_classified(command):
    command("slim-data", "--dataset_name=digits", "--dataset_dir=data")
    data = ["--dataset_name=digits", "--dataset_dir=data"]
    command(
        "slim-train", *data, "--train_dir=run", "--model_name=lenet", "--max_number_of_steps=20"
    )
    evaluation = ["--checkpoint_path=run", *data, "--dataset_split_name=validation"]
    assert "eval/Accuracy[" in command("slim-eval", *evaluation, "--report_dir=report")
    command("slim-export", "--checkpoint_path=run", "--output_dir=export")
    images = ["--checkpoint_path=run", "--images=data/samples", "--top_k=1"]
    assert "data/samples/" in command("slim-predict", *images)
    with command.start("slim-serve", "--model=export/lenet.pb", "--port=0") as process:
        lines = (line for line in process.stdout if line.startswith("listening on "))
        address = next(lines).split()[-1]
        (sample, *_) = sorted((command.home / "data" / "samples").rglob("*.png"))
        request = urllib.request.Request(
            f"{address}/v1/models/lenet:classify",
            sample.read_bytes(),
            {"Content-Type": "image/png"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            assert len(json.load(response)["results"][0]) == 5
        with urllib.request.urlopen(address, timeout=60) as response:
            assert b"<title>lenet</title>" in response.read()


def test_commands_of_the_start_page_lead_to_a_served_model(command):
    page = (source_tree.ROOT / "docs" / "start.md").read_text("utf-8")
    page = re.sub(r"<!-- not run.*?```bash.*?```", "", page, flags=re.DOTALL)
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    *blocks, serve, request = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    home = command.home / "start"
    home.mkdir()

    def shell(block):
        path = f"export PATH={command.bin}:$PATH; cd {home}\n"
        return command(shutil.which("bash"), "-e", "-c", path + block)

    shell(f"python - <<'PYTHON'\n{program}PYTHON")
    outputs = "".join(map(shell, blocks))
    accuracy = re.search(r"validation accuracy ([\d.]+) \(180 of 180 images\)", outputs)
    assert float(accuracy[1]) > 0.85
    assert len(re.findall(r"^images/seven/\S+: seven ", outputs, re.MULTILINE)) > 2 * 140
    assert (home / "report" / "index.html").stat().st_size > 10_000
    name, model, port = serve.split()
    assert (model, port) == ("--model=export/saved_model", "--port=8501")
    if shutil.which("curl") is None:
        pytest.skip("needs curl for the last command")
    with command.start(name, "--model=start/export/saved_model", "--port=0") as process:
        lines = (line for line in process.stdout if line.startswith("listening on "))
        address = next(lines).split()[-1]
        answer = json.loads(shell(request.replace("http://localhost:8501", address)))
    assert answer["results"][0][0][0] == "seven"
