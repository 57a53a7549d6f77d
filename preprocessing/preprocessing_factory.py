"""The preprocessings by name, and the one that each network was trained with.

A module is imported on first use, so the tables load no TensorFlow.
"""

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from slim import _checks

PREPROCESSINGS = {
    "cifarnet": ".cifarnet_preprocessing",
    "inception": ".inception_preprocessing",
    "lenet": ".lenet_preprocessing",
    "none": ".none_preprocessing",
    "vgg": ".vgg_preprocessing",
}

# Pixel values of a preprocessed image, for people.
VALUES = {
    "cifarnet": "mean 0 and standard deviation 1 in each image",
    "inception": "-1 to 1",
    "lenet": "-1 to 0.992",
    "none": "0 to 255",
    "vgg": "0 to 255 minus 123.68, 116.78 and 103.94 for red, green and blue",
}

# Training distortions that can be switched off: arguments of `preprocess_for_train`.
SWITCHES = {
    "cifarnet": ("random_crop", "random_flip", "color_distortion"),
    "inception": ("random_crop", "random_flip", "color_distortion"),
    "lenet": (),
    "none": (),
    "vgg": ("random_crop", "random_flip"),
}

# Those that output three channels for grayscale images too, unless one is requested.
_ALWAYS_IN_COLOR = ("inception", "vgg")

# Every network of `nets.nets_factory.NETWORKS`.
NETWORKS_OF = {
    "cifarnet": ("cifarnet",),
    "inception": (
        "i3d",
        "inception_resnet_v2",
        "inception_v1",
        "inception_v2",
        "inception_v3",
        "inception_v4",
        "mobilenet_edgetpu",
        "mobilenet_edgetpu_075",
        "mobilenet_v1",
        "mobilenet_v1_025",
        "mobilenet_v1_050",
        "mobilenet_v1_075",
        "mobilenet_v2",
        "mobilenet_v2_035",
        "mobilenet_v2_140",
        "mobilenet_v3_large",
        "mobilenet_v3_large_minimalistic",
        "mobilenet_v3_small",
        "mobilenet_v3_small_minimalistic",
        "nasnet_cifar",
        "nasnet_large",
        "nasnet_mobile",
        "pnasnet_large",
        "pnasnet_mobile",
        "s3dg",
    ),
    "lenet": ("lenet",),
    "vgg": (
        "alexnet_v2",
        "overfeat",
        "resnet_v1_101",
        "resnet_v1_152",
        "resnet_v1_200",
        "resnet_v1_50",
        "resnet_v2_101",
        "resnet_v2_152",
        "resnet_v2_200",
        "resnet_v2_50",
        "vgg_16",
        "vgg_19",
        "vgg_a",
    ),
}

NETWORK_PREPROCESSINGS = {
    network: name for name, networks in NETWORKS_OF.items() for network in networks
}


def resolve_name(name: str) -> str:
    """Returns the preprocessing's name for the name of a preprocessing or a network.

    Raises:
      UserError: if it is neither; the message has the nearest names, and for a new network the
        table to edit.
    """
    if name == "ssd_vgg":
        raise _checks.UserError(
            "preprocessing_name='ssd_vgg' is not supported: it needs boxes, which a classifier does"
            " not have; in a detector, call preprocessing.ssd_vgg_preprocessing"
        )
    if name in PREPROCESSINGS:
        return name
    if name not in NETWORK_PREPROCESSINGS:
        near = _checks.suggest(name, {**PREPROCESSINGS, **NETWORK_PREPROCESSINGS}) or "."
        raise _checks.UserError(
            f"no preprocessing is known for {name!r}{near} Known: {_checks.listed(PREPROCESSINGS)},"
            f" or a network's name. If {name!r} is a new network, add it to NETWORKS_OF in"
            " preprocessing/preprocessing_factory.py"
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
    return 3 if resolve_name(name) in _ALWAYS_IN_COLOR else channels


def check_switches(name: str, switches: Iterable[str]) -> None:
    """Checks that a preprocessing has the distortions to be switched.

    Args:
      name: name of a preprocessing or a network.
      switches: names, as in `SWITCHES`.

    Raises:
      UserError: for the first that it does not have; the message names the preprocessings that do.
    """
    own = resolve_name(name)
    for switch in switches:
        if switch not in SWITCHES[own]:
            others = [other for other, theirs in SWITCHES.items() if switch in theirs]
            raise _checks.UserError(
                f"{switch} is not supported: preprocessing {own!r} has no such distortion;"
                f" it is available in {', '.join(others)}"
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
    module = importlib.import_module(PREPROCESSINGS[resolve_name(name)], __package__)
    prepare = module.preprocess_for_train if is_training else module.preprocess_for_eval

    def preprocessing_fn(image: Any, height: int, width: int, **kwargs: Any) -> Any:
        return prepare(image, height, width, use_grayscale=use_grayscale, **kwargs)

    return preprocessing_fn


def get_augmentation(**settings: Any) -> Callable[..., Any]:
    """Returns `preprocessing.augmentation.Augmentation(**settings)`: distortions for any
    preprocessing, passed as its training argument `distort`."""
    return importlib.import_module(".augmentation", __package__).Augmentation(**settings)
