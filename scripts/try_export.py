"""Asks an exported model about pictures: `try_export.py EXPORT DATA SPLIT PICTURES`.

Nothing of this project is used, only TensorFlow: what EXPORT/*.pb (exported with
--input_type=encoded_image) and EXPORT/labels.txt hold is enough. Eight pictures of the split's
records go to PICTURES, for other programs to look at. (`tf.compat.v1` has what
reads a GraphDef.)
"""

import glob
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf
from google.protobuf import message

_COUNT = 8


def files(folder: str, pattern: str) -> list[str]:
    """Returns the regular files in a folder that match a pattern, sorted; there has to be one."""
    found = glob.glob(os.path.join(glob.escape(folder), pattern))
    if not (found := sorted(filter(os.path.isfile, found))):
        sys.exit(f"try_export.py: {folder} has no file {pattern}")
    return found


def pictures(data: str, split: str, folder: str) -> dict[str, int]:
    """Writes pictures of a split to a folder and returns path -> label."""
    os.makedirs(folder, exist_ok=True)
    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/format": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
    }
    shards = files(data, f"*{split}*.tfrecord*")
    found = {}
    for number, record in enumerate(tf.data.TFRecordDataset(shards).take(_COUNT)):
        example = tf.io.parse_single_example(record, features)
        ending = example["image/format"].numpy().decode()
        path = os.path.join(folder, f"{number}.{ending}")
        write_new(path, example["image/encoded"].numpy())
        found[path] = int(example["image/class/label"])
    return found


def write_new(path: str, content: bytes) -> None:
    """Writes a file, unless it is there already; another file of its name ends the program."""
    try:
        with open(path, "xb") as file:
            file.write(content)
    except FileExistsError:
        if not os.path.isfile(path) or os.path.islink(path):
            sys.exit(f"try_export.py: {path} exists and is not a regular file: move it away")
        with open(path, "rb") as file:
            if file.read() != content:
                sys.exit(f"try_export.py: {path} exists and is another image: move it away")


def network(path: str):
    """Returns a frozen graph as a function from picture files to probabilities [files, classes]."""
    graph_def = tf.compat.v1.GraphDef()
    with open(path, "rb") as file:
        graph_def.ParseFromString(file.read())
    (softmax,) = (node.name for node in graph_def.node if node.op == "Softmax")
    graph = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(graph_def, name=""), []
    )
    return graph.prune("input:0", f"{softmax}:0")


def main(export: str, data: str, split: str, folder: str) -> None:
    """Prints the class that the export gives each picture, and that of its record."""
    (path,) = files(export, "*.pb")
    (labels_path,) = files(export, "labels.txt")
    with open(labels_path, encoding="utf-8") as file:
        names = file.read().splitlines()
    labels = pictures(data, split, folder)
    encoded = tf.stack([tf.io.read_file(picture) for picture in labels])
    answers = tf.argmax(network(path)(encoded), axis=-1).numpy()
    for picture, label, answer in zip(labels, labels.values(), answers, strict=True):
        print(f"{os.path.basename(path)}: {picture} is {names[answer]} (it is {names[label]})")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: try_export.py EXPORT DATA SPLIT PICTURES")
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError, IndexError, tf.errors.OpError, message.DecodeError) as error:
        sys.exit(f"try_export.py: {' '.join(str(error).split())}")
