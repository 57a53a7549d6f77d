"""What the user of an export has to know to call it, as Markdown with code to copy.

The texts are the files beside this one.
"""

import os
import shlex
import textwrap
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from classifier.export.usage import picture_code, templates
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing

# Where TensorFlow Serving listens unless told otherwise.
_REST_PORT = 8501

# What the values of an input mean.
_MEANINGS = {
    "float_image": "preprocessed as `{name}`: {values}",
    "uint8_image": "pictures of one size, {colour}, 0 to 255",
    "encoded_image": "bytes of JPEG, PNG, BMP, WebP or GIF files",
    "tf_example": "serialized `tf.train.Example`s with `image/encoded`",
}
# Signatures that do not take the bytes of pictures.
_KINDS = {"image_tensor": "float_image", "tf_example": "tf_example"}
_BASE = "--model_base_path="


def frozen(
    classifier: InferenceModel,
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
    given = templates.fill(
        f"given_{input_type}.txt",
        images=_images(classifier, spec),
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
        pillow=_pillow(given),
        given=textwrap.indent(given, "    "),
        output=output.name,
        output_dtype=output.dtype.name,
        output_shape=shape_text(output),
        report=_report(classifier, path) if classifies else "print(rows.shape)",
    )


def saved_model(classifier: InferenceModel, path: str, signatures: Mapping[str, Any]) -> str:
    """Returns how a SavedModel is called, by Python and through TensorFlow Serving.

    Args:
      classifier: what was exported.
      path: the folder of the version.
      signatures: what was loaded from there.
    """
    path, name = os.path.abspath(path), classifier.info.model_name
    default = taken(signatures["serving_default"])
    batch = default.shape[0] or 1
    rows = []
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
        pictures=" ".join(['"$picture"'] * batch),
    )


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


def loaded(name: str, classifier: InferenceModel, path: str, batch_size: int | None) -> str:
    """Returns how a file of another runtime is called.

    Args:
      name: of the text: `tflite`, say.
      classifier: what was exported.
      path: the file.
      batch_size: images at once; None for any number.
    """
    spec = tf.TensorSpec([batch_size, *classifier.image_shape])
    code = _images(classifier, spec)
    return templates.fill(
        f"{name}.md",
        file=os.path.basename(path),
        path=os.path.abspath(path),
        shape=shape_text(spec),
        values=_values(classifier, "float_image"),
        answer=f"[{batch_size or 'any'}, {classifier.info.num_classes}]",
        pillow=_pillow(code),
        images=code,
        report=_report(classifier, path),
    )


def weights(path: str) -> str:
    """Returns how a file of weights alone is read."""
    return templates.fill("weights.md", file=os.path.basename(path), path=os.path.abspath(path))


def _images(classifier: InferenceModel, spec: tf.TensorSpec) -> str:
    """Returns code that makes `images`: of a picture, or of frames that somebody has saved."""
    if not classifier.is_video:
        return picture_code.prepared(classifier, spec.shape[0] or 1)
    name = classifier.info.preprocessing_name
    return templates.fill("prepared.txt", what="frames", name=name, shape=shape_text(spec))


def _pillow(code: str) -> str:
    """Returns the line that imports Pillow after another one, where code needs it."""
    return "\nfrom PIL import Image" if "Image." in code else ""


def _report(classifier: InferenceModel, path: str) -> str:
    """Returns code that prints the best class of each of `rows`, by its name if it has one."""
    if not classifier.info.label_names:
        return templates.fill("numbered_classes.txt")
    labels = os.path.join(os.path.dirname(os.path.abspath(path)), "labels.txt")
    return templates.fill("named_classes.txt", path=labels)


def _values(classifier: InferenceModel, kind: str) -> str:
    """Returns what the values of an input mean."""
    info = classifier.info
    return _MEANINGS[kind].format(
        colour="RGB" if preprocessing.decoded_channels(info) == 3 else "grey",
        name=info.preprocessing_name,
        values=preprocessing.prepared_values(info),
    )


def taken(signature: Any) -> tf.TensorSpec:
    """Returns what a signature of a SavedModel takes."""
    (spec,) = signature.structured_input_signature[1].values()
    return spec


def shape_text(spec: tf.TensorSpec | tf.Tensor) -> str:
    """Returns a shape as it is printed: `[any, 28, 28, 1]`."""
    sides = ("any" if side is None else str(side) for side in spec.shape)
    return f"[{', '.join(sides)}]"
