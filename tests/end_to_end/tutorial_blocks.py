"""Runs the Python blocks of tutorials: `python -m slim.run tutorial_blocks.py TUTORIALS WORK`.

Each block gets a graph of its own and what its reader has: images, a model, a loss, a dataset in
WORK. `RULES` are the mistakes of the tutorials themselves. Prints a line of JSON for each block.
"""

import ast
import json
import pathlib
import re
import sys
import textwrap
import traceback
import types

import numpy as np
import tensorflow as tf
import tensorflow.contrib.slim as slim

from slim.compat.scripts import compile_script

FENCE = re.compile(r"^[ ]*(```|~~~) *(\w*)[ ]*\n(.*?)^[ ]*\1[ ]*$", re.M | re.S)
# Two ways to do the same, with the same names, are two programs.
OTHER_WAY = re.compile(r"^(?=# (?:Equivalent|Using)\b)", re.M)
COMMAND = re.compile(r"^python -c \"(.*)\"$", re.M)
RULES = [
    ("a value that the reader has", r"(?m)^(\s*)\w+ = \.\.\.(?=\s*(#.*)?$)", r"\1pass"),
    ("a value that the reader has", r"Variable\(\.\.\.,", "Variable(0.0,"),
    ("code that the reader has", r"(?m)^(\s*)\.{4,}\s*$", r"\1..."),
    ("a colon after a call", r"\):\s*\Z", ")"),
    ("a parenthesis too many", r"(?m)^(\s*\w+ = .*')\)\)$", r"\1)"),
    ("no comma between arguments", r"(?m)\)\n(\s+\w+=)", r"),\n\1"),
    ("a format without a conversion", r"'(\w+_)' % \(", r"'\1%d' % ("),
    ("a function that TensorFlow did not have", r"\blosses\.add\(", "losses.add_loss("),
    (
        "a function's body that is not indented",
        r"(?m)^(?<=:\n)((?!\s)(?:.*\n)*?return .*)$",
        lambda match: textwrap.indent(match[1], "    "),
    ),
]


def programs(text):
    """Yields the programs of a tutorial, each with the mistakes that were mended."""
    for fence in FENCE.finditer(text):
        for part in OTHER_WAY.split(textwrap.dedent(fence[3])):
            source, mistakes = textwrap.dedent(part).replace("\t", "    "), []
            for mistake, pattern, replacement in RULES:
                source, count = re.subn(pattern, replacement, source)
                mistakes += [mistake] * bool(count)
            if fence[2] == "python" or calls(source):
                yield source, mistakes
    for command in COMMAND.finditer(text):
        yield command[1], []


def calls(source):
    """Whether a text without a language is Python: commands and lists are not."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return False
    return any(isinstance(node, (ast.Call, ast.Import)) for node in nodes)


def images(channels):
    return tf.constant(np.random.RandomState(0).rand(2, 64, 64, channels), tf.float32)


def learning_rate():
    """The reader's model and its loss come before the learning rate."""
    logits = slim.fully_connected(tf.ones([4, 3]), 2, activation_fn=None)
    slim.losses.softmax_cross_entropy(logits, tf.one_hot([0, 1, 0, 1], 2))
    return 0.1


def resnet(inputs, num_classes, is_training):
    net = slim.conv2d(
        inputs, 8, [7, 7], stride=16, normalizer_fn=slim.batch_norm,
        normalizer_params={"is_training": is_training},
    )  # fmt: skip
    return slim.softmax(slim.fully_connected(tf.reduce_mean(net, [1, 2]), num_classes))


def with_dependencies(dependencies, tensor):
    with tf.control_dependencies(dependencies):
        return tf.identity(tensor)


# What a block uses without defining it.
HAS = {
    "CreateViaCustomCode": lambda: lambda: tf.Variable(1.0),
    "DATA_DIR": lambda: str(WORK),
    "FLAGS": lambda: types.SimpleNamespace(data_dir=str(WORK)),
    "MyCustomLossFunction": lambda: lambda a, b: tf.reduce_mean(tf.square(a - b)),
    "control_flow_ops": lambda: types.SimpleNamespace(with_dependencies=with_dependencies),
    "global_step": lambda: tf.train.get_or_create_global_step(),
    "input": lambda: images(64),
    "inputs": lambda: images(3),
    "learning_rate": learning_rate,
    "logdir": lambda: str(WORK / "logdir"),
    "loss": lambda: tf.constant(1.0),
    "lr_rate": lambda: 0.1,
    "mnist": lambda: __import__("datasets.mnist").mnist,
    "model": lambda: types.SimpleNamespace(resnet=resnet),
    "net": lambda: images(64),
    "np": lambda: np,
    "pose_labels": lambda: tf.ones([2, 3]),
    "pose_predictions": lambda: tf.zeros([2, 3]),
    "slim": lambda: slim,
    "tf": lambda: tf,
    "x": lambda: images(64),
}
# What a reader does with the functions that a block defines.
USES = {
    "convert_data_to_tensors": "convert_data_to_tensors(np.ones([2, 1]), np.ones([2, 1]))",
    "main": "main()",
    "vgg16": "vgg16(inputs)",
}


def run(source):
    """Runs a program in a graph of its own, then computes the tensors that it leaves."""
    tree = ast.parse(source)
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    source += "\n" + "\n".join(f"{name}_result = {USES[name]}" for name in defined if name in USES)
    used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    with tf.Graph().as_default() as graph:
        names = {name: HAS[name]() for name in sorted(used & set(HAS))}
        # The reader's own paths: those of the tutorials are in /tmp.
        exec(compile_script(source.replace('"/tmp/', f'"{WORK}/'), "block"), names)
        tensors = [value for value in names.values() if isinstance(value, tf.Tensor)]
        if graph.finalized or any(op.type == "Placeholder" for op in graph.get_operations()):
            return  # was trained; needs data
        with tf.Session() as session:
            session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
            with slim.queues.QueueRunners(session):
                session.run([tensor for tensor in tensors if tensor.graph is graph])


def provide():
    """Writes a checkpoint and two datasets of one file each."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.Variable(1.0, name=name) for name in ("v1", "v2")]
        session.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(session, str(WORK / "model.ckpt"))
        jpeg = session.run(tf.image.encode_jpeg(np.zeros([8, 8, 3], np.uint8)))
    values = {"image/encoded": [jpeg], "image/format": [b"jpeg"]}
    features = {
        key: tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
        for key, value in values.items()
    }
    for key, number in (("image/class/label", 1), ("image/height", 8), ("image/width", 8)):
        features[key] = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
    example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    for name in ("flowers_validation_00000-of-00001", "mnist_train"):
        with tf.python_io.TFRecordWriter(str(WORK / f"{name}.tfrecord")) as writer:
            writer.write(example)


def main():
    provide()
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.txt")):
        for number, (source, mistakes) in enumerate(programs(path.read_text("utf-8")), 1):
            result = {"block": f"{path.name} {number}", "mistakes": mistakes, "error": ""}
            try:
                run(source)
            except Exception:
                result["error"] = f"{traceback.format_exc(limit=-6)}\n{source}"
            print("BLOCK", json.dumps(result), flush=True)


WORK = pathlib.Path(sys.argv[2])
if __name__ == "__main__":
    main()
