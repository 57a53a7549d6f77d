"""The checkpoints in a directory, oldest first, and its state file; no TensorFlow here.

Files on disk decide. The state file `checkpoint` (a CheckpointState protocol buffer in text form,
as in TensorFlow) only has their order, so it may be missing, damaged or outdated.
"""

import ast
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from slim import _files, _paths

STATE_FILE = "checkpoint"
UNREADABLE = ".unreadable"
_MAX_STATE_BYTES = 32 << 20
_FIELD = re.compile(
    r'^[ \t]*(\w+)[ \t]*:[ \t]*(?:"((?:[^"\\]|\\.)*)"|([-+.\w]+))[ \t\r]*$', re.MULTILINE
)
_V1_FILE = re.compile(r"\.ckpt(-\d+)?$")
_SHARD = re.compile(r"\.data-\d{5}-of-\d{5}$")


@dataclass(frozen=True)
class State:
    """The state file: base names, oldest first, and times in seconds if present.

    `problem` is why the file cannot be used ("" if it can).
    """

    newest: str = ""
    names: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    last_preserved: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Listing:
    """The checkpoints of a directory, oldest first.

    Attributes:
      names: base names of the prefixes.
      recent: those that rotation may remove: named by the state file, or newer.
      orphans: prefixes with a data file and no index, left by an interrupted save.
      unreadable: files that were renamed to `*.unreadable`.
      state: the state file.
      times: when the index of each of `names` was written, in nanoseconds since the epoch.
    """

    names: tuple[str, ...]
    recent: tuple[str, ...]
    orphans: tuple[str, ...]
    unreadable: tuple[str, ...]
    state: State
    times: Mapping[str, int]


def step_of(name: str) -> int:
    """Returns the N of `model.ckpt-N`, or -1."""
    match = re.search(r"-(\d+)$", name)
    return int(match[1]) if match else -1


def prefix_of(path: str) -> str:
    """Returns the prefix of an index, data or meta file, or the path itself."""
    if _SHARD.search(path):
        return _SHARD.sub("", path)
    return path.removesuffix(".index") if path.endswith(".index") else path.removesuffix(".meta")


def is_checkpoint(prefix: str) -> bool:
    """Returns whether a prefix has an index file, or is a file (format V1)."""
    return os.path.isfile(prefix + ".index") or os.path.isfile(prefix)


def files_of(prefix: str) -> list[str]:
    """Returns the files of a checkpoint in the order to remove them: index first."""
    directory, base = os.path.split(prefix)
    return files_of_all(directory, [base])[base]


def files_of_all(directory: str, bases: Iterable[str]) -> dict[str, list[str]]:
    """Returns the files of several checkpoints by base name, as `files_of`, by one listing."""
    ranked: dict[str, list[tuple[int, str]]] = {base: [] for base in bases}
    for name in os.listdir(directory or "."):
        base = prefix_of(name)
        if name in ranked:
            ranked[name].append((0, name))
        if base in ranked and base != name:
            rank = {".index": 0, ".meta": 2}.get(name.removeprefix(base), 1)
            ranked[base].append((rank, name))
    files = {
        base: [os.path.join(directory, name) for _, name in sorted(names)]
        for base, names in ranked.items()
    }
    return {
        base: [path for path in paths if not os.path.isdir(path)] for base, paths in files.items()
    }


def read_state(directory: str) -> State:
    """Returns the state file of a directory; damage is reported in `State.problem`."""
    try:
        content = _files.read_bounded(os.path.join(directory, STATE_FILE), _MAX_STATE_BYTES)
        text = content.decode("utf-8", "replace")
    except OSError as error:
        return State(problem="missing" if isinstance(error, FileNotFoundError) else "unreadable")
    fields: dict[str, list[str]] = {}
    try:
        for key, quoted, bare in _FIELD.findall(text):
            value = _unquoted(quoted) if quoted else bare
            fields.setdefault(key, []).append(value)
        newest = _base(fields["model_checkpoint_path"][0])
        names = tuple(_base(name) for name in fields.get("all_model_checkpoint_paths", [newest]))
        times = tuple(float(t) for t in fields.get("all_model_checkpoint_timestamps", []))
        preserved = fields.get("last_preserved_timestamp", [])
        last_preserved = float(preserved[0]) if preserved else None
    except (KeyError, ValueError, SyntaxError, MemoryError, RecursionError):
        return State(problem="garbage" if text.strip("\0 \n") else "empty")
    return State(newest, names, times if len(times) == len(names) else (), last_preserved)


def write_state(
    directory: str,
    names: Sequence[str],
    times: Sequence[float] = (),
    last_preserved: float | None = None,
) -> None:
    """Writes the state file atomically; the last name is the newest."""
    lines = [f"model_checkpoint_path: {_quoted(names[-1])}"]
    lines += [f"all_model_checkpoint_paths: {_quoted(name)}" for name in names]
    lines += [f"all_model_checkpoint_timestamps: {float(time)!r}" for time in times]
    if last_preserved is not None:
        lines.append(f"last_preserved_timestamp: {float(last_preserved)!r}")
    content = "\n".join(lines) + "\n"
    _paths.write_atomically(os.path.join(directory, STATE_FILE), content.encode())


def list_checkpoints(directory: str) -> Listing:
    """Returns the checkpoints in a directory, which another process may be writing to."""
    state = read_state(directory)
    present = list(os.scandir(directory))
    entries = {entry.name: entry for entry in present if not entry.is_dir()}
    indexed = {name.removesuffix(".index") for name in entries if name.endswith(".index")}
    directories = {entry.name.removesuffix(".index") for entry in present if entry.is_dir()}
    named = {state.newest, *state.names}
    single = {name for name in entries if _V1_FILE.search(name) or name in named}
    names = {name for name in indexed | single if not name.startswith(_paths.SCRATCH)}
    times = {name: _modified(entries.get(f"{name}.index", entries.get(name))) for name in names}
    recent, older = _by_age(names, state, times)
    data = {prefix_of(name) for name in entries if _SHARD.search(name)}
    return Listing(
        names=(*older, *recent),
        recent=tuple(recent),
        # A directory with the name of an index is not an interrupted save.
        orphans=tuple(sorted(data - indexed - directories)),
        unreadable=tuple(sorted(name for name in entries if name.endswith(UNREADABLE))),
        state=state,
        times=times,
    )


def _by_age(names: set[str], state: State, times: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Returns the recent names, and those that the state file does not list and are older."""
    by_step = sorted(names, key=lambda name: (step_of(name), times[name], name))
    listed = [name for name in dict.fromkeys((*state.names, state.newest)) if name in names]
    if not listed:
        return by_step, []
    if state.newest in names:
        # The file may have been edited on purpose, to resume from an older checkpoint.
        listed.remove(state.newest)
        listed.append(state.newest)
    last, known = max(map(step_of, listed)), set(listed)
    unlisted = [name for name in by_step if name not in known]
    newer = [name for name in unlisted if step_of(name) > last]
    return listed + newer, [name for name in unlisted if step_of(name) <= last]


def _modified(entry: os.DirEntry[str] | None) -> int:
    try:
        return entry.stat().st_mtime_ns if entry else 0
    except OSError:
        return 0


def _base(path: str) -> str:
    windows = re.match(r"[A-Za-z]:[\\/]|\\\\", path)
    return (path.replace("\\", "/") if windows else path).rpartition("/")[2]


def _quoted(name: str) -> str:
    plain = (chr(b) if 32 <= b < 127 and b not in b"\"'\\" else f"\\{b:03o}" for b in name.encode())
    return '"' + "".join(plain) + '"'


def _unquoted(text: str) -> str:
    # A file written by hand may contain non-ASCII characters.
    octal = re.sub(r"[^\x00-\x7f]", lambda m: "".join(f"\\{b:03o}" for b in m[0].encode()), text)
    value: bytes = ast.literal_eval(f'b"{octal}"')
    return value.decode("utf-8", "surrogateescape")
