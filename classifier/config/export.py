"""The options of export."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.trained import ModelOptions
from classifier.options import Options, option, required

FORMATS = ("frozen_pb", "saved_model")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """Export."""

    checkpoint_path: str = required(
        "Folder of a run (its newest checkpoint is taken) or one checkpoint.", path="checkpoint"
    )
    output_dir: str = required("Folder to write to.", path="new_folder")
    formats: tuple[str, ...] = option(FORMATS, "Formats to write.", choices=FORMATS)
    image_size: tuple[int, int] | None = option(
        None, "Size of the images, in pixels; default: that of training.", check=bounds.sides
    )
    batch_size: int | None = option(
        None, "Images that the model takes at once; default: any number.", check=bounds.positive
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportDataOptions(Options):
    """Classes, where model_info.json beside the checkpoint does not say them."""

    dataset_name: str | None = option(
        None, "Dataset whose classes the model knows.", table="datasets"
    )
    dataset_dir: str | None = option(None, "Folder with that dataset's files.", path="folder")

    def conflicts(self) -> Iterator[str]:
        """Yields the half that is missing."""
        if (self.dataset_name is None) != (self.dataset_dir is None):
            yield "dataset_name and dataset_dir belong together: give both or none"


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Options of `export_inference_graph.py`."""

    run: ExportOptions
    model: ModelOptions = ModelOptions()
    data: ExportDataOptions = ExportDataOptions()
