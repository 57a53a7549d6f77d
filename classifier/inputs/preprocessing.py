"""A model's preprocessing, for decoded and for encoded images."""

import functools
import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from classifier.config.augmentation import AugmentationOptions
from classifier.model_info import ModelInfo
from preprocessing import preprocessing_factory
from slim._image_limits import MAX_PIXELS, NO_IMAGE
from slim.data import image_decoding, image_header
from slim.graph import in_graph


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
    """Returns the augmentation in addition to the preprocessing, if there is any: a function of an
    image with values 0 to 255 and a seed."""
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
    """Returns the function that decodes and prepares one image as evaluation does.

    Args:
      info: the network's preprocessing and channels.
      image_size: height and width of the result, in pixels.
      max_pixels: maximum number of pixels of the image.

    Returns:
      From the bytes of a JPEG, PNG, BMP, WebP or GIF (its first frame) to float32 [height, width,
      channels].
    """
    prepare = _decoding_fn(info, image_size)
    return lambda encoded: prepare(image_header.bounded(encoded, max_pixels))


def _decoding_fn(info: ModelInfo, image_size: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `encoded_image_fn` for bytes that are within the limits."""
    prepare, channels = image_fn(info, image_size), decoded_channels(info)

    def from_bytes(encoded: tf.Tensor) -> tf.Tensor:
        return prepare(image_decoding.decode(encoded, channels, info.decoding))

    return from_bytes


def decoded_channels(info: ModelInfo) -> int:
    """Returns the channels of an image before preprocessing."""
    # A grayscale network decodes color and mixes it, so that it accepts any image.
    return 3 if info.use_grayscale else info.num_channels


def prepared_values(info: ModelInfo) -> str:
    """Describes the values of a prepared image."""
    return preprocessing_factory.PREPROCESSINGS[own_preprocessing(info)].values


def own_preprocessing(info: ModelInfo) -> str:
    """Returns the preprocessing's name; the model may refer to it by a network's."""
    return preprocessing_factory.resolve_name(info.preprocessing_name)


def image_fn(info: ModelInfo, image_size: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function that prepares one decoded image as evaluation does: from uint8
    [height, width, `decoded_channels`] to float32 [*image_size, channels]."""
    prepare = preprocessing_fn(info, is_training=False)
    shape = [*image_size, info.num_channels]
    return lambda image: tf.ensure_shape(prepare(image, *image_size), shape)


def normalization(info: ModelInfo) -> tuple[tuple[float, ...], float] | None:
    """Returns mean and std of `preprocessing_factory.normalization` for a model."""
    return preprocessing_factory.normalization(info.preprocessing_name, info.use_grayscale)


def pixels_fn(info: ModelInfo, image_size: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `image_fn` without its normalization: the cropped and resized pixels, uint8
    [*image_size, channels]. For a model with a `normalization`."""
    prepare = image_fn(info, image_size)
    mean, std = _known_normalization(info)

    def pixels(image: tf.Tensor) -> tf.Tensor:
        values = tf.round(prepare(image) * std + mean)
        return tf.cast(tf.clip_by_value(values, 0.0, 255.0), tf.uint8)

    return pixels


def normalize_fn(info: ModelInfo) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function from pixels of `pixels_fn`, or their values as float32, to a prepared
    image."""
    mean, std = _known_normalization(info)
    return lambda pixels: (tf.cast(pixels, tf.float32) - mean) / std


def _known_normalization(info: ModelInfo) -> tuple[tuple[float, ...], float]:
    known = normalization(info)
    assert known is not None, f"{info.preprocessing_name} has no normalization"
    return known


def encoded_batch_fn(
    info: ModelInfo, image_size: tuple[int, int], max_pixels: int = MAX_PIXELS
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `encoded_image_fn` for a batch: from strings [batch] to [batch, height, width,
    channels].

    A bad image is an error that names its index in the batch. In a plain graph, where nothing runs
    after the error of an op, only an image that exceeds a limit is named.
    """
    prepare = _decoding_fn(info, image_size)
    shape = [*image_size, info.num_channels]

    def attempt(index: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, ...]:
        problem, contents = image_header.traced_inspect(encoded, max_pixels)
        image = tf.cond(tf.equal(problem, ""), lambda: prepare(contents), lambda: tf.zeros(shape))
        return index, problem, image

    def from_batch(batch: tf.Tensor) -> tf.Tensor:
        count = tf.size(batch, tf.int64)
        numbered = tf.data.Dataset.from_tensor_slices((tf.range(count), batch))
        # Only tf.data can catch the error of an op.
        done = numbered.map(_without_autograph(attempt), tf.data.AUTOTUNE).ignore_errors()
        last = tf.data.Dataset.from_tensors((count, "", tf.zeros(shape)))
        index, problem, image = done.concatenate(last).batch(count + 1).get_single_element()
        damage = tf.where(image_header.is_known(batch), _DAMAGED, NO_IMAGE)
        reasons = tf.tensor_scatter_nd_update(
            tf.concat([damage, [""]], 0), index[:, tf.newaxis], problem
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
        return tf.map_fn(_without_autograph(one), (numbers, batch), fn_output_signature=spec)

    traced = tf.function(from_batch, autograph=False)
    return lambda batch: _named_in_graph(batch) if in_graph() else traced(batch)


_DAMAGED = "cannot be decoded"
# AutoGraph would turn the errors of a preprocessing into its own.
_without_autograph = tf.autograph.experimental.do_not_convert


def _assert_good(reasons: tf.Tensor) -> tf.Operation:
    """Asserts that all reasons are empty; the message names index and reason of bad images."""
    bad = tf.where(tf.not_equal(reasons, ""))[:, 0]
    parts = tf.strings.join(["image ", tf.strings.as_string(bad), " ", tf.gather(reasons, bad)])
    message = tf.strings.reduce_join(parts, separator="; ")
    return tf.debugging.Assert(tf.equal(tf.size(bad), 0), [message])


def image_batch_fn(
    info: ModelInfo, image_size: tuple[int, int]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `image_fn` for a batch of images of one size."""
    return _mapped(image_fn(info, image_size), info, image_size)


def _mapped(
    one: Callable[[tf.Tensor], tf.Tensor], info: ModelInfo, image_size: tuple[int, int]
) -> Callable[[tf.Tensor], tf.Tensor]:
    spec = tf.TensorSpec([*image_size, info.num_channels], tf.float32)
    return lambda batch: tf.map_fn(_without_autograph(one), batch, fn_output_signature=spec)


def decoding_problem(error: tf.errors.OpError | UnicodeDecodeError) -> str:
    """Returns why an image cannot be decoded, from TensorFlow's error.

    A message of TensorFlow may contain the bytes of the image, which are then not UTF-8.
    """
    message = "" if isinstance(error, UnicodeDecodeError) else str(error.message)
    problem = image_header.find_problem(message)
    if problem is not None:
        return problem
    if "Unknown image file format" in message:
        return NO_IMAGE
    text = re.sub(r"\{\{.*?\}\} ?", "", (message.strip().splitlines() or [""])[0])
    is_vague = not text or text.startswith("Graph execution error")
    return "cannot be decoded" if is_vague else f"cannot be decoded: {text[:120]}"
