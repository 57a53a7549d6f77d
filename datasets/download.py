"""Downloads that end with the right file or with words that help.

A file has several addresses, and its size and SHA-256 where they are known. It is written under a
temporary name, looked at and renamed. What is there of it after a break is not fetched again.
"""

import errno
import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple

from datasets import progress
from slim import _checks, _files, _paths

PARTIAL, REJECTED = ".part", ".rejected"
_CHUNK = 1 << 18
_AGENT = "slim-download/1"
_MAGIC = {".gz": b"\x1f\x8b", ".tgz": b"\x1f\x8b", ".zip": b"PK"}
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # worth another try
_NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, OSError)


class RemoteFile(NamedTuple):
    """A file to get.

    Attributes:
      name: what it is called on the disk; a plain name, whose ending says what it has to be.
      urls: where it can be had, the best first.
      size: in bytes, if known.
      sha256: in hex, if known.
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        known = [f"{self.size} bytes"] if self.size is not None else []
        known += [f"sha256 {self.sha256}"] if self.sha256 else []
        return f"{self.name} ({', '.join(known)})" if known else self.name


class _Failure(Exception):
    """An address did not give the file: `passing` if it may do so later, `wrong` if it gave
    something else."""

    def __init__(self, reason: str, *, passing: bool = False, wrong: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing
        self.wrong = wrong


def names_of(file: RemoteFile) -> tuple[str, ...]:
    """Returns the names that a file may have on the disk: complete, partial and rejected."""
    return file.name, file.name + PARTIAL, file.name + REJECTED


class Downloader:
    """Gets files.

    Args:
      attempts: how often an address is tried while its errors look as if they would pass.
      timeout: seconds without a byte after which the connection is given up.
      wait: seconds before the second attempt; doubled before each further one.
      sleep: waits; takes seconds.
      report: takes a line for each file that is fetched.
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
        """Gets all the files, or says what is missing.

        Args:
          files: what is needed.
          directory: where they go; made if needed. Good files in it are not fetched again.
          dataset_name: for the messages.
          source_dir: a folder with the files, fetched by hand; nothing is downloaded then.

        Returns:
          name -> path.

        Raises:
          UserError: if files are missing in `source_dir` or are not the right ones, or a link has
            the name of a download.
          RunError: if no address gave a file, or the disk is full.
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
                f"No room for the download in {directory}:"
                f" {needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free"
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
            except _Failure as failure:
                failures.append(f"{failure} from {url}")
        needed = "; ".join(map(str, files))
        raise _checks.RunError(
            f"{dataset_name} {file.name}: {', '.join(failures) or 'it has no address'}. Download it"
            f" yourself and pass --source_dir=DIR (needs: {len(files)} file(s), {needed})"
        )

    def _get_from(self, url: str, file: RemoteFile, path: str) -> None:
        """Fetches the file from one address, in as many attempts as that may take."""
        partial = path + PARTIAL
        if not file.sha256:
            # Without a checksum, nobody could tell that two halves do not belong together.
            _remove(partial)
        self._report(f"Fetching {file.name} from {url}")
        wait = self._wait
        for attempt in range(1, self._attempts + 1):
            begun = _size(partial)
            try:
                self._transfer(url, file, partial)
                self._accept(file, partial, path)
                return
            except _Failure as failure:
                if failure.wrong:
                    _remove(partial)
                # The beginning may have been another file's: once more, from the start.
                again = failure.passing or (failure.wrong and begun > 0)
                if not again or attempt == self._attempts:
                    raise
            self._sleep(wait)
            wait *= 2

    def _transfer(self, url: str, file: RemoteFile, partial: str) -> None:
        begun = _size(partial)
        if file.size is not None and begun == file.size:
            return
        request = urllib.request.Request(url, headers={"User-Agent": _AGENT})
        if begun:
            request.add_header("Range", f"bytes={begun}-")
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                resumed = response.status == 206 and _starts_at(response, begun)
                self._save(response, file, partial, begun if resumed else 0)
        except urllib.error.HTTPError as error:
            code = error.code  # 416: what is there is no beginning of what is offered
            raise _Failure(str(code), passing=code in _PASSING, wrong=code == 416) from error
        except _NETWORK_ERRORS as error:
            reason = getattr(error, "reason", None) or error
            raise _Failure(str(reason) or type(reason).__name__, passing=True) from error

    def _save(
        self, response: http.client.HTTPResponse, file: RemoteFile, partial: str, begun: int
    ) -> None:
        length = response.headers.get("Content-Length")
        total = begun + int(length) if length and length.isdigit() else None
        if None not in (total, file.size) and total != file.size:
            other = None if begun else _what_else(file, response.read(512))
            raise _Failure(other or f"{total} bytes, not {file.size},", wrong=True)
        have = begun
        with (
            _open(partial, append=begun > 0) as output,
            progress.bar(total or file.size, "B", file.name, initial=begun) as bar,
        ):
            while chunk := response.read1(_CHUNK):
                if have == 0 and (wrong := _what_else(file, chunk)):
                    raise _Failure(wrong, wrong=True)
                have += len(chunk)
                if file.size is not None and have > file.size:
                    raise _Failure(f"more than {file.size} bytes", wrong=True)
                _write(output, chunk, partial)
                bar.update(len(chunk))
        expected = file.size if total is None else total
        if expected is not None and have < expected:
            raise _Failure(f"the connection ended after {have} of {expected} bytes", passing=True)

    def _accept(self, file: RemoteFile, partial: str, path: str) -> None:
        problem = _problem(file, partial)
        if problem:
            os.replace(partial, path + REJECTED)
            kept = os.path.basename(path) + REJECTED
            raise _Failure(f"{problem} (kept as {kept})", wrong=True)
        os.replace(partial, path)


def _local_files(files: Sequence[RemoteFile], source_dir: str, dataset_name: str) -> dict[str, str]:
    problems = []
    for file in files:
        path = os.path.join(source_dir, file.name)
        problem = _problem(file, path) if os.path.isfile(path) else "is not there"
        if problem:
            problems.append(f"{file}: {problem}")
    if problems:
        raise _checks.UserError(
            f"{dataset_name} cannot be made from source_dir={source_dir!r}: {'; '.join(problems)}"
        )
    return {file.name: os.path.join(source_dir, file.name) for file in files}


def _problem(file: RemoteFile, path: str) -> str | None:
    """Returns what is wrong with a file on the disk, or None."""
    size = os.path.getsize(path)
    with open(path, "rb") as content:
        wrong = _what_else(file, content.read(512))
        if wrong:
            return wrong
        if file.size is not None and size != file.size:
            return f"{size} bytes, not {file.size}"
        content.seek(0)
        if file.sha256:
            found = hashlib.file_digest(content, "sha256").hexdigest()
            if found != file.sha256:
                return f"sha256 is {found}, not {file.sha256}"
    return None


def _what_else(file: RemoteFile, head: bytes) -> str | None:
    """Returns what the first bytes say that the file is instead of what its name says, or None."""
    magic = _MAGIC.get(os.path.splitext(file.name)[1], b"")
    if head.startswith(magic) and (magic or head.lstrip()[:1] != b"<"):
        return None
    if head.lstrip()[:1] == b"<":
        return "an HTML page instead of the file"
    return f"no {os.path.splitext(file.name)[1]} file (it starts with {head[:8]!r})"


def _starts_at(response: http.client.HTTPResponse, begun: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {begun}-")


def _open(path: str, *, append: bool) -> IO[bytes]:
    try:
        return _files.open_output(path, append=append)
    except OSError as error:
        raise _full(path, error) from error


def _write(output: IO[bytes], chunk: bytes, path: str) -> None:
    try:
        output.write(chunk)
        output.flush()
    except OSError as error:
        raise _full(path, error) from error


def _full(path: str, error: OSError) -> _checks.RunError:
    kept = f" What is there of it stays in {path} and will be used." * (error.errno == errno.ENOSPC)
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
