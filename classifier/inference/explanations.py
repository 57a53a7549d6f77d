"""Heat maps drawn over images: what a model looks at."""

import io
import os
import re
from collections.abc import Sequence

import numpy as np
import PIL.Image
import tensorflow as tf

from classifier import ownership
from classifier.inference.grad_cam import GradCam
from classifier.inference.model import InferenceModel
from classifier.run_directory import write_json
from slim import _paths

MIN_SIDE = 224  # pixels of an overlay; smaller images are enlarged
_MAX_STEM_BYTES = 120
_MAX_OPACITY = 0.6
# Colors of 0, 1/4, ... 1: as of matplotlib's inferno, but with a warmer yellow.
_COLORS = np.array(
    [(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (255, 221, 60)], np.float64
)


class Explanations:
    """Writes overlays: for each image `NUMBER_NAME.jpg` and `NUMBER_NAME.json`.

    Args:
      directory: directory to write to, new, empty or of earlier explanations.
      classifier: the model.
      end_point: see `GradCam`.

    Raises:
      UserError: if the directory holds anything else, or the model cannot be explained.
    """

    def __init__(
        self, directory: str, classifier: InferenceModel, end_point: str | None = None
    ) -> None:
        self._grad_cam = GradCam(classifier, end_point)
        ownership.claim_explanations(directory)
        self._directory, self._names = directory, classifier.info.class_names
        self._number = 0

    def __call__(self, paths: Sequence[str], images: tf.Tensor, probabilities: np.ndarray) -> None:
        """Explains the most probable class of each image.

        Args:
          paths: of the images.
          images: as the network sees them, [batch, height, width, channels].
          probabilities: [batch, classes].
        """
        classes = probabilities.argmax(axis=-1)
        maps = self._grad_cam(images, tf.constant(classes, tf.int64)).numpy()
        for path, image, heat, row, best in zip(
            paths, np.asarray(images), maps, probabilities, classes, strict=True
        ):
            self._number += 1
            name = f"{self._number:05d}_{_stem(path)}"
            buffer = io.BytesIO()
            overlay(image, heat).save(buffer, "JPEG", quality=90)
            base = os.path.join(self._directory, name)
            _paths.write_atomically(f"{base}.jpg", buffer.getvalue())
            write_json(
                f"{base}.json",
                {
                    "file": path,
                    "class": self._names[best],
                    "probability": float(row[best]),
                    "end_point": self._grad_cam.end_point,
                },
            )


def _stem(path: str) -> str:
    """Returns a file's name for an overlay's: short, without the extension or odd characters."""
    stem = re.sub(r"[^\w.-]+", "_", os.path.splitext(os.path.basename(path))[0])
    return stem.encode("utf-8", "replace")[:_MAX_STEM_BYTES].decode("utf-8", "ignore")


def overlay(image: np.ndarray, heat: np.ndarray) -> PIL.Image.Image:
    """Returns an image in gray under a heat map in color.

    Args:
      image: [height, width, channels]; its minimum is drawn black, its maximum white.
      heat: [map height, map width], 0 to 1.
    """
    low, high = float(image.min()), float(image.max())
    gray_or_rgb = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    pixels = np.uint8((gray_or_rgb - low) * (255 / max(high - low, 1e-6)) + 0.5)
    scale = max(1, -(-MIN_SIDE // min(pixels.shape[:2])))
    size = (pixels.shape[1] * scale, pixels.shape[0] * scale)
    # In gray, since the colors of an image would be mistaken for the map's.
    gray = PIL.Image.fromarray(pixels).convert("L").resize(size, PIL.Image.Resampling.NEAREST)
    photo = np.asarray(gray, np.float64)[..., np.newaxis]
    smooth = PIL.Image.fromarray(heat.astype(np.float32)).resize(size, PIL.Image.Resampling.BICUBIC)
    values = np.asarray(smooth, np.float64).clip(0, 1)
    stops = np.linspace(0, 1, len(_COLORS))
    colors = np.stack([np.interp(values, stops, _COLORS[:, each]) for each in range(3)], axis=-1)
    opacity = _MAX_OPACITY * values[..., np.newaxis]
    return PIL.Image.fromarray(np.uint8(photo * (1 - opacity) + colors * opacity + 0.5))
