"""The digits as datasets with a background class have them: the first label is of no image."""

import json
import pathlib

import tensorflow as tf


def write(digits: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Writes the digits to a folder with every label one higher, and returns the folder."""
    folder.mkdir()
    info = json.loads((digits / "dataset_info.json").read_text())
    info["classes"] = ["background", *info["classes"]]
    for split in info["splits"].values():
        split["per_class"] = [0, *split["per_class"]]
        for shard in split["shards"]:
            _write_shard(digits / shard["file"], folder / shard["file"])
            shard["bytes"] = (folder / shard["file"]).stat().st_size
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def _write_shard(source: pathlib.Path, target: pathlib.Path) -> None:
    with tf.io.TFRecordWriter(str(target)) as writer:
        for record in tf.data.TFRecordDataset(str(source)).as_numpy_iterator():
            example = tf.train.Example.FromString(record)
            labels = example.features.feature["image/class/label"].int64_list.value
            labels[0] += 1
            writer.write(example.SerializeToString())
