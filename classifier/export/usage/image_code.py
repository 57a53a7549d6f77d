"""Sample code for preprocessing an image as in evaluation, with Pillow and NumPy only."""

from classifier.export.usage import templates
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.model_info import ModelInfo


def image_code(classifier: InferenceModel, batch_size: int) -> str:
    """Returns code that preprocesses `image.jpg` to `images`.

    It needs NumPy as `np` and Pillow's `Image`. For a preprocessing without a template, the code
    loads preprocessed images.

    Args:
      classifier: model with `info` and `image_size`.
      batch_size: number of copies of the image in `images`.
    """
    info = classifier.info
    name = preprocessing.own_preprocessing(info)
    channels, (height, width) = preprocessing.decoded_channels(info), classifier.image_size
    steps = f"steps_{name}.txt"
    if not templates.exists(steps):
        shape = [batch_size, height, width, info.num_channels]
        return templates.fill("preprocessed.txt", what="images", name=name, shape=shape)
    return templates.fill(
        "image.txt",
        load=loading_code(info),
        channels=channels,
        batch=batch_size,
        steps=templates.fill(
            steps,
            height=height,
            width=width,
            gray=templates.fill("gray.txt") + "\n" if info.use_grayscale else "",
            resize=templates.fill("resize.txt"),
        ),
    )


def loading_code(info: ModelInfo) -> str:
    """Returns code that decodes `image.jpg` to `image`, uint8, with Pillow."""
    mode = "RGB" if preprocessing.decoded_channels(info) == 3 else "L"
    on_white = templates.fill("on_white.txt", mode=mode)
    return templates.fill(f"load_{info.decoding}.txt", mode=mode, on_white=on_white)
