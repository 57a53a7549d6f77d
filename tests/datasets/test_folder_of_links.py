"""A file in several class directories is one image with several labels."""

import os

import pytest
import tensorflow as tf

import download_and_convert_data
from classifier.cli import flags
from classifier.config.conversion import DataConfig
from datasets import download_and_convert, folder, local_images, tfrecords, verify, workers
from slim import _checks
from tests.classifier import several_labels


def records(directory, split):
    """Returns file name -> sorted labels of each record."""
    info = folder.dataset_info.read(str(directory))
    rows = {}
    for shard in info.splits[split].shards:
        for record in tf.data.TFRecordDataset(str(directory / shard.file)):
            feature = tf.train.Example.FromString(record.numpy()).features.feature
            name = feature["image/filename"].bytes_list.value[0].decode()
            rows[os.path.basename(name)] = list(feature["image/class/label"].int64_list.value)
    return rows


def expected(source):
    rows = {}
    for label, name in enumerate(several_labels.CLASSES):
        for file in os.listdir(source / name):
            rows.setdefault(file, []).append(label)
    return rows


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return several_labels.write(tmp_path_factory.mktemp("links"), count=40)


def test_each_image_has_the_labels_of_its_links(source, tmp_path):
    info = folder.convert(
        str(tmp_path / "data"), source_dir=str(source), multi_label=True, validation_fraction=0.25
    )
    train, validation = (records(tmp_path / "data", name) for name in info.splits)
    assert {**train, **validation} == expected(source)
    assert (len(train), len(validation)) == (30, 10)
    assert info.multi_label
    assert info.splits["train"].num_samples == 30
    assert sum(info.splits["train"].per_class) == 90
    lines = []
    verify.run(str(tmp_path / "data"), lines.append)
    assert lines[-1].endswith("is valid")


def test_the_script_converts_links(source, tmp_path):
    place = str(tmp_path / "data")
    argv = ["x", "--dataset_name=folder", f"--dataset_dir={place}", f"--source_dir={source}"]
    run = download_and_convert_data._run
    assert flags.main(DataConfig, run, "", [*argv, "--multi_label"]) == 0
    assert records(tmp_path / "data", "train").items() <= expected(source).items()


def test_hard_links_and_links_into_another_class_are_the_same_file(tmp_path):
    source = tmp_path / "source"
    for name in ("a", "b", "c"):
        (source / name).mkdir(parents=True)
    several_labels.image([0], several_labels.np.random.default_rng(0)).save(source / "b" / "x.png")
    os.link(source / "b" / "x.png", source / "a" / "hard.png")
    (source / "c" / "soft.png").symlink_to(source / "b" / "x.png")
    folder.convert(str(tmp_path / "data"), source_dir=str(source), multi_label=True,
                   validation_fraction=0)  # fmt: skip
    assert records(tmp_path / "data", "train") == {"hard.png": [0, 1, 2]}
    folder.convert(str(tmp_path / "plain"), source_dir=str(source), validation_fraction=0)
    assert len(records(tmp_path / "plain", "train")) == 3


def test_splits_have_their_own_links(source, tmp_path):
    for split in ("train", "val"):
        os.makedirs(tmp_path / "source", exist_ok=True)
        (tmp_path / "source" / split).symlink_to(source)
    folder.convert(str(tmp_path / "data"), source_dir=str(tmp_path / "source"), multi_label=True)
    assert records(tmp_path / "data", "validation") == expected(source)


def test_a_broken_link_is_a_bad_file(source, tmp_path):
    copy = several_labels.write(tmp_path / "source", count=20)
    for name in ("bar", "dot"):
        (copy / name / "gone.png").symlink_to("nowhere")
    with pytest.raises(_checks.UserError, match="2 of 22 files cannot be used"):
        folder.convert(str(tmp_path / "data"), source_dir=str(copy), multi_label=True)


def test_an_interrupted_conversion_resumes(source, tmp_path, monkeypatch):
    monkeypatch.setattr(local_images, "SHARD_BYTES", 5000)
    arguments = {"source_dir": str(source), "multi_label": True, "validation_fraction": 0}
    write, written = tfrecords.write_shard, []

    def stop(path, images):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        return write(path, images)

    with monkeypatch.context() as patch:
        patch.setattr(tfrecords, "write_shard", stop)
        with pytest.raises(KeyboardInterrupt):
            folder.convert(str(tmp_path / "data"), **arguments)
    prepared = []
    plain = workers.prepared
    monkeypatch.setattr(
        workers, "prepared", lambda items, *rest: prepared.extend(items) or plain(items, *rest)
    )
    folder.convert(str(tmp_path / "data"), **arguments)
    assert 0 < len(prepared) < 40
    assert records(tmp_path / "data", "train") == expected(source)


def test_a_directory_of_one_label_an_image_is_not_reused(source, tmp_path):
    arguments = str(tmp_path / "data"), lambda line: None
    download_and_convert.convert("folder", *arguments, source_dir=str(source))
    with pytest.raises(_checks.UserError, match="converted with multi_label=False, not True. Use"):
        download_and_convert.convert("folder", *arguments, source_dir=str(source), multi_label=True)
