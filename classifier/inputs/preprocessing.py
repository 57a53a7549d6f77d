"""Pictures as a model wants them: its preprocessing, and the way there from encoded bytes."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from classifier.config.augmentation import AugmentationOptions
from classifier.model_info import ModelInfo
from preprocessing import preprocessing_factory


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
    info: ModelInfo, image_size: tuple[int, int]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function that decodes and prepares one picture as evaluation does.

    Args:
      info: the network's preprocessing and channels.
      image_size: height and width of the result, in pixels.

    Returns:
      From the bytes of a JPEG, PNG, BMP, WebP or GIF (its first frame) to float32 [height, width,
      channels].
    """
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
    info: ModelInfo, image_size: tuple[int, int]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `encoded_image_fn` for a batch: from strings [batch] to [batch, height, width,
    channels]."""
    return _mapped(encoded_image_fn(info, image_size), info, image_size)


def picture_batch_fn(
    info: ModelInfo, image_size: tuple[int, int]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `picture_fn` for a batch of pictures of one size."""
    return _mapped(picture_fn(info, image_size), info, image_size)


def _mapped(
    one: Callable[[tf.Tensor], tf.Tensor], info: ModelInfo, image_size: tuple[int, int]
) -> Callable[[tf.Tensor], tf.Tensor]:
    spec = tf.TensorSpec([*image_size, info.num_channels], tf.float32)
    # AutoGraph would turn the errors of a preprocessing into its own.
    one = tf.autograph.experimental.do_not_convert(one)
    return lambda batch: tf.map_fn(one, batch, fn_output_signature=spec)
