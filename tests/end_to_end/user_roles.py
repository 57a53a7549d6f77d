"""Every path that a script accepts, and what of a user's files it is pointed at.

In the values of flags, {home} and {treasure} are those of `user_tree`, {digits} and {trained} a
dataset and a run of ours elsewhere, {archives} a directory with small archives, {out} an empty one.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from classifier.config import options
from classifier.config.checkpoints import ConvertConfig, DiffConfig, InspectConfig
from classifier.config.conversion import DataConfig
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.config.training import TrainConfig
from tests import user_tree

DONE, REFUSED, ANY_FAILURE, ANY = (0,), (2,), (1, 2), (0, 1, 2)
OURS = tuple(f"ours/{form}" for form in user_tree.FORMS)
_SPECIAL = ("plain/fifo", "plain/socket", "plain/dangling", os.fsdecode(b"plain/caf\xe9.png"))
_OF_A_RUN = (
    *("checkpoint", "model.ckpt-*", "config.json", "model_info.json", "metrics.jsonl", "best"),
    *("events.out.tfevents.*", "images", "curves.png", "eval"),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A script pointed at some of the user's files.

    Attributes:
      name: of the test.
      command: the script and what precedes its flags.
      flags: by name.
      codes: the exit codes that are right.
      allowed: paths of the tree, or patterns, that the user asked for and that may be created.
      links: entries of `home/run` that are replaced by links to the treasure before.
    """

    name: str
    command: tuple[str, ...]
    flags: Mapping[str, Any]
    codes: tuple[int, ...] = REFUSED
    allowed: tuple[str, ...] = ()
    links: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Script:
    """A script, or a command of one, with flags that work."""

    command: tuple[str, ...]
    config_class: type
    flags: Mapping[str, Any]


TRAINING = {
    "train_dir": "{out}/run",
    "dataset_name": "digits",
    "dataset_dir": "{digits}",
    "model_name": "lenet",
    "batch_size": 8,
    "max_number_of_steps": 3,
    "learning_rate": 0.01,
    "optimizer": "sgd",
    "save_summaries_secs": 0,
}
# What makes it write all that training can write.
_ALL_FILES = {
    "eval_every_steps": 2,
    "save_summaries_secs": 600,
    "summarize_images": "true",
    "on_bad_image": "skip",
}
_EVALUATION = {
    "checkpoint_path": "{trained}",
    "dataset_dir": "{digits}",
    "dataset_split_name": "validation",
    "eval_dir": "{out}/eval",
    "batch_size": 8,
    "max_num_batches": 2,
}
_EXPORT = {
    "checkpoint_path": "{trained}",
    "output_dir": "{out}/export",
    "formats": "frozen_pb,weights_h5",
}
SCRIPTS = {
    "train": Script(("train_image_classifier.py",), TrainConfig, TRAINING),
    "eval": Script(("eval_image_classifier.py",), EvalConfig, _EVALUATION),
    "predict": Script(
        ("predict_image_classifier.py",),
        PredictConfig,
        {"checkpoint_path": "{trained}", "images": "{digits}/samples"},
    ),
    "export": Script(("export_inference_graph.py",), ExportConfig, _EXPORT),
    "convert": Script(
        ("download_and_convert_data.py",),
        DataConfig,
        {"dataset_name": "digits", "dataset_dir": "{out}/data"},
    ),
    "inspect": Script(
        ("classifier.checkpoints", "inspect"), InspectConfig, {"checkpoint_path": "{trained}"}
    ),
    "diff": Script(
        ("classifier.checkpoints", "diff"), DiffConfig, {"checkpoint_path": "{trained}"}
    ),
    "checkpoints": Script(
        ("classifier.checkpoints", "convert"),
        ConvertConfig,
        {"checkpoint_path": "{trained}", "output": "{out}/lenet.weights.h5"},
    ),
}

# Script and option -> flags that it needs besides; each is pointed at all that `_TARGETS` lists for
# its kind. A path without a kind in the table of options has it here.
ROLES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("train", "train_dir"): {},
    ("train", "dataset_dir"): {},
    ("train", "checkpoint_path"): {},
    ("train", "teacher_checkpoint_path"): {},
    ("train", "cache"): {},
    ("train", "class_weights"): {},
    ("eval", "checkpoint_path"): {},
    ("eval", "dataset_dir"): {},
    ("eval", "eval_dir"): {},
    ("eval", "eval_json"): {},
    ("eval", "report_dir"): {},
    ("eval", "predictions_csv"): {},
    ("eval", "train_dir"): {"checkpoint_path": None},
    ("predict", "checkpoint_path"): {},
    ("predict", "images"): {},
    ("predict", "image_list"): {},
    ("predict", "output_csv"): {},
    ("predict", "explain_dir"): {},
    ("predict", "features_file"): {"features": "fc3"},
    ("predict", "neighbors"): {},
    ("export", "checkpoint_path"): {},
    ("export", "output_dir"): {},
    ("export", "eval_json"): {},
    ("export", "dataset_dir"): {"dataset_name": "digits", "check_images": 8},
    ("export", "output_file"): {
        "model_name": "lenet",
        "checkpoint_path": None,
        "output_dir": None,
        "formats": None,
    },
    ("convert", "dataset_dir"): {},
    ("convert", "source_dir"): {"dataset_name": "folder"},
    **{
        (script, "dataset_file"): {"dataset_name": "list", "dataset_dir": None}
        for script in ("train", "eval")
    },
    ("export", "dataset_file"): {"dataset_name": "list", "check_images": 8},
    ("convert", "dataset_file"): {"dataset_name": "list", "dataset_dir": "{out}/data"},
    ("train", "labels_file"): {},
    ("eval", "labels_file"): {},
    ("export", "labels_file"): {"dataset_name": "digits", "check_images": 8},
    ("convert", "labels_file"): {
        "dataset_name": "folder",
        "source_dir": "{home}/photos",
        "dataset_dir": "{out}/data",
    },
    ("inspect", "checkpoint_path"): {},
    ("diff", "checkpoint_path"): {},
    ("checkpoints", "checkpoint_path"): {},
    ("checkpoints", "output"): {},
}
_SOURCES = ("train", "eval", "export", "convert")
KINDS = {
    **{(script, "dataset_file"): "list" for script in _SOURCES},
    **{(script, "labels_file"): "names" for script in _SOURCES},
    **{(script, "dataset_dir"): "directory" for script in ("train", "eval", "export")},
    ("eval", "checkpoint_path"): "checkpoint",
    ("predict", "checkpoint_path"): "checkpoint",
    ("train", "cache"): "place",
    ("train", "class_weights"): "file",
    ("export", "eval_json"): "file",
    ("convert", "source_dir"): "photos",
    ("checkpoints", "output"): "new_prefix",
}
_OUTPUTS = ("new_directory", "new_dataset", "new_file", "new_prefix", "place")
# Options whose help speaks of files, and whose value is no path.
NOT_PATHS = {
    *("dataset_name", "dataset_split_name", "data_service", "eval_split_name", "license"),
    *("report_duplicates_of", "file_pattern"),
    *("checkpoint_exclude_scopes", "checkpoint_scope_map", "model_name", "preprocessing_name"),
}

_FOREIGN = tuple((each, REFUSED) for each in (*OURS, "plain", "photos", "plain/outside"))
_BAD = tuple((each, ANY_FAILURE) for each in (*OURS, *_SPECIAL, "plain", "plain/letter.txt"))
_NEW_DIRECTORY = (
    *_FOREIGN,
    *((each, REFUSED) for each in (*_SPECIAL, "plain/letter.txt", "ours/links/best")),
    ("plain/empty", DONE),
    ("plain/new", DONE),
)
# Kind -> the paths below `home` and the exit codes that are right there.
_TARGETS: Mapping[str, tuple[tuple[str, tuple[int, ...]], ...]] = {
    "new_directory": _NEW_DIRECTORY,
    "new_dataset": _NEW_DIRECTORY,
    "new_file": (
        *((f"plain/{each}", REFUSED) for each in ("letter.txt", "read_only.txt", "outside.txt")),
        *((each, REFUSED) for each in (*_SPECIAL, "plain/empty", "plain/outside")),
        ("plain/new", DONE),
    ),
    "new_prefix": (
        *((f"{each}/model.ckpt-10", REFUSED) for each in OURS),
        *((f"{each}/lenet.weights.h5", REFUSED) for each in OURS),
        ("plain/new/model.ckpt-0", DONE),
        ("plain/new/lenet.weights.h5", DONE),
    ),
    # A place for directories of ours, whose names have a checksum of the dataset's path.
    "place": (
        *((each, DONE) for each in (*OURS, "plain", "plain/outside", "plain/empty", "plain/new")),
        *((each, REFUSED) for each in (*_SPECIAL, "plain/letter.txt")),
    ),
    "directory": (*_BAD, ("data", DONE)),
    "checkpoint": (*_BAD, ("run", DONE), ("linked_run", DONE)),
    "images": (*_BAD, ("photos/a", DONE), ("photos/*/*", DONE), ("**", ANY)),
    "photos": (*_BAD, ("photos", DONE)),
    "list": (*_BAD, ("weights.json", ANY_FAILURE)),
    "names": tuple((each, ANY) for each, _ in _BAD),  # a text of any kind may be names
    "file": (*_BAD, ("weights.json", DONE), ("plain/damaged.json", ANY_FAILURE)),
}


def by_option() -> Iterator[Case]:
    """Yields the cases of the options of the scripts."""
    for (script, option), more in ROLES.items():
        for target, codes in _TARGETS[kind_of(script, option)]:
            if (script, option) in (("export", "eval_json"), ("predict", "image_list")):
                codes = ANY_FAILURE  # no file here is one
            allowed = _allowed(kind_of(script, option), target) if codes == DONE else ()
            if (script, option) == ("eval", "eval_dir") and target in OURS:
                # Recognized by the event files in it, and event files have names of their own.
                codes, allowed = ANY, (f"home/{target}/events.out.tfevents.*.v2",)
            yield _case(script, option, target, codes, more, allowed=allowed)


def _allowed(kind: str, target: str) -> tuple[str, ...]:
    """Returns what may be created where a path is accepted: its topmost part that is new."""
    if kind == "place" and target != "plain/new":
        return tuple(
            f"{each}/digits-train-????????" for each in (f"home/{target}", "treasure/kept")
        )
    return (f"home/{'/'.join(target.split('/')[:2])}",) if kind in _OUTPUTS else ()


def first(script: str, option: str) -> str:
    """Returns the name of the first case of an option."""
    return f"{script}-{option}-{_TARGETS[kind_of(script, option)][0][0]}"


def kind_of(script: str, option: str) -> str:
    """Returns what an option's path has to be: a key of `_TARGETS`."""
    declared = options.by_name(SCRIPTS[script].config_class)[option].declared
    return KINDS.get((script, option)) or str(declared.path)


def is_output(script: str, option: str) -> bool:
    """Returns whether the script writes there."""
    return kind_of(script, option) in _OUTPUTS


def _case(
    script: str,
    option: str,
    target: str,
    codes: tuple[int, ...],
    more: Mapping[str, Any] = MappingProxyType({}),
    **fields: Any,
) -> Case:
    it = SCRIPTS[script]
    flags = {**it.flags, **more, option: f"{{home}}/{target}"}
    if option == "source_dir":
        flags["dataset_dir"] = "{out}/data"
    name = f"{script}-{option}-{target}" + "".join(f"-{key}" for key in fields.get("links", ()))
    return Case(name, it.command, flags, codes, **fields)


def resumed() -> Iterator[Case]:
    """Yields a run of the user's that is resumed or started over, with links in it."""
    own = tuple(f"home/run/{name}" for name in (*_OF_A_RUN, "set_aside", "set_aside/*"))
    yield _case("train", "train_dir", "run", DONE, _ALL_FILES, allowed=own)
    files = ("train.lock", "metrics.jsonl", "bad_files.csv", "curves.png", "config.json", ".slim")
    for name in ("best", "eval", "images", "plugins", *files):
        links = {name: "gold.txt" if name in files else "kept"}
        yield _case("train", "train_dir", "run", ANY, _ALL_FILES, allowed=own, links=links)
    for links in ({}, {"best": "kept"}, {"set_aside": "kept"}, {"train.lock": "gold.txt"}):
        case = _case(
            "train", "train_dir", "run", ANY, {"restart": "true"}, allowed=own, links=links
        )
        yield dataclasses.replace(case, name=f"{case.name}-restart")
    eval_dir = {"eval_dir": None}
    for links, codes in (({}, DONE), ({"eval": "kept"}, ANY)):
        allowed = () if links else ("home/run/eval",)
        case = _case(
            "eval", "checkpoint_path", "run", codes, eval_dir, allowed=allowed, links=links
        )
        yield dataclasses.replace(case, name=f"{case.name}-without-eval_dir")


def converted() -> Iterator[Case]:
    """Yields the converters of all datasets, with the user's files as target and as source."""
    script = SCRIPTS["convert"]
    for name in ("cifar10", "flowers", "folder", "imagenet", "mnist", "visualwakewords", "verify"):
        source = {"folder": "{home}/photos"}.get(name, "{archives}")
        for target in (*OURS, "plain"):
            flags = {"dataset_name": name, "dataset_dir": f"{{home}}/{target}"}
            if name != "verify":
                flags["source_dir"] = source
            yield Case(f"{name}-into-{target}", script.command, flags, ANY_FAILURE)
            if name not in ("verify", "folder"):
                flags = {"dataset_name": name, "dataset_dir": "{out}/data"}
                flags["source_dir"] = f"{{home}}/{target}"
                yield Case(f"{name}-from-{target}", script.command, flags, ANY_FAILURE)
    for source, target in (
        ("photos", "photos"),
        ("photos", "photos/a"),
        ("photos/a", "photos"),
        ("photos", "photos/new"),
    ):
        flags = {"dataset_name": "folder"}
        flags |= {"source_dir": f"{{home}}/{source}", "dataset_dir": f"{{home}}/{target}"}
        yield Case(f"folder-{source}-into-{target}", script.command, flags, REFUSED)
    flags = {"dataset_name": "folder", "source_dir": "{home}/photos"}
    flags |= {"dataset_dir": "{home}/plain/new", "validation_fraction": 0.4}
    yield Case("folder-converted", script.command, flags, DONE, ("home/plain/new",))
    flags = {"dataset_name": "mnist", "source_dir": "{archives}", "dataset_dir": "{home}/plain/new"}
    yield Case("mnist-converted", script.command, flags, DONE, ("home/plain/new",))
    flags = {"dataset_name": "verify", "dataset_dir": "{home}/data"}
    yield Case("verify-data", script.command, flags, DONE)


def failing() -> Iterator[Case]:
    """Yields failures of what is asked for besides, and flags read from the user's files."""
    for script, option in ROLES:
        if is_output(script, option):
            flags = {**ROLES[script, option]}
            spoiled = {
                "train": {"dataset_dir": "{home}/ours/files"},
                "eval": {"dataset_dir": "{home}/ours/directories"},
                "predict": {"images": "{home}/ours/files"},
                "export": {"checkpoint_path": "{home}/ours/files/model.ckpt-10"},
                "convert": {"dataset_name": "mnist", "source_dir": "{home}/ours/files"},
                "checkpoints": {"checkpoint_path": "{home}/ours/fifos/model.ckpt-10"},
            }[script]
            case = _case(
                script, option, "plain/new", ANY_FAILURE, {**flags, **spoiled},
                allowed=("home/plain/new",),
            )  # fmt: skip
            yield dataclasses.replace(case, name=f"{case.name}-failing")
    for target in (*_SPECIAL, "plain/letter.txt", "plain/empty"):
        flags = {"flagfile": f"{{home}}/{target}", **SCRIPTS["predict"].flags}
        yield Case(f"flagfile-{target}", SCRIPTS["predict"].command, flags, REFUSED)


def other_scripts() -> Iterator[Case]:
    """Yields the commands with positional arguments."""
    attempt = "scripts/try_export.py"
    fetch = ("classifier.checkpoints", "fetch", "inception_v1_2016_08_28.tar.gz")
    for target in (*OURS, *_SPECIAL, "plain", "plain/letter.txt"):
        at = f"{{home}}/{target}"
        yield Case(f"fetch-into-{target}", (*fetch, at, "--source_dir={archives}"), {}, ANY_FAILURE)
        yield Case(f"fetch-from-{target}", (*fetch, "{out}", f"--source_dir={at}"), {}, ANY_FAILURE)
        yield Case(
            f"try-export-into-{target}",
            (attempt, "{export}", "{digits}", "validation", at), {}, ANY,
            ("home/plain/[0-7].png",),
        )  # fmt: skip
        yield Case(
            f"try-export-of-{target}",
            (attempt, at, "{digits}", "validation", "{out}/photos"), {}, ANY_FAILURE,
        )  # fmt: skip
        yield Case(
            f"try-export-on-{target}",
            (attempt, "{export}", at, "validation", "{out}/photos"), {}, ANY_FAILURE,
        )  # fmt: skip
    new = "{home}/plain/new"
    allowed = ("home/plain/new",)
    yield Case("fetch-new", (*fetch, new, "--source_dir={archives}"), {}, DONE, allowed)
    yield Case(
        "try-export-new", (attempt, "{export}", "{digits}", "validation", new), {}, DONE, allowed
    )


def every() -> list[Case]:
    """Returns all cases."""
    sources = (by_option, resumed, converted, failing, other_scripts)
    return [case for source in sources for case in source()]
