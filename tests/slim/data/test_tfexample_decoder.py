"""All item handlers, on serialized examples with known values."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from slim import _checks
from slim.data import tfexample_decoder as decoders

RGB = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3) * 2


def serialized(**features):
    example = tf.train.Example()
    for key, value in features.items():
        feature = example.features.feature[key.replace("__", "/")]
        values = np.ravel(value).tolist()
        if isinstance(values[0], int):
            feature.int64_list.value.extend(values)
        elif isinstance(values[0], float):
            feature.float_list.value.extend(values)
        else:
            feature.bytes_list.value.extend(values)
    return example.SerializeToString()


def encoded(kind, mode="RGB", pixels=RGB):
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def image_decoder(**kwargs):
    return decoders.TFExampleDecoder(
        {
            "image/encoded": tf.io.FixedLenFeature([], tf.string),
            "image/format": tf.io.FixedLenFeature([], tf.string, default_value="jpeg"),
            "image/class/label": tf.io.FixedLenFeature([], tf.int64),
        },
        {
            "image": decoders.Image(**kwargs),
            "label": decoders.Tensor("image/class/label"),
            "bytes": decoders.Tensor("image/encoded"),
        },
    )


def test_features_of_fixed_sizes_are_parsed_for_several_records_at_once():
    records = [serialized(image__encoded=b"a" * n, image__class__label=n) for n in (1, 3, 2)]
    decoder = image_decoder()
    several = decoder.parse_several(tf.constant(records), ["label", "bytes"])
    for number, record in enumerate(records):
        one = decoder.parse(tf.constant(record), ["label", "bytes"])
        assert {key: value[number].numpy() for key, value in several.items()} == {
            key: value.numpy() for key, value in one.items()
        }


def test_features_of_other_sizes_are_not_parsed_for_several_records_at_once():
    features = {"image/class/label": tf.io.VarLenFeature(tf.int64)}
    decoder = decoders.TFExampleDecoder(features, {"label": decoders.Tensor("image/class/label")})
    assert decoder.parse_several(tf.constant([b""]), ["label"]) is None


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
@pytest.mark.parametrize("name", [b"jpeg", b"PNG", b"nonsense"])
def test_images_are_decoded_by_content_whatever_the_format_field_is(kind, name):
    record = serialized(image__encoded=encoded(kind), image__format=name, image__class__label=3)
    image, label, raw = image_decoder().decode(record)
    np.testing.assert_array_equal(image, RGB)
    assert image.dtype == tf.uint8
    assert (int(label), raw.numpy()) == (3, encoded(kind))


@pytest.mark.parametrize(
    "kind,mode,channels",
    [
        ("PNG", "L", 1),
        ("PNG", "L", 3),
        ("PNG", "P", 3),
        ("PNG", "RGB", 1),
        ("PNG", "RGBA", 3),
        ("JPEG", "L", 1),
        ("JPEG", "L", 3),
        ("JPEG", "RGB", 1),
        ("JPEG", "CMYK", 3),
        ("GIF", "P", 3),
    ],
)
def test_images_are_converted_to_the_requested_channels(kind, mode, channels):
    record = serialized(image__encoded=encoded(kind, mode), image__class__label=0)
    (image,) = image_decoder(channels=channels).decode(record, ["image"])
    assert image.shape == (4, 8, channels)


def test_raw_pixels_are_reshaped():
    decoder = image_decoder(shape=(4, 8, 3))
    record = serialized(image__encoded=RGB.tobytes(), image__format=b"RAW", image__class__label=0)
    np.testing.assert_array_equal(decoder.decode(record, ["image"])[0], RGB)
    record = serialized(image__encoded=encoded("PNG"), image__format=b"png", image__class__label=0)
    np.testing.assert_array_equal(decoder.decode(record, ["image"])[0], RGB)


def test_traced_image_has_a_static_number_of_channels():
    decoder = image_decoder(channels=1)
    traced = tf.function(lambda s: decoder.decode(s, ["image"])[0], autograph=False)
    spec = traced.get_concrete_function(tf.TensorSpec([], tf.string)).structured_outputs
    assert spec.shape.as_list() == [None, None, 1]


def test_items_that_are_not_requested_are_not_decoded():
    record = serialized(image__encoded=b"not an image", image__class__label=4)
    assert image_decoder().list_items() == ["image", "label", "bytes"]
    label, raw = image_decoder().decode(record, ["label", "bytes"])
    assert (int(label), raw.numpy()) == (4, b"not an image")


def test_unknown_item_is_an_error():
    with pytest.raises(_checks.UserError, match="item='lable' is not known; did you mean 'label'"):
        image_decoder().decode(b"", ["lable"])


def test_no_items_are_all_items_as_in_tf_slim():
    record = serialized(image__encoded=encoded("PNG"), image__class__label=4)
    assert len(image_decoder().decode(record, [])) == 3


def test_handler_without_its_feature_is_an_error():
    with pytest.raises(ValueError, match=r"item 'label' needs the features \['b'\],.* Known: a"):
        decoders.TFExampleDecoder(
            {"a": tf.io.FixedLenFeature([], tf.int64)}, {"label": decoders.Tensor("b")}
        )


def decode_one(handler, features, **values):
    return decoders.TFExampleDecoder(features, {"item": handler}).decode(serialized(**values))[0]


def test_tensor_handler_returns_dense_sparse_and_reshaped_features():
    ints = {"x": tf.io.VarLenFeature(tf.int64)}
    assert decode_one(decoders.Tensor("x"), ints, x=[1, 2]).numpy().tolist() == [1, 2]
    item = decode_one(decoders.Tensor("x", shape=[2, 1]), ints, x=[1, 2])
    assert item.numpy().tolist() == [[1], [2]]
    text = {"x": tf.io.VarLenFeature(tf.string)}
    assert decode_one(decoders.Tensor("x"), text, x=[b"a"]).numpy().tolist() == [b"a"]


@pytest.mark.parametrize("kind", [tf.io.VarLenFeature, lambda t: tf.io.FixedLenFeature([], t)])
def test_tensor_shape_may_be_read_from_the_record(kind):
    features = {"x": tf.io.VarLenFeature(tf.int64), "h": kind(tf.int64), "w": kind(tf.int64)}
    handler = decoders.Tensor("x", shape_keys=["h", "w"])
    item = decode_one(handler, features, x=range(6), h=2, w=3)
    assert item.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
    features = {"x": tf.io.VarLenFeature(tf.int64), "s": tf.io.VarLenFeature(tf.int64)}
    item = decode_one(decoders.Tensor("x", shape_keys="s"), features, x=range(6), s=[3, 1, 2])
    assert item.shape == (3, 1, 2)
    features = {"i": tf.io.VarLenFeature(tf.int64), "v": tf.io.VarLenFeature(tf.float32)}
    handler = decoders.SparseTensor("i", "v", shape_key="n", densify=True)
    item = decode_one(handler, features | {"n": kind(tf.int64)}, i=[1], v=[2.0], n=4)
    assert item.numpy().tolist() == [0, 2, 0, 0]
    with pytest.raises(ValueError, match="shape_keys and shape of a Tensor are mutually"):
        decoders.Tensor("x", shape_keys="s", shape=[1])
    handler = decoders.SparseTensor("i", "v", shape_key="n", shape=[1])
    item = decode_one(handler, features | {"n": kind(tf.int64)}, i=[1], v=[2.0], n=4)
    assert item.dense_shape.numpy().tolist() == [4]


def test_lookup_tensor_maps_strings_to_indices():
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["cat", "dog"], tf.constant([0, 1], tf.int64)), -1
    )
    features = {"x": tf.io.FixedLenFeature([2], tf.string)}
    item = decode_one(decoders.LookupTensor("x", table), features, x=[b"dog", b"cow"])
    assert item.numpy().tolist() == [1, -1]


def test_sparse_tensor_combines_indices_and_values():
    features = {"i": tf.io.VarLenFeature(tf.int64), "v": tf.io.VarLenFeature(tf.float32)}
    handler = decoders.SparseTensor("i", "v", densify=True, default_value=-1.0)
    assert decode_one(handler, features, i=[0, 3], v=[5.0, 7.0]).numpy().tolist() == [5, -1, -1, 7]
    item = decode_one(decoders.SparseTensor("i", "v", shape=[6]), features, i=[2], v=[1.0])
    assert tf.sparse.to_dense(item).numpy().tolist() == [0, 0, 1, 0, 0, 0]


def test_bounding_box_stacks_its_four_features():
    keys = [f"box/{side}" for side in ("ymin", "xmin", "ymax", "xmax")]
    features = {key: tf.io.VarLenFeature(tf.float32) for key in keys}
    item = decode_one(
        decoders.BoundingBox(prefix="box/"),
        features,
        box__ymin=[0.0, 0.5],
        box__xmin=[0.125, 0.25],
        box__ymax=[1.0, 0.75],
        box__xmax=[0.5, 1.0],
    )
    assert item.numpy().tolist() == [[0, 0.125, 1, 0.5], [0.5, 0.25, 0.75, 1]]
    with pytest.raises(ValueError, match="of a BoundingBox must be 4 names"):
        decoders.BoundingBox(["a"])
