import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim import modes

BATCH, HEIGHT, WIDTH, DEPTH = 2, 3, 4, 5
IMAGES = np.arange(BATCH * HEIGHT * WIDTH * DEPTH, dtype=np.float32).reshape(
    BATCH, HEIGHT, WIDTH, DEPTH
)
# Element [column, image * HEIGHT + row] is the pixel [image, row, column].
SEQUENCE = np.stack([IMAGES[:, :, i].reshape(-1, DEPTH) for i in range(WIDTH)])


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("first", [False, True])
def test_images_and_sequences_are_inverse(mode, known, first):
    images = np.moveaxis(IMAGES, -1, 1) if first else IMAGES

    def to_sequence(x):
        x.set_shape([None] * 4)
        return slim.images_to_sequence(x, data_format="NCHW" if first else "NHWC")

    sequence, _ = modes.run(mode, to_sequence, images, known=known)
    np.testing.assert_array_equal(sequence, SEQUENCE)

    def to_images(x):
        x.set_shape([WIDTH, None, DEPTH])
        data_format = "channels_first" if first else "channels_last"
        return slim.sequence_to_images(x, HEIGHT, output_data_format=data_format)

    np.testing.assert_array_equal(modes.run(mode, to_images, SEQUENCE, known=known)[0], images)


@pytest.mark.parametrize(
    "batch, rows", [(BATCH, BATCH * HEIGHT), (None, None)], ids=["known", "unknown"]
)
def test_static_shapes(batch, rows):
    spec = tf.TensorSpec([batch, HEIGHT, WIDTH, DEPTH])
    to_sequence = tf.function(slim.images_to_sequence).get_concrete_function(spec)
    assert to_sequence.output_shapes.as_list() == [WIDTH, rows, DEPTH]
    to_images = tf.function(lambda x: slim.sequence_to_images(x, HEIGHT))
    shapes = to_images.get_concrete_function(tf.TensorSpec([WIDTH, rows, DEPTH])).output_shapes
    assert shapes.as_list() == [batch, HEIGHT, WIDTH, DEPTH]


@pytest.mark.parametrize("mode", modes.MODES)
def test_outputs_are_collected_under_the_name_of_the_layer(mode):
    names = []

    def layers(images):
        sequence = slim.images_to_sequence(images, outputs_collections="ends")
        slim.sequence_to_images(sequence, HEIGHT, outputs_collections="ends", scope="back")
        names[:] = slim.convert_collection_to_dict("ends")
        return sequence

    modes.run(mode, layers, IMAGES)
    assert names == ["ImagesToSequence", "back"]


def test_errors():
    with pytest.raises(ValueError, match="has to be either NCHW or NHWC. data_format='CHWN' is"):
        slim.images_to_sequence(IMAGES, data_format="CHWN")
    with pytest.raises(ValueError, match="expects input with rank 3, got 4"):
        slim.sequence_to_images(IMAGES, HEIGHT)
