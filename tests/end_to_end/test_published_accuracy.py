"""scripts/verify_published_accuracy.sh, on small images in ImageNet's formats.

The checkpoint comes from a local server in the place of the published address. Its network answers
one class for all images, so the accuracies are known.
"""

import functools
import http.server
import os
import pathlib
import shutil
import subprocess
import sys
import threading

import commands
import numpy as np
import pytest

from nets import published
from slim import checkpoints
from tests.conformance import reference
from tests.datasets import sample_files

pytestmark = pytest.mark.slow
NAME, NETWORK = "mobilenet_v1_0.25_160", "mobilenet_v1_025"
ANSWERS = (7, 3, 8, 9, 10)  # classes in the order of their probabilities
EXTRA = 250  # images of the first of them, besides one of each class
COUNT = 1000 + EXTRA
# 1 + EXTRA images have the first class, and four more images another one of the five.
TOP_1, TOP_5 = 100 * (1 + EXTRA) / COUNT, 100 * (5 + EXTRA) / COUNT


def values_of(name, shape):
    if name.endswith("Conv2d_1c_1x1/biases"):
        return np.array([5 - ANSWERS.index(n) if n in ANSWERS else 0 for n in range(1001)], "f4")
    return np.full(shape, float(name.endswith(("gamma", "moving_variance"))), "f4")


def archive(directory):
    """Returns the archive as it was published: the checkpoint's files, without a directory."""
    variables = reference.layout(NETWORK)["variables"]
    prefix = directory / f"{NAME}.ckpt"
    checkpoints.save(prefix, {name: values_of(name, shape) for name, shape, *_ in variables})
    files = {path.name: path.read_bytes() for path in directory.glob(f"{NAME}.ckpt.*")}
    return sample_files.tar_bytes(files)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Returns a function that runs the script, with a server in place of the published one."""
    root = tmp_path_factory.mktemp("verify")
    # The request of a proxy's client has the complete address, which is then a path.
    address = published.named(NAME).url.replace("//", "/")
    published_file = root / "server" / address
    published_file.parent.mkdir(parents=True)
    (root / "archive").mkdir()
    published_file.write_bytes(archive(root / "archive"))
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(root / "server")
    )

    def run(*arguments, code=0, **variables):
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            proxy = f"http://127.0.0.1:{server.server_port}"
            # Not a proxy of HTTPS: the mirror fails, and the published address is used.
            environment = {"http_proxy": proxy, "https_proxy": "http://127.0.0.1:1"}
            done = subprocess.run(
                [str(commands.ROOT / "scripts" / "verify_published_accuracy.sh"), *arguments],
                capture_output=True, text=True, check=False, cwd=root,
                env={
                    **os.environ, "PYTHON": sys.executable, "CHECKPOINT": NAME,
                    "SLIM_CACHE_DIR": str(root / "cache"), **environment, **variables,
                },
            )  # fmt: skip
            server.shutdown()
        assert done.returncode == code, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Returns a directory as distributed: all images, and a line for the class of each."""
    directory = tmp_path_factory.mktemp("imagenet")
    classes = [*range(1, 1001), *[ANSWERS[0]] * EXTRA]
    image = sample_files.jpeg(40, 30, 1)
    for number in range(1, 1 + COUNT):
        (directory / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(image)
    labels = "".join(f"n{label:08d}\n" for label in classes)
    (directory / "imagenet_2012_validation_synset_labels.txt").write_text(labels)
    return directory


def test_measures_jpeg_files_then_tfrecords(script, images, tmp_path):
    output = script(str(images), str(tmp_path / "out"), code=1)
    assert f"{NAME} top-1: {TOP_1:.2f} % of {COUNT} images; published 45.5 %" in output
    assert f"{NAME} top-5: {TOP_5:.2f} % of {COUNT} images; published 70.3 %" in output
    assert f"difference {TOP_1 - 45.5:+.2f}" in output
    assert f"The published figures are of 50,000 images, these of {COUNT}." in output
    assert len(list(images.iterdir())) == COUNT + 1, "the user's directory is not changed"

    records = tmp_path / "records"
    records.mkdir()
    for path in pathlib.Path(tmp_path, "out", "data").glob("validation-*"):
        shutil.copy(path, records)
    output = script(str(records), str(tmp_path / "second"), TOLERANCE="60")
    assert f"{NAME} top-1: {TOP_1:.2f} % of {COUNT} images" in output
    assert "converting" not in output


def test_directory_without_images_is_an_error(script, tmp_path):
    (tmp_path / "empty").mkdir()
    output = script(str(tmp_path / "empty"), str(tmp_path / "out"), code=2)
    assert "No ImageNet in" in output
