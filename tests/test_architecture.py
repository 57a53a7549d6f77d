"""Who may import whom, which modules load without TensorFlow, and that every flag is read."""

import ast
import json
import subprocess
import sys

import pytest

from classifier import options
from classifier.config import checkpoints as config_checkpoints
from classifier.config import conversion, export, trained, training
from tests import source_tree

# The first that fits decides: a module -> what it may import of the project, by prefix.
FLOORS = (
    ("slim", ("slim",)),
    ("nets", ("nets", "slim")),
    ("datasets", ("datasets", "slim")),
    ("preprocessing", ("preprocessing", "slim")),
    ("deployment", ("deployment", "slim")),
    (
        "classifier.config",
        ("classifier.config", "classifier.options", "slim._checks", "slim._image_limits"),
    ),
    ("classifier.exit_codes", ()),
    ("classifier.help_text", ("classifier.options",)),
    ("classifier.native_log", ()),
    ("classifier.options", ("slim._checks",)),
    ("classifier.output", ()),
    ("classifier.paths", ("classifier.options", "slim._checks", "slim.checkpoints")),
    ("classifier.run_directory", ("slim._checks", "slim._paths")),
    (
        "classifier.flags",
        (
            "classifier.exit_codes",
            "classifier.help_text",
            "classifier.native_log",
            "classifier.options",
            "classifier.output",
            "classifier.paths",
            "nets.nets_factory",
            "datasets.dataset_factory",
            "preprocessing.preprocessing_factory",
            "slim._checks",
        ),
    ),
    (
        "classifier.res",  # resolve, resolve_trained, resuming
        (
            "classifier.config",
            "classifier.options",
            "classifier.res",
            "classifier.run_directory",
            "slim._checks",
        ),
    ),
    ("classifier.training", ("classifier", "deployment", "slim")),
    ("classifier.evaluating", ("classifier", "deployment", "slim")),
    ("classifier.exporting", ("classifier", "deployment", "slim")),
    ("classifier.predicting", ("classifier", "deployment", "slim")),
    (
        "classifier",
        (
            "classifier",
            "nets.nets_factory",
            "nets.published",
            "nets.statistics",
            "datasets.dataset_factory",
            "preprocessing.preprocessing_factory",
            "slim",
        ),
    ),
    (
        "download_and_convert_data",
        ("classifier.flags", "classifier.config", "classifier.exit_codes", "datasets"),
    ),
    ("", ("classifier",)),  # the other scripts
)
ROOFS = tuple(
    f"classifier.{name}" for name in ("training", "evaluating", "exporting", "predicting")
)
TENSORFLOW_FREE = (
    "classifier.checkpoint_names",
    "classifier.checkpoints",
    "classifier.config",
    "classifier.config.checkpoints",
    "classifier.class_weights",
    "classifier.config.trained",
    "classifier.exit_codes",
    "classifier.facts",
    "classifier.flags",
    "classifier.help_text",
    "classifier.native_log",
    "classifier.output",
    "classifier.options",
    "classifier.paths",
    "classifier.resolve",
    "classifier.resolve_graph",
    "classifier.resolve_schedule",
    "classifier.resolve_trained",
    "classifier.resuming",
    "classifier.run_directory",
    "datasets.archives",
    "datasets.conversion_journal",
    "datasets.conversion_report",
    "datasets.dataset_factory",
    "datasets.download",
    "datasets.download_and_convert",
    "datasets.images",
    "datasets.matlab",
    "datasets.progress",
    "datasets.sources",
    "datasets.workers",
    "nets.nets_factory",
    "nets.published",
    "preprocessing.preprocessing_factory",
    "slim",
    "slim._checks",
    "slim._cores",
    "slim._paths",
    "slim.arg_scope",
)


def within(name, prefix):
    return name == prefix or name.startswith((f"{prefix}.", f"{prefix}_")) or prefix == ""


def allowed(module):
    if module.startswith("classifier.res"):
        return dict(FLOORS)["classifier.res"]
    return next(may for prefix, may in FLOORS if within(module, prefix))


def wrong_imports(path):
    module = source_tree.module_name(path)
    for line, name in source_tree.imports(path):
        where = f"{path.relative_to(source_tree.ROOT)}:{line}: {module} imports {name}"
        if name.startswith(("tensorflow.python", "tf_slim", "tensorflow.contrib")):
            yield f"{where}, which is private or dead"
        if name.endswith(".*"):
            yield f"{where}: name what is used"
        ours = name.split(".")[0] in source_tree.PACKAGES
        may = allowed(module)
        if ours and not any(name.startswith(prefix) for prefix in may):
            # `from classifier import flags` is the module classifier.flags.
            yield f"{where}; it may import {', '.join(may) or 'nothing of the project'}"
        if module.startswith("classifier") and name.startswith(ROOFS) and name != module:
            yield f"{where}, which stands above it or beside it"


@pytest.mark.parametrize("path", source_tree.files(), ids=source_tree.module_name)
def test_imports_go_down(path):
    wrong = [
        each
        for each in wrong_imports(path)
        if not (source_tree.module_name(path).startswith(ROOFS) and "beside it" in each)
    ]
    assert not wrong, "\n".join(wrong)


def test_modules_of_the_ground_floor_load_without_tensorflow(tmp_path):
    code = (
        "import importlib, json, sys\n"
        "loaded = {}\n"
        f"for name in {TENSORFLOW_FREE}:\n"
        "    importlib.import_module(name)\n"
        "    loaded[name] = 'tensorflow' in sys.modules\n"
        "print(json.dumps([name for name, heavy in loaded.items() if heavy]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=source_tree.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)[:1] == [], "the first of these loads TensorFlow"


def attributes_read():
    declarations = (
        "classifier.config",
        "classifier.config.checkpoints",
        "classifier.config.trained",
        "classifier.options",
    )
    return {
        node.attr
        for path in source_tree.files()
        if path.name.endswith(".py")
        and not source_tree.module_name(path).startswith(declarations)
        and source_tree.module_name(path).split(".")[0] in ("classifier", *scripts())
        for node in ast.walk(source_tree.tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def scripts():
    return [script.removesuffix(".py") for script in source_tree.SCRIPTS]


@pytest.mark.parametrize(
    "config_class",
    [
        training.TrainConfig,
        conversion.DataConfig,
        config_checkpoints.InspectConfig,
        config_checkpoints.DiffConfig,
        config_checkpoints.ConvertConfig,
        trained.EvalConfig,
        export.ExportConfig,
        trained.PredictConfig,
    ],
)
def test_every_flag_is_read(config_class):
    unread = sorted(set(options.by_name(config_class)) - attributes_read())
    assert not unread, f"accepted and ignored: {unread}"


def test_absl_flags_are_read_in_one_place():
    readers = {
        source_tree.module_name(path)
        for path in source_tree.files()
        for _, name in source_tree.imports(path)
        if name.startswith("absl.flags")
    }
    assert readers == {"classifier.flags"}


def test_compat_v1_gives_its_reason():
    for path in source_tree.files():
        if "compat.v1" in path.read_text("utf-8"):
            assert "compat.v1" in (ast.get_docstring(source_tree.tree(path)) or ""), path
