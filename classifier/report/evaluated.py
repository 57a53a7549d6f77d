"""The report of an evaluation: collects what it shows."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from classifier import inputs, ownership
from classifier.cli.exit_codes import ExitCode
from classifier.config.evaluation import EvalConfig
from classifier.inference import evaluate as evaluation
from classifier.inference.evaluate import Evaluated
from classifier.inference.model import InferenceModel
from classifier.inference.outcomes import Outcomes
from classifier.inputs import preprocessing
from classifier.metrics_file import MetricsFile
from classifier.report.data import ImageBytes, OtherSplit, ReportData
from classifier.report.page import write_report
from slim.data import records
from slim.data.dataset import Dataset


class Features(NamedTuple):
    """Features of a split's images, with their places: [images, channels], [images], [images]."""

    values: np.ndarray
    shards: np.ndarray
    records: np.ndarray


def evaluate(config: EvalConfig) -> ExitCode | None:
    """Evaluates, and writes the report if it is requested.

    Args:
      config: the options of `eval_image_classifier.py`.

    Raises:
      UserError, RunError: as `classifier.inference.evaluate.run`, or if `report_dir` holds files
        that no report wrote.
    """
    if config.run.report_dir is None:
        return evaluation.run(config)
    ownership.claim_report(config.run.report_dir)
    return evaluation.run(config, _write)


def _write(evaluated: Evaluated) -> None:
    """Writes the report of an evaluation.

    Raises:
      RunError: if the split to search for near-duplicates cannot be read.
    """
    on_split, resolved = evaluated.on_split, evaluated.on_split.resolved
    classifier, options, run = on_split.classifier, resolved.config.run, evaluated.checkpoint.run
    outcomes = evaluated.details.outcomes
    assert outcomes is not None, "kept for this"
    assert options.report_dir is not None, "the option that calls this"
    features, other = _similar(evaluated, outcomes)
    path = write_report(
        options.report_dir,
        ReportData(
            outcomes=outcomes,
            class_names=classifier.info.class_names,
            model=classifier.info,
            checkpoint=classifier.prefix,
            step=classifier.step,
            dataset=resolved.dataset_name,
            split=resolved.split_name,
            metrics=MetricsFile(run.metrics_path).read(),
            config=run.read_config(),
            image_bytes=image_bytes(on_split.dataset),
            features=features,
            other=other,
            thumbnails=options.report_thumbnails,
        ),
    )
    print(f"report: {path}", flush=True)


def _similar(
    evaluated: Evaluated, outcomes: Outcomes
) -> tuple[np.ndarray | None, OtherSplit | None]:
    """Returns the features of the images, and the split to search, if one is."""
    on_split, resolved = evaluated.on_split, evaluated.on_split.resolved
    name, batch_size = resolved.config.run.report_duplicates_of, resolved.config.run.batch_size
    if name is None:
        return None, None
    searched = inputs.open_dataset(
        resolved.dataset_name, name, resolved.dataset_dir, resolved.config.data.max_pixels
    )
    own = _features(on_split.classifier, on_split.dataset, batch_size)
    found = _features(on_split.classifier, searched, batch_size)
    rows = {place: row for row, place in enumerate(_places(own))}
    other = OtherSplit(
        name=name,
        features=found.values,
        shards=found.shards,
        records=found.records,
        filenames=[""] * len(found.shards),
        image_bytes=image_bytes(searched),
    )
    return own.values[[rows[place] for place in _places(outcomes)]], other


def _places(images: Features | Outcomes) -> Iterator[tuple[int, int]]:
    return zip(images.shards.tolist(), images.records.tolist(), strict=True)


def image_bytes(dataset: Dataset) -> ImageBytes:
    """Returns a function that reads the encoded image of a shard and record."""
    counts = [None] * len(dataset.data_sources)
    offsets = records.find_all_records(dataset.data_sources, counts)

    def read(shard: int, record: int) -> bytes:
        with open(dataset.data_sources[shard], "rb") as file:
            serialized = records.record_range(file, offsets[shard], record)[:]
        feature = tf.train.Example.FromString(serialized).features.feature["image/encoded"]
        return feature.bytes_list.value[0] if feature.bytes_list.value else b""

    return read


def _features(classifier: InferenceModel, dataset: Dataset, batch_size: int) -> Features:
    """Returns the features of a split's images; bad ones are skipped."""
    batches = inputs.evaluation_dataset(
        dataset,
        preprocessing_fn=preprocessing.preprocessing_fn(classifier.info, is_training=False),
        image_size=classifier.image_size,
        batch_size=batch_size,
        num_classes=dataset.num_classes,
        skipped=inputs.BadImages(),
    )
    network = tf.function(classifier.features, autograph=False)
    parts: list[list[np.ndarray]] = []
    with inputs.translate_errors(dataset):
        for batch in batches:
            mask = batch["mask"].numpy()
            values = (network(batch["image"]), batch["shard"], batch["record"])
            parts.append([np.asarray(each)[mask] for each in values])
    return Features(*(np.concatenate(each) for each in zip(*parts, strict=True)))
