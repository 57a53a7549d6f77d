"""Images with their labels and predictions, in galleries and in the cells of the heat map."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from classifier.inference.outcomes import LabelOutcomes, Outcomes
from classifier.report import thumbnails
from classifier.report.confusion import Confusion
from classifier.report.data import ImageBytes, OtherSplit, ReportData
from classifier.report.findings import Duplicates
from classifier.report.templates import Html, fill
from slim import _json

PER_GALLERY = 21  # fills rows of 7, as on a wide screen, and of 3, as on a phone
PAIRS = 12  # near-duplicates shown
_PER_CELL, _HITS_PER_CELL = 24, 6
_LISTED = 4000  # images in all cells


class Gallery:
    """The images of a report.

    Args:
      data: the evaluation.
      first: indices of the images that get a thumbnail first.
      cells: indices of the images of the heat map's cells, the most important first.
    """

    def __init__(self, data: ReportData, first: Iterable[int], cells: Iterable[int]) -> None:
        self._data = data
        self._decode = thumbnails.decoder(data.model.decoding)
        outcomes = data.outcomes
        chosen = list(dict.fromkeys([*first, *cells]))[: data.thumbnails]
        self._thumbnails = {
            each: thumbnail
            for each in chosen
            if (thumbnail := self._thumbnail(data.image_bytes, outcomes, each))
        }

    @property
    def number(self) -> int:
        """Number of different thumbnails."""
        return len(self._thumbnails)

    def tiles(self, images: Iterable[int]) -> Html:
        """Returns a gallery."""
        return fill("gallery.html", tiles=Html("".join(map(self._tile, images))))

    def _tile(self, image: int) -> Html:
        outcomes, names = self._data.outcomes, self._data.class_names
        name = image_name(outcomes, image)
        hit = bool(outcomes.is_correct[image])
        shown = _of_one_class if isinstance(outcomes, Outcomes) else _of_several_classes
        predicted, confidence, truth = shown(outcomes, names, image)
        return fill(
            "tile.html",
            image=image,
            thumbnail=_tile_image(self._thumbnails.get(image), name),
            kind="hit" if hit else "mistake",
            predicted=predicted,
            confidence=confidence,
            truth=Html("correct") if hit else truth,
            name=name,
            base=os.path.basename(name),
        )

    def pairs(self, duplicates: Duplicates, other: OtherSplit) -> Html:
        """Returns the most similar pairs."""
        outcomes, names = self._data.outcomes, self._data.class_names
        shown = [
            fill(
                "pair.html",
                thumbnail=_tile_image(self._thumbnails.get(image), image_name(outcomes, image)),
                other=_tile_image(
                    self._thumbnail(other.image_bytes, other, index),
                    image_name(other, index),
                )
                if self._data.thumbnails
                else _tile_image(None, ""),
                similarity=f"{similarity:.3f}",
                label=outcomes.label_text(image, names),
                split=self._data.split,
                name=image_name(outcomes, image),
                other_split=other.name,
                other_name=image_name(other, index),
            )
            for image, index, similarity in zip(*duplicates, strict=True)
        ]
        return fill("pairs.html", pairs=Html("".join(shown[:PAIRS])))

    def _thumbnail(
        self,
        image_bytes: ImageBytes | None,
        places: Outcomes | LabelOutcomes | OtherSplit,
        image: int,
    ) -> str | None:
        if image_bytes is None:
            return None
        encoded = image_bytes(int(places.shards[image]), int(places.records[image]))
        return thumbnails.data_uri(encoded, self._decode)

    def as_json(
        self, confusion: Confusion, cells: dict[tuple[int, int], list[int]], static: Iterable[int]
    ) -> Html:
        """Returns what the script needs to open a cell.

        Args:
          confusion: the matrix.
          cells: images of each cell.
          static: images in galleries, whose thumbnails the page has already.
        """
        outcomes, names = self._data.outcomes, self._data.class_names
        listed = sorted({image for images in cells.values() for image in images})
        rows = [
            [
                _json.printable(image_name(outcomes, image)),
                _json.printable(names[outcomes.labels[image]]),
                _json.printable(names[outcomes.predicted[image]]),
                round(float(outcomes.confidences[image]), 4),
                int(outcomes.is_correct[image]),
            ]
            for image in listed
        ]
        new = set(listed) & set(self._thumbnails) - set(static)
        return as_script(
            {
                "classes": len(confusion.classes),
                "images": dict(zip(map(str, listed), rows, strict=True)),
                "thumbnails": {str(each): self._thumbnails[each] for each in sorted(new)},
                "cells": {f"{row},{column}": each for (row, column), each in cells.items()},
            }
        )


def _of_one_class(outcomes: Outcomes, names: Sequence[str], image: int) -> tuple[str, str, Html]:
    """Returns the predicted class, its probability, and the true class."""
    truth = fill(
        "truth.html",
        name=names[outcomes.labels[image]],
        probability=f"{outcomes.label_probabilities[image]:.1%}",
    )
    return names[outcomes.predicted[image]], f"{outcomes.confidences[image]:.1%}", truth


def _of_several_classes(
    outcomes: LabelOutcomes, names: Sequence[str], image: int
) -> tuple[str, str, Html]:
    """Returns the predicted classes, nothing, and what is missed and what is wrong."""
    labels, predicted = outcomes.labels[image], outcomes.predicted[image]
    parts = {"missed": labels & ~predicted, "wrong": predicted & ~labels}
    truth = "".join(
        fill("label_truth.html", what=what, names=_with_probabilities(outcomes, names, image, part))
        for what, part in parts.items()
        if part.any()
    )
    return (
        ", ".join(names[each] for each in np.flatnonzero(predicted)) or "no label",
        "",
        Html(truth),
    )


def _with_probabilities(
    outcomes: LabelOutcomes, names: Sequence[str], image: int, chosen: np.ndarray
) -> str:
    values = outcomes.probabilities[image]
    return ", ".join(f"{names[each]} {values[each]:.1%}" for each in np.flatnonzero(chosen))


def image_name(source: Outcomes | LabelOutcomes | OtherSplit, image: int) -> str:
    """Returns the name of an image's source file, or else its place in the dataset."""
    place = f"shard {source.shards[image]}, record {source.records[image]}"
    return source.filenames[image] or place


def cell_images(confusion: Confusion, confidences: np.ndarray) -> dict[tuple[int, int], list[int]]:
    """Returns the images to show of each cell: the most confident mistakes, the least confident
    hits."""
    cells: dict[tuple[int, int], list[int]] = {}
    is_hit = confusion.rows == confusion.columns
    order = np.argsort(np.where(is_hit, confidences, -confidences), kind="stable")
    for image in order.tolist():
        cell = int(confusion.rows[image]), int(confusion.columns[image])
        images = cells.setdefault(cell, [])
        if len(images) < (_HITS_PER_CELL if cell[0] == cell[1] else _PER_CELL):
            images.append(image)
    kept = set(in_turn(cells)[:_LISTED])
    return {cell: [each for each in images if each in kept] for cell, images in cells.items()}


def in_turn(cells: dict[tuple[int, int], list[int]]) -> list[int]:
    """Returns the images of all cells, so that each cell has some of the first ones."""
    ranked = [
        (rank // 3, cell[0] == cell[1], rank, image)
        for cell, images in cells.items()
        for rank, image in enumerate(images)
    ]
    return [image for *_, image in sorted(ranked)]


def as_script(values: Any) -> Html:
    """Returns JSON that cannot end its script element."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return Html(text.replace("<", "\\u003c").encode("utf-8", "backslashreplace").decode())


def _tile_image(uri: str | None, name: str) -> Html:
    return fill("thumbnail.html", uri=uri, name=name) if uri else fill("no_preview.html")
