"""Builds the `slim.data.Dataset` that reads a split of image records."""

from datasets import splits, tfrecords
from slim.data import dataset


def from_facts(facts: splits.SplitFacts) -> dataset.Dataset:
    """Returns the split, with the decoder of `tfrecords.image_decoder`."""
    decoder = tfrecords.image_decoder(facts.num_channels, *facts.extra_items)
    return dataset.Dataset(
        name=facts.name,
        split_name=facts.split_name,
        data_sources=facts.data_sources,
        shard_counts=facts.shard_counts,
        decoder=decoder,
        num_samples=facts.num_samples,
        num_classes=facts.num_classes,
        labels_to_names=facts.labels_to_names,
        items_to_descriptions={
            item: tfrecords.ITEMS_TO_DESCRIPTIONS[item] for item in decoder.list_items()
        },
    )
