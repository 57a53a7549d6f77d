"""Resolves the export of a network's graph without weights."""

import dataclasses

from classifier.config import problems
from classifier.config.export import ExportConfig, ExportOptions
from classifier.config.formats import FORMATS
from classifier.config.problems import named
from classifier.resolve import classes
from classifier.resolve.classes import Classes
from classifier.resolve.dataset_source import location_of
from datasets import dataset_factory
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory
from slim import _checks

# TF-Slim's defaults.
MODEL_NAME = "inception_v3"
DATASET_NAME = "imagenet"


@dataclasses.dataclass(frozen=True)
class ResolvedGraph:
    """A resolved graph without weights.

    Attributes:
      model_name: name of the network.
      num_classes: number of logits.
      input_shape: [batch, height, width, channels], or [batch, frames, height, width, channels] for
        videos. None: any size.
      output_file: path of the graph.
      as_text: whether to write text instead of binary.
      quantized: whether the layers round to 8 bits.
    """

    model_name: str
    num_classes: int
    input_shape: tuple[int | None, ...]
    output_file: str
    as_text: bool
    quantized: bool = False


def graph(config: ExportConfig) -> ResolvedGraph:
    """Resolves a graph. Without `dataset_dir`, the number of classes is the dataset's default.

    Args:
      config: the options, with `output_file`.

    Raises:
      UserError: if the dataset does not exist, or an option does not fit the dataset or the
        network, or needs a checkpoint.
    """
    check_inference(config.run)
    name, dataset_dir = config.data.dataset_name or DATASET_NAME, config.data.dataset_dir
    if dataset_dir is None:
        return resolve_graph(config, Classes(name, dataset_factory.get_spec(name).num_classes))
    metadata = dataset_factory.metadata_at(location_of(name, dataset_dir, config.source), "train")
    return resolve_graph(config, Classes(name, metadata.num_classes, metadata.num_channels))


def resolve_graph(config: ExportConfig, dataset: Classes) -> ResolvedGraph:
    """Returns `graph(config)` for a dataset whose classes are known."""
    run, model = config.run, config.model
    if model.moving_average_decay is not None:
        raise problems.error(
            "{} needs {}: a graph without weights has no averages",
            named("moving_average_decay"),
            named("checkpoint_path"),
        )
    if model.multi_label is not None:
        raise problems.error(
            "{} needs {}: a graph without weights ends as the network does",
            named("multi_label", model.multi_label),
            named("checkpoint_path"),
        )
    if config.data.dataset_split_name is not None:
        raise problems.error(
            "{} needs {}: a graph without weights has no accuracy",
            named("dataset_split_name"),
            named("checkpoint_path"),
        )
    name = _checks.one_of("model_name", model.model_name or MODEL_NAME, NETWORKS)
    is_video = check_videos(name, run)
    num_classes = classes.num_logits(
        dataset.logits(model.labels_offset or 0), dataset.name, model.num_classes
    )
    own_size = NETWORKS[name].image_size
    size = run.image_size or (own_size, own_size)
    frames = (run.num_frames,) if is_video else ()
    preprocessing = preprocessing_factory.resolve_name(model.preprocessing_name or name)
    channels = preprocessing_factory.prepared_channels(
        preprocessing, dataset.num_channels or 3, bool(model.use_grayscale)
    )
    return ResolvedGraph(
        model_name=name,
        num_classes=num_classes,
        input_shape=(run.batch_size, *frames, *size, channels),
        output_file=str(run.output_file),
        as_text=run.write_text_graphdef,
        quantized=bool(model.quantize),
    )


def check_inference(options: ExportOptions) -> None:
    """Checks that the graph is for inference.

    Raises:
      UserError: if a graph for training is requested.
    """
    if options.is_training:
        raise problems.error(
            "{} must be false: exported models are for inference", named("is_training")
        )


def check_videos(name: str, run: ExportOptions) -> bool:
    """Returns whether a network expects videos.

    Raises:
      UserError: if the options contradict it, or select an input or a format for images.
    """
    is_video = NETWORKS[name].input_rank == 5
    network = named("model_name", name)
    if is_video and not run.is_video_model:
        raise problems.error(
            "{} expects videos. Add {}, and {} if it is fixed",
            network,
            named("is_video_model"),
            named("num_frames"),
        )
    if run.is_video_model and not is_video:
        raise problems.error("{} expects images. Remove {}", network, named("is_video_model"))
    if is_video and run.input_type != "float_image":
        raise problems.error(
            "{} is for images, but {} expects preprocessed videos",
            named("input_type", run.input_type),
            network,
        )
    others = [each for each in run.formats or () if FORMATS[each].no_videos]
    if is_video and others:
        raise problems.error(
            "{} is for images, but {} expects videos: {}",
            named("formats", others),
            network,
            FORMATS[others[0]].no_videos,
        )
    return is_video
