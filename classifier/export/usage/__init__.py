"""How to use an export, as Markdown with sample code.

The texts are in the template files of this directory.
"""

import os
import shlex
import textwrap
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from classifier import label_kinds
from classifier.export.usage import image_code, templates
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.run_directory import MODEL_INFO_FILE

# The default REST port of TensorFlow Serving.
_REST_PORT = 8501

# Input type -> description of its values.
_DESCRIPTIONS = {
    "float_image": "preprocessed as `{name}`: {values}",
    "uint8_image": "images of one size, {color}, 0 to 255",
    "encoded_image": "bytes of JPEG, PNG, BMP, WebP or GIF files",
    "tf_example": "serialized `tf.train.Example`s with `image/encoded`",
}
# Input types of signatures whose input is not encoded images.
_INPUT_TYPES = {"image_tensor": "float_image", "tf_example": "tf_example"}
_BASE = "--model_base_path="


def frozen(
    classifier: InferenceModel,
    path: str,
    input_type: str,
    spec: tf.TensorSpec,
    output: tf.Tensor,
    classifies: bool,
) -> str:
    """Returns how to call a frozen graph.

    Args:
      classifier: exported model.
      path: path of the file.
      input_type: one of `classifier.config.export.INPUT_TYPES`.
      spec: shape and dtype of the input.
      output: output tensor.
      classifies: whether the output is scores of classes.
    """
    code = templates.fill(
        f"input_{input_type}.txt",
        images=_images(classifier, spec),
        load=image_code.loading_code(classifier.info),
        channels=preprocessing.decoded_channels(classifier.info),
        batch=spec.shape[0] or 1,
    )
    return templates.fill(
        "frozen.md",
        file=os.path.basename(path),
        path=os.path.abspath(path),
        dtype=spec.dtype.name,
        shape=shape_text(spec),
        values=_values(classifier, input_type),
        pillow=_pillow_import(code),
        code=textwrap.indent(code, "    "),
        output=output.name,
        output_dtype=output.dtype.name,
        output_shape=shape_text(output),
        report=_print_classes(classifier, path) if classifies else "print(rows.shape)",
    )


def saved_model(classifier: InferenceModel, path: str, signatures: Mapping[str, Any]) -> str:
    """Returns how to call a SavedModel, in Python and with TensorFlow Serving.

    Args:
      classifier: exported model.
      path: directory of the version.
      signatures: its loaded signatures, by name.
    """
    path, name = os.path.abspath(path), classifier.info.model_name
    default = input_spec(signatures["serving_default"])
    batch = default.shape[0] or 1
    rows = []
    for key, signature in sorted(signatures.items()):
        spec = input_spec(signature)
        kind = "float_image" if classifier.is_video else _INPUT_TYPES.get(key, "encoded_image")
        outputs = ", ".join(
            f"`{each}` {output.dtype.name} {shape_text(output)}"
            for each, output in sorted(signature.structured_outputs.items())
        )
        rows.append(
            f"- `{key}`: `{spec.name}` {spec.dtype.name} {shape_text(spec)}, "
            f"{_values(classifier, kind)}; outputs {outputs}"
        )
    return templates.fill(
        "videos.md" if classifier.is_video else "saved_model.md",
        file=os.path.basename(path),
        signatures="\n".join(rows),
        path=path,
        images=_images(classifier, default) if classifier.is_video else "",
        batch=batch,
        name=name,
        base=_BASE + shlex.quote(os.path.dirname(path)),
        port=_REST_PORT,
        instances=", ".join(['{"b64": "%s"}'] * batch),
        images_base64=" ".join(['"$image"'] * batch),
        report=templates.fill(
            "serving_labels.txt" if classifier.info.multi_label else "serving_class.txt"
        ),
    )


def relative_to(directory: str, text: str) -> str:
    """Returns a text of this module with paths relative to a directory.

    Args:
      directory: output directory of the export.
      text: Markdown with absolute paths.
    """
    base = os.path.abspath(directory)
    # TensorFlow Serving requires an absolute path.
    served = _BASE + shlex.quote(os.path.join(base, "saved_model"))
    return text.replace(served, f'{_BASE}"$PWD/saved_model"').replace(base + os.sep, "")


def image_model(
    name: str, classifier: InferenceModel, path: str, batch_size: int | None, notes: str = ""
) -> str:
    """Returns how to call a file of another runtime, whose input is images of the network's size.

    Args:
      name: name of the template, such as `tflite`.
      classifier: exported model.
      path: path of the file.
      batch_size: batch size; None for any.
      notes: lines to add to the description of its inputs and outputs.
    """
    spec = tf.TensorSpec([batch_size, *classifier.image_shape])
    mean, std = preprocessing.normalization(classifier.info) or ((), 1.0)
    code, temperature = _images(classifier, spec), classifier.temperature
    return templates.fill(
        f"{name}.md",
        file=os.path.basename(path),
        path=os.path.abspath(path),
        shape=shape_text(spec),
        values=_values(classifier, "float_image"),
        pixels=_values(classifier, "uint8_image"),
        mean=list(mean),
        std=std,
        notes=f"\n{notes}" if notes else "",
        output_shape=f"[{batch_size or 'any'}, {classifier.info.num_classes}]",
        pillow=_pillow_import(code),
        images=code,
        activation="sigmoid" if classifier.info.multi_label else "softmax",
        scaled="logits" if temperature is None else f"logits / {temperature!r}",
        report=_print_classes(classifier, path),
    )


def c_array(path: str, name: str, description: str, memory: str) -> str:
    """Returns how to use a C array.

    Args:
      path: path of the source file.
      name: name of the array.
      description: inputs and outputs.
      memory: size of the arena.
    """
    return templates.fill(
        "c_array.md",
        file=os.path.basename(path),
        name=name,
        macro=name.upper(),
        description=description,
        memory=memory,
    )


def weights(path: str) -> str:
    """Returns how to read a weights file."""
    return templates.fill("weights.md", file=os.path.basename(path), path=os.path.abspath(path))


def _images(classifier: InferenceModel, spec: tf.TensorSpec) -> str:
    """Returns code that sets `images`, from an image file or from saved frames."""
    if not classifier.is_video:
        return image_code.image_code(classifier, spec.shape[0] or 1)
    name = classifier.info.preprocessing_name
    return templates.fill("preprocessed.txt", what="frames", name=name, shape=shape_text(spec))


def _pillow_import(code: str) -> str:
    """Returns a line that imports Pillow, preceded by a newline, if code needs it."""
    names = [name for name in ("Image", "ImageOps") if f"{name}." in code]
    return f"\nfrom PIL import {', '.join(names)}" if names else ""


def _print_classes(classifier: InferenceModel, path: str) -> str:
    """Returns code that prints the best class of each row, or all of several classes, by name if
    the names are known."""
    info, directory = classifier.info, os.path.dirname(os.path.abspath(path))
    thresholds = f"thresholds = {label_kinds.DEFAULT_THRESHOLD}"
    if classifier.temperature is not None:
        described = os.path.join(directory, MODEL_INFO_FILE)
        thresholds = templates.fill("thresholds.txt", path=described)
    return templates.fill(
        f"{'named' if info.label_names else 'numbered'}"
        f"_{'labels' if info.multi_label else 'classes'}.txt",
        path=os.path.join(directory, "labels.txt"),
        thresholds=thresholds,
    )


def _values(classifier: InferenceModel, kind: str) -> str:
    """Returns a description of the values of an input."""
    info = classifier.info
    return _DESCRIPTIONS[kind].format(
        color="RGB" if preprocessing.decoded_channels(info) == 3 else "grayscale",
        name=info.preprocessing_name,
        values=preprocessing.prepared_values(info),
    )


def input_spec(signature: Any) -> tf.TensorSpec:
    """Returns the spec of a SavedModel signature's input."""
    (spec,) = signature.structured_input_signature[1].values()
    return spec


def shape_text(spec: tf.TensorSpec | tf.Tensor) -> str:
    """Returns a shape for printing, such as `[any, 28, 28, 1]`."""
    sides = ("any" if side is None else str(side) for side in spec.shape)
    return f"[{', '.join(sides)}]"
