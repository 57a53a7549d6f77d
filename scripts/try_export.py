"""Classifies images with an exported model: `try_export.py EXPORT DATA SPLIT IMAGES`.

Only TensorFlow is needed: the script reads EXPORT/*.pb (exported with --input_type=encoded_image)
and EXPORT/labels.txt, and writes eight images of the split to the directory IMAGES.
"""

import glob
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf
from google.protobuf import message

_COUNT = 8


def files(directory: str, pattern: str) -> list[str]:
    """Returns the regular files in a directory that match a pattern, sorted; exits if none."""
    paths = sorted(filter(os.path.isfile, glob.glob(os.path.join(glob.escape(directory), pattern))))
    if not paths:
        sys.exit(f"try_export.py: {directory} has no file {pattern}")
    return paths


def write_images(data: str, split: str, directory: str) -> dict[str, int]:
    """Writes images of a split to a directory and returns path -> label."""
    os.makedirs(directory, exist_ok=True)
    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/format": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
    }
    shards = files(data, f"*{split}*.tfrecord*")
    labels = {}
    for number, record in enumerate(tf.data.TFRecordDataset(shards).take(_COUNT)):
        example = tf.io.parse_single_example(record, features)
        suffix = example["image/format"].numpy().decode()
        path = os.path.join(directory, f"{number}.{suffix}")
        write_new(path, example["image/encoded"].numpy())
        labels[path] = int(example["image/class/label"])
    return labels


def write_new(path: str, content: bytes) -> None:
    """Writes a file unless it exists with this content; exits if another file exists."""
    try:
        with open(path, "xb") as file:
            file.write(content)
    except FileExistsError:
        if not os.path.isfile(path) or os.path.islink(path):
            sys.exit(f"try_export.py: {path} exists and is not a regular file. Move it away")
        with open(path, "rb") as file:
            if file.read() != content:
                sys.exit(f"try_export.py: {path} exists and is another image. Move it away")


def network(path: str):
    """Returns a frozen graph as a function from encoded images [batch] to probabilities."""
    graph_def = tf.compat.v1.GraphDef()
    with open(path, "rb") as file:
        graph_def.ParseFromString(file.read())
    (softmax,) = (node.name for node in graph_def.node if node.op == "Softmax")
    graph = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(graph_def, name=""), []
    )
    return graph.prune("input:0", f"{softmax}:0")


def main(export: str, data: str, split: str, directory: str) -> None:
    """Prints the predicted class and the label of each image."""
    (path,) = files(export, "*.pb")
    (labels_path,) = files(export, "labels.txt")
    with open(labels_path, encoding="utf-8") as file:
        names = file.read().splitlines()
    labels = write_images(data, split, directory)
    encoded = tf.stack([tf.io.read_file(image) for image in labels])
    predictions = tf.argmax(network(path)(encoded), axis=-1).numpy()
    for image, label, best in zip(labels, labels.values(), predictions, strict=True):
        print(f"{os.path.basename(path)}: {image} is {names[best]} (label: {names[label]})")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: try_export.py EXPORT DATA SPLIT IMAGES")
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError, IndexError, tf.errors.OpError, message.DecodeError) as error:
        sys.exit(f"try_export.py: {' '.join(str(error).split())}")
