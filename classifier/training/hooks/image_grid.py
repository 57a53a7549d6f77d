"""Training images as the network gets them, on one sheet."""

import io
import os
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw

from slim import _paths, learning
from slim._timer import Timer
from slim.events import EventFile

COLUMNS, MOST = 8, 32
MARGIN, TEXT_HEIGHT = 4, 14
# Pictures of digits would be too small to look at.
SMALLEST_SIDE = 96


class ContactSheet(learning.Hook):
    """Writes the next batch's images to `images/step-N.png` and to the events.

    Args:
      directory: of the run.
      batch_at: from a step to the batch it gets.
      label_names: of the classes, or none.
      seconds: between two sheets, the first of which is written at the start; 0: only that one.
      clock: seconds that never go back.
    """

    def __init__(
        self,
        directory: str,
        batch_at: Callable[[int], Mapping[str, np.ndarray]],
        label_names: Sequence[str],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = EventFile(directory)
        self._folder = os.path.join(directory, "images")
        self._batch_at = batch_at
        self._label_names = label_names
        self._in_events = seconds > 0
        self._timer = Timer(seconds, clock)

    def begin(self, run: learning.Run) -> None:
        """Writes the first sheet, unless there is no step left to do."""
        if not run.is_over:
            _paths.check_writable_directory(self._folder)
            _paths.sweep_scratch(self._folder)
            self._write(run.step)

    def after_steps(self, run: learning.Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Writes a sheet if it is time."""
        if self._timer.is_due() and not run.is_over:
            self._write(run.step)

    def end(self, run: learning.Run) -> None:
        """Closes the events."""
        self._events.close()

    def _write(self, step: int) -> None:
        batch = self._batch_at(step)
        sheet = contact_sheet(batch["image"][:MOST], self._captions(batch))
        png = io.BytesIO()
        sheet.save(png, "PNG")
        _paths.write_atomically(os.path.join(self._folder, f"step-{step}.png"), png.getvalue())
        if self._in_events:
            self._events.image(step, "train/images", png.getvalue(), sheet.size)
            self._events.flush()
        self._timer.restart()

    def _captions(self, batch: Mapping[str, np.ndarray]) -> list[str]:
        def name(label: int) -> str:
            return self._label_names[label] if self._label_names else str(label)

        names = [name(label) for label in batch["label"][:MOST]]
        if "mix" not in batch:
            return names
        others = [name(label) for label in batch["mixed_label"][:MOST]]
        return [
            f"{share:.0%} {own} + {other}"
            for own, other, share in zip(names, others, batch["mix"], strict=False)
        ]


def contact_sheet(images: np.ndarray, captions: Sequence[str]) -> PIL.Image.Image:
    """Returns images side by side with their captions below.

    Args:
      images: `[number, height, width, channels]`; the lowest value of all becomes black, the
        highest white.
      captions: one each.
    """
    low, high = float(images.min()), float(images.max())
    pixels = np.uint8((images - low) * (255.0 / max(high - low, 1e-6)) + 0.5)
    scale = max(1, -(-SMALLEST_SIDE // min(images.shape[1:3])))
    height, width = (side * scale for side in images.shape[1:3])
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    cell = (width + MARGIN, height + TEXT_HEIGHT + MARGIN)
    sheet = PIL.Image.new("RGB", (columns * cell[0] + MARGIN, rows * cell[1] + MARGIN), "white")
    draw = PIL.ImageDraw.Draw(sheet)
    for number, (image, caption) in enumerate(zip(pixels, captions, strict=True)):
        x = MARGIN + number % columns * cell[0]
        y = MARGIN + number // columns * cell[1]
        picture = PIL.Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        sheet.paste(picture.resize((width, height), PIL.Image.Resampling.NEAREST), (x, y))
        # The built-in font is six pixels wide and has no letters beyond Latin-1.
        shown = caption.encode("latin-1", "replace").decode("latin-1")[: width // 6]
        draw.text((x, y + height), shown, fill="black")
    return sheet
