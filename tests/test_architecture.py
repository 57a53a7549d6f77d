"""Who may import whom, which modules load without TensorFlow, and that every flag is read."""

import ast
import json
import subprocess
import sys

import pytest

from classifier.config import (
    builders,
    conversion,
    data_service,
    evaluation,
    export,
    mobilenet_v1,
    options,
    prediction,
    serving,
    training,
)
from classifier.config import checkpoints as config_checkpoints
from classifier.config.optimizer import OPTIMIZERS
from tests import source_tree

TABLES = (
    "nets.nets_factory",
    "nets.published",
    "datasets.dataset_factory",
    "datasets.location",
    "datasets.splits",
    "preprocessing.preprocessing_factory",
)
GROUND = (
    "classifier.headlines",
    "classifier.model_info",
    "classifier.run_directory",
    "classifier.metrics_file",
    "classifier.cli",
    "classifier.config",
    "classifier.resolve",
    *TABLES,
    "slim",
)
MIDDLE = (
    "classifier.inputs",
    "classifier.checkpoints",
    "classifier.label_kinds",
    "classifier.network",
    "classifier.ownership",
    *GROUND,
)
# Room -> what it may import besides itself: the rooms below it, and the modules of other packages
# that are named here.
ROOMS = {
    "slim": (),
    "nets": ("slim",),
    "datasets": ("slim",),
    "preprocessing": ("slim",),
    "preprocessing.preprocessing_factory": ("nets.nets_factory", "slim"),
    "deployment": ("slim",),
    "classifier.headlines": (),
    "classifier.label_kinds": GROUND,
    "classifier.metrics_file": ("classifier.headlines", "slim"),
    "classifier.model_info": ("slim",),
    "classifier.run_directory": ("classifier.model_info", "slim"),
    "classifier.config": ("slim",),
    "classifier.cli": ("classifier.config", "nets.sizes", *TABLES, "slim"),
    "classifier.resolve": (
        "classifier.config",
        "classifier.model_info",
        "classifier.run_directory",
        "datasets.imagenet_classes",
        *TABLES,
        "slim",
    ),
    "classifier.cluster": GROUND,
    "classifier.inputs": GROUND,
    "classifier.checkpoints": ("datasets.archives", "datasets.download", *GROUND),
    "classifier.ownership": ("classifier.checkpoints", *GROUND),
    "classifier.network": GROUND,
    "classifier.inference": (
        *("classifier.cluster", "datasets.image_tree", "datasets.images", "datasets.progress"),
        *("deployment", *MIDDLE),
    ),
    "classifier.training": (
        *("classifier.cluster", "classifier.inference", "datasets.progress", "deployment"),
        *MIDDLE,
    ),
    "classifier.export": ("classifier.inference", "datasets.progress", *MIDDLE),
    "classifier.report": ("classifier.inference", *MIDDLE),
    "classifier.serving": ("classifier.inference", *MIDDLE),
    "classifier.serve": (
        *("classifier.cli", "classifier.config", "classifier.inference", "classifier.serving"),
        "slim",
    ),
    # Programs of TF-Slim at the places where it has them; the packages around them do not use them.
    **dict.fromkeys(
        ("datasets.build_imagenet_data", "datasets.build_visualwakewords_data"),
        ("classifier.cli", "classifier.config", "datasets"),
    ),
    **dict.fromkeys(
        ("datasets.preprocess_imagenet_validation_data", "datasets.process_bounding_boxes"),
        ("classifier.cli", "classifier.config", "datasets", "slim"),
    ),
    "nets.mobilenet_v1_eval": (
        *("classifier.cli", "classifier.config", "classifier.inference"),
        *("datasets.dataset_factory", "slim"),
    ),
    "nets.mobilenet_v1_train": (
        *("classifier.cli", "classifier.config", "classifier.training"),
        *("datasets.dataset_factory", "slim"),
    ),
    "download_and_convert_data": ("classifier.cli", "classifier.config", "datasets"),
    "eval_image_classifier": (
        *("classifier.cli", "classifier.config", "classifier.inference", "classifier.report"),
    ),
    "export_inference_graph": ("classifier.cli", "classifier.config", "classifier.export"),
    "predict_image_classifier": ("classifier.cli", "classifier.config", "classifier.inference"),
    "train_image_classifier": ("classifier.cli", "classifier.config", "classifier.training"),
}
TENSORFLOW_FREE = (
    "classifier.checkpoints.__main__",
    "classifier.checkpoints.fetch",
    "classifier.checkpoints.names",
    "classifier.cli.absl_flags",
    "classifier.cli.disk_errors",
    "classifier.cli.flags",
    "classifier.cli.stopping",
    "classifier.cli.versions",
    "classifier.headlines",
    "classifier.metrics_file",
    "classifier.ownership",
    "classifier.config",
    "classifier.config.checkpoints",
    "classifier.config.conversion",
    "classifier.config.evaluation",
    "classifier.config.export",
    "classifier.config.prediction",
    "classifier.config.serving",
    "classifier.config.training",
    "classifier.model_info",
    "classifier.resolve.cluster",
    "classifier.resolve.evaluation",
    "classifier.resolve.export",
    "classifier.resolve.prediction",
    "classifier.resolve.resume",
    "classifier.resolve.training",
    "classifier.resolve.warnings",
    "classifier.run_directory",
    "classifier.serve",
    "classifier.serving.inputs",
    "datasets.archives",
    "datasets.conversion_journal",
    "datasets.conversion_report",
    "datasets.dataset_factory",
    "datasets.download",
    "datasets.download_and_convert",
    "datasets.imagenet_files",
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
    "slim._file_ranges",
    "slim._files",
    "slim._image_limits",
    "slim._json",
    "slim._ownership",
    "slim._paths",
    "slim._tiff",
    "slim._version",
    "slim.arg_scope",
    "slim.signals",
)


def module_of(path):
    """Returns a file's dotted name; the package itself, which is empty, has none."""
    name = source_tree.module_name(path)
    return "" if name == "classifier" else name


def is_in(name, module):
    return name == module or name.startswith(f"{module}.")


def room_of(module):
    """Returns the room that a module is in; programs are rooms of their own."""
    return max((room for room in ROOMS if is_in(module, room)), key=len)


def wrong_imports(path):
    module = source_tree.module_name(path)
    for line, name in source_tree.imports(path):
        where = f"{path.relative_to(source_tree.ROOT)}:{line}: {module} imports {name}"
        if name.startswith(("tensorflow.python", "tf_slim", "tensorflow.contrib")):
            yield f"{where}, which is private or dead"
        if name.endswith(".*"):
            yield f"{where}: name what is used"
        ours = name.split(".")[0] in source_tree.PACKAGES
        room = room_of(module)
        may = (room, *ROOMS[room])
        if ours and not any(is_in(name, each) for each in may):
            # `from classifier import network` is the module classifier.network.
            yield f"{where}; it may import {', '.join(may)}"


@pytest.mark.parametrize("path", [p for p in source_tree.files() if module_of(p)], ids=module_of)
def test_imports_go_down(path):
    wrong = list(wrong_imports(path))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "module, imported",
    [
        ("classifier/resolve/training.py", "from classifier.training import step"),
        ("classifier/resolve/training.py", "from nets import lenet"),
        ("classifier/config/run.py", "from classifier.cli import flags"),
        ("classifier/inputs/batches.py", "from classifier import network"),
        ("classifier/inference/evaluate.py", "from classifier.training import step"),
        ("classifier/export/run.py", "from classifier.training import step"),
        ("nets/lenet.py", "from datasets import splits"),
        ("train_image_classifier.py", "import slim"),
    ],
)
def test_an_import_that_goes_up_or_across_is_found(module, imported, monkeypatch):
    monkeypatch.setattr(source_tree, "tree", lambda path: ast.parse(imported))
    assert list(wrong_imports(source_tree.ROOT / module))


def test_options_of_the_schedule_do_not_travel_past_resolve():
    readers = {
        room_of(source_tree.module_name(path))
        for path in source_tree.files()
        for _, name in source_tree.imports(path)
        if is_in(name, "classifier.config.schedule")
    }
    assert readers == {"classifier.config", "classifier.resolve"}


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
    return {
        node.attr
        for path in source_tree.files()
        if source_tree.module_name(path).split(".")[0] in ("classifier", *scripts())
        or source_tree.module_name(path) in ROOMS
        for part in readers_in(path)
        for node in ast.walk(part)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def readers_in(path):
    """Returns the parts of a file in which a read of an option counts."""
    tree = source_tree.tree(path)
    if not is_in(source_tree.module_name(path), "classifier.config"):
        return [tree]
    if is_in(source_tree.module_name(path), "classifier.config.mobilenet_v1"):
        return [tree]  # translates all of its options
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return [each for each in functions if each.decorator_list]  # the properties of a group


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
        config_checkpoints.AverageConfig,
        config_checkpoints.FetchConfig,
        data_service.DataServiceConfig,
        builders.BoundingBoxesConfig,
        builders.ImageNetConfig,
        builders.ValidationImagesConfig,
        builders.VisualWakeWordsConfig,
        mobilenet_v1.MobilenetEvalConfig,
        mobilenet_v1.MobilenetTrainConfig,
        evaluation.EvalConfig,
        export.ExportConfig,
        prediction.PredictConfig,
        serving.ServeConfig,
    ],
)
def test_every_flag_is_read(config_class):
    of_optimizers = {name for row in OPTIMIZERS.values() for name in row.options.values()}
    unread = sorted(set(options.by_name(config_class)) - attributes_read() - of_optimizers)
    assert not unread, f"accepted and ignored: {unread}"


def test_absl_flags_are_read_in_one_room():
    readers = {
        source_tree.module_name(path)
        for path in source_tree.files()
        for _, name in source_tree.imports(path)
        if name.startswith("absl.flags")
    }
    # slim.run removes absl's own flags, which scripts for TensorFlow 1 define themselves.
    assert readers == {"classifier.cli.absl_flags", "classifier.cli.flags", "slim.run"}


def test_compat_v1_is_used_only_with_a_reason():
    for path in source_tree.files():
        if "compat.v1" in path.read_text("utf-8"):
            # The reason of slim.graph and slim.compat stands in the package.
            package = path.with_name("__init__.py")
            reasons = [path, *([package] if {"graph", "compat"} & {*path.parts} else [])]
            texts = [ast.get_docstring(source_tree.tree(reason)) or "" for reason in reasons]
            assert any("compat.v1" in text for text in texts), path
