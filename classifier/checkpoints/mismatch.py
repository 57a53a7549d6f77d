"""Error messages for a checkpoint that does not match a network."""

import difflib
from collections.abc import Sequence

from classifier.checkpoints.matching import Network, Variables, guess_network, num_expected
from classifier.checkpoints.names import (
    AVERAGE,
    RANGE,
    describe_scopes,
    head_classes,
    heads_of,
    kind_of,
)
from classifier.checkpoints.sources import likely_renaming
from classifier.config.finetuning import AUTO
from classifier.config.problems import Problem, named
from classifier.model_info import ModelInfo
from nets.nets_factory import NETWORKS
from slim import _checks, _programs
from slim.checkpoints import RestoreReport


def for_inference(
    report: RestoreReport, info: ModelInfo, saved: Variables, *, used_averages: bool
) -> str:
    """Returns why a checkpoint cannot be restored into a network for inference.

    Args:
      report: comparison of the checkpoint with the network.
      info: network.
      saved: variables of the checkpoint.
      used_averages: whether moving averages of the weights are restored.
    """
    missing = report.missing
    if missing and used_averages and AVERAGE not in map(kind_of, report.unused):
        return Problem(
            "Checkpoint {} has no moving averages of the weights, which {} needs",
            report.prefix,
            named("moving_average_decay", info.moving_average_decay),
        )
    if missing and all(kind_of(name) == RANGE for name in missing):
        return Problem(
            "Checkpoint {} has no quantization ranges for {} layers: {} needs a run with {}",
            report.prefix,
            len(missing) // 2,
            named("quantize"),
            named("quantize_delay"),
        )
    renaming = likely_renaming(missing, report.unused) if missing else ""
    if len(missing) == num_expected(report) and "/" in renaming:
        return Problem(
            "Checkpoint {} has the variables of {} below {!r}. To rename its scopes, train from it"
            " with {}",
            report.prefix,
            info.model_name,
            renaming.partition(":")[0].rpartition("/")[0],
            named("checkpoint_scope_map", renaming),
        )
    if len(missing) == num_expected(report):
        return no_common_variables(report, info, saved)
    if missing:
        return (
            f"Checkpoint {report.prefix} lacks {len(missing)} variables of {info.model_name}:"
            f" {_checks.listed(missing, 5)}"
        )
    differing = [mismatch.name for mismatch in report.mismatched]
    heads = heads_of(differing, NETWORKS[info.model_name].heads)
    if heads and all(heads_of([name], heads) for name in differing):
        return Problem(
            "{}. Use the dataset that the checkpoint was trained on; if the numbers differ by one,"
            " check {}",
            head_mismatch(report, info, heads),
            named("labels_offset"),
        )
    return f"Checkpoint {report.prefix} does not match: {_checks.listed(report.mismatched, 5)}"


def for_resuming(report: RestoreReport, train_dir: str) -> str:
    """Returns why a run without recorded options cannot be resumed, and what to do."""
    differences = []
    if report.missing:
        unused = _checks.listed(report.unused, 3) or "none"
        differences.append(f"missing: {_checks.listed(report.missing, 3)}; unused: {unused}")
    differences += [str(each) for each in report.mismatched[:3]]
    return Problem(
        "{} contains a run with another network, optimizer or dataset: {}: {}. To resume it, use"
        " its original options; to fine-tune from it, pass another {} and {}; to start over, pass"
        " {}",
        named("train_dir", repr(train_dir)),
        report.prefix,
        "; ".join(differences),
        named("train_dir"),
        named("checkpoint_path", train_dir),
        named("restart"),
    )


def for_conversion(report: RestoreReport, saved: Variables, network: Network) -> str:
    """Returns why a checkpoint cannot be converted for a network."""
    problems = [str(mismatch) for mismatch in report.mismatched]
    if report.missing:
        problems.append(f"missing: {_checks.listed(report.missing, 5)}")
    reason = guess_network(report, saved, network) or _checks.listed(problems, 5)
    return (
        f"{report.prefix} has {len(report.restored)} of the {num_expected(report)} variables of"
        f" {network.name} with {network.num_classes} classes. {reason}"
    )


def for_warm_start(
    report: RestoreReport, info: ModelInfo, excluded: Sequence[str], saved: Variables
) -> str:
    """Returns why a new run cannot start from a checkpoint, and which option to add.

    Args:
      report: comparison of the checkpoint with the network.
      info: network and classes of the new run.
      excluded: scopes already excluded by the options.
      saved: variables of the checkpoint.
    """
    differing = [mismatch.name for mismatch in report.mismatched]
    heads = heads_of(differing, NETWORKS[info.model_name].heads)
    others = [m for m in report.mismatched if not heads_of([m.name], heads)]
    if others:
        network = Network(info.model_name, info.num_classes, info)
        guess = guess_network(report, saved, network)
        return (
            f"Checkpoint {report.prefix} does not match: {_checks.listed(others, 4)}. "
            + (f"{guess}. " if guess else "")
            + f"To compare it with networks, run `{_programs.command('slim-checkpoints', 'diff')}`"
        )
    exact, automatic = (",".join([*excluded, *more]) for more in (heads, [AUTO]))
    return Problem(
        "{}. Add {}, or ={}",
        head_mismatch(report, info, heads),
        named("checkpoint_exclude_scopes", exact),
        automatic,
    )


def missing_variables(report: RestoreReport) -> str:
    """Returns which variables of a new run a checkpoint does not have."""
    total = num_expected(report)
    first, *rest = report.missing
    missing = [with_similar(first, report.unused), *rest]
    return Problem(
        "Checkpoint {} has {} of {} variables; missing: {}; unused: {}. To initialize the missing"
        " ones from scratch, add {} or exclude their scopes",
        report.prefix,
        total - len(report.missing),
        total,
        _checks.listed(missing, 5),
        _checks.listed(report.unused, 5) or "none",
        named("ignore_missing_vars"),
    )


def head_mismatch(report: RestoreReport, info: ModelInfo, heads: Sequence[str]) -> str:
    """Returns the number of classes in a checkpoint's head and in the dataset, as a sentence.

    Args:
      report: comparison of the checkpoint with the network.
      info: network and classes of the dataset.
      heads: scopes of the variables that depend on the number of classes.
    """
    shapes = {mismatch.name: mismatch.saved.shape for mismatch in report.mismatched}
    offset = Problem(" with {}", named("labels_offset", info.labels_offset))
    return Problem(
        "Checkpoint head has {} classes, {} has {}{} ({})",
        head_classes(shapes, heads),
        dataset_of(info),
        info.num_classes,
        offset if info.labels_offset else "",
        ", ".join(heads),
    )


def class_name_mismatch(saved_names: Sequence[str], info: ModelInfo) -> str:
    """Returns the first class whose name differs in the checkpoint, as a sentence.

    The result is empty if no name differs, the numbers of classes differ, or the names are unknown.

    Args:
      saved_names: class names of the checkpoint.
      info: network and classes of the new run.
    """
    names = info.label_names
    if len(saved_names) != len(names) or tuple(saved_names) == names:
        return ""
    pairs = enumerate(zip(saved_names, names, strict=True))
    index, (old, new) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
    return f"class {index} is {old!r} in the checkpoint and {new!r} in {dataset_of(info)}"


def dataset_of(info: ModelInfo) -> str:
    """Returns the dataset of a model, for messages."""
    return f"dataset {info.dataset_name!r}" if info.dataset_name else "the model"


def no_common_variables(
    report: RestoreReport, info: ModelInfo, saved: Variables, *, may_rename: bool = False
) -> str:
    """Returns the error for a checkpoint without any variable of the network.

    Args:
      report: comparison in which every variable is missing.
      info: network.
      saved: variables of the checkpoint.
      may_rename: whether an option could rename its scopes.
    """
    renaming = likely_renaming(report.missing, report.unused) if may_rename else ""
    likely = (
        Problem(
            "Add {}: that scope has variables with the same names",
            named("checkpoint_scope_map", renaming),
        )
        if renaming
        else describe_scopes({name: variable.shape for name, variable in saved.items()})
    )
    return Problem(
        "Checkpoint {} has none of the {} variables of {}, such as {}. {}",
        report.prefix,
        len(report.missing),
        info.model_name,
        report.missing[0],
        likely or f"It contains: {_checks.listed(saved, 5)}",
    )


def with_similar(name: str, others: Sequence[str]) -> str:
    """Returns a missing variable's name with the most similar of the checkpoint's other names."""
    similar = difflib.get_close_matches(name, others, n=1, cutoff=0.8)
    return f"{name} (similar: {similar[0]})" if similar else name
