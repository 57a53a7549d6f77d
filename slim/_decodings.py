"""Names of the ways in which an encoded image becomes pixels; no TensorFlow here.

`slim.data.image_decoding` implements them. A name is stored with a model and never changes its
meaning: another decoding gets another name.
"""

from typing import Literal

Decoding = Literal["tf_slim", "stored", "upright"]

# `tf.io.decode_image`, as in TF-Slim: alpha is dropped, the EXIF orientation is ignored.
TF_SLIM: Decoding = "tf_slim"
# As a converted dataset: transparency is composited on white, all formats and modes are read.
STORED: Decoding = "stored"
# The same, with the EXIF orientation applied.
UPRIGHT: Decoding = "upright"


def are_equal_on(records: Decoding, decoding: Decoding) -> bool:
    """Returns whether `tf_slim` decodes records as `decoding` does.

    Args:
      records: decoding of the source files that the records reproduce when decoded by `tf_slim`.
      decoding: the decoding to compare with.
    """
    return decoding in (TF_SLIM, records) or records == UPRIGHT
