"""MobileNets of versions 2 and 3, also under TF-Slim's module names.

`from nets.mobilenet import mobilenet_v2` works as in TF-Slim. Version 1 is `nets.mobilenet_v1`.
"""

from nets.mobilenet import blocks as conv_blocks
from nets.mobilenet import network as mobilenet
from nets.mobilenet import v2 as mobilenet_v2
from nets.mobilenet import v3 as mobilenet_v3

__all__ = ["conv_blocks", "mobilenet", "mobilenet_v2", "mobilenet_v3"]
