"""From an encoded record to an example: decoded and preprocessed image, and label."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from classifier.inputs import bad_images, large_images, shuffling
from classifier.inputs.labels import Labels
from slim import _cores
from slim.data import dataset as dataset_lib
from slim.data import encoded_images, image_header, image_layouts, tfexample_decoder

PreprocessingFn = Callable[..., tf.Tensor]
Example = dict[str, tf.Tensor]

# A call from tf.data costs a third of preparing a 32 x 32 image, so small images are prepared in
# chunks; for larger ones the additional copy would cost more.
_SMALL = 64 * 64  # pixels
_MAX_CHUNK = 64


def chunk_size(image_size: tuple[int, int], batch_size: int) -> int | None:
    """Returns the number of records to prepare per call, or None for single records.

    It divides the batch size: a bad example must not fail a batch that it is not part of.
    """
    if math.prod(image_size) > _SMALL:
        return None
    return max(size for size in range(1, _MAX_CHUNK + 1) if batch_size % size == 0)


@dataclasses.dataclass(frozen=True)
class Preparation:
    """Turns encoded records into examples.

    Attributes:
      dataset: the split.
      preprocessing_fn: `fn(image, height, width, seed=int32 [2])`, with the seed only in training.
      image_size: height and width of the result, in pixels.
      labels: of the split.
      seed: of the run, in training; combined with the example's position.
      skipped: collects the images that cannot be decoded, which then do not stop the iteration.
    """

    dataset: dataset_lib.Dataset
    preprocessing_fn: PreprocessingFn
    image_size: tuple[int, int]
    labels: Labels
    seed: int | None = None
    skipped: bad_images.BadImages | None = None

    def batches(
        self,
        records: tf.data.Dataset,
        batch_size: int,
        threads: int | None = None,
        *,
        drop_remainder: bool = False,
    ) -> tf.data.Dataset:
        """Returns batches of examples in the order of the records.

        Args:
          records: from `shuffling`, single or in chunks.
          batch_size: number of examples of a batch.
          threads: number of parallel calls; None for automatic.
          drop_remainder: whether to drop an incomplete last batch.
        """

        def prepared(prepare: Callable[[Example], Example], calls: int) -> tf.data.Dataset:
            # AutoGraph would turn the errors of a preprocessing into its own.
            prepare = tf.autograph.experimental.do_not_convert(prepare)
            return records.map(prepare, num_parallel_calls=calls, deterministic=True)

        if records.element_spec["serialized"].shape.rank:
            size = chunk_size(self.image_size, batch_size)
            several = functools.partial(self.several, size=size)
            # For such short calls autotuning costs a tenth of the time and finds no better number.
            examples = prepared(several, threads or 2 * _cores.usable_cores())
            return examples.rebatch(batch_size, drop_remainder=drop_remainder)
        examples = prepared(self.one, threads or tf.data.AUTOTUNE)
        return examples.batch(batch_size, drop_remainder=drop_remainder)

    def one(self, record: Example) -> Example:
        """Returns the example of a record from `shuffling`, with `image`, `label` and, if the
        dataset has it, `filename` in place of `serialized`; with `skipped` also `weight`."""
        numbers = dict(record)
        decoder = self.dataset.decoder
        features = decoder.parse(numbers.pop("serialized"), ["image", *self._items])
        example = self._labeled(features, numbers)
        return example | self._image(decoder, features, self._for_image(numbers))

    def several(self, records: Example, size: int) -> Example:
        """Returns the examples of a chunk of records.

        Only what differs in size or has a seed is done for one at a time: every operation costs as
        much as a tenth of decoding such an image.

        Args:
          records: the chunk.
          size: number of records; the last chunk may have fewer.
        """
        decoder, handler = self.dataset.decoder, large_images.handler_of(self.dataset)
        features = None
        if handler and self.labels.can_be_stacked:
            features = decoder.parse_several(records["serialized"], ["image", *self._items])
        if features is None:
            return _mapped(self.one, records)
        numbers = dict(records)
        del numbers["serialized"]
        own = {key: features[key] for key in handler.keys if key in features}
        if self.skipped is None:  # else the check of one image must not fail the others
            contents = image_header.bounded_several(own[handler.image_key], handler.max_pixels)
            own[handler.image_key] = contents
            decoder = decoder.with_max_pixels(None)
        parts = (own, self._for_image(numbers))
        images = self._images(decoder, handler.image_key, parts, size)
        return self._labeled(features, numbers) | images

    def _images(
        self,
        decoder: tfexample_decoder.TFExampleDecoder,
        image_key: str,
        parts: tuple[Example, Example],
        size: int,
    ) -> Example:
        """Returns `_image` of each example, of all at once if evaluation's images are alike."""

        def each() -> Example:
            return _mapped(lambda part: self._image(decoder, *part), parts)

        handler, contents = decoder.items_to_handlers["image"], parts[0][image_key]
        if self.seed is not None or self.skipped is not None or not handler.is_standard:
            return each()

        def together() -> Example:
            pixels = encoded_images.decode_alike(contents, handler.channels, size)
            images = tf.vectorized_map(
                lambda image: self.preprocessing_fn(image, *self.image_size), pixels, warn=False
            )
            return {"image": images}

        are_alike = tf.equal(tf.size(contents), size) & image_layouts.are_alike(contents)
        return tf.cond(are_alike, together, each)

    @functools.cached_property
    def _items(self) -> list[str]:
        has_name = "filename" in self.dataset.decoder.list_items()
        return [self.labels.item] + ["filename"] * has_name

    def _labeled(self, features: Example, numbers: Example) -> Example:
        """Returns the example, or several, without the image."""
        values = self.dataset.decoder.items_of(features, self._items)
        example = dict(zip(self._items, values, strict=True)) | numbers
        example["label"] = self.labels.of_example(example.pop(self.labels.item), example)
        return example

    def _for_image(self, numbers: Example) -> Example:
        """Returns those of the numbers that `_image` needs."""
        seed = {} if self.seed is None else {"seed": self._seeds(numbers)}
        place = ("shard", "record") if self.skipped else ()
        return seed | {key: numbers[key] for key in place}

    def _image(
        self, decoder: tfexample_decoder.TFExampleDecoder, features: Example, numbers: Example
    ) -> Example:
        """Returns `image`, with `skipped` also `weight`, of one example."""
        [encoded] = decoder.items_of(features, ["image"], images_encoded=True)

        def make_image() -> tf.Tensor:
            if self.seed is None:
                return self.preprocessing_fn(encoded_images.decode(encoded), *self.image_size)
            # Training may decode only a part of it.
            return self.preprocessing_fn(encoded, *self.image_size, seed=numbers["seed"])

        if self.skipped is not None:
            return self.skipped.attempt(numbers["shard"], numbers["record"], make_image)
        return {"image": make_image()}

    def _seeds(self, records: Example) -> tf.Tensor:
        """Returns the seed `[2]` of a record, or `[number, 2]` of stacked ones."""
        # `fold_in` costs as much as preparing a small image. Stateless ops hash their seeds, so it
        # is enough that the seeds differ.
        stream = shuffling.fold(shuffling.seed_pair(self.seed), shuffling.AUGMENTATION_STREAM)
        return tf.stack(
            [shuffling.fold(stream, 0)[0] + records["epoch"], records["index"]], axis=-1
        )


def _mapped(function: Callable[[Any], Example], elements: Any) -> Example:
    """Returns the function of each element, stacked."""
    # `map_fn` needs the types of the result. Its graph is smaller than one call per element.
    specs = tf.nest.map_structure(lambda each: tf.TensorSpec(each.shape[1:], each.dtype), elements)
    traced = tf.function(function, autograph=False).get_concrete_function(specs)
    signature = tf.nest.map_structure(tf.TensorSpec.from_tensor, traced.structured_outputs)
    return tf.map_fn(traced, elements, fn_output_signature=signature, parallel_iterations=1)
