"""Small images as data URIs."""

import base64
import io
from collections.abc import Callable

import PIL.Image
import tensorflow as tf

from slim._decodings import Decoding
from slim.data import image_decoding

SIDE = 112  # pixels
MAX_BYTES = 3000  # of a thumbnail, before base64
# Smaller and worse until an image, such as noise, fits.
_TRIES = ((SIDE, 75), (SIDE, 55), (SIDE, 35), (80, 50), (64, 40), (48, 25))


def decoder(decoding: Decoding) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function from the bytes of a file to RGB pixels, as the model sees them."""
    return tf.function(
        lambda encoded: image_decoding.decode(encoded, 3, decoding),
        autograph=False,
        input_signature=[tf.TensorSpec([], tf.string)],
    )


def data_uri(encoded: bytes, decode: Callable[[tf.Tensor], tf.Tensor]) -> str | None:
    """Returns an image as a WebP of at most `SIDE` pixels, or None if it cannot be decoded.

    Args:
      encoded: the bytes of a file, within the limits that evaluation checks.
      decode: from `decoder`.
    """
    try:
        pixels = decode(tf.constant(encoded))
    except (tf.errors.OpError, UnicodeDecodeError):  # its message may contain bytes of the image
        return None
    image = PIL.Image.fromarray(pixels.numpy())
    for side, quality in _TRIES:
        image.thumbnail((side, side), PIL.Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= MAX_BYTES:
            break
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
