"""Export to C source: the integer TFLite file as an array, for microcontrollers."""

import os
import re
from collections.abc import Iterator, Sequence

from classifier.export import checks, tflite, usage
from classifier.export.devices import micro
from classifier.export.devices.lite_file import LiteFile, Tensor
from classifier.export.job import Job
from classifier.export.usage import templates
from classifier.inference.model import InferenceModel
from slim import _checks, _paths

_PER_LINE = 16


def write(job: Job) -> checks.Exported:
    """Writes `c_array/MODEL_int8.c` and `.h`: the content of the file of `tflite_int8`.

    Args:
      job: checkpoint and options.

    Raises:
      RunError: if the accuracy drops by more than `max_drop`, or TensorFlow Lite for
        Microcontrollers lacks an operator of the file.
    """
    content, lite, comparison = tflite.convert_int8(job)
    file = LiteFile(content)
    missing = micro.missing_operators(file)
    if missing:
        raise _checks.RunError(
            f"TensorFlow Lite for Microcontrollers has no operator {', '.join(missing)}, so the C"
            " array was not written"
        )
    path, header_path = job.target("c_array"), job.target("c_array", ".h")
    arena = micro.arena(content)
    name = os.path.splitext(os.path.basename(path))[0]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    _paths.write_atomically(header_path, header(name, file, arena, job.classifier).encode())
    _paths.write_atomically(path, source(name, content, job.classifier.info.label_names).encode())
    _check(path, content)
    how = "measured with the interpreter" if arena.is_measured else "estimated"
    memory = f"{arena.num_bytes} bytes of tensor arena ({how})"
    print(f"{path}: {len(content)} bytes, {memory}, {len(file.operator_names)} operators")
    return checks.Exported(path, comparison, usage.c_array(path, name, lite.description(), memory))


def source(name: str, content: bytes, labels: Sequence[str]) -> str:
    """Returns the C source of a model.

    Args:
      name: name of the array.
      content: content of the TFLite file.
      labels: class names; may be empty.
    """
    lines = [f'#include "{name}.h"\n']
    if labels:
        names = "".join(f"    {_c_string(label)},\n" for label in labels)
        lines.append(f"const char* const {name}_labels[] = {{\n{names}}};\n")
    lines.append(f"const unsigned int {name}_len = {len(content)};")
    lines.append(f"_Alignas(16) const unsigned char {name}[] = {{")
    for start in range(0, len(content), _PER_LINE):
        row = content[start : start + _PER_LINE]
        lines.append(f"    {', '.join(f'0x{byte:02x}' for byte in row)},")
    return "\n".join([*lines, "};\n"])


def header(name: str, file: LiteFile, arena: micro.Arena, classifier: InferenceModel) -> str:
    """Returns the C and C++ header of a model.

    Args:
      name: name of the array.
      file: the TFLite file.
      arena: size of its tensor arena.
      classifier: the model.
    """
    operators = file.operator_names
    how = (
        "Measured with the interpreter on a 64-bit machine; a microcontroller needs less."
        if arena.is_measured
        else "An estimate; the interpreter's arena_used_bytes() is exact."
    )
    methods = map(micro.resolver_method, operators)
    has_labels = bool(classifier.info.label_names)
    text = templates.fill(
        "c_header.txt",
        name=name,
        macro=name.upper(),
        model=classifier.info.model_name,
        tensors="\n".join(f" * {line}" for line in _tensor_lines(file)),
        num_classes=classifier.info.num_classes,
        how=how,
        arena=arena.num_bytes,
        operators=", ".join(operators),
        num_operators=len(operators),
        labels=f"extern const char* const {name}_labels[];" if has_labels else "",
        calls="\n".join(f"  if (resolver.{each}() != 0) return 1;" for each in methods),
    )
    return f"{text}\n"


def _tensor_lines(file: LiteFile) -> Iterator[str]:
    for kind, indices in (("Input", file.inputs), ("Output", file.outputs)):
        for number, tensor in enumerate(file.tensors[index] for index in indices):
            yield f"{kind} {number}: {_tensor_text(tensor)}"


def _tensor_text(tensor: Tensor) -> str:
    (scale,), (zero,) = tensor.scales, tensor.zero_points
    sides = " x ".join(map(str, tensor.shape))
    return f"{tensor.dtype.lower()}, {sides}, value = {scale:.9g} * (integer - {zero})"


def _c_string(text: str) -> str:
    """Returns a C string literal in ASCII; bytes of UTF-8 are octal escapes."""
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{escaped}"'


def _check(path: str, content: bytes) -> None:
    """Compares the written array with the file.

    Raises:
      RunError: if they differ.
    """
    with open(path, encoding="ascii") as file:
        array = file.read().partition("unsigned char")[2]
    if bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2})\b", array)) != content:
        raise _checks.RunError(f"{path} differs from the converted model")
