"""Code to copy that prepares a picture as evaluation does, with Pillow and NumPy alone."""

from classifier.export.usage import templates
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing


def prepared(classifier: InferenceModel, batch_size: int) -> str:
    """Returns lines that read `picture.jpg` and make `images` of it; they need NumPy as `np` and
    Pillow's `Image`. Of a preprocessing without such lines, they read what was prepared elsewhere.

    Args:
      classifier: whose preprocessing they follow, with `info` and `image_size`.
      batch_size: how often the picture stands in `images`.
    """
    info = classifier.info
    name = preprocessing.own_preprocessing(info)
    channels, (height, width) = preprocessing.decoded_channels(info), classifier.image_size
    steps = f"steps_{name}.txt"
    if not templates.exists(steps):
        shape = [batch_size, height, width, info.num_channels]
        return templates.fill("prepared.txt", what="pictures", name=name, shape=shape)
    return templates.fill(
        "picture.txt",
        mode="RGB" if channels == 3 else "L",
        channels=channels,
        batch=batch_size,
        steps=templates.fill(
            steps,
            height=height,
            width=width,
            grey=templates.fill("grey.txt") + "\n" if info.use_grayscale else "",
            resize=templates.fill("resize.txt"),
        ),
    )
