"""PNASNet-5 for ImageNet, mobile and large; see `variants.py` for the paper.

There is one kind of cell; a reduction is that cell with a stride of 2. All variables are at the top
level, as in NASNet.
"""

import dataclasses

from nets._variants import variant
from nets.nasnet.config import NasnetConfig
from nets.nasnet.nasnet import nasnet_mobile_arg_scope
from nets.nasnet.network import build_network
from nets.nasnet.variants import VARIANTS


def mobile_imagenet_config() -> NasnetConfig:
    """Returns the configuration of the mobile network for ImageNet."""
    return dataclasses.replace(VARIANTS["pnasnet_mobile"].config)


def large_imagenet_config() -> NasnetConfig:
    """Returns the configuration of the large network for ImageNet."""
    return dataclasses.replace(VARIANTS["pnasnet_large"].config)


build_pnasnet_mobile = variant(build_network, VARIANTS["pnasnet_mobile"])
build_pnasnet_large = variant(build_network, VARIANTS["pnasnet_large"], default_image_size=331)
# Both have the defaults of NASNet's mobile network, the penalty of 4e-5 on the weights included.
pnasnet_mobile_arg_scope = pnasnet_large_arg_scope = nasnet_mobile_arg_scope
