"""The commands of `python -m classifier.checkpoints`: inspect, diff and convert."""

import glob
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from classifier.checkpoints import keras_weights, mismatch
from classifier.checkpoints.matching import (
    Network,
    Variables,
    advice,
    compare,
    guess_network,
    num_expected,
)
from classifier.checkpoints.names import AVERAGE, KINDS, NETWORK, STEP, kind_of, optimizers_of
from classifier.checkpoints.sources import OpenedCheckpoint, open_checkpoint
from classifier.config import problems
from classifier.config.checkpoints import ConvertConfig, DiffConfig, InspectConfig
from classifier.config.problems import Problem, named
from slim import _checks, _ownership, checkpoints
from slim.checkpoints import RestoreReport, SavedVariable
from slim.moving_averages import average_name

# Maximum length of a list that `diff` prints.
_MAX_LISTED = 20
_OTHER_OUTPUT = Problem("Use another {}", named("output"))


def inspect(config: InspectConfig) -> None:
    """Prints the variables of a checkpoint by kind, with the size of each group.

    Args:
      config: options of `inspect`.
    """
    source = open_checkpoint(config.checkpoint_path).source
    saved = source.variables()
    width = max(map(len, saved), default=0)
    print(source.prefix)
    for kind, names in _by_kind(saved).items():
        print(f"\n{_plural(kind)}:")
        for name in names:
            shape, dtype = saved[name]
            print(f"  {name:<{width}}  {dtype.name:<8} {list(shape)}")
    print()
    for kind, names in _by_kind(saved).items():
        optimizers = optimizers_of(names)
        owner = f" of {', '.join(optimizers)}" if optimizers else ""
        step = f", {int(source.get(names[0]))}" if kind == STEP else ""
        print(_total(_plural(kind) + owner, [saved[name] for name in names]) + step)
    print(_total("total", list(saved.values())))


def _by_kind(names: Iterable[str]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in names:
        kinds[kind_of(name)].append(name)
    return {kind: members for kind, members in kinds.items() if members}


def _total(title: str, variables: Sequence[SavedVariable]) -> str:
    sizes = [math.prod(variable.shape) for variable in variables]
    size = sum(n * variable.dtype.size for n, variable in zip(sizes, variables, strict=True))
    return f"{title}: {len(variables)}, {sum(sizes):,} values, {size / 2**20:,.1f} MiB"


def diff(config: DiffConfig) -> None:
    """Prints how a checkpoint differs from a network, and flags to train from it.

    Args:
      config: options of `diff`.

    Raises:
      UserError: if the network is not specified.
    """
    source = open_checkpoint(config.checkpoint_path)
    saved = source.variables()
    network = Network.of(config, source)
    report = compare(source, network.variables())
    print("\n".join(_differences(report, saved, network)))


def _differences(report: RestoreReport, saved: Variables, network: Network) -> Iterator[str]:
    total = num_expected(report)
    yield f"{report.prefix} and {network.name} with {network.num_classes} classes:"
    yield f"matched {len(report.restored)} of {total} variables"
    unused = [n for n in report.unused if kind_of(n) == NETWORK]
    yield from _list("mismatched", map(str, report.mismatched))
    yield from _list("missing", _with_similar(report.missing, unused))
    yield from _list("unused", unused)
    others = Counter(map(kind_of, report.unused))
    del others[NETWORK]
    if others:
        yield f"not part of the network: {_counted(others)}"
    yield guess_network(report, saved, network) or advice(report, network.spec.heads)


def _list(title: str, lines: Iterable[str]) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield f"{title} {len(lines)}:"
        yield from (f"  {line}" for line in lines[:_MAX_LISTED])
        if len(lines) > _MAX_LISTED:
            yield f"  ... ({len(lines) - _MAX_LISTED} more)"


def _with_similar(missing: Sequence[str], unused: Sequence[str]) -> Iterator[str]:
    """Yields the missing names, each printed one with a similar name in the checkpoint."""
    for number, name in enumerate(missing):
        yield mismatch.with_similar(name, unused) if number < _MAX_LISTED else name


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(
        f"{number} {_plural(kind) if number > 1 else kind}" for kind, number in kinds.items()
    )


def _plural(kind: str) -> str:
    return kind if kind == STEP else f"{kind}s"


def convert(config: ConvertConfig) -> None:
    """Writes the network's variables in a checkpoint to another file, their values unchanged.

    Args:
      config: options of `convert`.

    Raises:
      UserError: if a variable of the network is missing or has another shape, the averages are
        required and missing, or `output` exists and was not written by this command.
      RunError: if a file cannot be read or written; no partial output remains.
    """
    source = open_checkpoint(config.checkpoint_path)
    _check_output(config.output, source.prefix)
    saved = source.variables()
    network = Network.of(config, source)
    report = compare(source, network.variables())
    if report.missing or report.mismatched:
        raise _checks.UserError(mismatch.for_conversion(report, saved, network))
    names = list(report.restored)
    if any(kind_of(name) == NETWORK for name in report.unused):
        # Training-only heads; any other unused variable is not part of this network.
        training = network.variables(is_training=True)
        names += [name for name in report.unused if name in training]
    saved_names = _names_to_write(config.use_averages, names, source)
    values = {name: source.get(key) for name, key in saved_names.items()}
    if config.output.endswith(keras_weights.SUFFIX):
        keras_weights.save(config.output, values)
    else:
        checkpoints.save(config.output, values)
    has_averages = AVERAGE in map(kind_of, saved_names.values())
    averaged = " (moving averages)" if has_averages and config.use_averages != "both" else ""
    print(f"Wrote {len(values)} variables of {network.name} to {config.output}{averaged}")
    written = set(saved_names.values())
    # The weights are there, as their averages.
    names_skipped = [name for name in saved if name not in written and name not in values]
    skipped = Counter(map(kind_of, names_skipped))
    if skipped:
        print(f"Skipped: {_counted(skipped)}")


def _names_to_write(
    use_averages: str, names: Sequence[str], source: OpenedCheckpoint
) -> dict[str, str]:
    """Returns name in the output -> name in the checkpoint."""
    saved = source.variables()
    averages = {name: average_name(name) for name in names if average_name(name) in saved}
    if use_averages in ("true", "both") and not averages:
        raise problems.error(
            "{} needs moving averages of the weights, but {} has none",
            named("use_averages", use_averages),
            source.prefix,
        )
    weights = {name: name for name in names}
    kept = source.info is not None and source.info.moving_average_decay is not None
    if use_averages == "true" or (use_averages == "auto" and kept):
        return weights | averages
    if use_averages == "both":
        return weights | {average: average for average in averages.values()}
    return weights


def _check_output(output: str, source: str) -> None:
    """Checks that only an earlier weights file is replaced; checkpoints never are."""
    if os.path.realpath(output) == os.path.realpath(source):
        option = named("output", repr(output))
        raise problems.error("{} is the checkpoint to convert. {}", option, _OTHER_OUTPUT)
    if output.endswith(keras_weights.SUFFIX):
        _ownership.check_output(
            output, "output", "a Keras weights file", keras_weights.is_weights_file
        )
        return
    check_new_checkpoint(output)


def check_new_checkpoint(output: str) -> None:
    """Raises UserError if the checkpoint of the option `output` exists."""
    suffixes = ("", ".index", ".meta", ".data-*")
    existing = [path for each in suffixes for path in glob.glob(glob.escape(output) + each)]
    if existing or os.path.lexists(output):
        raise problems.error(
            "{} is an existing checkpoint, which is never replaced. {}, or move the checkpoint",
            named("output", repr(output)),
            _OTHER_OUTPUT,
        )
