"""Builds the `slim.data.Dataset` that reads a split of image records."""

from datasets import image_records, splits, tfrecords
from slim.data import dataset


def from_metadata(metadata: splits.SplitMetadata) -> dataset.Dataset:
    """Returns the split, with the decoder of `tfrecords.image_decoder`."""
    decoder = tfrecords.image_decoder(
        metadata.num_channels, *metadata.extra_items, multi_label=metadata.multi_label
    )
    return dataset.Dataset(
        name=metadata.name,
        split_name=metadata.split_name,
        data_sources=metadata.data_sources,
        shard_counts=metadata.shard_counts,
        shard_bytes=metadata.shard_bytes,
        record_source=image_records.ImageRecords(metadata) if metadata.items else None,
        decoder=decoder,
        num_samples=metadata.num_samples,
        usual_samples=metadata.usual_samples,
        num_classes=metadata.num_classes,
        labels_to_names=metadata.labels_to_names,
        items_to_descriptions={
            item: tfrecords.ITEMS_TO_DESCRIPTIONS[item] for item in decoder.list_items()
        },
    )
