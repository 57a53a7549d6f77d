"""Stopping a pipeline on bad data, with a message that `diagnosis` finds again.

Inside a pipeline only an op can stop, and TensorFlow wraps its message into a page of context. So
ours stands between marks.
"""

import re
from collections.abc import Callable, Sequence

import tensorflow as tf

# What a message begins with says whose error it is: the data's or the user's.
DAMAGED = "damaged|"
MISTAKE = "mistake|"

_BEGIN, _END = "<<slim-input|", "|slim-input>>"
_MESSAGE = re.compile(re.escape(_BEGIN) + r"(damaged|mistake)\|(.*?)" + re.escape(_END), re.S)


def refuse_if(condition: tf.Tensor, parts: Callable[[], Sequence[str | tf.Tensor]]) -> None:
    """Stops the pipeline with a message if `condition` is true.

    Args:
      condition: a scalar.
      parts: gives the message's pieces, the first of them DAMAGED or MISTAKE. Called for bad data
        alone.
    """

    def stop() -> tf.Tensor:
        message = tf.strings.join([_BEGIN, *parts(), _END])
        with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
            return tf.constant(True)

    tf.cond(condition, stop, lambda: tf.constant(False))


def find_message(text: str) -> tuple[str, str] | None:
    """Returns ("damaged" or "mistake", message) from the text of TensorFlow's error, or None."""
    found = _MESSAGE.search(text)
    return (found.group(1), _unescaped(found.group(2))) if found else None


def _unescaped(text: str) -> str:
    """Undoes TensorFlow's C escapes: those of quotes and of bytes beyond ASCII."""

    def byte(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        return bytes([int(code, 8)]) if code.isdigit() else {b"n": b" ", b"t": b" "}.get(code, code)

    return re.sub(rb"\\([0-7]{3}|.)", byte, text.encode()).decode(errors="replace")
