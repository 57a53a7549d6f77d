"""Small images as data URIs."""

import base64
import io

import numpy as np
import PIL.Image
import PIL.ImageOps

SIDE = 112  # pixels
MAX_BYTES = 3000  # of a thumbnail, before base64
# Smaller and worse until an image, such as noise, fits.
_TRIES = ((SIDE, 75), (SIDE, 55), (SIDE, 35), (80, 50), (64, 40), (48, 25))


def data_uri(encoded: bytes) -> str | None:
    """Returns an image as a WebP of at most `SIDE` pixels, or None if it cannot be decoded.

    Args:
      encoded: the bytes of a file, within the limits that evaluation checks.
    """
    try:
        image = _opened(encoded)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        return None
    for side, quality in _TRIES:
        image.thumbnail((side, side), PIL.Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= MAX_BYTES:
            break
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _opened(encoded: bytes) -> PIL.Image.Image:
    """Returns an upright RGB image, transparent parts on white."""
    with PIL.Image.open(io.BytesIO(encoded)) as image:
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # decodes a large JPEG at a fraction of its size
        upright = PIL.ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits
        values = np.asarray(upright).astype(np.float64) / 257
        upright = PIL.Image.fromarray(values.clip(0, 255).astype(np.uint8))
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        white = PIL.Image.new("RGBA", upright.size, "white")
        upright = PIL.Image.alpha_composite(white, upright)
    return upright.convert("RGB")
