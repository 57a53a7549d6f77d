"""The table of preprocessings: one row each.

A module is imported when it is asked for, so the table loads no TensorFlow.
"""

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nets.nets_factory import NETWORKS
from slim import _checks
from slim._problems import Problem, named


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreprocessingSpec:
    """One preprocessing.

    Attributes:
      module: module of `preprocessing` with `preprocess_for_train` and `preprocess_for_eval`.
      values: what the values of a prepared image are, in words.
      mean: of the pixel values, for all channels or for red, green and blue; a prepared value is
        (pixel - mean) / std. None: it depends on the image.
      std: likewise.
      switches: what can be switched off in training: names of arguments of `preprocess_for_train`.
      always_in_color: whether grayscale images get three channels too, unless one is requested.
    """

    module: str
    values: str
    mean: tuple[float, ...] | None = None
    std: float = 1.0
    switches: tuple[str, ...] = ()
    always_in_color: bool = False


PREPROCESSINGS: Mapping[str, PreprocessingSpec] = {
    "cifarnet": PreprocessingSpec(
        module="cifarnet_preprocessing",
        values="mean 0 and standard deviation 1 in each image",
        switches=("random_crop", "random_flip", "color_distortion"),
    ),
    "inception": PreprocessingSpec(
        module="inception_preprocessing",
        values="-1 to 1",
        mean=(127.5,),
        std=127.5,
        switches=("random_crop", "random_flip", "color_distortion"),
        always_in_color=True,
    ),
    "lenet": PreprocessingSpec(
        module="lenet_preprocessing", values="-1 to 0.992", mean=(128.0,), std=128.0
    ),
    "none": PreprocessingSpec(module="none_preprocessing", values="0 to 255", mean=(0.0,)),
    "vgg": PreprocessingSpec(
        module="vgg_preprocessing",
        values="0 to 255 minus 123.68, 116.78 and 103.94 for red, green and blue",
        mean=(123.68, 116.78, 103.94),
        switches=("random_crop", "random_flip"),
        always_in_color=True,
    ),
}

# Weights of red, green and blue in `tf.image.rgb_to_grayscale`.
_LUMA = (0.2989, 0.5870, 0.1140)

NETWORK_PREPROCESSINGS = {name: spec.preprocessing for name, spec in NETWORKS.items()}


def resolve_name(name: str) -> str:
    """Returns the preprocessing's name for the name of a preprocessing or a network.

    Raises:
      UserError: if it is neither; the message has the nearest names, and for a new network the
        table to edit.
    """
    if name == "ssd_vgg":
        raise _checks.UserError(
            Problem(
                "{} is not supported: it needs boxes, which a classifier does not have; in a"
                " detector, call preprocessing.ssd_vgg_preprocessing",
                named("preprocessing_name", repr(name)),
            )
        )
    if name in PREPROCESSINGS:
        return name
    if name not in NETWORK_PREPROCESSINGS:
        near = _checks.suggest(name, {**PREPROCESSINGS, **NETWORK_PREPROCESSINGS}) or "."
        raise _checks.UserError(
            f"no preprocessing is known for {name!r}{near} Known: {_checks.listed(PREPROCESSINGS)},"
            f" or a network's name. If {name!r} is a new network, add it to NETWORKS in"
            " nets/nets_factory.py"
        )
    return NETWORK_PREPROCESSINGS[name]


def prepared_channels(name: str, channels: int, use_grayscale: bool = False) -> int:
    """Returns the number of channels of a preprocessed image.

    Args:
      name: name of a preprocessing or a network.
      channels: number of channels of the original image, 1 or 3.
      use_grayscale: whether to convert to one channel.

    Raises:
      UserError: if the name is not known.
    """
    if use_grayscale:
        return 1
    return 3 if PREPROCESSINGS[resolve_name(name)].always_in_color else channels


def normalization(name: str, use_grayscale: bool = False) -> tuple[tuple[float, ...], float] | None:
    """Returns how pixels become the values of a prepared image: (pixel - mean) / std.

    Args:
      name: name of a preprocessing or a network.
      use_grayscale: whether images are converted to one channel.

    Returns:
      Mean, of one value or one per channel, and std. None if they depend on the image.

    Raises:
      UserError: if the name is not known.
    """
    spec = PREPROCESSINGS[resolve_name(name)]
    if spec.mean is None:
        return None
    if use_grayscale and len(spec.mean) == len(_LUMA):
        mixed = sum(weight * each for weight, each in zip(_LUMA, spec.mean, strict=True))
        return (mixed,), spec.std
    return spec.mean, spec.std


def check_switches(name: str, switches: Iterable[str]) -> None:
    """Checks that a preprocessing has the distortions to be switched.

    Args:
      name: name of a preprocessing or a network.
      switches: names, as in `PreprocessingSpec.switches`.

    Raises:
      UserError: for the first that it does not have; the message names the preprocessings that do.
    """
    own = resolve_name(name)
    for switch in switches:
        if switch not in PREPROCESSINGS[own].switches:
            others = [other for other, spec in PREPROCESSINGS.items() if switch in spec.switches]
            raise _checks.UserError(
                Problem(
                    "{} is not supported: preprocessing {!r} has no such distortion; it is"
                    " available in {}",
                    named(switch),
                    own,
                    ", ".join(others),
                )
            )


def get_preprocessing(
    name: str, is_training: bool = False, use_grayscale: bool = False
) -> Callable[..., Any]:
    """Returns the function that preprocesses one image.

    Args:
      name: name of a preprocessing, or of a network for the one it was trained with.
      is_training: whether to distort images at random; the function then expects `seed`, an int32
        tensor `[2]`.
      use_grayscale: whether to convert to one channel.

    Returns:
      `fn(image, height, width, **kwargs)`, with the keyword arguments of the module's
      `preprocess_for_train` or `preprocess_for_eval`.

    Raises:
      UserError: if the name is not known.
    """
    module = importlib.import_module(f".{PREPROCESSINGS[resolve_name(name)].module}", __package__)
    prepare = module.preprocess_for_train if is_training else module.preprocess_for_eval

    def preprocessing_fn(image: Any, height: int, width: int, **kwargs: Any) -> Any:
        return prepare(image, height, width, use_grayscale=use_grayscale, **kwargs)

    return preprocessing_fn


def get_augmentation(**settings: Any) -> Callable[..., Any]:
    """Returns `preprocessing.augmentation.Augmentation(**settings)`: distortions for any
    preprocessing, passed as its training argument `distort`."""
    return importlib.import_module(".augmentation", __package__).Augmentation(**settings)
