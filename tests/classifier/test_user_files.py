"""Training, evaluation, export, prediction and conversion where the user has files: refused, and
everything byte for byte as before."""

import io
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from classifier import ownership
from classifier.checkpoints import commands
from classifier.config import options
from classifier.config.checkpoints import ConvertConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.config.training import TrainConfig
from classifier.export import run as exporting
from classifier.inference import predict as predicting
from classifier.inputs import cache as cache_lib
from classifier.training import backup
from slim import _checks, _ownership, checkpoints
from tests.classifier import exports, toys
from tests.user_files import snapshot, unchanged

RUN_NAMES = (
    "config.json",
    "model_info.json",
    "metrics.jsonl",
    "checkpoint",
    "model.ckpt-7.index",
    "model.ckpt-7.data-00000-of-00001",
    "best/model.ckpt-7.index",
    "best/best.json",
    "eval/notes",
    "images/me.png",
    "plugins/tool.py",
    "curves.png",
    "bad_files.csv",
    "nan_restores.json",
    "set_aside/1/thesis",
    "train.lock",
    "thesis.tex",
)
EXPORT_NAMES = (
    "README.md",
    "labels.txt",
    "lenet.pb",
    "lenet.tflite",
    "lenet.onnx",
    "lenet.keras",
    "lenet.weights.h5",
    "saved_model/1/saved_model.pb",
    "saved_model/notes",
    "thesis.tex",
)


def user_files(home, names):
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"my {name}")
    return home


# ---- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, *RUN_NAMES])
def test_a_user_directory_as_train_dir_is_an_error(tmp_path, name):
    home = user_files(tmp_path / "home", RUN_NAMES if name is None else [name])
    message = "train_dir='.*' holds files that slim did not create: .*Use another directory, new or"
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match=message):
        ownership.claim_run(str(home))


def test_the_training_script_refuses_it_in_one_line(train, tmp_path):
    home = user_files(tmp_path / "home", RUN_NAMES)
    for restart in (False, True):
        with unchanged(tmp_path):
            done = train(home, restart=restart)
        assert done.code == 2
        (line,) = done.err
        start = f"train: --train_dir='{home}' holds files that slim did not create: "
        assert line.startswith(start)


def write_run(directory):
    """Writes what runs of earlier versions leave."""
    checkpoints.Checkpoints(directory).save(7, {"w": [1.0]})
    (directory / "config.json").write_text('{"options": {}}')
    (directory / "metrics.jsonl").write_text('{"step": 7}\n')
    return directory


@pytest.mark.parametrize("left_over", [(), ("config.json", "metrics.jsonl"), ("checkpoint",)])
def test_a_run_of_before_is_recognized_and_marked(tmp_path, left_over):
    write_run(tmp_path)
    for name in left_over:
        (tmp_path / name).unlink()
    user_files(tmp_path, ["notes.txt", "graph.pbtxt", "events.out.tfevents.1.host"])
    ownership.claim_run(str(tmp_path))
    assert _ownership.read_own_mark(str(tmp_path), "run")


def test_a_published_v1_checkpoint_is_recognized(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("w", initializer=[1.0])
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(write_version=tf.compat.v1.train.SaverDef.V1)
        saver.save(session, str(tmp_path / "model.ckpt"), global_step=3, write_meta_graph=False)
    assert (tmp_path / "model.ckpt-3").exists()
    ownership.claim_run(str(tmp_path))


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "curves.png", "best/mine"])
def test_a_run_with_a_user_file_named_like_one_of_slim_is_an_error(tmp_path, name):
    write_run(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="slim did not create"):
        ownership.claim_run(str(tmp_path))


@pytest.mark.parametrize("name", [*ownership.RUN_FILES, *ownership.RUN_DIRECTORIES])
def test_a_link_named_like_a_file_of_a_run_is_an_error(tmp_path, name):
    elsewhere = user_files(tmp_path / "elsewhere", ["model.ckpt-7.index", "best.json"])
    run = tmp_path / "run"
    ownership.claim_run(str(run))
    target = elsewhere if name in ownership.RUN_DIRECTORIES else elsewhere / "best.json"
    (run / name).symlink_to(target)
    with unchanged(elsewhere), pytest.raises(_checks.UserError, match=f"{name} is a link, not a"):
        ownership.claim_run(str(run))


def restart_config(run):
    return options.build(TrainConfig, train_dir=str(run), dataset_dir="data")


def test_restart_moves_no_user_files(tmp_path):
    write_run(tmp_path)
    elsewhere = user_files(tmp_path / "elsewhere", ["a"])
    kept = ["images/me.png", "plugins/tool.py", "thesis.tex", "notes/model.ckpt-7.index"]
    user_files(tmp_path, kept)
    (tmp_path / "model.ckpt-9.index").symlink_to(elsewhere / "a")
    (tmp_path / "eval").symlink_to(elsewhere)
    before = snapshot(tmp_path)
    folder = backup.move(restart_config(tmp_path))
    moved = {"checkpoint", "config.json", "metrics.jsonl", "model.ckpt-7.index",
             "model.ckpt-7.data-00000-of-00001"}  # fmt: skip
    assert set(os.listdir(folder)) == moved
    after = snapshot(tmp_path)
    assert {name: after.get(name) for name in before.keys() - moved} == {
        name: before[name] for name in before.keys() - moved
    }


def test_restart_does_not_follow_set_aside(tmp_path):
    write_run(tmp_path / "run")
    elsewhere = user_files(tmp_path / "elsewhere", ["1/thesis"])
    (tmp_path / "run" / backup.DIRECTORY).symlink_to(elsewhere)
    with pytest.raises(_checks.UserError, match="set_aside is a link, not a directory"):
        backup.move(restart_config(tmp_path / "run"))
    assert os.listdir(elsewhere) == ["1"]
    assert (tmp_path / "run" / "model.ckpt-7.index").exists()


def test_lines_are_not_appended_to_the_target_of_a_link(tmp_path):
    from classifier.training.hooks.progress import MetricsFile

    (tmp_path / "mine").write_text("mine")
    (tmp_path / "metrics.jsonl").symlink_to("mine")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        MetricsFile(str(tmp_path / "metrics.jsonl")).append({"step": 1})
    assert (tmp_path / "mine").read_text() == "mine"


# ---- evaluation ----------------------------------------------------------------------------------


@pytest.fixture
def run(lenet_run, tmp_path):
    return shutil.copytree(lenet_run, tmp_path / "run")


def test_user_directory_as_eval_dir_is_an_error(evaluate, run, tmp_path):
    home = user_files(tmp_path / "home", ["thesis.tex"])
    (tmp_path / "link").symlink_to(home)
    for eval_dir in (home, tmp_path / "link"):
        with unchanged(tmp_path):
            done = evaluate(run, eval_dir=eval_dir)
        assert done.code == 2
        assert "eval_dir='" in done.err[0]
        assert "holds files that slim did not create: thesis.tex" in done.err[0]


def test_events_may_go_to_a_run_as_in_tf_slim_and_to_earlier_events(tmp_path):
    ownership.claim_run(str(tmp_path / "run"))
    user_files(tmp_path / "run", ["thesis"])
    ownership.check_evaluation(str(tmp_path / "run"), is_default=False)
    user_files(tmp_path / "eval", ["events.out.tfevents.1.host", "test.json"])
    ownership.check_evaluation(str(tmp_path / "eval"), is_default=True)
    assert sorted(os.listdir(tmp_path / "eval")) == ["events.out.tfevents.1.host", "test.json"]
    ownership.claim_export(str(tmp_path / "export"))
    with pytest.raises(_checks.UserError, match="holds an export, not an evaluation"):
        ownership.check_evaluation(str(tmp_path / "export"), is_default=False)


def test_the_default_directory_for_events_may_not_be_a_link(evaluate, run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(run / "eval", ignore_errors=True)
    (run / "eval").symlink_to(tmp_path / "elsewhere")
    with unchanged(tmp_path):
        done = evaluate(run)
    assert done.code == 2
    assert done.err[0].endswith("eval is a link, not a directory. Move it away, or use another"
                                " directory")  # fmt: skip


# ---- files that the user names -------------------------------------------------------------------

OUTPUTS = ("eval_json", "output_csv", "features_file", "output_file")


def _features():
    with io.BytesIO() as file:
        np.savez(file, features=np.zeros([1, 2]), files=["a.png"])
        return file.getvalue()


EARLIER = {
    "eval_json": json.dumps(
        {"accuracy": 1, "checkpoint": "a", "num_images": 1, "split": "test", "step": 1}
    ).encode(),
    "output_csv": b"file,rank,class,probability\r\na.png,1,cat,0.5\r\n",
    "features_file": _features(),
    "output_file": tf.Graph().as_graph_def().SerializeToString(),
}


def graph_def():
    graph = tf.Graph()
    with graph.as_default():
        tf.constant(1.0, name="a")
    return graph.as_graph_def()


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize(
    "content", [b"mine", b"{}", b'{"accuracy": 1}', b"file,mine", b"\x89HDF\r\n\x1a\nmine", b"\xff"]
)
def test_a_user_file_is_not_replaced_by_an_output(tmp_path, name, content):
    path = tmp_path / "file.weights.h5"
    path.write_bytes(content)
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match=f"{name}='.*' exists and is"):
        ownership.check_output(name, str(path))


def test_earlier_outputs_and_new_names_are_accepted(tmp_path):
    path = tmp_path / "file"
    for name in OUTPUTS:
        ownership.check_output(name, None)
        ownership.check_output(name, str(path))
    for name, content in (
        ("eval_json", EARLIER["eval_json"]),
        ("output_csv", EARLIER["output_csv"]),
        ("output_csv", b"file,rank,neighbor,class,similarity,problem\n"),
        ("features_file", EARLIER["features_file"]),
        ("output_file", graph_def().SerializeToString()),
        ("output_file", str(graph_def()).encode()),
    ):
        path.write_bytes(content)
        ownership.check_output(name, str(path))
        for other in {*OUTPUTS} - {name}:
            with pytest.raises(_checks.UserError, match="exists and is not"):
                ownership.check_output(other, str(path))


@pytest.mark.slow
def test_an_evaluation_refuses_before_it_begins(evaluate, run, tmp_path):
    for path in (tmp_path / "thesis", run / "model_info.json"):
        (tmp_path / "thesis").write_text("mine")
        with unchanged(tmp_path):
            done = evaluate(run, eval_json=path)
        assert (done.code, done.out) == (2, [])
        assert done.err[0].endswith("exists and is not an evaluation result. Use another file"
                                    " name, or move it away")  # fmt: skip
    assert evaluate(run, eval_json=tmp_path / "new.json", max_num_batches=1).code == 0
    assert evaluate(run, eval_json=tmp_path / "new.json", max_num_batches=1).code == 0


def test_predictions_replace_no_image(run, digits, tmp_path):
    images = shutil.copytree(digits / "samples", tmp_path / "images")

    def predict(output):
        predicting.run(
            options.build(
                PredictConfig,
                checkpoint_path=str(run),
                images=(str(images),),
                output_csv=str(output),
            )
        )

    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="is not a table of predict"):
        predict(images / "7_seven.png")
    predict(tmp_path / "new.csv")
    predict(tmp_path / "new.csv")


# ---- export --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, *EXPORT_NAMES])
def test_a_user_directory_as_output_dir_is_an_error(tmp_path, name):
    home = user_files(tmp_path / "home", EXPORT_NAMES if name is None else [name])
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="output_dir='.*' holds files"):
        ownership.claim_export(str(home))


def test_an_export_of_before_is_recognized_and_goes_on(run, tmp_path):
    config = exports.config(run, tmp_path / "out", formats=("frozen_pb",))
    exporting.run(config)
    assert _ownership.read_own_mark(str(tmp_path / "out"), "export")
    (tmp_path / "out" / _ownership.MARK).unlink()
    exporting.run(config)
    (tmp_path / "out" / _ownership.MARK).unlink()
    (tmp_path / "out" / "README.md").write_text("mine")
    exporting.run(config)
    assert _ownership.read_own_mark(str(tmp_path / "out"), "export")
    assert (tmp_path / "out" / "README.md").read_text() == "mine"


def test_a_run_directory_as_output_dir_is_an_error(run, tmp_path):
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="output_dir='.*' holds"):
        exporting.run(exports.config(run, run, formats=("frozen_pb",)))
    ownership.claim_run(str(run))
    with pytest.raises(_checks.UserError, match="holds a training run, not an export"):
        exporting.run(exports.config(run, run, formats=("frozen_pb",)))


@pytest.mark.parametrize(
    "name", ["labels.txt", "model_info.json", "saved_model", "lenet.pb", "README.md"]
)
def test_a_link_in_an_export_is_not_followed(run, tmp_path, name):
    elsewhere = user_files(tmp_path / "elsewhere", ["a"])
    ownership.claim_export(str(tmp_path / "out"))
    (tmp_path / "out" / name).symlink_to(elsewhere if name == "saved_model" else elsewhere / "a")
    formats = ("frozen_pb", *["saved_model"] * (name == "saved_model"))
    config = exports.config(run, tmp_path / "out", formats=formats)
    with unchanged(elsewhere):
        if name == "README.md":  # the user's own card
            exporting.run(config)
        else:
            with pytest.raises(_checks.UserError, match=f"{name} (is a link|exists. Remove it)"):
                exporting.run(config)
    assert (tmp_path / "out" / name).is_symlink()


def test_a_graph_replaces_no_other_file(tmp_path):
    path = tmp_path / "thesis"
    path.write_text("mine")
    config = options.build(ExportConfig, model_name="lenet", output_file=str(path))
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="is not a GraphDef"):
        exporting.run(config)
    config = options.build(ExportConfig, model_name="lenet", output_file=str(tmp_path / "new.pb"))
    exporting.run(config)
    exporting.run(config)


# ---- checkpoints and caches ----------------------------------------------------------------------


def convert(source, output):
    commands.convert(
        options.build(ConvertConfig, checkpoint_path=str(source), output=str(output),
                      model_name="lenet")
    )  # fmt: skip


def test_a_checkpoint_is_not_converted_onto_itself_or_another(run, tmp_path):
    (index,) = run.glob("model.ckpt-*.index")
    prefix = str(index).removesuffix(".index")
    (tmp_path / "link").symlink_to(run)
    with unchanged(tmp_path):
        for output in (prefix, tmp_path / "link" / os.path.basename(prefix)):
            with pytest.raises(
                _checks.UserError, match="is the checkpoint to convert. Use another"
            ):
                convert(prefix, output)
    checkpoints.save(tmp_path / "mine.ckpt", {"w": np.zeros(1)})
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="is an existing checkpoint"):
        convert(prefix, tmp_path / "mine.ckpt")
    (tmp_path / "a.weights.h5").write_text("mine")
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="not a Keras weights file"):
        convert(prefix, tmp_path / "a.weights.h5")
    convert(prefix, tmp_path / "b.weights.h5")
    convert(prefix, tmp_path / "b.weights.h5")
    with (
        unchanged(tmp_path),
        pytest.raises(_checks.UserError, match="is the checkpoint to convert"),
    ):
        convert(tmp_path / "b.weights.h5", tmp_path / "b.weights.h5")


def test_cache_in_a_user_directory_or_the_dataset_directory_is_an_error(tmp_path):
    (tmp_path / "data").mkdir()
    toy = toys.load(toys.write(tmp_path / "data"))
    place = str(tmp_path / "cache")
    folder = os.path.dirname(cache_lib.Cache(toy, place).paths[0])
    assert _ownership.read_own_mark(folder, "cache")
    os.remove(os.path.join(folder, _ownership.MARK))
    cache_lib.Cache(toy, place)  # of an earlier version
    os.remove(os.path.join(folder, _ownership.MARK))
    with open(os.path.join(folder, "thesis"), "w") as file:
        file.write("mine")
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="did not create: .*thesis"):
        cache_lib.Cache(toy, place)
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="is inside dataset_dir="):
        cache_lib.Cache(toy, str(tmp_path / "data"))


def test_a_copy_in_a_cache_follows_no_link(tmp_path):
    (tmp_path / "data").mkdir()
    toy = toys.load(toys.write(tmp_path / "data"))
    path = cache_lib.Cache(toy, str(tmp_path / "cache")).paths[0]
    (tmp_path / "mine").write_text("mine")
    os.remove(path)
    os.symlink(tmp_path / "mine", path)
    with pytest.raises(_checks.UserError, match="is a link, which is never replaced"):
        cache_lib.Cache(toy, str(tmp_path / "cache"))
    assert (tmp_path / "mine").read_text() == "mine"
