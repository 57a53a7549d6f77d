"""What follows from the options, the facts and model_info.json when a trained model is put to use.

Pure functions, as in `resolve`. What the model says of itself fills what the options leave out; an
option that contradicts it is refused. The image size is no contradiction: convolutions take any.
"""

import dataclasses
from collections.abc import Iterator

from classifier import resolve
from classifier.config.export import DEFAULT_FORMATS, ExportConfig
from classifier.config.formats import FORMATS
from classifier.config.trained import EvalConfig, EvaluationOptions, ModelOptions, PredictConfig
from classifier.resolve import DatasetFacts, Networks, Preprocessings
from classifier.resolve_graph import Classes
from classifier.run_directory import ModelInfo
from slim import _checks


@dataclasses.dataclass(frozen=True)
class ResolvedEvaluation:
    """An evaluation, fully said.

    Attributes:
      config: the options.
      model: what is evaluated.
      image_size: height and width of the images, in pixels.
      num_images: images that will be looked at, each once.
      num_batches: batches that they make; the last one may be smaller.
    """

    config: EvalConfig
    model: ModelInfo
    image_size: tuple[int, int]
    num_images: int
    num_batches: int

    @property
    def use_moving_averages(self) -> bool:
        """Whether the moving averages take the place of the weights."""
        return self.model.moving_average_decay is not None


def check_evaluation(options: EvaluationOptions) -> None:
    """Refuses the original's flags that have nothing to act on.

    Raises:
      UserError: if one of them is set.
    """
    if options.master:
        raise _checks.UserError(
            f"master={options.master!r} is refused: evaluation runs in its own process and needs no"
            " server; leave it out"
        )


def evaluated_dataset(config: EvalConfig, info: ModelInfo | None) -> str:
    """Returns the name of the dataset to evaluate on.

    Raises:
      UserError: if neither the options nor the model information name one.
    """
    name = config.data.dataset_name or (info.dataset_name if info else None)
    if name is None:
        raise _checks.UserError(f"dataset_name is required: {_NO_INFO}")
    return name


def resolve_evaluation(
    config: EvalConfig,
    info: ModelInfo | None,
    dataset: DatasetFacts,
    networks: Networks,
    preprocessings: Preprocessings,
) -> ResolvedEvaluation:
    """Works out an evaluation.

    Args:
      config: the options.
      info: what model_info.json says, if the checkpoint has one.
      dataset: the facts of the split.
      networks: name -> facts of the network.
      preprocessings: the table of preprocessings.

    Raises:
      UserError: if an option contradicts `info`, nobody says what the network is, it takes videos,
        or the classes of the dataset are not the model's.
    """
    model = _model(config.model, info, dataset, networks, preprocessings)
    resolve.check_images(model.model_name, networks)
    most = config.run.max_num_batches
    batch_size = config.run.batch_size
    num_images = min(dataset.num_samples, most * batch_size if most else dataset.num_samples)
    return ResolvedEvaluation(
        config=config,
        model=model,
        image_size=config.model.eval_image_size or model.image_size,
        num_images=num_images,
        num_batches=-(-num_images // batch_size),
    )


@dataclasses.dataclass(frozen=True)
class ResolvedExport:
    """An export, fully said.

    Attributes:
      config: the options.
      model: what is exported.
      image_size: height and width of the images, in pixels.
      formats: names of what is written.
      dataset: whose images the formats are compared on, name and split; None for the digits that
        the project has inside.
    """

    config: ExportConfig
    model: ModelInfo
    image_size: tuple[int, int]
    formats: tuple[str, ...]
    dataset: tuple[str, str] | None


def exported_dataset(config: ExportConfig, info: ModelInfo | None) -> str | None:
    """Returns the name of the dataset whose classes the model knows, or None if nobody says it.

    Raises:
      UserError: if options say half of it.
    """
    data = config.data
    if data.dataset_dir is None:
        if data.dataset_split_name is not None:
            raise _checks.UserError("dataset_split_name needs dataset_dir")
        if info is not None and data.dataset_name is not None:
            raise _checks.UserError(
                "dataset_name needs dataset_dir: model_info.json beside the checkpoint says the"
                " classes"
            )
        return data.dataset_name
    name = data.dataset_name or (info.dataset_name if info else None)
    if name is None:
        raise _checks.UserError("dataset_name is required with dataset_dir: nothing else says it")
    return name


def resolve_export(
    config: ExportConfig,
    info: ModelInfo | None,
    dataset: DatasetFacts | Classes,
    networks: Networks,
    preprocessings: Preprocessings,
) -> ResolvedExport:
    """Works out an export; arguments and errors as in `resolve_evaluation`.

    Without a folder of images `dataset` is what is known all the same, if there is no `info`.
    """
    exported_dataset(config, info)
    model = _model(config.model, info, dataset, networks, preprocessings)
    images = None if isinstance(dataset, Classes) else dataset
    formats = config.run.formats or DEFAULT_FORMATS
    for name in formats:
        if FORMATS[name].measured and images is None:
            raise _checks.UserError(
                f"formats={name} needs dataset_dir: its accuracy is measured on real images"
                + (", and its ranges come from the training split" * FORMATS[name].calibrated)
            )
    if config.run.max_drop is not None and images is None:
        raise _checks.UserError("max_drop needs dataset_dir: accuracy is measured on real images")
    without = [name for name in formats if model.quantized and not FORMATS[name].rounds]
    if without:
        raise _checks.UserError(
            f"formats={','.join(without)} cannot hold the rounding of a run with quantize_delay:"
            " add quantize=false, which writes the weights unrounded"
        )
    return ResolvedExport(
        config=config,
        model=model,
        image_size=config.run.image_size or model.image_size,
        formats=formats,
        dataset=(images.name, images.split_name) if images else None,
    )


@dataclasses.dataclass(frozen=True)
class ResolvedPrediction:
    """A prediction, fully said: the options, the model, and how many classes to name."""

    config: PredictConfig
    model: ModelInfo
    top_k: int


def resolve_prediction(config: PredictConfig, info: ModelInfo | None) -> ResolvedPrediction:
    """Works out a prediction.

    Raises:
      UserError: if there is no model information.
    """
    if info is None:
        raise _checks.UserError(
            f"checkpoint_path={config.checkpoint_path!r} has no model_info.json beside it:"
            " only a folder that train_image_classifier.py made says what its classes are"
        )
    return ResolvedPrediction(config, info, min(config.top_k, info.num_classes))


_NO_INFO = "there is no model_info.json beside the checkpoint"


def _model(
    given: ModelOptions,
    info: ModelInfo | None,
    dataset: DatasetFacts | Classes,
    networks: Networks,
    preprocessings: Preprocessings,
) -> ModelInfo:
    """Returns what the model is, by its own information or else by the options and the dataset."""
    if info is None:
        return _described(given, dataset, networks, preprocessings)
    preprocessing = given.preprocessing_name
    wanted = {
        "model_name": given.model_name,
        "labels_offset": given.labels_offset,
        "use_grayscale": given.use_grayscale,
        "moving_average_decay": given.moving_average_decay,
        "preprocessing_name": preprocessing and preprocessings.resolve_name(preprocessing),
    }
    problems = [
        f"{name}={value!r} contradicts {getattr(info, name)!r} in model_info.json beside the"
        " checkpoint; leave it out"
        for name, value in wanted.items()
        if value is not None and value != getattr(info, name)
    ]
    if given.quantize and not info.quantized:
        problems.append(
            "quantize needs a run with quantize_delay: by model_info.json beside the checkpoint,"
            " this one has learned no ranges; leave it out"
        )
    problems = problems or list(_other_classes(info, dataset))
    if problems:
        raise _checks.UserError("\n".join(problems))
    # The weights as they were trained are an answer too.
    return dataclasses.replace(info, quantized=info.quantized and given.quantize is not False)


def described_network(given: ModelOptions, networks: Networks) -> str:
    """Returns the network of a checkpoint that only the options describe.

    Raises:
      UserError: if they do not name one, or none that is known.
    """
    if given.model_name is None:
        raise _checks.UserError(f"model_name is required: {_NO_INFO}")
    return _checks.one_of("model_name", given.model_name, networks)


def _described(
    given: ModelOptions,
    dataset: DatasetFacts | Classes,
    networks: Networks,
    preprocessings: Preprocessings,
) -> ModelInfo:
    name = described_network(given, networks)
    offset, gray = given.labels_offset or 0, bool(given.use_grayscale)
    preprocessing = preprocessings.resolve_name(given.preprocessing_name or name)
    label_names: tuple[str, ...] = ()
    if isinstance(dataset, Classes):
        num_classes = dataset.logits(offset)
    else:
        num_classes = resolve.num_classes(dataset, offset)
        label_names = resolve.label_names(dataset, offset)
    return ModelInfo(
        model_name=name,
        num_classes=num_classes,
        label_names=label_names,
        labels_offset=offset,
        image_size=resolve.square(networks[name]),
        num_channels=preprocessings.prepared_channels(
            preprocessing, dataset.num_channels or 3, gray
        ),
        preprocessing_name=preprocessing,
        use_grayscale=gray,
        moving_average_decay=given.moving_average_decay,
        quantized=bool(given.quantize),
        dataset_name=dataset.name,
    )


def _other_classes(info: ModelInfo, dataset: DatasetFacts | Classes) -> Iterator[str]:
    if isinstance(dataset, Classes):
        return
    num_classes = resolve.num_classes(dataset, info.labels_offset)
    if num_classes != info.num_classes:
        yield (
            f"dataset {dataset.name!r} has {num_classes} classes, the model {info.num_classes}"
            f" (both with labels_offset={info.labels_offset})"
        )
        return
    names = resolve.label_names(dataset, info.labels_offset)
    for index, (ours, theirs) in enumerate(zip(info.label_names, names, strict=False)):
        if ours != theirs:
            yield f"class {index} is {ours!r} in the model and {theirs!r} in {dataset.name!r}"
            return
