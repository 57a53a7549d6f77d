"""Grid of training images as they enter the network."""

import io
import os
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw

from classifier.label_kinds import label_text
from slim import _paths, learning
from slim._timer import Timer
from slim.events import EventFile

COLUMNS, MAX_IMAGES = 8, 32
MARGIN, TEXT_HEIGHT = 4, 14
# Smaller images, such as digits, are enlarged.
MIN_SIDE = 96


class ImageGrid(learning.Hook):
    """Writes the images of step N to `images/step-N.png` and to the event file.

    Args:
      directory: directory of the run.
      last_batch: function from a run to the batch of its last step.
      label_names: class names. Empty: labels are shown.
      seconds: seconds between two grids; the first is written after the first step. 0: only that
        one, not in the event file.
      clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        directory: str,
        last_batch: Callable[[learning.Run], Mapping[str, np.ndarray]],
        label_names: Sequence[str],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = EventFile(directory)
        self._directory = os.path.join(directory, "images")
        self._last_batch = last_batch
        self._label_names = label_names
        self._in_events = seconds > 0
        self._timer = Timer(seconds, clock)
        self._is_first = True

    def begin(self, run: learning.Run) -> None:
        """Checks that grids can be written, unless the run is complete."""
        if not run.is_over:
            _paths.check_writable_directory(self._directory)
            _paths.sweep_scratch(self._directory)

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Writes a grid after the first step, and if it is due."""
        if self._is_first or (self._timer.is_due() and not run.is_over):
            self._is_first = False
            self._write(run)

    def end(self, run: learning.Run) -> None:
        """Closes the event file."""
        self._events.close()

    def _write(self, run: learning.Run) -> None:
        step, batch = run.step, self._last_batch(run)
        grid = draw_grid(batch["image"][:MAX_IMAGES], self._captions(batch))
        png = io.BytesIO()
        grid.save(png, "PNG")
        _paths.write_atomically(os.path.join(self._directory, f"step-{step}.png"), png.getvalue())
        if self._in_events:
            self._events.image(step, "train/images", png.getvalue(), grid.size)
            self._events.flush()
        self._timer.restart()

    def _captions(self, batch: Mapping[str, np.ndarray]) -> list[str]:
        def name(label: np.ndarray) -> str:
            return label_text(label, self._label_names, ", ")

        names = [name(label) for label in batch["label"][:MAX_IMAGES]]
        if "mix" not in batch:
            return names
        mixed_names = [name(label) for label in batch["mixed_label"][:MAX_IMAGES]]
        return [
            f"{fraction:.0%} {first} + {second}"
            for first, second, fraction in zip(names, mixed_names, batch["mix"], strict=False)
        ]


def draw_grid(images: np.ndarray, captions: Sequence[str]) -> PIL.Image.Image:
    """Returns a grid of images with captions below.

    Args:
      images: `[number, height, width, channels]`; the minimum is drawn black, the maximum white.
      captions: one caption per image.
    """
    low, high = float(images.min()), float(images.max())
    pixels = np.uint8((images - low) * (255.0 / max(high - low, 1e-6)) + 0.5)
    scale = max(1, -(-MIN_SIDE // min(images.shape[1:3])))
    height, width = (side * scale for side in images.shape[1:3])
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    cell = (width + MARGIN, height + TEXT_HEIGHT + MARGIN)
    grid = PIL.Image.new("RGB", (columns * cell[0] + MARGIN, rows * cell[1] + MARGIN), "white")
    draw = PIL.ImageDraw.Draw(grid)
    for number, (image, caption) in enumerate(zip(pixels, captions, strict=True)):
        x = MARGIN + number % columns * cell[0]
        y = MARGIN + number // columns * cell[1]
        tile = PIL.Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        grid.paste(tile.resize((width, height), PIL.Image.Resampling.NEAREST), (x, y))
        # The built-in font is six pixels wide and only has Latin-1 characters.
        text = caption.encode("latin-1", "replace").decode("latin-1")[: width // 6]
        draw.text((x, y + height), text, fill="black")
    return grid
