"""Pictures as a model wants them: its preprocessing, and the way there from encoded bytes."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from classifier.config.augmentation import AugmentationOptions
from classifier.model_info import ModelInfo
from preprocessing import preprocessing_factory
from slim._image_limits import MAX_PIXELS
from slim.data import image_header


def preprocessing_fn(
    info: ModelInfo, *, is_training: bool, **switches: Any
) -> Callable[..., tf.Tensor]:
    """Returns the model's preprocessing: `fn(image, height, width)`, in training also with
    `seed`; `switches` go to the training preprocessing."""
    prepare = preprocessing_factory.get_preprocessing(
        info.preprocessing_name, is_training=is_training, use_grayscale=info.use_grayscale
    )
    return functools.partial(prepare, **switches)


def augmentation_fn(options: AugmentationOptions) -> Callable[..., tf.Tensor] | None:
    """Returns what distorts each training picture beside its preprocessing, if anything does:
    from a picture with values 0 to 255 and a seed to such a picture."""
    if options.auto_augment is None and options.rand_augment is None and not options.random_erasing:
        return None
    return preprocessing_factory.get_augmentation(
        auto_augment=options.auto_augment,
        rand_augment=options.rand_augment,
        layers=options.rand_augment_layers,
        random_erasing=options.random_erasing,
    )


def encoded_image_fn(
    info: ModelInfo, image_size: tuple[int, int], max_pixels: int = MAX_PIXELS
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function that decodes and prepares one picture as evaluation does.

    Args:
      info: the network's preprocessing and channels.
      image_size: height and width of the result, in pixels.
      max_pixels: largest number of pixels of the picture.

    Returns:
      From the bytes of a JPEG, PNG, BMP, WebP or GIF (its first frame) to float32 [height, width,
      channels].
    """
    prepare = _decoding_fn(info, image_size)
    return lambda encoded: prepare(image_header.bounded(encoded, max_pixels))


def _decoding_fn(info: ModelInfo, image_size: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `encoded_image_fn` for bytes that are within the limits."""
    prepare, channels = picture_fn(info, image_size), decoded_channels(info)

    def from_bytes(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
        image.set_shape([None, None, channels])
        return prepare(image)

    return from_bytes


def decoded_channels(info: ModelInfo) -> int:
    """Returns the channels of a picture before preprocessing."""
    # A grayscale network reads colour and mixes it, so that any picture will do.
    return 3 if info.use_grayscale else info.num_channels


def prepared_values(info: ModelInfo) -> str:
    """Returns in words what the values of a prepared image are."""
    return preprocessing_factory.PREPROCESSINGS[own_preprocessing(info)].values


def own_preprocessing(info: ModelInfo) -> str:
    """Returns the preprocessing's own name, where the model may have it by a network's."""
    return preprocessing_factory.resolve_name(info.preprocessing_name)


def picture_fn(info: ModelInfo, image_size: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function that prepares one decoded picture as evaluation does: from uint8
    [height, width, `decoded_channels`] to float32 [*image_size, channels]."""
    prepare = preprocessing_fn(info, is_training=False)
    shape = [*image_size, info.num_channels]
    return lambda image: tf.ensure_shape(prepare(image, *image_size), shape)


def encoded_batch_fn(
    info: ModelInfo, image_size: tuple[int, int], max_pixels: int = MAX_PIXELS
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `encoded_image_fn` for a batch: from strings [batch] to [batch, height, width,
    channels].

    A bad picture is an error that names its index in the batch; in a plain graph, where there is no
    way to go on after the error of an op, only one that exceeds a limit is named.
    """
    prepare = _decoding_fn(info, image_size)
    shape = [*image_size, info.num_channels]

    def attempt(index: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, ...]:
        problem, contents = image_header.inspect(encoded, max_pixels)
        image = tf.cond(tf.equal(problem, ""), lambda: prepare(contents), lambda: tf.zeros(shape))
        return index, problem, image

    def from_batch(batch: tf.Tensor) -> tf.Tensor:
        count = tf.size(batch, tf.int64)
        numbered = tf.data.Dataset.from_tensor_slices((tf.range(count), batch))
        # A dataset is where TensorFlow lets an error be caught.
        done = numbered.map(_as_it_is(attempt), tf.data.AUTOTUNE).ignore_errors()
        last = tf.data.Dataset.from_tensors((count, "", tf.zeros(shape)))
        index, problem, image = done.concatenate(last).batch(count + 1).get_single_element()
        reasons = tf.tensor_scatter_nd_update(
            tf.fill([count + 1], _DAMAGED), index[:, tf.newaxis], problem
        )
        with tf.control_dependencies([_assert_good(reasons)]):
            return tf.ensure_shape(image[:-1], [batch.shape[0], *shape])

    def _named_in_graph(batch: tf.Tensor) -> tf.Tensor:
        def one(place: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            problem, contents = image_header.inspect(place[1], max_pixels)
            reasons = tf.tensor_scatter_nd_update(
                tf.fill([place[0] + 1], ""), [[place[0]]], [problem]
            )
            with tf.control_dependencies([_assert_good(reasons)]):
                return prepare(tf.identity(contents))

        spec = tf.TensorSpec(shape, tf.float32)
        numbers = tf.range(tf.size(batch))
        return tf.map_fn(_as_it_is(one), (numbers, batch), fn_output_signature=spec)

    traced = tf.function(from_batch, autograph=False)
    return lambda batch: _named_in_graph(batch) if image_header.in_plain_graph() else traced(batch)


_DAMAGED = "cannot be decoded"
# AutoGraph would turn the errors of a preprocessing into its own.
_as_it_is = tf.autograph.experimental.do_not_convert


def _assert_good(reasons: tf.Tensor) -> tf.Operation:
    """Stops with the index and the reason of each bad picture; those of good ones are empty."""
    bad = tf.where(tf.not_equal(reasons, ""))[:, 0]
    parts = tf.strings.join(["image ", tf.strings.as_string(bad), " ", tf.gather(reasons, bad)])
    message = tf.strings.reduce_join(parts, separator="; ")
    return tf.debugging.Assert(tf.equal(tf.size(bad), 0), [message])


def picture_batch_fn(
    info: ModelInfo, image_size: tuple[int, int]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `picture_fn` for a batch of pictures of one size."""
    return _mapped(picture_fn(info, image_size), info, image_size)


def _mapped(
    one: Callable[[tf.Tensor], tf.Tensor], info: ModelInfo, image_size: tuple[int, int]
) -> Callable[[tf.Tensor], tf.Tensor]:
    spec = tf.TensorSpec([*image_size, info.num_channels], tf.float32)
    return lambda batch: tf.map_fn(_as_it_is(one), batch, fn_output_signature=spec)
