"""From the facts about a split of image records to the `slim.data.Dataset` that reads it."""

from datasets import splits, tfrecords
from slim.data import dataset


def from_facts(facts: splits.SplitFacts, num_channels: int, *extras: str) -> dataset.Dataset:
    """Returns the split, with the decoder of `tfrecords.image_decoder`.

    Args:
      facts: what `splits.read_facts` found.
      num_channels: 1 or 3, where the directory does not say.
      *extras: further items; see `tfrecords.image_decoder`.
    """
    decoder = tfrecords.image_decoder(facts.num_channels or num_channels, *extras)
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
