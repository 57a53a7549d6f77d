"""What has to be the same for all workers of a job."""

import functools
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from classifier.config import options
from classifier.config.problems import Problem, named
from classifier.resolve.evaluation import ResolvedEvaluation
from classifier.resolve.training import ResolvedRun, location_of_run
from datasets import dataset_factory
from datasets.location import Location
from slim import _checks, _json, _version

# Options of one machine. Paths may differ too, and what only worker 0 does.
_OF_A_MACHINE = (
    *("task", "master", "cluster", "cluster_port", "allow_public_bind"),
    "num_preprocessing_threads",
)
_OF_WORKER_0 = ("saving", "reporting")  # groups
_RESOLVED_FROM_THESE = ("save_every_steps",)
_PACKAGES = ("classifier", "datasets", "deployment", "nets", "preprocessing", "slim")
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

Facts = Mapping[str, Mapping[str, Any]]


def of_run(resolved: ResolvedRun) -> Facts:
    """Returns the options of a run, what was resolved from them, and the versions."""
    config, values = resolved.config, resolved.to_dict()
    location, split = location_of_run(config), config.data.dataset_split_name
    return _facts(config, values["resolved"], location, split)


def of_evaluation(resolved: ResolvedEvaluation, prefix: str) -> Facts:
    """Returns the same for an evaluation.

    Args:
      resolved: the evaluation.
      prefix: of the checkpoint.
    """
    values = {
        "image size": resolved.image_size,
        "number of images": resolved.num_images,
        "split": resolved.split_name,
        "checkpoint": f"{os.path.basename(prefix)} ({_checkpoint_digest(prefix)})",
    }
    return _facts(resolved.config, values, resolved.location, resolved.split_name)


def of_servers(config: Any) -> Facts:
    """Returns the options and versions of parameter servers, their workers and the coordinator.

    All use the coordinator's path of the dataset.
    """
    facts = _of_options(config)
    return facts | {"options": facts["options"] | {"dataset_dir": config.data.dataset_dir}}


def _facts(config: Any, resolved: Mapping[str, Any], location: Location, split: str) -> Facts:
    others = (*options.flatten(config), *_may_differ(config), *_RESOLVED_FROM_THESE)
    values = {name: _short(value) for name, value in resolved.items() if name not in others}
    return _of_options(config) | {
        "resolved": values | {"dataset": _dataset_digest(location, split)},
    }


def _may_differ(config: Any) -> set[str]:
    return {
        option.name
        for group in options.groups_of(type(config))
        for option in group.options
        if group.attribute in _OF_WORKER_0 or option.declared.path or option.name in _OF_A_MACHINE
    }


def _of_options(config: Any) -> dict[str, dict[str, Any]]:
    may_differ = _may_differ(config)
    return {
        "options": {
            name: _short(value)
            for name, value in options.flatten(config).items()
            if name not in may_differ
        },
        "versions": {
            "TensorFlow": importlib.metadata.version("tensorflow"),
            "slim": f"{_version.version()} ({code_digest()})",
        },
    }


def differences(facts: Mapping[int, Facts], process: str = "worker") -> list[str]:
    """Returns a line for each value that differs between workers.

    Args:
      facts: what `of_run` returns, by worker.

    Returns:
      the lines, with options as flags. What follows from the options is compared only if these are
      the same.
    """
    of_parts = {
        part: list(
            _differing(part, {task: each.get(part, {}) for task, each in facts.items()}, process)
        )
        for part in ("versions", "options", "resolved")
    }
    return of_parts["versions"] + of_parts["options"] or of_parts["resolved"]


def _differing(part: str, facts: Mapping[int, Mapping[str, Any]], process: str) -> Iterator[str]:
    for name in dict.fromkeys(name for each in facts.values() for name in each):
        tasks: dict[str, list[int]] = {}
        for task, each in sorted(facts.items()):
            tasks.setdefault(json.dumps(each.get(name)), []).append(task)
        if len(tasks) == 1:
            continue
        values = [
            f"{_shown(json.loads(text))} on {process}{'s' * (len(of_value) > 1)}"
            f" {_checks.listed(of_value, 4)}"
            for text, of_value in tasks.items()
        ]
        label = named(name) if part == "options" else _json.printable(name)
        yield Problem("{} differs: {}", label, _checks.listed(values, 4)).as_flags


def _short(value: Any) -> Any:
    """Returns a value, or the digest of a long one."""
    text = json.dumps(value)
    return json.loads(text) if len(text) <= 1000 else f"{text[:100]}... ({_digest(text.encode())})"


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "none"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return _json.printable(text.lower() if isinstance(value, bool) else text[:200])


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]


@functools.cache
def code_digest() -> str:
    """Returns a digest of the source code that runs."""
    parts = []
    for package in _PACKAGES:
        directory = os.path.join(_ROOT, package) if package != "slim" else _slim_directory()
        for path, directories, files in os.walk(directory):
            directories.sort()
            for name in sorted(name for name in files if name.endswith(".py")):
                with open(os.path.join(path, name), "rb") as file:
                    parts += [os.path.relpath(file.name, directory).encode(), file.read()]
    return _digest(*parts)


def _slim_directory() -> str:
    return os.path.dirname(os.path.abspath(_version.__file__))


def _dataset_digest(location: Location, split: str) -> str:
    """Returns a digest of the split's files: names or labels, and sizes."""
    metadata = dataset_factory.metadata_at(location, split)
    if metadata.items:
        texts = (f"{item.label} {item.size}" for item in metadata.items)
    else:
        texts = (
            f"{os.path.basename(path)} {os.path.getsize(path)}" for path in metadata.data_sources
        )
    return f"{metadata.num_samples} images ({_digest(*(text.encode() for text in texts))})"


def _checkpoint_digest(prefix: str) -> str:
    """Returns a digest of a checkpoint's index, which has a checksum of each variable, or of its
    only file."""
    index = f"{prefix}.index"
    with open(index if os.path.exists(index) else prefix, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
