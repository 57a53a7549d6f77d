"""Published checkpoints by name, from a server on this machine."""

import dataclasses
import hashlib
import os
import sys

import numpy as np
import pytest

from classifier.checkpoints import __main__ as program
from classifier.checkpoints import fetch, sources
from classifier.cli import flags, path_checks
from classifier.config import options
from classifier.config.checkpoints import FetchConfig
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.config.training import TrainConfig
from classifier.resolve import published_model
from datasets import download
from nets import published
from slim import _checks
from tests.classifier import originals
from tests.datasets import sample_files

NAME = "mobilenet_v1_1.0_224"
ARCHIVE = f"{NAME}.tgz"
CONTENT = sample_files.tar_bytes({f"{NAME}.ckpt": os.urandom(20_000)})
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache directory, and no waiting between attempts."""
    monkeypatch.setenv("SLIM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    whole = download.Downloader.__init__
    monkeypatch.setattr(
        download.Downloader,
        "__init__",
        lambda self, **kwargs: whole(self, **kwargs, attempts=2, sleep=lambda seconds: None),
    )
    return tmp_path / "cache" / "checkpoints"


@pytest.fixture
def server(monkeypatch):
    """A server that has the archive twice; the table's addresses are its own."""
    with sample_files.served({f"/{mirror}/{ARCHIVE}": CONTENT for mirror in "ab"}) as state:
        set_table(monkeypatch, state, None)
        yield state


def set_table(monkeypatch, server, sha256):
    row = dataclasses.replace(published.named(NAME), url=f"{server.url}/b/{ARCHIVE}", sha256=sha256)
    monkeypatch.setattr(published, "checkpoints", lambda: (row,))
    monkeypatch.setattr(published, "_MIRRORS", {f"{server.url}/b/": f"{server.url}/a/"})


def paths(server):
    return [path for path, _ in server.requests]


def test_a_name_is_downloaded_once_and_then_needs_no_network(server, cache, capsys):
    checkpoint = str(cache / NAME / f"{NAME}.ckpt")
    assert fetch.local_path(NAME) == checkpoint
    assert paths(server) == [f"/a/{ARCHIVE}"]  # the mirror comes first
    assert f"sha256 {SHA256} of {ARCHIVE} recorded" in capsys.readouterr().err
    assert (cache / f"{ARCHIVE}.sha256").read_text() == f"{SHA256}  {ARCHIVE}\n"
    server.files.clear()
    assert fetch.local_path(ARCHIVE) == fetch.local_path(NAME) == checkpoint
    assert len(server.requests) == 1


def test_an_interrupted_download_with_a_known_checksum_resumes(server, cache, monkeypatch):
    set_table(monkeypatch, server, SHA256)
    for mirror in "ab":
        server.behaviors[f"/{mirror}/{ARCHIVE}"] = [sample_files.truncated(0.4)] * 2
    with pytest.raises(_checks.RunError, match="the connection ended after"):
        fetch.local_path(NAME)
    size = (cache / f"{ARCHIVE}.part").stat().st_size
    assert size > 1000
    server.requests.clear()
    for behaviors in server.behaviors.values():
        behaviors.clear()
    fetch.local_path(NAME)
    assert server.requests == [(f"/a/{ARCHIVE}", f"bytes={size}-")]


def test_the_second_mirror_is_used_when_the_first_fails(server):
    server.behaviors[f"/a/{ARCHIVE}"] = [sample_files.status(404)]
    assert fetch.local_path(NAME).endswith(f"{NAME}.ckpt")
    assert paths(server) == [f"/a/{ARCHIVE}", f"/b/{ARCHIVE}"]


def test_another_checksum_than_the_tables_is_an_error(server, cache, monkeypatch):
    set_table(monkeypatch, server, "0" * 64)
    message = f"{NAME} is not in {cache}, and cannot be downloaded.*sha256 is {SHA256}, not 000"
    with pytest.raises(_checks.RunError, match=message):
        fetch.local_path(NAME)
    assert not (cache / NAME).exists()


def test_another_checksum_than_the_first_downloads_is_an_error(server, cache):
    fetch.local_path(NAME)
    (cache / NAME).rename(cache.parent / "removed")
    (cache / ARCHIVE).unlink()
    other = sample_files.tar_bytes({f"{NAME}.ckpt": b"other"})
    server.files = dict.fromkeys(server.files, other)
    with pytest.raises(_checks.RunError, match=f"not {SHA256}"):
        fetch.local_path(NAME)
    (cache / f"{ARCHIVE}.sha256").write_text("nothing")
    with pytest.raises(
        _checks.UserError, match=r"does not start with a SHA-256\. Remove it to record another"
    ):
        fetch.local_path(NAME)


def test_without_network_the_error_says_what_to_do(cache, monkeypatch, tmp_path, capsys):
    offline = dataclasses.replace(published.named(NAME), url="http://127.0.0.1:9/x.tgz")
    monkeypatch.setattr(published, "checkpoints", lambda: (offline,))
    with pytest.raises(_checks.RunError) as error:
        fetch.local_path(NAME)
    assert "Connection refused from http://127.0.0.1:9/x.tgz" in str(error.value)
    assert f"`slim-checkpoints fetch {NAME} --source_dir=DIRECTORY`" in str(error.value)
    (tmp_path / ARCHIVE).write_bytes(CONTENT)
    monkeypatch.setattr(
        published, "checkpoints", lambda: (dataclasses.replace(offline, sha256="0" * 64),)
    )
    fetch.fetch(FetchConfig(name=NAME, source_dir=str(tmp_path)))
    assert f"is {SHA256}, published was 000" in capsys.readouterr().err
    assert fetch.local_path(NAME) == str(cache / NAME / f"{NAME}.ckpt")


def test_an_existing_path_has_priority_over_the_name(server, tmp_path, capsys):
    (tmp_path / NAME).mkdir()
    assert fetch.local_path(NAME) == NAME
    assert "the existing path is used, not the published checkpoint" in capsys.readouterr().out
    assert not server.requests
    assert published_model.in_words(NAME) == ""


def test_an_unknown_name_is_an_error_with_similar_names(capsys):
    with pytest.raises(_checks.UserError, match=r"name='mobilnet_v1_1\.0_224' is not known; did"):
        fetch.fetch(FetchConfig(name="mobilnet_v1_1.0_224"))
    message = "nor is it a published checkpoint; did you mean 'mobilenet_v2_1.0_224' or"
    with pytest.raises(_checks.UserError, match=message):
        path_checks.check("checkpoint", "--checkpoint_path", "mobilenet_v2_1.0_225")
    for kind in ("checkpoint", "checkpoints", "model"):
        path_checks.check(kind, "--checkpoint_path", "mobilenet_v2_1.0_224")


@pytest.mark.parametrize(
    "platform, variables, expected",
    [
        ("linux", {"HOME": "/h"}, "/h/.cache/slim"),
        ("linux", {"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/slim"),
        ("darwin", {"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/h/Library/Caches/slim"),
        ("linux", {"HOME": "/h", "SLIM_CACHE_DIR": "~/c"}, "/h/c"),
    ],
)
def test_the_cache_is_the_platforms(platform, variables, expected, monkeypatch):
    for name in ("SLIM_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert fetch.cache_directory() == f"{expected}/checkpoints"


def test_list_shows_what_is_cached(server, cache, capsys):
    (cache / NAME).mkdir(parents=True)
    assert program.main(["checkpoints", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = f"{NAME} mobilenet_v1 224 0 float 70.9 yes"
    assert [line.split() for line in lines[1:-1]] == [row.split()]
    assert lines[-1] == f"cache: {cache}"


def test_list_of_one_network(capsys):
    assert program.main(["checkpoints", "list", "resnet_v1_50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = "resnet_v1_50_2016_08_28 resnet_v1_50 224 1 float 75.2 no"
    assert [line.split() for line in lines[1:-1]] == [expected.split()]


def trained(config_class, checkpoint_path, **values):
    return published_model.of_trained(
        options.build(config_class, checkpoint_path=checkpoint_path, **values)
    )


def test_evaluation_prediction_and_export_take_their_options_from_the_table():
    data = {"dataset_name": "imagenet", "dataset_dir": "d"}
    config = trained(EvalConfig, "resnet_v1_50_2016_08_28", **data)
    model = config.model
    assert (model.model_name, model.preprocessing_name) == ("resnet_v1_50", "vgg")
    assert (model.labels_offset, model.eval_image_size) == (1, (224, 224))
    assert trained(EvalConfig, "resnet_v2_50", **data, labels_offset=-1).model.labels_offset == 0
    assert trained(EvalConfig, "resnet_v2_50", **data).model.eval_image_size == (299, 299)
    other = {"dataset_name": "flowers", "dataset_dir": "d"}
    assert trained(EvalConfig, "vgg_16", **other).model.labels_offset is None
    config = trained(PredictConfig, "mobilenet_v1_0.5_160", images=("i",))
    assert (config.model.model_name, config.model.image_size) == ("mobilenet_v1_050", (160, 160))
    config = trained(ExportConfig, "mobilenet_v2_1.0_96", output_dir="o")
    assert (config.model.model_name, config.run.image_size) == ("mobilenet_v2", (96, 96))
    own = trained(PredictConfig, NAME, images=("i",), model_name="lenet", image_size=(28, 28))
    assert (own.model.model_name, own.model.image_size) == ("lenet", (28, 28))
    with pytest.raises(_checks.UserError, match=r"slim has no network mobilenet_v2"):
        trained(PredictConfig, "mobilenet_v2_1.3_224", images=("i",))


def training(**values):
    values = {"train_dir": "r", "dataset_dir": "d"} | values
    return published_model.of_training(options.build(TrainConfig, **values))


@pytest.mark.parametrize(
    "values, offset",
    [
        ({"checkpoint_path": "resnet_v1_50"}, 1),
        ({"checkpoint_path": "resnet_v2_50"}, 0),
        ({"checkpoint_path": "elsewhere/vgg_16.ckpt"}, 1),
        ({"model_name": "vgg_16"}, 1),
        ({"model_name": "lenet"}, 0),
        ({"model_name": "vgg_16", "dataset_name": "flowers"}, 0),
    ],
)
def test_labels_offset_auto_of_training(values, offset):
    assert training(labels_offset=-1, **values).data.labels_offset == offset
    assert training(**values).data.labels_offset == 0


def test_training_takes_its_network_from_the_table():
    network = training(checkpoint_path="inception_v4_2016_09_09").network
    assert (network.model_name, network.train_image_size) == ("inception_v4", (299, 299))
    network = training(checkpoint_path="inception_v4", model_name="lenet").network
    assert network.model_name == "lenet"


def test_labels_offset_accepts_auto_and_no_negative_number():
    argv = ["train", "--train_dir=r", "--dataset_dir=.", "--labels_offset=auto"]
    assert flags.parse(TrainConfig, argv).data.labels_offset == -1
    with pytest.raises(_checks.UserError, match="--labels_offset='-1' is out of range"):
        flags.parse(TrainConfig, [*argv[:3], "--labels_offset=-1"])
    with pytest.raises(_checks.UserError, match="'one' is not an integer or auto"):
        flags.parse(TrainConfig, [*argv[:3], "--labels_offset=one"])


@pytest.mark.slow
def test_a_run_is_fine_tuned_and_evaluated_by_name(server, train, evaluate, tmp_path, digits):
    """A stranger's LeNet under a published name: every command finds it."""
    values = originals.network_values("lenet")
    prefix = originals.write(tmp_path / "files" / f"{NAME}.ckpt", values)
    files = {path.name: path.read_bytes() for path in (tmp_path / "files").iterdir()}
    server.files = {f"/a/{ARCHIVE}": sample_files.tar_bytes(files)}
    same = {"model_name": "lenet", "preprocessing_name": "lenet"}
    answer = train(tmp_path / "run", checkpoint_path=NAME, **same, train_image_size=28)
    assert answer.code == 0, answer.err
    assert any(f"{NAME}.ckpt" in line and "restored 8" in line for line in answer.out)
    answer = evaluate(NAME, **same, eval_image_size=28, dataset_name="digits", labels_offset="auto")
    assert answer.code == 0, answer.err
    assert len(server.requests) == 1
    checkpoint = sources.open_checkpoint(NAME)
    name = "LeNet/fc4/biases"
    np.testing.assert_array_equal(checkpoint.get(name), values[name])
    assert prefix.endswith(".ckpt")
