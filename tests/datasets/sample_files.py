"""Small files in the formats of the real datasets, and a server with configurable faults."""

import contextlib
import gzip
import http.server
import io
import struct
import tarfile
import threading
import time
import zipfile

import numpy as np
import PIL.Image


def tar_bytes(entries, mode="w:gz"):
    """Returns a tar of {name: bytes} or of (TarInfo, bytes) pairs, with directory entries."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        directories = set()
        for name, content in entries.items() if isinstance(entries, dict) else entries:
            if isinstance(name, tarfile.TarInfo):
                info = name
            else:
                directory = name.rpartition("/")[0]
                if directory and directory not in directories:
                    directories.add(directory)
                    entry = tarfile.TarInfo(directory)
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
                info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_bytes(entries):
    """Returns a zip of {name: bytes} or of (ZipInfo, bytes) pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items() if isinstance(entries, dict) else entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def photo(height, width, seed=0):
    """Returns a uint8 image [height, width, 3] with some structure."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (3, 4, 3), np.uint8)
    image = PIL.Image.fromarray(small).resize((width, height), PIL.Image.Resampling.BICUBIC)
    return np.asarray(image)


def jpeg(height=30, width=40, seed=0, **save):
    """Returns an encoded JPEG."""
    return encoded(PIL.Image.fromarray(photo(height, width, seed)), "JPEG", **save)


def encoded(image, format, **save):
    """Returns an image encoded by Pillow in a format."""
    buffer = io.BytesIO()
    image.save(buffer, format, **save)
    return buffer.getvalue()


def mnist_files(num_train=20, num_test=10):
    """Returns the four files of MNIST by name, and {split: (images, labels)}."""
    rng = np.random.default_rng(0)
    files, arrays = {}, {}
    for split, prefix, count in (("train", "train", num_train), ("test", "t10k", num_test)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = rng.integers(0, 10, count, np.uint8)
        files[f"{prefix}-images-idx3-ubyte.gz"] = gzip.compress(
            struct.pack(">IIII", 0x803, count, 28, 28) + images.tobytes()
        )
        files[f"{prefix}-labels-idx1-ubyte.gz"] = gzip.compress(
            struct.pack(">II", 0x801, count) + labels.tobytes()
        )
        arrays[split] = images, labels
    return files, arrays


CIFAR_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def cifar10_archive(per_batch=6):
    """Returns cifar-10-binary.tar.gz, and {split: (images [n, 32, 32, 3], labels)}."""
    rng = np.random.default_rng(1)
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    entries = {"cifar-10-batches-bin/batches.meta.txt": "\n".join([*CIFAR_CLASSES, ""]).encode()}
    parts = {"train": [], "test": []}
    for name in names:
        images = rng.integers(0, 256, (per_batch, 3, 32, 32), np.uint8)
        labels = rng.integers(0, 10, (per_batch, 1), np.uint8)
        rows = np.concatenate([labels, images.reshape(per_batch, -1)], axis=1)
        entries[f"cifar-10-batches-bin/{name}.bin"] = rows.tobytes()
        parts["test" if name == "test_batch" else "train"].append((images, labels[:, 0]))
    entries["cifar-10-batches-bin/readme.html"] = b"<html></html>"
    arrays = {
        split: (
            np.concatenate([images for images, _ in batches]).transpose(0, 2, 3, 1),
            np.concatenate([labels for _, labels in batches]),
        )
        for split, batches in parts.items()
    }
    return tar_bytes(entries), arrays


FLOWERS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")


def flowers_archive(per_class=4):
    """Returns flower_photos.tgz, and its images {path: bytes}."""
    photos = {
        f"flower_photos/{name}/{number}_{name}.jpg": jpeg(20 + label, 30, 10 * label + number)
        for label, name in enumerate(FLOWERS)
        for number in range(per_class)
    }
    return tar_bytes({"flower_photos/LICENSE.txt": b"CC-BY", **photos}), photos


class Served:
    """The state of a server: its files, faults and past requests.

    Attributes:
      url: URL of the root, without a trailing slash.
      files: path -> content.
      behaviors: path -> functions that respond to the next requests instead of the server, one per
        request; each is called with (handler, content) and returns whether it has responded.
      requests: (path, value of the Range header or None) of each request.
    """

    def __init__(self, files):
        self.url = ""
        self.files = dict(files)
        self.behaviors = {}
        self.requests = []


@contextlib.contextmanager
def served(files):
    """Serves {path: bytes} on the loopback interface, with ranges."""
    state = Served(files)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_GET(self):
            byte_range = self.headers.get("Range")
            state.requests.append((self.path, byte_range))
            self.close_connection = True
            content = state.files.get(self.path)
            behaviors = state.behaviors.get(self.path, [])
            if behaviors and behaviors.pop(0)(self, content):
                return
            if content is None:
                self.send_error(404)
                return
            start = int(byte_range.removeprefix("bytes=").rstrip("-")) if byte_range else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:])

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def truncated(fraction):
    """A behavior: announces the complete file and sends a fraction of it."""

    def answer(handler, content):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: int(len(content) * fraction)])
        return True

    return answer


def status(code):
    """A behavior: responds with an error."""

    def answer(handler, content):
        handler.send_error(code)
        return True

    return answer


def html(handler, content):
    """A behavior: responds with an error page with status 200."""
    page = b"\n<!DOCTYPE html><html>Sorry</html>"
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(page)))
    handler.end_headers()
    handler.wfile.write(page)
    return True


def without_ranges(handler, content):
    """A behavior: responds with the complete file, ignoring a requested range."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
    return True


def stalling(seconds, fraction=0.5):
    """A behavior: sends a part, waits, and sends the rest."""

    def answer(handler, content):
        half = int(len(content) * fraction)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(content[:half])
            handler.wfile.flush()
            time.sleep(seconds)
            handler.wfile.write(content[half:])
        return True

    return answer
