"""Prints the boxes of ImageNet as CSV: image, xmin, ymin, xmax, ymax, as fractions of the image.

Empty boxes, and boxes of classes that are not in SYNSETS_FILE, are skipped.
"""

import glob
import os
import sys
from typing import TYPE_CHECKING

if not __package__:  # run as a file: its imports start at the root
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from classifier.cli import stopping

if TYPE_CHECKING:
    from classifier.config.builders import BoundingBoxesConfig


def _run(config: "BoundingBoxesConfig") -> None:
    from datasets import imagenet_files
    from slim import _files

    classes: set[str | None] | None = None
    if config.synsets_file is not None:
        classes = {line.strip() for _, line in _files.read_text_lines(config.synsets_file)}
    paths = sorted(glob.glob(os.path.join(glob.escape(config.xml_dir), "*", "*.xml")))
    printed = annotated = skipped = other = 0
    for path in paths:
        synset = os.path.basename(os.path.dirname(path))
        if classes is not None and synset not in classes:
            other += 1
            continue
        boxes, left_out = imagenet_files.boxes_in_file(path, (classes or set()) - {synset})
        for box in boxes:
            sides = ",".join(f"{side:.4f}" for side in box)
            print(f"{os.path.basename(path).removesuffix('.xml')}.JPEG,{sides}")
        printed += len(boxes)
        annotated += bool(boxes)
        skipped += left_out
    print(
        f"{len(paths)} XML files, {other} of other classes: {printed} boxes of {annotated} images,"
        f" {skipped} boxes skipped",
        file=sys.stderr,
    )


def main() -> int:
    """Runs the program; returns its exit code."""
    with stopping.before_work():  # the imports take a while
        from classifier.cli import flags
        from classifier.config.builders import BoundingBoxesConfig

        return flags.main(BoundingBoxesConfig, _run, __doc__, needs_tensorflow=False)


if __name__ == "__main__":
    sys.exit(stopping.last(main()))
