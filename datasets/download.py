"""Downloads files, with mirrors, retries, resumption and verification.

A file has one or more URLs, and its size and SHA-256 where known. It is written under a temporary
name, verified and renamed. An interrupted download resumes where it stopped.
"""

import errno
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple

from datasets import bounded_http, progress
from datasets.bounded_http import Failure
from slim import _checks, _files, _paths, signals
from slim._problems import Problem, named

PARTIAL, REJECTED = ".part", ".rejected"
_CHUNK = 1 << 18
_AGENT = "slim-download/1"
_HEAD_BYTES = 512  # enough to detect the type of a file
_MAX_BYTES = 1 << 40  # of any file
_MAX_UNKNOWN_BYTES = 4_000_000_000  # of a file of unknown size
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_MAGIC = {".gz": b"\x1f\x8b", ".tgz": b"\x1f\x8b", ".zip": b"PK"}
_NETWORK_ERRORS = (http.client.HTTPException, OSError)


class RemoteFile(NamedTuple):
    """A file to download.

    Attributes:
      name: local file name, without directory; its extension is the expected type.
      urls: addresses of the file, the preferred first.
      size: size in bytes, if known.
      sha256: checksum in hex, if known.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        known = [f"{self.size} bytes"] if self.size is not None else []
        known += [f"sha256 {self.sha256}"] if self.sha256 else []
        return f"{self.name} ({', '.join(known)})" if known else self.name


def names_of(file: RemoteFile) -> tuple[str, ...]:
    """Returns the local names of a file: complete, partial and rejected."""
    return file.name, file.name + PARTIAL, file.name + REJECTED


class Downloader:
    """Downloads files.

    Args:
      attempts: number of attempts per URL, as long as its errors are transient.
      timeout: seconds to wait for a connection, then for the response, redirects included; then
        seconds below `bounded_http.MIN_RATE` after which the connection is closed.
      wait: seconds before the second attempt; doubled before each further one.
      sleep: called with the seconds to wait.
      report: called with a line for each file that is downloaded.
    """

    def __init__(
        self,
        *,
        attempts: int = 4,
        timeout: float = 30.0,
        wait: float = 1.0,
        sleep: Callable[[float], object] = time.sleep,
        report: Callable[[str], object] = print,
    ) -> None:
        _checks.positive(attempts=attempts, timeout=timeout)
        self._attempts = attempts
        self._timeout = timeout
        self._wait = wait
        self._sleep = sleep
        self._report = report

    def fetch(
        self,
        files: Sequence[RemoteFile],
        directory: str,
        *,
        dataset_name: str,
        source_dir: str | None = None,
    ) -> dict[str, str]:
        """Downloads all files, or takes them from `source_dir`.

        Args:
          files: the required files.
          directory: target directory; created if it does not exist. Intact files in it are not
            downloaded again.
          dataset_name: used in error messages.
          source_dir: directory with files downloaded by hand; if set, nothing is downloaded.

        Returns:
          name -> path.

        Raises:
          UserError: if files in `source_dir` are missing or wrong, or a link has the name of a
            download.
          RunError: if no URL returns the file, or no space is left on the disk.
        """
        for file in files:
            if os.path.basename(file.name) != file.name or file.name in ("", ".", ".."):
                raise ValueError(f"name={file.name!r} of a RemoteFile is not a plain file name")
        if source_dir is not None:
            return _local_files(files, source_dir, dataset_name)
        os.makedirs(directory, exist_ok=True)
        for file in files:
            for name in names_of(file):
                _paths.check_replaceable(os.path.join(directory, name))
        self._check_space(files, directory)
        return {file.name: self._get(file, directory, dataset_name, files) for file in files}

    def _check_space(self, files: Sequence[RemoteFile], directory: str) -> None:
        needed = sum(
            (file.size or 0) - _size(os.path.join(directory, file.name + PARTIAL))
            for file in files
            if not os.path.exists(os.path.join(directory, file.name))
        )
        free = shutil.disk_usage(directory).free
        if needed > free:
            raise _checks.RunError(
                f"Not enough space for the download in {directory}:"
                f" {needed / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free"
            )

    def _get(
        self, file: RemoteFile, directory: str, dataset_name: str, files: Sequence[RemoteFile]
    ) -> str:
        path = os.path.join(directory, file.name)
        if os.path.exists(path):
            if _problem(file, path) is None:
                return path
            os.remove(path)
        failures = []
        for url in file.urls:
            try:
                self._get_from(url, file, path)
                return path
            except Failure as failure:
                failures.append(f"{failure} from {url}")
        required = "; ".join(map(str, files))
        raise _checks.RunError(
            Problem(
                "Could not download {} for {}: {}. Download it by hand and set {} to a directory"
                " with {}",
                file.name,
                dataset_name,
                ", ".join(failures) or "it has no URL",
                named("source_dir"),
                required,
            )
        )

    def _get_from(self, url: str, file: RemoteFile, path: str) -> None:
        """Downloads the file from one URL, with retries."""
        partial = path + PARTIAL
        if not file.sha256:
            # Without a checksum, a mismatch of two halves would not be detected.
            _remove(partial)
        self._report(f"Downloading {file.name} from {url}")
        wait = self._wait
        for attempt in range(1, self._attempts + 1):
            start = _size(partial)
            try:
                with signals.noted(lambda: _interrupted_message(file, partial)):
                    self._transfer(url, file, partial)
                    self._accept(file, partial, path)
                return
            except Failure as failure:
                if failure.wrong:
                    _remove(partial)
                # The partial file may have been of another file: retry from the start.
                retry = failure.transient or (failure.wrong and start > 0)
                if not retry or attempt == self._attempts:
                    raise
            self._sleep(wait)
            wait *= 2

    def _transfer(self, url: str, file: RemoteFile, partial: str) -> None:
        start = _size(partial)
        if file.size is not None and start == file.size:
            return
        request = urllib.request.Request(url, headers={"User-Agent": _AGENT})
        if start:
            request.add_header("Range", f"bytes={start}-")
        exchange = bounded_http.Exchange(self._timeout)
        try:
            with exchange.open(request) as response:
                self._save(exchange, response, file, partial, _first_byte(response, start))
        except _NETWORK_ERRORS as error:
            reason = getattr(error, "reason", None) or error
            text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise Failure(text, transient=True) from error

    def _save(
        self,
        exchange: bounded_http.Exchange,
        response: http.client.HTTPResponse,
        file: RemoteFile,
        partial: str,
        start: int,
    ) -> None:
        total = _announced_size(response, file, start)
        expected = file.size if total is None else total
        limit = _MAX_UNKNOWN_BYTES if expected is None else expected
        exchange.begin_body()
        chunk = response.read(_HEAD_BYTES)
        is_truncated = expected is not None and start + len(chunk) < min(expected, _HEAD_BYTES)
        wrong = _wrong_type(file, chunk) if chunk and not start and not is_truncated else None
        if wrong is None and None not in (total, file.size) and total != file.size:
            wrong = f"{total} bytes, not {file.size},"
        if wrong:
            raise Failure(wrong, wrong=True)
        size = start
        with (
            _open(partial, append=start > 0) as output,
            progress.bar(expected, "B", file.name, initial=start) as bar,
        ):
            while chunk:
                size += len(chunk)
                if size > limit:
                    raise Failure(f"more than {limit} bytes", wrong=True)
                _write(output, chunk, partial)
                bar.update(len(chunk))
                exchange.received()
                chunk = response.read1(_CHUNK)
        if expected is not None and size < expected:
            raise Failure(f"the connection ended after {size} of {expected} bytes", transient=True)

    def _accept(self, file: RemoteFile, partial: str, path: str) -> None:
        problem = _problem(file, partial)
        if problem:
            os.replace(partial, path + REJECTED)
            raise Failure(f"{problem} (kept as {os.path.basename(path)}{REJECTED})", wrong=True)
        os.replace(partial, path)


def _local_files(files: Sequence[RemoteFile], source_dir: str, dataset_name: str) -> dict[str, str]:
    problems = []
    for file in files:
        path = os.path.join(source_dir, file.name)
        problem = _problem(file, path) if os.path.isfile(path) else "missing"
        if problem:
            problems.append(f"{file}: {problem}")
    if problems:
        raise _checks.UserError(
            Problem(
                "{} lacks files of {}: {}",
                named("source_dir", repr(source_dir)),
                dataset_name,
                "; ".join(problems),
            )
        )
    return {file.name: os.path.join(source_dir, file.name) for file in files}


def _problem(file: RemoteFile, path: str) -> str | None:
    """Returns what is wrong with a local file, or None."""
    size = os.path.getsize(path)
    with open(path, "rb") as content:
        wrong_type = _wrong_type(file, content.read(_HEAD_BYTES))
        if wrong_type:
            return wrong_type
        if file.size is not None and size != file.size:
            return f"{size} bytes, not {file.size}"
        content.seek(0)
        if file.sha256:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            if sha256 != file.sha256:
                return f"sha256 is {sha256}, not {file.sha256}"
    return None


def _wrong_type(file: RemoteFile, head: bytes) -> str | None:
    """Returns a description of a file whose first bytes contradict its extension, or None."""
    magic = _MAGIC.get(os.path.splitext(file.name)[1], b"")
    if head.startswith(magic) and (magic or head.lstrip()[:1] != b"<"):
        return None
    if head.lstrip()[:1] == b"<":
        return "an HTML page instead of the file"
    return f"not a {os.path.splitext(file.name)[1]} file (it starts with {head[:8]!r})"


def _first_byte(response: http.client.HTTPResponse, start: int) -> int:
    """Returns the offset at which a response starts: `start`, or 0 if it is the complete file."""
    if response.status == 200:
        return 0
    if response.status != 206:
        raise Failure(f"{response.status}, which is not a file")
    content_range = response.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(content_range)
    if match is None or int(match[1]) != start or match[3] not in ("*", str(int(match[2]) + 1)):
        raise Failure(
            f"206 with Content-Range {content_range[:100]!r}, not from byte {start} to the end",
            wrong=True,
        )
    return start


def _interrupted_message(file: RemoteFile, partial: str) -> str:
    """Returns a message about an interrupted download, after removing a useless partial file."""
    if not file.sha256:
        _remove(partial)
    if not _size(partial):
        return f"{file.name} was not downloaded; run the same command again"
    return f"{_size(partial)} bytes of {file.name} are kept; the same command resumes after them"


def _announced_size(response: http.client.HTTPResponse, file: RemoteFile, start: int) -> int | None:
    """Returns the size of the file according to the response's headers, or None."""
    encoding = response.headers.get("Content-Encoding", "identity")
    # Some servers declare a .gz file as encoded; any other file would have to be decoded.
    if encoding != "identity" and _MAGIC.get(os.path.splitext(file.name)[1]) != _MAGIC[".gz"]:
        raise Failure(f"Content-Encoding {encoding[:40]!r}, which was not requested")
    length = response.headers.get("Content-Length")
    if length is None or response.chunked:
        return None
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        raise Failure(f"Content-Length {length[:40]!r}, which is not a size")
    if start + int(length) > _MAX_BYTES:
        raise Failure(f"Content-Length {length}, more than {_MAX_BYTES} bytes", wrong=True)
    return start + int(length)


def _open(path: str, *, append: bool) -> IO[bytes]:
    try:
        return _files.open_output(path, append=append)
    except OSError as error:
        raise _write_error(path, error) from error


def _write(output: IO[bytes], chunk: bytes, path: str) -> None:
    try:
        output.write(chunk)
        output.flush()
    except OSError as error:
        raise _write_error(path, error) from error


def _write_error(path: str, error: OSError) -> _checks.RunError:
    kept = f" The partial file {path} is kept." if error.errno == errno.ENOSPC else ""
    return _checks.RunError(
        f"{path.removesuffix(PARTIAL)} could not be written: {error.strerror}.{kept}"
    )


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.remove(path)
