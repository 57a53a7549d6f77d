"""What is said of a checkpoint that does not fit a network."""

import difflib
from collections.abc import Sequence

from classifier.checkpoints.matching import Network, Variables, guess_network
from classifier.checkpoints.names import AVERAGE, RANGE, head_classes, heads_of, kind_of, scopes_of
from classifier.checkpoints.sources import likely_move
from classifier.config.finetuning import AUTO
from classifier.model_info import ModelInfo
from nets.nets_factory import NETWORKS
from slim import _checks
from slim.checkpoints import RestoreReport


def for_inference(
    report: RestoreReport, info: ModelInfo, saved: Variables, *, used_averages: bool
) -> str:
    """Returns why a checkpoint is not the network's that is to be restored.

    Args:
      report: what it lacks, or has in another shape.
      info: the network.
      saved: the checkpoint's variables.
      used_averages: whether the averages of the weights were asked for.
    """
    missing = report.missing
    if missing and used_averages and AVERAGE not in map(kind_of, report.unused):
        return (
            f"Checkpoint {report.prefix} has no moving averages of the weights: "
            f"moving_average_decay={info.moving_average_decay} has nothing to use"
        )
    if missing and all(kind_of(name) == RANGE for name in missing):
        return (
            f"Checkpoint {report.prefix} has no ranges of {len(missing) // 2} layers: quantize"
            " needs a run with quantize_delay"
        )
    if len(missing) == _wanted(report):
        return of_another_network(report, info, saved)
    if missing:
        return (
            f"Checkpoint {report.prefix} lacks {len(missing)} variables of {info.model_name}: "
            f"{_checks.listed(missing, 5)}"
        )
    differing = [mismatch.name for mismatch in report.mismatched]
    heads = heads_of(differing, NETWORKS[info.model_name].heads)
    if heads and all(heads_of([name], heads) for name in differing):
        return (
            f"{of_heads(report, info, heads)}. It has to be the dataset that the "
            "checkpoint was trained on; where the head has one class less or more, "
            "labels_offset differs by one"
        )
    return f"Checkpoint {report.prefix} does not fit: {_checks.listed(report.mismatched, 5)}"


def for_resuming(report: RestoreReport, train_dir: str) -> str:
    """Returns why a run that does not say its options cannot be resumed, and the ways out."""
    differences = []
    if report.missing:
        instead = _checks.listed(report.unused, 3) or "nothing"
        differences.append(f"lacks {_checks.listed(report.missing, 3)} and has {instead} instead")
    differences += [str(each) for each in report.mismatched[:3]]
    return (
        f"train_dir={train_dir!r} holds a run of another network, optimizer or dataset:"
        f" {report.prefix} {'; '.join(differences)}. Give the options it was started with to go on "
        f"with it, another --train_dir with --checkpoint_path={train_dir} to go on from its weights"
        " with these, or --restart, which sets that run aside"
    )


def for_conversion(report: RestoreReport, saved: Variables, network: Network) -> str:
    """Returns why a checkpoint cannot be converted as one of the network."""
    problems = [str(mismatch) for mismatch in report.mismatched]
    if report.missing:
        problems.append(f"missing: {_checks.listed(report.missing, 5)}")
    reason = guess_network(report, saved, network) or _checks.listed(problems, 5)
    return (
        f"{report.prefix} has {len(report.restored)} of the {_wanted(report)} variables of"
        f" {network.name} with {network.num_classes} classes. {reason}"
    )


def for_warm_start(
    report: RestoreReport, info: ModelInfo, excluded: Sequence[str], saved: Variables
) -> str:
    """Returns why a new run cannot take its weights from a checkpoint, and which option helps.

    Args:
      report: what it has in another shape.
      info: the network of the new run, and its classes.
      excluded: scopes that the options leave out already.
      saved: the checkpoint's variables.
    """
    differing = [mismatch.name for mismatch in report.mismatched]
    heads = heads_of(differing, NETWORKS[info.model_name].heads)
    others = [m for m in report.mismatched if not heads_of([m.name], heads)]
    if others:
        network = Network(info.model_name, info.num_classes, info)
        guess = guess_network(report, saved, network)
        return (
            f"Checkpoint {report.prefix} does not fit: {_checks.listed(others, 4)}. "
            + (f"{guess}. " if guess else "")
            + "`python -m classifier.checkpoints diff` compares it with networks"
        )
    exact, automatic = (",".join([*excluded, *more]) for more in (heads, [AUTO]))
    return (
        f"{of_heads(report, info, heads)}. Add --checkpoint_exclude_scopes={exact}, or ={automatic}"
    )


def of_missing(report: RestoreReport) -> str:
    """Returns what a checkpoint lacks that a new run is to take from it."""
    wanted = _wanted(report)
    return (
        f"Checkpoint {report.prefix} has {wanted - len(report.missing)} of the {wanted} "
        f"variables wanted. Missing: {_checks.listed(_with_near(report), 5)}. "
        f"Unused: {_checks.listed(report.unused, 5) or 'none'}. "
        "Add --ignore_missing_vars to go on without them, or exclude their scopes"
    )


def of_heads(report: RestoreReport, info: ModelInfo, heads: Sequence[str]) -> str:
    """Returns how many classes the head of a checkpoint has, and how many the dataset.

    Args:
      report: what the checkpoint has in another shape.
      info: the network and the dataset's classes.
      heads: the scopes of the variables that differ for that.
    """
    shapes = {mismatch.name: mismatch.saved.shape for mismatch in report.mismatched}
    offset = f" with labels_offset={info.labels_offset}" if info.labels_offset else ""
    return (
        f"Checkpoint head has {head_classes(shapes, heads)} classes, {dataset_of(info)} has "
        f"{info.num_classes}{offset} ({', '.join(heads)})"
    )


def of_other_classes(theirs: Sequence[str], info: ModelInfo) -> str:
    """Returns the first class that has another name in the checkpoint, in words; empty if there is
    none, their number differs, or one side does not say its names.

    Args:
      theirs: the names of the checkpoint's classes.
      info: the network of the new run, and its classes.
    """
    ours = info.label_names
    if len(theirs) != len(ours) or tuple(theirs) == ours:
        return ""
    pairs = enumerate(zip(theirs, ours, strict=True))
    place, (their, our) = next(each for each in pairs if len(set(each[1])) > 1)
    return f"class {place} is {their!r} in the checkpoint and {our!r} in {dataset_of(info)}"


def dataset_of(info: ModelInfo) -> str:
    """Returns what the classes of a model are called after."""
    return f"dataset {info.dataset_name!r}" if info.dataset_name else "the model"


def of_another_network(
    report: RestoreReport, info: ModelInfo, saved: Variables, *, may_rename: bool = False
) -> str:
    """Returns what to tell of a checkpoint without a single variable of the network.

    Args:
      report: of a comparison in which every variable was missing.
      info: the network.
      saved: the checkpoint's variables.
      may_rename: whether an option could give its scopes other names.
    """
    move = likely_move(report.missing, report.unused) if may_rename else ""
    likely = (
        f"Add --checkpoint_scope_map={move}: that scope has variables of the same names"
        if move
        else scopes_of({name: variable.shape for name, variable in saved.items()})
    )
    return (
        f"Checkpoint {report.prefix} has none of the {len(report.missing)} variables wanted of "
        f"{info.model_name}, such as {report.missing[0]}. "
        + (likely or f"It holds: {_checks.listed(saved, 5)}")
    )


def _with_near(report: RestoreReport) -> list[str]:
    """Returns the missing variables; the first with the nearest name that the checkpoint has."""
    first, *rest = report.missing
    near = difflib.get_close_matches(first, report.unused, n=1, cutoff=0.8)
    return [f"{first} (it has {near[0]})" if near else first, *rest]


def _wanted(report: RestoreReport) -> int:
    return len(report.restored) + len(report.mismatched) + len(report.missing)
