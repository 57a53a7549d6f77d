"""Options of `nets/mobilenet_v1_train.py` and `nets/mobilenet_v1_eval.py`, as in TF-Slim."""

import dataclasses

from classifier.config import bounds
from classifier.config.options import Options, option, required

# depth_multiplier -> network
NETWORKS = {
    1.0: "mobilenet_v1",
    0.75: "mobilenet_v1_075",
    0.5: "mobilenet_v1_050",
    0.25: "mobilenet_v1_025",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _NetworkOptions(Options):
    dataset_dir: str = required(
        "Directory of the dataset, in the form of ImageNet.", path="directory"
    )
    num_classes: int = option(1001, "Number of classes.", check=bounds.positive)
    image_size: int = option(224, "Height and width of the images.", check=bounds.positive)
    depth_multiplier: float = option(1.0, "Width of the network: 1.0, 0.75, 0.5 or 0.25.")
