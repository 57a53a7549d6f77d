"""What `python -m classifier.checkpoints` does: list, compare with a network, convert."""

import difflib
import glob
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from classifier.checkpoints import keras_weights, mismatch
from classifier.checkpoints.matching import Network, Variables, advice, compare, guess_network
from classifier.checkpoints.names import KINDS, NETWORK, STEP, kind_of, optimizers_of
from classifier.checkpoints.sources import open_checkpoint, open_source
from classifier.config.checkpoints import ConvertConfig, DiffConfig, InspectConfig
from slim import _checks, _ownership, checkpoints
from slim.checkpoints import RestoreReport, SavedVariable

# Names of a list that `diff` prints.
_MOST = 20


def inspect(config: InspectConfig) -> None:
    """Prints the variables of a checkpoint, grouped, and their number.

    Args:
      config: the options of `inspect`.
    """
    source = open_source(config.checkpoint_path)
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
        of = f" of {', '.join(optimizers)}" if optimizers else ""
        step = f", {int(source.get(names[0]))}" if kind == STEP else ""
        print(_total(_plural(kind) + of, [saved[name] for name in names]) + step)
    print(_total("in all", list(saved.values())))


def _by_kind(names: Iterable[str]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in names:
        kinds[kind_of(name)].append(name)
    return {kind: members for kind, members in kinds.items() if members}


def _total(what: str, variables: Sequence[SavedVariable]) -> str:
    sizes = [math.prod(variable.shape) for variable in variables]
    size = sum(n * variable.dtype.size for n, variable in zip(sizes, variables, strict=True))
    return f"{what}: {len(variables)}, {sum(sizes):,} numbers, {size / 2**20:,.1f} MiB"


def diff(config: DiffConfig) -> None:
    """Prints what a checkpoint has and lacks for a network, and the flags that follow from it.

    Args:
      config: the options of `diff`.

    Raises:
      UserError: if nobody says what the network is.
    """
    source = open_checkpoint(config.checkpoint_path)
    saved = source.variables()
    network = Network.of(config, source)
    report = compare(source, network.variables())
    print("\n".join(_differences(report, saved, network)))


def _differences(report: RestoreReport, saved: Variables, network: Network) -> Iterator[str]:
    wanted = len(report.restored) + len(report.mismatched) + len(report.missing)
    yield f"{report.prefix} and {network.name} with {network.num_classes} classes:"
    yield f"matched {len(report.restored)} of {wanted} variables"
    unused = [n for n in report.unused if kind_of(n) == NETWORK]
    yield from _list("mismatched", map(str, report.mismatched))
    yield from _list("missing", _with_near(report.missing, unused))
    yield from _list("unused", unused)
    others = Counter(map(kind_of, report.unused))
    del others[NETWORK]
    if others:
        yield f"besides: {_counted(others)}"
    yield guess_network(report, saved, network) or advice(report, network.spec.heads)


def _list(title: str, lines: Iterable[str]) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield f"{title} {len(lines)}:"
        yield from (f"  {line}" for line in lines[:_MOST])
        if len(lines) > _MOST:
            yield f"  ... ({len(lines) - _MOST} more)"


def _with_near(missing: Sequence[str], unused: Sequence[str]) -> Iterator[str]:
    """Yields each name with the nearest that the checkpoint has, as far as they are printed."""
    for number, name in enumerate(missing):
        near = difflib.get_close_matches(name, unused, n=1, cutoff=0.8) if number < _MOST else []
        yield f"{name} (it has {near[0]})" if near else name


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(
        f"{number} {_plural(kind) if number > 1 else kind}" for kind, number in kinds.items()
    )


def _plural(kind: str) -> str:
    return kind if kind == STEP else f"{kind}s"


def convert(config: ConvertConfig) -> None:
    """Writes the network's variables in a checkpoint to another file, bit for bit.

    Args:
      config: the options of `convert`.

    Raises:
      UserError: if a variable of the network is missing or has another shape, or something else
        than an earlier result has the name of the output.
      RunError: if a file cannot be read or written; nothing half-written is left.
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
        # Heads that only training has; what else there is belongs to no network of this name.
        training = network.variables(is_training=True)
        names += [name for name in report.unused if name in training]
    values = {name: source.get(name) for name in names}
    if config.output.endswith(keras_weights.SUFFIX):
        keras_weights.save(config.output, values)
    else:
        checkpoints.save(config.output, values)
    print(f"Wrote {len(values)} variables of {network.name} to {config.output}")
    left = Counter(kind_of(name) for name in saved if name not in values)
    if left:
        print(f"Left out: {_counted(left)}")


def _check_output(output: str, source: str) -> None:
    """Checks that nothing but an earlier result is replaced; a checkpoint never is."""
    advice = "Use another --output"
    if os.path.realpath(output) == os.path.realpath(source):
        raise _checks.UserError(f"--output={output!r} is the checkpoint to convert. {advice}")
    if output.endswith(keras_weights.SUFFIX):
        _ownership.check_output(output, "output", "a file of Keras weights", keras_weights.is_one)
        return
    suffixes = ("", ".index", ".meta", ".data-*")
    existing = [path for each in suffixes for path in glob.glob(glob.escape(output) + each)]
    if existing or os.path.lexists(output):
        raise _checks.UserError(
            f"--output={output!r} is a checkpoint already, which is never replaced. {advice}, or"
            " move it away"
        )
