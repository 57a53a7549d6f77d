"""The standard metadata of a TFLite file, which the Task Library and MediaPipe read.

A flatbuffer in the model's metadata `TFLITE_METADATA` describes inputs and outputs; the class names
are a file in a zip archive that is appended to the model. Schema: metadata_schema.fbs of
tensorflow/tflite-support, version 1.0.0; the numbers below are the positions of its fields.
"""

import io
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from classifier.export import labels
from classifier.export.devices import lite_file
from classifier.inference.model import InferenceModel

_NAME = b"TFLITE_METADATA"
_PARSER_VERSION = "1.0.0"
_AXIS_LABELS = 2  # AssociatedFileType.TENSOR_AXIS_LABELS
_RGB, _GRAYSCALE = 1, 2  # ColorSpaceType
_FEATURES, _IMAGE = 1, 2  # ContentProperties
_NORMALIZATION, _THRESHOLD = 1, 3  # ProcessUnitOptions


class Normalization(NamedTuple):
    """How pixels become the values of the input: (pixel - mean) / std."""

    mean: Sequence[float]
    std: Sequence[float]


def add(
    content: bytes,
    classifier: InferenceModel,
    description: str,
    normalization: Normalization | None,
    license_name: str | None = None,
) -> bytes:
    """Returns a TFLite file with metadata. Its first output becomes the probabilities, because
    readers take the scores from there.

    Args:
      content: file with an input `images` and outputs `logits` and `probabilities`.
      classifier: exported model.
      description: a sentence on the model.
      normalization: of the input; None if it depends on the image.
      license_name: license of the model.
    """
    model = lite_file.read(content)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    outputs = {each.tensorIndex: each.name.decode() for each in signature.outputs}
    graph.outputs = sorted(graph.outputs, key=lambda index: outputs[index] != "probabilities")
    names = [outputs[index] for index in graph.outputs]
    metadata = _flatbuffer(classifier, description, normalization, names, license_name)
    buffer = schema.BufferT(data=np.frombuffer(metadata, np.uint8))
    entry = schema.MetadataT(name=_NAME, buffer=len(model.buffers))
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    written = lite_file.write(model)
    text = labels.content(classifier.info)
    return written if text is None else _with_file(written, labels.FILE, text)


def _with_file(content: bytes, name: str, data: bytes) -> bytes:
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), data)  # with a fixed date
    return file.getvalue()


def _flatbuffer(
    classifier: InferenceModel,
    description: str,
    normalization: Normalization | None,
    outputs: Sequence[str],
    license_name: str | None,
) -> bytes:
    write = _Writer()
    info, (height, width) = classifier.info, classifier.image_size
    image = write.table(
        _Byte(_GRAYSCALE if info.num_channels == 1 else _RGB),
        write.table(_Int(width), _Int(height)),
    )
    units = None
    if normalization is not None:
        options = write.table(*map(write.floats, normalization))
        units = write.tables(write.table(_Byte(_NORMALIZATION), options))
    images = write.table(
        write.text("images"),
        write.text("Image to be classified."),
        None,
        write.table(_Byte(_IMAGE), image),
        units,
    )
    scores = [_scores(write, classifier, name) for name in outputs]
    graph = write.table(None, None, write.tables(images), write.tables(*scores))
    return write.finish(
        write.text(info.model_name),
        write.text(description),
        None if classifier.step is None else write.text(str(classifier.step)),
        write.tables(graph),
        None,
        None if license_name is None else write.text(license_name),
        None,
        write.text(_PARSER_VERSION),
    )


def _scores(write: "_Writer", classifier: InferenceModel, name: str) -> int:
    """Writes the metadata of an output. Of calibrated probabilities, those below the threshold of
    rejection are not answers."""
    is_probability = name == "probabilities"
    units = stats = files = None
    if is_probability:
        stats = write.table(write.floats([1.0]), write.floats([0.0]))
        if classifier.rejection_threshold:
            threshold = write.table(_Float(classifier.rejection_threshold))
            units = write.tables(write.table(_Byte(_THRESHOLD), threshold))
    if classifier.info.label_names:
        named = write.text(labels.FILE), write.text("Class names."), _Byte(_AXIS_LABELS)
        files = write.tables(write.table(*named))
    description = "Probability of each class." if is_probability else "Logit of each class."
    content = write.table(_Byte(_FEATURES), write.table())
    texts = write.text(name), write.text(description)
    return write.table(*texts, None, content, units, stats, files)


class _Byte(int):
    """A field of one byte."""


class _Int(int):
    """A field of 32 bits."""


class _Float(float):
    """A field of 32 bits."""


class _Writer:
    """Writes tables, given their fields by position; returns offsets."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)

    def text(self, value: str) -> int:
        return self._builder.CreateString(value)

    def floats(self, values: Sequence[float]) -> int:
        return self._builder.CreateNumpyVector(np.array(values, np.float32))

    def tables(self, *offsets: int) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return self._builder.EndVector()

    def table(self, *fields: Any) -> int:
        self._builder.StartObject(len(fields))
        for place, field in enumerate(fields):
            if isinstance(field, _Byte):
                self._builder.PrependUint8Slot(place, field, 0)
            elif isinstance(field, _Int):
                self._builder.PrependUint32Slot(place, field, 0)
            elif isinstance(field, _Float):
                self._builder.PrependFloat32Slot(place, field, 0.0)
            elif field is not None:
                self._builder.PrependUOffsetTRelativeSlot(place, field, 0)
        return self._builder.EndObject()

    def finish(self, *fields: Any) -> bytes:
        self._builder.Finish(self.table(*fields), b"M001")
        return bytes(self._builder.Output())
