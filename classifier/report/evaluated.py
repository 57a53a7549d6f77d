"""The report of an evaluation: collects what it shows."""

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from classifier import inputs, ownership
from classifier.cli.exit_codes import ExitCode
from classifier.config.evaluation import EvalConfig
from classifier.inference import dataset_features
from classifier.inference import evaluate as evaluation
from classifier.inference.dataset_features import FeatureBatch
from classifier.inference.evaluate import Evaluated
from classifier.inference.model import InferenceModel
from classifier.inference.outcomes import LabelOutcomes, Outcomes
from classifier.metrics_file import MetricsFile
from classifier.report.data import ImageBytes, OtherSplit, ReportData
from classifier.report.page import write_report
from slim import _files
from slim.data import records
from slim.data.dataset import Dataset
from slim.metrics import LabelScores


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
    outcomes, scores = evaluated.details.outcomes, evaluated.details.scores
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
            scores=scores if isinstance(scores, LabelScores) else None,
        ),
    )
    print(f"report: {path}", flush=True)


def _similar(
    evaluated: Evaluated, outcomes: Outcomes | LabelOutcomes
) -> tuple[np.ndarray | None, OtherSplit | None]:
    """Returns the features of the images, and the split to search, if one is."""
    on_split, resolved = evaluated.on_split, evaluated.on_split.resolved
    name, batch_size = resolved.config.run.report_duplicates_of, resolved.config.run.batch_size
    if name is None:
        return None, None
    dataset = inputs.open_dataset(
        resolved.location,
        name,
        resolved.config.data.max_pixels,
        resolved.model,
    )
    own = _features(on_split.classifier, on_split.dataset, batch_size)
    others = _features(on_split.classifier, dataset, batch_size)
    rows = {place: row for row, place in enumerate(_places(own))}
    other = OtherSplit(
        name=name,
        features=others.features,
        shards=others.shards,
        records=others.records,
        filenames=others.filenames,
        image_bytes=image_bytes(dataset),
    )
    return own.features[[rows[place] for place in _places(outcomes)]], other


def _features(classifier: InferenceModel, dataset: Dataset, batch_size: int) -> FeatureBatch:
    """Returns the features of a split; bad images are skipped."""
    batches = dataset_features.read(classifier, dataset, batch_size, inputs.BadImages())
    *arrays, filenames = zip(*batches, strict=True)
    return FeatureBatch(*map(np.concatenate, arrays), list(itertools.chain(*filenames)))


def _places(images: FeatureBatch | Outcomes | LabelOutcomes) -> Iterator[tuple[int, int]]:
    return zip(images.shards.tolist(), images.records.tolist(), strict=True)


def image_bytes(dataset: Dataset) -> ImageBytes:
    """Returns a function that reads the encoded image of a shard and record."""
    read_record = _record_reader(dataset)

    def read(shard: int, record: int) -> bytes:
        serialized = read_record(shard, record)
        feature = tf.train.Example.FromString(serialized).features.feature["image/encoded"]
        return feature.bytes_list.value[0] if feature.bytes_list.value else b""

    return read


def _record_reader(dataset: Dataset) -> ImageBytes:
    if dataset.record_source is not None:
        return dataset.record_source.read
    counts = [None] * len(dataset.data_sources)
    offsets = records.find_all_records(dataset.data_sources, counts)

    def read(shard: int, record: int) -> bytes:
        with _files.open_regular(dataset.data_sources[shard]) as file:
            return records.record_range(file, offsets[shard], record)[:]

    return read
