"""Results of the benchmarks in `benchmarks/results/`, one JSON file each."""

import argparse
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

DIRECTORY = pathlib.Path(__file__).parent / "results"


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--results`."""
    parser.add_argument(
        "--results",
        type=pathlib.Path,
        default=DIRECTORY,
        help="directory to write to; default: benchmarks/results",
    )


def read(benchmark: str, directory: pathlib.Path | None = None) -> dict[str, Any]:
    """Returns a benchmark's results by key; empty if there are none."""
    path = (directory or DIRECTORY) / f"{benchmark}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write(
    benchmark: str, key: str, result: Mapping[str, Any], directory: pathlib.Path = DIRECTORY
) -> None:
    """Writes a result; the file's other results stay."""
    directory.mkdir(exist_ok=True)
    values = dict(sorted({**read(benchmark, directory), key: result}.items()))
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    (directory / f"{benchmark}.json").write_text(text, "utf-8")


def rounded(seconds: Sequence[float]) -> list[float]:
    """Returns seconds with five digits."""
    return [float(f"{each:.5g}") for each in seconds]


def added(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a result with the rounds of an earlier one in front.

    Raises:
      SystemExit: if they are not of the same contestants and versions.
    """
    for part in ("batch", "contestants"):
        if _without_seconds(before.get(part)) != _without_seconds(now[part]):
            raise SystemExit(
                f"--add: the earlier rounds have other {part}. Run without --add to replace them"
            )
    contestants = {
        label: {**values, "seconds": before["contestants"][label]["seconds"] + values["seconds"]}
        for label, values in now["contestants"].items()
    }
    return {**now, "contestants": contestants}


def _without_seconds(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    return {
        label: {key: value for key, value in values.items() if key != "seconds"}
        for label, values in part.items()
    }
