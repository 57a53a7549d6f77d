"""What the user of an export has to know to call it, as Markdown with code to copy.

`tf.compat.v1` stands in the code for frozen graphs, which are read by TensorFlow 1's means.
"""

import os
import shlex
import textwrap
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from classifier import images, model
from classifier.exporting import picture_code

# Where TensorFlow Serving listens unless told otherwise.
_REST_PORT = 8501

# What the code calls `given`, by input type.
_GIVEN = {
    "float_image": "    {images}\n    given = images",
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
import tensorflow as tf{pillow}

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


rows = answer(inputs())
{told}
```"""
_LOADED = """\
```python
import numpy as np{pillow}
{load}

{images}
{ask}
{told}
```"""
_PILLOW = "\nfrom PIL import Image"
_FRAMES = 'images = np.load("images.npy")  # frames prepared as `{name}` does, float32 {shape}'
_NAMES = """\
with open("{path}", encoding="utf-8") as file:
    names = file.read().splitlines()
for row in rows:
    print(names[row.argmax()], row.max())"""
_NUMBERS = """\
for row in rows:
    print(row.argmax(), row.max())"""
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
{images}
answer = classify(images=tf.constant(images))
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
    classifies: bool,
) -> str:
    """Returns how a frozen graph is called.

    Args:
      classifier: what was exported.
      path: the file.
      input_type: one of `classifier.config.export.INPUT_TYPES`.
      spec: what it takes.
      output: what to ask it for.
      classifies: whether that is a score for each class.
    """
    given = _GIVEN[input_type].format(
        images=textwrap.indent(_images(classifier, spec), "    ").lstrip(),
        channels=images.decoded_channels(classifier.info),
        batch=spec.shape[0] or 1,
    )
    code = _FROZEN.format(
        path=os.path.abspath(path),
        pillow=_PILLOW * ("Image." in given),
        given=given,
        output=output.name,
        told=_told(classifier, path) if classifies else "print(rows.shape)",
    )
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
        images=_images(classifier, default) if classifier.is_video else "",
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
    spec = tf.TensorSpec([batch_size, *classifier.image_shape])
    code = _images(classifier, spec)
    answer = f"[{batch_size or 'any'}, {classifier.info.num_classes}]"
    load, ask, given = (each.format(path=os.path.abspath(path)) for each in _RUNTIMES[kind])
    dtype, rounded = ("int8", ", rounded") if kind == "tflite_int8" else ("float32", "")
    rows = [
        f"### {os.path.basename(path)}\n",
        f"- `images`: {dtype} {shape_text(spec)}, {_values(classifier, 'float_image')}{rounded}",
        f"- {given}: {dtype} {answer}",
        "",
        _LOADED.format(
            pillow=_PILLOW * ("Image." in code),
            load=load,
            images=code,
            ask=ask,
            told=_told(classifier, path),
        ),
    ]
    return "\n".join(rows)


def weights(path: str) -> str:
    """Returns how a file of weights alone is read."""
    code = _WEIGHTS.format(path=os.path.abspath(path))
    return f"### {os.path.basename(path)}\n\n- weights under slim's names\n\n{code}"


def _images(classifier: model.InferenceModel, spec: tf.TensorSpec) -> str:
    """Returns code that makes `images`: of a picture, or of frames that somebody has saved."""
    if not classifier.is_video:
        return picture_code.prepared(classifier, spec.shape[0] or 1)
    return _FRAMES.format(name=classifier.info.preprocessing_name, shape=shape_text(spec))


def _told(classifier: model.InferenceModel, path: str) -> str:
    """Returns code that prints the best class of each of `rows`, by its name if it has one."""
    if not classifier.info.label_names:
        return _NUMBERS
    return _NAMES.format(path=os.path.join(os.path.dirname(os.path.abspath(path)), "labels.txt"))


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
