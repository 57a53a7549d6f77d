"""Features of images in a file, and the nearest images of a dataset."""

import csv
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from classifier import ownership
from classifier.config import options
from classifier.config.prediction import PredictConfig
from classifier.inference import answers, feature_file, neighbors
from classifier.inference import predict as predicting
from datasets import dataset_factory
from slim import _checks


@pytest.fixture
def images(tmp_path, digits):
    """The first digits of the training split, in records' order, and a file that is no image."""
    directory = tmp_path / "images"
    directory.mkdir()
    dataset = dataset_factory.get_dataset("digits", "train", str(digits))
    records = tf.data.TFRecordDataset(dataset.data_sources[0]).take(3)
    for number, record in enumerate(records):
        example = tf.train.Example.FromString(record.numpy())
        (encoded,) = example.features.feature["image/encoded"].bytes_list.value
        (directory / f"{number}.png").write_bytes(encoded)
    (directory / "bad.png").write_bytes(b"x")
    return directory


def predict(run, images, **flags):
    config = options.build(PredictConfig, checkpoint_path=str(run), images=(str(images),), **flags)
    with pytest.raises(_checks.RunError, match="1 of 4 images cannot be decoded"):
        predicting.run(config)


def test_features_of_an_end_point(lenet_run, lenet_classifier, images, tmp_path, capsys):
    path = tmp_path / "new" / "f.npz"
    predict(lenet_run, images, features="fc3", features_file=str(path), batch_size=2, top_k=1)
    assert capsys.readouterr().out.count("\n") == 4  # the classes as well
    with np.load(path) as file:
        features, files = file["features"], file["files"]
    assert files.tolist() == [str(images / f"{number}.png") for number in range(3)]
    pixels = [tf.io.decode_png((images / f"{n}.png").read_bytes()) for n in range(3)]
    batch = (tf.cast(tf.stack(pixels), tf.float32) - 128) / 128
    expected = lenet_classifier.output("fc3", batch)
    np.testing.assert_allclose(features, expected, atol=1e-5)
    # An earlier file is replaced, another one is not.
    predict(lenet_run, images, features="Predictions", features_file=str(path))
    with np.load(path) as file:
        assert file["features"].shape == (3, 10)
    np.savez(path, other=1)
    with pytest.raises(_checks.UserError, match="not a file of features"):
        predict(lenet_run, images, features="fc3", features_file=str(path))


def test_a_place_of_a_spatial_end_point_keeps_its_shape(lenet_run, images, tmp_path):
    predict(lenet_run, images, features="conv2", features_file=str(tmp_path / "f.npz"))
    with np.load(tmp_path / "f.npz") as file:
        assert file["features"].shape == (3, 14, 14, 64)


def test_an_unknown_end_point_is_an_error_before_the_first_image(lenet_run, images, tmp_path):
    path = tmp_path / "f.npz"
    with pytest.raises(_checks.UserError, match=r"features='conv' .*did you mean 'conv[12]'"):
        predict(lenet_run, images, features="conv", features_file=str(path))
    assert not path.exists()


def test_a_feature_file_of_no_images(tmp_path):
    with feature_file.feature_file(str(tmp_path / "f.npz")):
        pass
    with np.load(tmp_path / "f.npz") as file:
        assert (len(file["features"]), len(file["files"])) == (0, 0)
    ownership.check_output("features_file", str(tmp_path / "f.npz"))


def test_neighbors_of_images_of_the_dataset_are_themselves(
    lenet_run, images, digits, tmp_path, capsys
):
    output = tmp_path / "n.csv"
    predict(
        lenet_run,
        images,
        neighbors=str(digits),
        top_k=2,
        output_csv=str(output),
        output_format="csv",
    )
    assert capsys.readouterr().out == output.read_text()
    with open(output) as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "rank", "neighbor", "class", "similarity", "problem"]
    assert [row["rank"] for row in rows] == ["1", "2"] * 3 + [""]
    names = ["0000_zero.png", "0001_one.png", "0002_two.png"]
    for name, first, second in zip(names, rows[0:6:2], rows[1:6:2], strict=True):
        assert first["neighbor"] == name
        assert first["class"] == name[5:-4]
        assert 0 < float(second["similarity"]) < float(first["similarity"])
        assert float(first["similarity"]) == pytest.approx(1, abs=1e-5)
    assert rows[-1]["problem"] == "is not a JPEG, PNG, GIF, BMP or WebP image"
    with pytest.raises(_checks.UserError, match="Split 'dev' not in"):
        predict(lenet_run, images, neighbors=str(digits), neighbors_split="dev")


def test_formats_of_neighbors():
    nearest = [neighbors.Neighbor("a, b.png", "rose", 0.5), neighbors.Neighbor("c.png", "1", 0.25)]
    answer = answers.Answer("q.png", neighbors=nearest)
    assert answers.as_text(answer) == "q.png: a, b.png (rose) 0.5000, c.png (1) 0.2500"
    assert answers.as_csv(answer) == 'q.png,1,"a, b.png",rose,0.5,\nq.png,2,c.png,1,0.25,'
    first = {"file": "a, b.png", "class": "rose", "similarity": 0.5}
    assert json.loads(answers.as_json(answer))["neighbors"][0] == first
    bad = answers.Answer("q.png", problem="is empty", neighbors=())
    assert answers.as_csv(bad) == "q.png,,,,,is empty"


def test_neighbors_need_a_dataset_of_known_name(digits, tmp_path):
    directory = shutil.copytree(digits, tmp_path / "d")
    (directory / "dataset_info.json").unlink()
    (directory / "labels.txt").unlink()
    unknown = type("", (), {"info": type("", (), {"dataset_name": None})})
    with pytest.raises(_checks.UserError, match=r"has no dataset_info\.json, and the name of the"):
        neighbors.open_neighbors(unknown, str(directory), "train", 1 << 20, 8).__enter__()


def test_nearest_compares_in_chunks(monkeypatch):
    random = np.random.default_rng(0)
    index = neighbors.Index.__new__(neighbors.Index)
    rows = neighbors.unit_rows(random.normal(size=[50, 8]))
    rows[30] = rows[3]
    index._file = neighbors.tempfile.TemporaryFile()
    index._file.write(rows.data)
    index._file.flush()
    index._width, index._classes = 8, ["zero", *map(str, range(1, 50))]
    index._names = [f"{number}.png" for number in range(50)]
    monkeypatch.setattr(neighbors, "_CHUNK_BYTES", 7 * 8 * 4)
    queries = random.normal(size=[5, 8]).astype(np.float32)
    queries[0] = rows[3] * 5
    expected = np.argsort(-(neighbors.unit_rows(queries) @ rows.T), axis=1, kind="stable")
    actual = index.nearest(queries, 6)
    for row, order in zip(actual, expected, strict=True):
        assert [int(each.label.replace("zero", "0")) for each in row] == order[:6].tolist()
    assert [each.file for each in actual[0][:2]] == ["3.png", "30.png"]
    assert len(index.nearest(queries, 100)[0]) == 50
    index._file.close()


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"features": "a"}, "features and features_file need each other"),
        ({"features_file": "a"}, "features and features_file need each other"),
        (
            {"features": "a", "features_file": "b", "neighbors": "c"},
            "features and neighbors are mutually exclusive",
        ),
        ({"neighbors_split": "test"}, "neighbors_split needs neighbors"),
        (
            {"explain_dir": "a", "neighbors": "b"},
            "explain_dir and neighbors are mutually exclusive",
        ),
    ],
)
def test_options_that_need_or_exclude_each_other(flags, message):
    with pytest.raises(_checks.UserError, match=message):
        options.build(PredictConfig, checkpoint_path="c", images=("i",), **flags)
