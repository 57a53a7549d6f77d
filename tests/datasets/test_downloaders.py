"""Each dataset that is downloaded, from a server that is good and from servers that are not."""

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
from tests.datasets import archives_in_the_true_format as made
from tests.datasets import test_visualwakewords as coco


@dataclasses.dataclass(frozen=True)
class Downloader:
    """What a dataset is made of: `files()` gives name -> content."""

    files: Callable[[], dict[str, bytes]]
    files_are_in: str = "FILE"


def coco_files():
    contents, texts = {}, {}
    for split, offset in (("train", 100), ("val", 200)):
        photos = {
            f"{split}2014/{coco.name(split, offset + n)}": made.jpeg(20, 40, n)
            for n in coco.OBJECTS
        }
        contents[f"{split}2014.zip"] = made.zip_bytes(photos)
        text = coco.json.dumps(coco.annotations(split, offset)).encode()
        texts[f"annotations/instances_{split}2014.json"] = text
    return contents | {"annotations_trainval2014.zip": made.zip_bytes(texts)}


DOWNLOADERS = {
    "mnist": Downloader(lambda: made.mnist_files()[0], "PLACES"),
    "cifar10": Downloader(lambda: {"cifar-10-binary.tar.gz": made.cifar10_archive()[0]}),
    "flowers": Downloader(lambda: {flowers.FILE.name: made.flowers_archive(per_class=8)[0]}),
    "visualwakewords": Downloader(coco_files, "FILES"),
}
_SLOW = ("flowers", "visualwakewords")  # pictures are looked at by processes that have to start
datasets = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in _SLOW)) for name in DOWNLOADERS],
)


@dataclasses.dataclass
class Place:
    """A served dataset: `first` is its first file, on the best server `a` and its mirror `b`."""

    name: str
    server: made.Served
    first: str
    content: bytes
    num_files: int
    directory: str

    def convert(self):
        download_and_convert.run(self.name, self.directory, lambda line: None)

    def check(self):
        """Refuses anything but a whole dataset with nothing beside it."""
        verify.run(self.directory, lambda line: None)
        assert not os.path.exists(os.path.join(self.directory, conversion.DOWNLOADS))

    def refuses(self, match):
        with pytest.raises(_checks.RunError, match=match) as caught:
            self.convert()
        assert "\n" not in str(caught.value)
        assert not dataset_info.is_complete(self.directory)
        assert not [file for file in os.listdir(self.directory) if "tfrecord" in file]

    def asked_first(self):
        return [(path, span) for path, span in self.server.asked if path.endswith(self.first)]


@pytest.fixture(scope="module")
def contents():
    return {name: each.files() for name, each in DOWNLOADERS.items()}


@pytest.fixture
def place(name, contents, monkeypatch, tmp_path):
    files = contents[name]
    module = import_module(dataset_factory.DATASETS[name].module, "datasets")
    monkeypatch.setattr(flowers, "NUM_VALIDATION", 10)
    defaults = download.Downloader.__init__.__kwdefaults__ | {"wait": 0.0, "timeout": 5.0}
    monkeypatch.setattr(download.Downloader.__init__, "__kwdefaults__", defaults)
    with made.served({f"/{p}/{n}": c for p in "ab" for n, c in files.items()}) as server:
        facts = {each: (len(c), hashlib.sha256(c).hexdigest()) for each, c in files.items()}
        remote = [
            download.RemoteFile(each, (f"{server.url}/a/{each}", f"{server.url}/b/{each}"), *about)
            for each, about in facts.items()
        ]
        if module is mnist:
            monkeypatch.setattr(mnist, "PLACES", (f"{server.url}/a/", f"{server.url}/b/"))
            monkeypatch.setattr(mnist, "FILES", facts)
        elif DOWNLOADERS[name].files_are_in == "FILE":
            monkeypatch.setattr(module, "FILE", remote[0])
        else:
            monkeypatch.setattr(module, "FILES", tuple(remote))
        first = next(iter(files))
        yield Place(name, server, first, files[first], len(files), str(tmp_path / "out"))


def test_every_dataset_that_is_downloaded_is_here():
    """ImageNet needs an account, folder is the user's, digits lie inside scikit-learn's copy."""
    fetching = {
        name
        for name, spec in dataset_factory.DATASETS.items()
        if "conversion.fetch(" in inspect.getsource(import_module(spec.module, "datasets"))
    }
    assert fetching == set(DOWNLOADERS)


@datasets
def test_clean(place):
    place.convert()
    place.check()
    assert len(place.server.asked) == place.num_files
    assert all(path.startswith("/a/") for path, _ in place.server.asked)


@datasets
def test_404_then_the_mirror(place):
    del place.server.files[f"/a/{place.first}"]
    place.convert()
    place.check()
    assert [path[:3] for path, _ in place.asked_first()] == ["/a/", "/b/"]


@datasets
def test_cut_at_half_then_resumed(place):
    place.server.habits[f"/a/{place.first}"] = [made.cut_at(0.5)]
    place.convert()
    place.check()
    assert [span for _, span in place.asked_first()] == [None, f"bytes={len(place.content) // 2}-"]


@datasets
def test_wrong_hash(place):
    wrong = place.content[:-1] + bytes([place.content[-1] ^ 1])
    for mirror in "ab":
        place.server.files[f"/{mirror}/{place.first}"] = wrong
    place.refuses(f"{place.name} {place.first}: sha256 is .*, not .* --source_dir=DIR")
    place.server.files[f"/b/{place.first}"] = place.content
    place.convert()
    place.check()


@datasets
def test_html_with_status_200(place):
    for mirror in "ab":
        place.server.habits[f"/{mirror}/{place.first}"] = [made.html]
    place.refuses(f"{place.name} {place.first}: an HTML page instead of the file from")
    place.convert()
    place.check()


@datasets
def test_slow(place):
    place.server.habits[f"/a/{place.first}"] = [made.stalling(0.2)]
    place.convert()
    place.check()
    assert len(place.asked_first()) == 1


@datasets
def test_disk_full_before_and_during_the_download(place, monkeypatch):
    with monkeypatch.context() as patch:
        free = types.SimpleNamespace(free=len(place.content) - 1)
        patch.setattr(download.shutil, "disk_usage", lambda path: free)
        place.refuses("No room for the download in .* are needed")
    assert place.server.asked == []

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
        place.refuses(f"{place.first} could not be written: No space left on device")
    place.convert()
    place.check()


@datasets
def test_disk_full_while_converting(place, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(conversion, "run", full)
        place.refuses("could not be written: .*No space left")
    asked = len(place.server.asked)
    place.convert()
    place.check()
    assert len(place.server.asked) == asked, "what was fetched is not fetched again"
