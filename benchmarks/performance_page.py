"""Writes the tables of docs/performance.md from the results in `benchmarks/results/`.

python benchmarks/performance_page.py
"""

import pathlib
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from benchmarks import machine, pairs, results, training
from benchmarks.contestants import NETWORKS, PRODUCT, SIDE

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "performance.md"
_BLOCK = re.compile(r"(<!-- benchmarks: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_NONE = "-"
_FLOAT32 = (
    *("frozen, folded", "frozen, not folded", "SavedModel"),
    *("tflite", "onnx", "openvino", "keras"),
)

Results = Mapping[str, Any]  # by key, such as "resnet_v1_50, float32"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table whose columns but the first are aligned to the right."""
    rows = list(rows)
    if not rows:
        return "Not measured."
    rule = ["---"] + ["---:"] * (len(headings) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (headings, rule, *rows))


def by_contestant(
    corner: str, columns: Mapping[str, Mapping[str, str]], last: Sequence[str] = ()
) -> str:
    """Returns a table with a row per contestant and a column per network.

    Args:
      corner: heading of the first column.
      columns: the cells of each network by contestant.
      last: contestants whose rows come last.
    """
    labels = dict.fromkeys(label for column in columns.values() for label in column)
    ordered = [*(label for label in labels if label not in last), *(e for e in last if e in labels)]
    rows = [
        [label, *(column.get(label, _NONE) for column in columns.values())] for label in ordered
    ]
    return table([corner, *columns], rows)


def speeds(chosen: Results) -> str:
    """Returns images per second, with the time relative to the first contestant's."""
    columns = {}
    for key, result in chosen.items():
        values = result["contestants"]
        times = pairs.summarized({label: each["seconds"] for label, each in values.items()})
        columns[_title(key, result)] = {
            label: f"{result['batch'] / seconds:.1f} ({ratio:.2f})"
            for label, (seconds, ratio) in times.items()
            if label != PRODUCT
        }
    return by_contestant("images/s (time)", columns)


def work(chosen: Results) -> str:
    """Returns each contestant's millions of parameters and of multiply-adds."""
    columns = {
        _title(key, result): {
            label: f"{each['parameters'] / 1e6:.2f}, {each['multiply_adds'] / 1e6:,.0f}"
            for label, each in result["contestants"].items()
            if "parameters" in each
        }
        for key, result in chosen.items()
    }
    return by_contestant("millions of parameters, of multiply-adds", columns)


def shares(chosen: Results) -> str:
    """Returns the rate of multiply-adds of slim's step over that of the matrix product."""
    columns = {}
    for key, result in chosen.items():
        name, _, dtype = key.partition(", ")
        values = result["contestants"]
        if PRODUCT in values:
            rate = values[PRODUCT]["multiply_adds"] / 1e9
            seconds = pairs.summarized({"": values[PRODUCT]["seconds"]})[""][0]
            columns.setdefault(f"`{name}`", {})[dtype] = (
                f"{training.share(name, result['batch'], values):.2f} of {rate / seconds:.0f}"
            )
    return by_contestant("share, of billions of multiply-adds/s", columns)


def inference_shares(chosen: Results) -> str:
    """Returns the rate of multiply-adds of the fastest float32 format over that of the product."""
    rows = []
    for key, result in chosen.items():
        seconds = {label: each["seconds"] for label, each in result["contestants"].items()}
        product = seconds.get(PRODUCT)
        if product is None:
            continue
        formats = [label for label in seconds if label in _FLOAT32]
        best = min(formats, key=lambda label: statistics.median(seconds[label]))
        work = result["batch"] * result["multiply_adds"] / SIDE**3
        ratio = statistics.median(
            work * base / each for base, each in zip(product, seconds[best], strict=True)
        )
        rows.append([_title(key, result), best, f"{ratio:.2f}"])
    return table(["", "format", "share"], rows)


def memory(chosen: Results) -> str:
    """Returns the peak memory of each contestant's process, with the ratio to the first one's."""
    columns = {}
    for key, result in chosen.items():
        peaks = result["peak_bytes"]
        base = next(iter(peaks.values()))
        columns[_title(key, result)] = {
            label: f"{peak / 1e6:,.0f} ({peak / base:.2f})" for label, peak in peaks.items()
        }
    return by_contestant("MB (ratio)", columns)


def machines(chosen: Results) -> str:
    """Returns each machine of the results as a sentence, with the versions of the peers."""
    lines = {machine.sentence(result["machine"]): None for result in chosen.values()}
    versions = {
        each["version"]
        for result in chosen.values()
        for each in result.get("contestants", {}).values()
        if "version" in each
    }
    return "\n".join(f"- {line}" for line in (*lines, ", ".join(sorted(versions))) if line)


def _title(key: str, result: Mapping[str, Any]) -> str:
    return f"`{key.partition(', ')[0]}`, batch {result['batch']}"


def _of(benchmark: str, part: str = "") -> Results:
    """Returns a benchmark's results whose key contains a part, in the order of the networks."""
    values = results.read(benchmark)
    order = {name: number for number, name in enumerate(NETWORKS)}
    keys = sorted(values, key=lambda key: (order.get(key.partition(", ")[0], -1), len(key), key))
    return {key: values[key] for key in keys if part in key}


# Name in the page's marker -> what writes the table below it.
TABLES: Mapping[str, Callable[[], str]] = {
    "machine": lambda: machines(_of("training") | _of("inference")),
    "training, float32": lambda: speeds(_of("training", "float32")),
    "training, bfloat16": lambda: speeds(_of("training", "bfloat16")),
    "work": lambda: work(_of("training", "float32")),
    "share": lambda: shares(_of("training")),
    "memory, float32": lambda: memory(_of("memory", "float32")),
    "memory, bfloat16": lambda: memory(_of("memory", "bfloat16")),
    "inference": lambda: speeds(_of("inference")),
    "inference, share": lambda: inference_shares(_of("inference")),
}


def renewed(text: str) -> str:
    """Returns a page with its tables written again."""

    def block(match: re.Match[str]) -> str:
        if match[2] not in TABLES:
            raise SystemExit(f"unknown table: {match[2]}. Allowed: {', '.join(TABLES)}")
        return f"{match[1]}{TABLES[match[2]]()}\n{match[3]}"

    return _BLOCK.sub(block, text)


def main() -> None:
    """Writes the page."""
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
