"""Each downloaded dataset, from a working server and from servers with faults."""

import dataclasses
import errno
import hashlib
import inspect
import os
import types
from collections.abc import Callable
from importlib import import_module

import pytest

from datasets import (
    conversion,
    dataset_factory,
    dataset_info,
    download,
    download_and_convert,
    flowers,
    mnist,
    verify,
)
from slim import _checks
from tests.datasets import sample_files
from tests.datasets import test_visualwakewords as coco


@dataclasses.dataclass(frozen=True)
class Downloader:
    """The files of a dataset: `files()` returns name -> content."""

    files: Callable[[], dict[str, bytes]]
    attribute: str = "FILE"


def coco_files():
    contents, texts = {}, {}
    for split, offset in (("train", 100), ("val", 200)):
        photos = {
            f"{split}2014/{coco.name(split, offset + n)}": sample_files.jpeg(20, 40, n)
            for n in coco.OBJECTS
        }
        contents[f"{split}2014.zip"] = sample_files.zip_bytes(photos)
        text = coco.json.dumps(coco.annotations(split, offset)).encode()
        texts[f"annotations/instances_{split}2014.json"] = text
    return contents | {"annotations_trainval2014.zip": sample_files.zip_bytes(texts)}


DOWNLOADERS = {
    "mnist": Downloader(lambda: sample_files.mnist_files()[0], "PLACES"),
    "cifar10": Downloader(lambda: {"cifar-10-binary.tar.gz": sample_files.cifar10_archive()[0]}),
    "flowers": Downloader(
        lambda: {flowers.FILE.name: sample_files.flowers_archive(per_class=8)[0]}
    ),
    "visualwakewords": Downloader(coco_files, "FILES"),
}
_SLOW = ("flowers", "visualwakewords")  # starts worker processes
datasets = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in _SLOW)) for name in DOWNLOADERS],
)


@dataclasses.dataclass
class ServedDataset:
    """A dataset on a server `a` and its mirror `b`; `first` is its first file."""

    name: str
    server: sample_files.Served
    first: str
    content: bytes
    num_files: int
    directory: str

    def convert(self):
        download_and_convert.run(self.name, self.directory, lambda line: None)

    def check(self):
        """Asserts that the dataset is complete, without leftover downloads."""
        verify.run(self.directory, lambda line: None)
        assert not os.path.exists(os.path.join(self.directory, conversion.DOWNLOADS))

    def assert_fails(self, match):
        with pytest.raises(_checks.RunError, match=match) as caught:
            self.convert()
        assert "\n" not in str(caught.value)
        assert not dataset_info.is_complete(self.directory)
        assert not [file for file in os.listdir(self.directory) if "tfrecord" in file]

    def requests_of_first(self):
        return [(path, span) for path, span in self.server.requests if path.endswith(self.first)]


@pytest.fixture(scope="module")
def contents():
    return {name: each.files() for name, each in DOWNLOADERS.items()}


@pytest.fixture
def served(name, contents, monkeypatch, tmp_path):
    files = contents[name]
    module = import_module(dataset_factory.DATASETS[name].module, "datasets")
    monkeypatch.setattr(flowers, "NUM_VALIDATION", 10)
    defaults = download.Downloader.__init__.__kwdefaults__ | {"wait": 0.0, "timeout": 5.0}
    monkeypatch.setattr(download.Downloader.__init__, "__kwdefaults__", defaults)
    with sample_files.served({f"/{p}/{n}": c for p in "ab" for n, c in files.items()}) as server:
        facts = {each: (len(c), hashlib.sha256(c).hexdigest()) for each, c in files.items()}
        remote = [
            download.RemoteFile(
                each, (f"{server.url}/a/{each}", f"{server.url}/b/{each}"), *facts_of_file
            )
            for each, facts_of_file in facts.items()
        ]
        if module is mnist:
            monkeypatch.setattr(mnist, "PLACES", (f"{server.url}/a/", f"{server.url}/b/"))
            monkeypatch.setattr(mnist, "FILES", facts)
        elif DOWNLOADERS[name].attribute == "FILE":
            monkeypatch.setattr(module, "FILE", remote[0])
        else:
            monkeypatch.setattr(module, "FILES", tuple(remote))
        first = next(iter(files))
        yield ServedDataset(name, server, first, files[first], len(files), str(tmp_path / "out"))


def test_all_downloaded_datasets_are_tested():
    """Only downloaded datasets call `conversion.fetch`."""
    fetching = {
        name
        for name, spec in dataset_factory.DATASETS.items()
        if "conversion.fetch(" in inspect.getsource(import_module(spec.module, "datasets"))
    }
    assert fetching == set(DOWNLOADERS)


@datasets
def test_dataset_is_converted_from_the_first_server(served):
    served.convert()
    served.check()
    assert len(served.server.requests) == served.num_files
    assert all(path.startswith("/a/") for path, _ in served.server.requests)


@datasets
def test_mirror_is_used_after_404(served):
    del served.server.files[f"/a/{served.first}"]
    served.convert()
    served.check()
    assert [path[:3] for path, _ in served.requests_of_first()] == ["/a/", "/b/"]


@datasets
def test_interrupted_download_resumes(served):
    served.server.behaviors[f"/a/{served.first}"] = [sample_files.truncated(0.5)]
    served.convert()
    served.check()
    assert [span for _, span in served.requests_of_first()] == [
        None,
        f"bytes={len(served.content) // 2}-",
    ]


@datasets
def test_wrong_checksum_is_rejected(served):
    wrong = served.content[:-1] + bytes([served.content[-1] ^ 1])
    for mirror in "ab":
        served.server.files[f"/{mirror}/{served.first}"] = wrong
    served.assert_fails(
        f"download {served.first} for {served.name}: sha256 is .*, not .* source_dir"
    )
    served.server.files[f"/b/{served.first}"] = served.content
    served.convert()
    served.check()


@datasets
def test_html_with_status_200_is_rejected(served):
    for mirror in "ab":
        served.server.behaviors[f"/{mirror}/{served.first}"] = [sample_files.html]
    served.assert_fails(
        f"download {served.first} for {served.name}: an HTML page instead of the file from"
    )
    served.convert()
    served.check()


@datasets
def test_slow_server_is_used(served):
    served.server.behaviors[f"/a/{served.first}"] = [sample_files.stalling(0.2)]
    served.convert()
    served.check()
    assert len(served.requests_of_first()) == 1


@datasets
def test_full_disk_before_and_during_the_download_is_reported(served, monkeypatch):
    with monkeypatch.context() as patch:
        free = types.SimpleNamespace(free=len(served.content) - 1)
        patch.setattr(download.shutil, "disk_usage", lambda path: free)
        served.assert_fails("Not enough space for the download in .* MB needed")
    assert served.server.requests == []

    real = download._files.open_output

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self):
            self.file.flush()

    with monkeypatch.context() as patch:
        patch.setattr(
            download._files, "open_output", lambda path, append: Full(real(path, append=append))
        )
        served.assert_fails(f"{served.first} could not be written: No space left on device")
    served.convert()
    served.check()


@datasets
def test_full_disk_during_conversion_keeps_the_downloads(served, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(conversion, "run", full)
        served.assert_fails("could not be written: .*No space left")
    num_requests = len(served.server.requests)
    served.convert()
    served.check()
    assert len(served.server.requests) == num_requests, "no file is downloaded again"
