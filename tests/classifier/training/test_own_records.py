"""Records of the user's own converter: counts, class names and labels of their own."""

import json

import pytest

from datasets import tfrecords
from tests.datasets import sample_files

SHARD = "flowers_train_00000-of-00001.tfrecord"
COUNT = 9


@pytest.fixture
def records(tmp_path):
    """Records with the labels 1 to 3, named as those of a known dataset; names from 0."""
    directory = tmp_path / "data"
    directory.mkdir()
    images = [
        tfrecords.ImageRecord(sample_files.jpeg(8, 8, n), "jpg", 8, 8, 1 + n % 3, f"{n}.jpg")
        for n in range(COUNT)
    ]
    tfrecords.write_shard(str(directory / SHARD), images)
    (directory / "labels.txt").write_text("0:ant\n1:bee\n2:cat\n")
    return directory


@pytest.mark.slow
def test_the_advice_for_labels_from_1_leads_to_a_run(train, evaluate, records, tmp_path):
    data = {"dataset_name": "flowers", "dataset_dir": records, "batch_size": 32}
    advice = (
        "If the labels start at 1, number the class names from 1, with lines '1:name' in labels.txt"
        " or --labels_file, and set --labels_offset=1"
    )
    for offset, classes in (
        (0, "3 classes, so with --labels_offset=0 labels must be 0 to 2"),
        (1, "2 classes, so with --labels_offset=1 labels must be 1 to 2"),
    ):
        answer = train(tmp_path / f"run{offset}", **data, labels_offset=offset)
        assert answer.code == 2
        assert answer.err[-1].endswith(f" is out of range: the model has {classes}. {advice}")
        assert answer.err[-1].startswith("train: Label 3 of '")
    (records / "labels.txt").write_text("1:ant\n2:bee\n3:cat\n")
    answer = train(tmp_path / "run", **data, labels_offset=1)
    assert answer.code == 0, answer.err
    text = "\n".join(answer.out)
    assert f"flowers train, {COUNT} images, 3 classes" in text
    assert "every 2 epochs = 1 step" in text
    warning = f"warning: flowers train has {COUNT} records, but TF-Slim's converter writes 3320."
    assert warning in text
    info = json.loads((tmp_path / "run" / "model_info.json").read_text())
    assert info["label_names"] == ["ant", "bee", "cat"]
    answer = evaluate(tmp_path / "run", dataset_dir=records, dataset_split_name="train")
    assert answer.code == 0, answer.err
    assert warning in "\n".join(answer.out)
    assert f"({COUNT} of {COUNT} images)" in "\n".join(answer.out)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"balanced_sampling": True}, {"learning_rate": "auto"}])
def test_a_wrong_label_is_named_wherever_it_is_read(train, records, tmp_path, options):
    good = tfrecords.ImageRecord(sample_files.jpeg(8, 8), "jpg", 8, 8, 1, "good.jpg")
    bad = good._replace(label=(0, 2), filename="bad.jpg")
    tfrecords.write_shard(str(records / SHARD), [good, bad])
    data = {"dataset_name": "flowers", "dataset_dir": records}
    answer = train(tmp_path / "run", **data, **options)
    assert answer.code == 1
    assert answer.err[-1] == (
        f"train: {SHARD}, record 1 ('bad.jpg') has the feature 'image/class/label' with 2 values of"
        " type int64 (0, 2); expected: one of type int64. To train on several labels per image,"
        " pass --multi_label"
    )
