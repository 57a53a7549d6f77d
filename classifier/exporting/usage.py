"""What the user of an export has to know to call it, as Markdown with code to copy.

`tf.compat.v1` stands in the code for frozen graphs, which are read by TensorFlow 1's means.
"""

import os
import shlex
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from classifier import images, model

# Where TensorFlow Serving listens unless told otherwise.
_REST_PORT = 8501

# What the code calls `given`, by input type.
_GIVEN = {
    "float_image": '    given = np.load("images.npy")  # preprocessed, {shape}',
    "uint8_image": """\
    with open("picture.jpg", "rb") as file:
        picture = tf.io.decode_image(file.read(), channels={channels}, expand_animations=False)
    given = np.stack([picture.numpy()] * {batch})""",
    "encoded_image": """\
    with open("picture.jpg", "rb") as file:
        given = np.array([file.read()] * {batch}, object)""",
}
# What the values of an input mean.
_MEANINGS = {
    "float_image": "preprocessed as `{name}`: {values}",
    "uint8_image": "pictures of one size, {colour}, 0 to 255",
    "encoded_image": "bytes of JPEG, PNG, BMP, WebP or GIF files",
    "tf_example": "serialized `tf.train.Example`s with `image/encoded`",
}
# Signatures that do not take the bytes of pictures.
_KINDS = {"image_tensor": "float_image", "tf_example": "tf_example"}
_FROZEN = """\
```python
import numpy as np
import tensorflow as tf

graph_def = tf.compat.v1.GraphDef()
with open("{path}", "rb") as file:
    graph_def.ParseFromString(file.read())


def inputs():
{given}
    return given


def answer(given):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        return session.run("{output}", {{"input:0": given}})


for row in answer(inputs()):
    print(row.argmax(), row.max())
```"""
_LOADED = """\
```python
import numpy as np
{load}

images = np.load("images.npy")  # preprocessed, float32 {shape}
{ask}
for row in rows:
    print(row.argmax(), row.max())
```"""
_LITERT = """\
from ai_edge_litert.interpreter import Interpreter

classify = Interpreter("{path}").get_signature_runner()"""
_OF_INTEGERS = """\
scale, zero = classify.get_input_details()["images"]["quantization"]
images = np.clip(np.rint(images / scale + zero), -128, 127).astype(np.int8)
scale, zero = classify.get_output_details()["probabilities"]["quantization"]
rows = (classify(images=images)["probabilities"].astype(np.float32) - zero) * scale"""
_KERAS = """\
import keras

model = keras.models.load_model("{path}")"""
_OF_LOGITS = """\
logits = model.predict(images, verbose=0)
rows = keras.ops.convert_to_numpy(keras.ops.softmax(logits))"""
_WEIGHTS = """\
```python
import h5py

with h5py.File("{path}") as file:
    for scope, layer in file.items():
        for name, values in layer.get("vars", {{}}).items():
            print(scope.replace(".", "/") + "/" + name, values.shape)
```"""
_ONNX = """\
import onnxruntime

session = onnxruntime.InferenceSession("{path}")"""
_BOTH = "`logits`, `probabilities`"
# Kind of file -> how it is loaded, how it is asked for probabilities, and what it gives.
_RUNTIMES = {
    "tflite": (_LITERT, 'rows = classify(images=images)["probabilities"]', _BOTH),
    "tflite_int8": (_LITERT, _OF_INTEGERS, _BOTH),
    "onnx": (_ONNX, '(rows,) = session.run(["probabilities"], {{"images": images}})', _BOTH),
    "keras": (_KERAS, _OF_LOGITS, "logits"),
}
_VIDEOS = """\
```python
import numpy as np
import tensorflow as tf

classify = tf.saved_model.load("{path}").signatures["serving_default"]
answer = classify(images=tf.constant(np.load("images.npy")))  # preprocessed, float32 {shape}
for name, row in zip(answer["classes"].numpy(), answer["probabilities"].numpy()):
    print(name.decode(), row.max())
```"""
_BASE = "--model_base_path="
_SAVED_MODEL = """\
```python
import tensorflow as tf

classify = tf.saved_model.load("{path}").signatures["serving_default"]
with open("picture.jpg", "rb") as file:
    answer = classify(image_bytes=tf.constant([file.read()] * {batch}))
for name, row in zip(answer["classes"].numpy(), answer["probabilities"].numpy()):
    print(name.decode(), row.max())
```

With TensorFlow Serving:

```bash
tensorflow_model_server --rest_api_port={port} --model_name={name} {base}
```

```bash
picture=$(base64 < picture.jpg | tr -d '\\n')
printf '{{"instances": [{instances}]}}' {pictures} |
  curl --fail-with-body --data @- http://localhost:{port}/v1/models/{name}:predict
```"""


def frozen(
    classifier: model.InferenceModel,
    path: str,
    input_type: str,
    spec: tf.TensorSpec,
    output: tf.Tensor,
) -> str:
    """Returns how a frozen graph is called.

    Args:
      classifier: what was exported.
      path: the file.
      input_type: one of `classifier.config.export.INPUT_TYPES`.
      spec: what it takes.
      output: what to ask it for.
    """
    given = _GIVEN[input_type].format(
        shape=f"{spec.dtype.name} {shape_text(spec)}",
        channels=images.decoded_channels(classifier.info),
        batch=spec.shape[0] or 1,
    )
    code = _FROZEN.format(path=os.path.abspath(path), given=given, output=output.name)
    return "\n".join(
        [
            f"### {os.path.basename(path)}\n",
            f"- `input:0`: {spec.dtype.name} {shape_text(spec)}, "
            + _values(classifier, input_type),
            f"- `{output.name}`: {output.dtype.name} {shape_text(output)}",
            "",
            code,
        ]
    )


def saved_model(classifier: model.InferenceModel, path: str, signatures: Mapping[str, Any]) -> str:
    """Returns how a SavedModel is called, by Python and through TensorFlow Serving.

    Args:
      classifier: what was exported.
      path: the folder of the version.
      signatures: what was loaded from there.
    """
    path, name = os.path.abspath(path), classifier.info.model_name
    default = taken(signatures["serving_default"])
    batch = default.shape[0] or 1
    code = (_VIDEOS if classifier.is_video else _SAVED_MODEL).format(
        shape=shape_text(default),
        path=path,
        batch=batch,
        name=name,
        base=_BASE + shlex.quote(os.path.dirname(path)),
        port=_REST_PORT,
        instances=", ".join(['{"b64": "%s"}'] * batch),
        pictures=" ".join(['"$picture"'] * batch),
    )
    rows = [f"### saved_model/{os.path.basename(path)}\n"]
    for key, signature in sorted(signatures.items()):
        spec = taken(signature)
        kind = "float_image" if classifier.is_video else _KINDS.get(key, "encoded_image")
        gives = ", ".join(
            f"`{each}` {given.dtype.name} {shape_text(given)}"
            for each, given in sorted(signature.structured_outputs.items())
        )
        rows.append(
            f"- `{key}`: `{spec.name}` {spec.dtype.name} {shape_text(spec)}, "
            f"{_values(classifier, kind)}; gives {gives}"
        )
    return "\n".join([*rows, "", code])


def from_folder(text: str, folder: str) -> str:
    """Returns what one of these functions gave, for somebody whose working directory is a folder.

    Args:
      text: from here.
      folder: with what was exported.
    """
    base = os.path.abspath(folder)
    # TensorFlow Serving takes absolute paths alone.
    served = _BASE + shlex.quote(os.path.join(base, "saved_model"))
    return text.replace(served, f'{_BASE}"$PWD/saved_model"').replace(base + os.sep, "")


def loaded(kind: str, classifier: model.InferenceModel, path: str, batch_size: int | None) -> str:
    """Returns how a file of another runtime is called.

    Args:
      kind: a key of `_RUNTIMES`.
      classifier: what was exported.
      path: the file.
      batch_size: images at once; None for any number.
    """
    shape = shape_text(tf.TensorSpec([batch_size, *classifier.image_shape]))
    answer = f"[{batch_size or 'any'}, {classifier.info.num_classes}]"
    load, ask, given = (each.format(path=os.path.abspath(path)) for each in _RUNTIMES[kind])
    dtype, rounded = ("int8", ", rounded") if kind == "tflite_int8" else ("float32", "")
    rows = [
        f"### {os.path.basename(path)}\n",
        f"- `images`: {dtype} {shape}, {_values(classifier, 'float_image')}{rounded}",
        f"- {given}: {dtype} {answer}",
        "",
        _LOADED.format(load=load, ask=ask, shape=shape),
    ]
    return "\n".join(rows)


def weights(path: str) -> str:
    """Returns how a file of weights alone is read."""
    code = _WEIGHTS.format(path=os.path.abspath(path))
    return f"### {os.path.basename(path)}\n\n- weights under slim's names\n\n{code}"


def _values(classifier: model.InferenceModel, kind: str) -> str:
    """Returns what the values of an input mean."""
    info = classifier.info
    return _MEANINGS[kind].format(
        colour="RGB" if images.decoded_channels(info) == 3 else "grey",
        name=info.preprocessing_name,
        values=images.prepared_values(info),
    )


def taken(signature: Any) -> tf.TensorSpec:
    """Returns what a signature of a SavedModel takes."""
    (spec,) = signature.structured_input_signature[1].values()
    return spec


def shape_text(spec: tf.TensorSpec | tf.Tensor) -> str:
    """Returns a shape as it is printed: `[any, 28, 28, 1]`."""
    sides = ("any" if side is None else str(side) for side in spec.shape)
    return f"[{', '.join(sides)}]"
