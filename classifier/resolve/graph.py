"""What follows from the options when a network's graph is written without weights.

Pure functions, as in `resolve`.
"""

import dataclasses

from classifier.config.export import ExportConfig, ExportOptions
from classifier.config.formats import FORMATS
from classifier.resolve import Networks, Preprocessings
from slim import _checks

# The original's defaults.
MODEL_NAME = "inception_v3"
DATASET_NAME = "imagenet"


@dataclasses.dataclass(frozen=True)
class Classes:
    """What is known of a dataset without its folder.

    Attributes:
      name: the dataset; None if that is not known.
      num_classes: classes in the labels; None if only its folder knows.
      num_channels: of the images; None if that is not known.
    """

    name: str | None = None
    num_classes: int | None = None
    num_channels: int | None = None

    def logits(self, labels_offset: int) -> int:
        """Returns the length of the logits.

        Raises:
          UserError: if only the folder knows it, or the offset leaves no class or has no dataset.
        """
        if self.num_classes is None:
            raise _checks.UserError(
                f"dataset_dir is required: only the folder of {self.name!r} says its classes"
            )
        if labels_offset and self.name is None:
            raise _checks.UserError(
                "labels_offset needs dataset_name: without it the classes are those of the"
                " checkpoint's last layer"
            )
        if labels_offset >= self.num_classes:
            raise _checks.UserError(
                f"labels_offset={labels_offset} leaves none of the {self.num_classes} classes"
                f" of {self.name!r}"
            )
        return self.num_classes - labels_offset


@dataclasses.dataclass(frozen=True)
class ResolvedGraph:
    """A graph without weights, fully said.

    Attributes:
      model_name: the network.
      num_classes: length of the logits.
      input_shape: [batch, height, width, channels], for videos with frames second; None is any.
      output_file: where to write it.
      as_text: whether as text.
      quantized: whether its layers round.
    """

    model_name: str
    num_classes: int
    input_shape: tuple[int | None, ...]
    output_file: str
    as_text: bool
    quantized: bool = False


def check_inference(options: ExportOptions) -> None:
    """Refuses the original's flags for graphs that are not for inference.

    Raises:
      UserError: if one of them is set.
    """
    if options.is_training:
        raise _checks.UserError(
            "is_training is refused: an export answers with the averages that batch norm kept and"
            " without dropout; leave it out"
        )


def check_videos(name: str, networks: Networks, run: ExportOptions) -> bool:
    """Returns whether a network takes videos.

    Raises:
      UserError: if the options say otherwise, or want pictures to be prepared for it.
    """
    is_video = networks[name].input_rank == 5
    if is_video and not run.is_video_model:
        raise _checks.UserError(
            f"model_name={name!r} takes videos: give is_video_model, and num_frames if fixed"
        )
    if run.is_video_model and not is_video:
        raise _checks.UserError(
            f"model_name={name!r} takes images, not videos: leave is_video_model out"
        )
    if is_video and run.input_type != "float_image":
        raise _checks.UserError(
            f"input_type={run.input_type!r} is for images: model_name={name!r} takes preprocessed"
            " videos"
        )
    others = [each for each in run.formats or () if FORMATS[each].no_videos]
    if is_video and others:
        raise _checks.UserError(
            f"formats={','.join(others)} is for images: model_name={name!r} takes videos, and"
            f" {FORMATS[others[0]].no_videos}"
        )
    return is_video


def resolve_graph(
    config: ExportConfig,
    dataset: Classes,
    networks: Networks,
    preprocessings: Preprocessings,
) -> ResolvedGraph:
    """Works out a graph.

    Args:
      config: the options; `output_file` is given.
      dataset: its classes.
      networks: name -> facts of the network.
      preprocessings: the table of preprocessings.

    Raises:
      UserError: if an option does not fit the network or the dataset, or needs a checkpoint.
    """
    run, model = config.run, config.model
    if model.moving_average_decay is not None:
        raise _checks.UserError(
            "moving_average_decay needs checkpoint_path: a graph without weights has no averages"
        )
    if config.data.dataset_split_name is not None:
        raise _checks.UserError(
            "dataset_split_name needs checkpoint_path: a graph without weights is compared with"
            " nothing"
        )
    name = _checks.one_of("model_name", model.model_name or MODEL_NAME, networks)
    network = networks[name]
    is_video = check_videos(name, networks, run)
    num_classes = dataset.logits(model.labels_offset or 0)
    size = run.image_size or (network.image_size, network.image_size)
    frames = (run.num_frames,) if is_video else ()
    gray = bool(model.use_grayscale)
    preprocessing = preprocessings.resolve_name(model.preprocessing_name or name)
    channels = preprocessings.prepared_channels(preprocessing, dataset.num_channels or 3, gray)
    return ResolvedGraph(
        model_name=name,
        num_classes=num_classes,
        input_shape=(run.batch_size, *frames, *size, channels),
        output_file=str(run.output_file),
        as_text=run.write_text_graphdef,
        quantized=bool(model.quantize),
    )
