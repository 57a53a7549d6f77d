"""Resolves an evaluation from the options, the dataset and model_info.json."""

import dataclasses

from classifier.config import problems
from classifier.config.evaluation import EvalConfig, EvaluationOptions
from classifier.config.problems import named
from classifier.model_info import ModelInfo
from classifier.resolve import model
from datasets import dataset_factory
from datasets.splits import SplitMetadata


@dataclasses.dataclass(frozen=True)
class ResolvedEvaluation:
    """A resolved evaluation.

    Attributes:
      config: the options.
      model: the model to evaluate.
      is_described: whether the model is described by the options only, without model_info.json.
      dataset_name: name of the dataset to evaluate on.
      image_size: height and width of the images, in pixels.
      num_images: number of images; each is evaluated once.
      num_batches: number of batches; the last one may be smaller.
    """

    config: EvalConfig
    model: ModelInfo
    is_described: bool
    dataset_name: str
    image_size: tuple[int, int]
    num_images: int
    num_batches: int

    @property
    def use_moving_averages(self) -> bool:
        """Whether the moving averages of the weights are used."""
        return self.model.moving_average_decay is not None


def check_evaluation(options: EvaluationOptions) -> None:
    """Checks the options of TF-Slim that have no effect here.

    Raises:
      UserError: if one of them is set.
    """
    if options.master:
        raise problems.error(
            "{} must be empty: evaluation runs in this process and needs no server",
            named("master", options.master),
        )


def evaluation(config: EvalConfig, info: ModelInfo | None) -> ResolvedEvaluation:
    """Resolves an evaluation.

    Args:
      config: the options.
      info: contents of model_info.json, or None if the checkpoint has none.

    Raises:
      UserError: if the dataset does not exist, an option contradicts `info`, the network is unknown
        or expects videos, or the classes of the dataset and the model differ.
    """
    name, data = evaluated_dataset(config, info), config.data
    metadata = dataset_factory.get_metadata(name, data.dataset_split_name, data.dataset_dir)
    return resolve_evaluation(config, info, metadata)


def evaluated_dataset(config: EvalConfig, info: ModelInfo | None) -> str:
    """Returns the name of the dataset to evaluate on.

    Raises:
      UserError: if neither the options nor model_info.json contain one.
    """
    name = config.data.dataset_name or (info.dataset_name if info else None)
    if name is None:
        raise problems.error("{} is required: {}", named("dataset_name"), model.NO_INFO)
    return name


def resolve_evaluation(
    config: EvalConfig, info: ModelInfo | None, dataset: SplitMetadata
) -> ResolvedEvaluation:
    """Returns `evaluation(config, info)` for a split whose metadata is known."""
    trained = model.trained_model(config.model, info, dataset)
    model.check_images(trained.model_name)
    most = config.run.max_num_batches
    batch_size = config.run.batch_size
    num_images = min(dataset.num_samples, most * batch_size if most else dataset.num_samples)
    return ResolvedEvaluation(
        config=config,
        model=trained,
        is_described=info is None,
        dataset_name=dataset.name,
        image_size=config.model.eval_image_size or trained.image_size,
        num_images=num_images,
        num_batches=-(-num_images // batch_size),
    )
