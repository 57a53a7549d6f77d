"""Named outputs of layers: how a network collects its end points.

A layer called with `outputs_collections="vgg_16_end_points"` adds its output to that collection
under its scope's name, for the duration of the pass.
"""

from collections.abc import Iterable

import tensorflow as tf

from slim.passes import current_pass


def collect_named_outputs(
    collections: str | Iterable[str] | None, alias: str, outputs: tf.Tensor
) -> tf.Tensor:
    """Adds `outputs` as `alias` to each of the collections and returns it."""
    if collections:
        names = [collections] if isinstance(collections, str) else collections
        current_pass().add_output(names, alias.rstrip("/"), outputs)
    return outputs


def convert_collection_to_dict(
    collection: str, clear_collection: bool = False
) -> dict[str, tf.Tensor]:
    """Returns a collection's outputs by alias, in the order in which they were added."""
    return current_pass().get_outputs(collection, clear_collection)
