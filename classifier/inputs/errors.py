"""Errors of an input pipeline, with a message that `diagnosis` extracts.

Inside a pipeline only an op can raise, and TensorFlow wraps its message in context. So the message
is enclosed in markers.
"""

import re
from collections.abc import Callable, Sequence

import tensorflow as tf

from slim._problems import Problem, named

# Prefix of a message: damaged data or a mistake of the user.
DAMAGED = "damaged|"
MISTAKE = "mistake|"

_BEGIN, _END = "<<slim-input|", "|slim-input>>"
_OPTION = re.compile(r"<<option\|(\w+)(?:=(.*?))?>>")
_MESSAGE = re.compile(re.escape(_BEGIN) + r"(damaged|mistake)\|(.*?)" + re.escape(_END), re.S)


def raise_if(condition: tf.Tensor, parts: Callable[[], Sequence[str | tf.Tensor]]) -> None:
    """Raises in the pipeline if `condition` is true.

    Args:
      condition: a scalar.
      parts: returns the parts of the message, the first of them DAMAGED or MISTAKE. Evaluated only
        if the condition is true.
    """

    def stop() -> tf.Tensor:
        message = tf.strings.join([_BEGIN, *parts(), _END])
        with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
            return tf.constant(True)

    tf.cond(condition, stop, lambda: tf.constant(False))


def option(name: str, *value: object) -> str:
    """Returns the mention of an option in a part of a message, with its value if there is one."""
    return f"<<option|{name}{''.join(f'={each}' for each in value)}>>"


def find_message(text: str) -> tuple[str, Problem] | None:
    """Returns ("damaged" or "mistake", message) from the text of TensorFlow's error, or None."""
    match = _MESSAGE.search(text)
    if match is None:
        return None
    first, *others = _OPTION.split(_unescaped(match.group(2)))
    parts = [first]
    for name, value, text in zip(*(others[start::3] for start in range(3)), strict=True):
        parts += [named(name, *([] if value is None else [value])), text]
    return match.group(1), Problem("{}" * len(parts), *parts)


def _unescaped(text: str) -> str:
    """Undoes TensorFlow's C escapes: those of quotes and of bytes beyond ASCII."""

    def byte(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        return bytes([int(code, 8)]) if code.isdigit() else {b"n": b" ", b"t": b" "}.get(code, code)

    return re.sub(rb"\\([0-7]{3}|.)", byte, text.encode()).decode(errors="replace")
