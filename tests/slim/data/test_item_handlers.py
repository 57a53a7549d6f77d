"""Item handlers in eager code and in a plain graph, with hand-calculated values."""

import numpy as np
import pytest
import tensorflow as tf

from slim.data import tfexample_decoder as decoders

INTS, FLOATS, TEXTS = (tf.io.VarLenFeature(kind) for kind in (tf.int64, tf.float32, tf.string))


@pytest.fixture(params=["eager", "graph"])
def run(request):
    """Returns a function that evaluates a function of no arguments."""

    def evaluate(function):
        if request.param == "eager":
            return tf.nest.map_structure(tf.get_static_value, function(), expand_composites=True)
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            item = function()
            session.run(tf.compat.v1.tables_initializer())
            return session.run(item)

    evaluate.is_graph = request.param == "graph"
    return evaluate


def record(**features):
    example = tf.train.Example()
    for key, values in features.items():
        kind = {int: "int64_list", float: "float_list", bytes: "bytes_list"}[type(values[0])]
        getattr(example.features.feature[key], kind).value.extend(values)
    return example.SerializeToString()


def decode(handler, features, **values):
    return decoders.TFExampleDecoder(features, {"item": handler}).decode(record(**values))[0]


def sequence_record(**features):
    example = tf.train.SequenceExample()
    for key, frames in features.items():
        for frame in frames:
            feature = example.feature_lists.feature_list[key].feature.add()
            feature.float_list.value.extend(frame)
    return example


def decode_sequence(handler, feature=FLOATS, **values):
    features = dict.fromkeys(values, feature)
    decoder = decoders.TFSequenceExampleDecoder({}, features, {"item": handler})
    return decoder.decode(sequence_record(**values).SerializeToString())[0]


# ---- examples ------------------------------------------------------------------------------------


def test_callback_receives_its_own_features(run):
    seen = []

    def double(keys_to_tensors):
        seen.append(sorted(keys_to_tensors))
        return 2 * keys_to_tensors["x"].values

    features = {"x": INTS, "y": INTS}
    for keys in ("x", ["x", "y"]):
        handler = decoders.ItemHandlerCallback(keys, double)
        assert run(lambda h=handler: decode(h, features, x=[1, 2], y=[3])).tolist() == [2, 4]
    assert seen == [["x"], ["x", "y"]]


def test_missing_elements_have_the_default_of_their_type(run):
    sparse = tf.io.SparseFeature("i", "v", tf.string, 4)
    for default, expected in (("-", b"-"), (0, b""), ("", b"")):
        handler = decoders.Tensor("x", default_value=default)
        item = run(lambda h=handler: decode(h, {"x": sparse}, i=[1], v=[b"a"]))
        assert item.tolist() == [expected, b"a", expected, expected]
    sparse = tf.io.SparseFeature("i", "v", tf.int64, 3)
    for default, expected in ((-1, -1), ("", 0)):
        handler = decoders.Tensor("x", default_value=default)
        item = run(lambda h=handler: decode(h, {"x": sparse}, i=[1], v=[7]))
        assert item.tolist() == [expected, 7, expected]


def table():
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer([b"cat", b"dog"], tf.constant([0, 1], tf.int64)), -1
    )


def test_lookup_tensor_may_be_reshaped(run):
    values = {"x": [b"dog", b"cow"], "s": [2, 1]}
    for shape in ({"shape_keys": "s"}, {"shape": [2, 1]}):
        item = run(
            lambda shape=shape: decode(
                decoders.LookupTensor("x", table(), **shape), {"x": TEXTS, "s": INTS}, **values
            )
        )
        assert item.tolist() == [[1], [-1]]


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"label": [5], "text": [b"dog"]}, [5]),
        ({"text": [b"dog", b"cat"]}, [1, 0]),
        ({"label": [6]}, [6]),
    ],
)
def test_backup_handler_replaces_an_empty_item(run, values, expected):
    def item():
        backup = decoders.LookupTensor("text", table())
        handler = decoders.BackupHandler(decoders.Tensor("label"), backup)
        assert handler.keys == ["label", "text"]
        return decode(handler, {"label": INTS, "text": TEXTS}, **values)

    assert run(item).tolist() == expected


def test_backup_handler_needs_two_handlers():
    label = decoders.Tensor("label")
    for name, pair in (("handler", ("label", label)), ("backup", (label, None))):
        with pytest.raises(
            ValueError, match=f"{name}=.* of a BackupHandler must be an ItemHandler"
        ):
            decoders.BackupHandler(*pair)


@pytest.mark.parametrize("indices", [INTS, tf.io.FixedLenFeature([2], tf.int64)])
def test_sparse_tensor_fits_its_largest_index(run, indices):
    def item(values, **kwargs):
        handler = decoders.SparseTensor(values_key="v", **kwargs)
        return run(
            lambda: decode(handler, {"indices": indices, "v": FLOATS}, v=[5.0, 7.0], **values)
        )

    assert item({"indices": [0, 3]}, densify=True).tolist() == [5, 0, 0, 7]
    assert item({"indices": [0, 2]}, densify=True, default_value=-1.0).tolist() == [5, -1, 7]
    sparse = item({"indices": [0, 3]})
    # TF-Slim's shape is that of the indices.
    assert list(sparse.dense_shape) == [2 if run.is_graph else 4]
    assert np.array_equal(sparse.indices, [[0], [3]])
    assert item({"indices": [0, 3]}, shape=np.array([6])).dense_shape == [6]


def test_sparse_tensor_of_a_sequence_has_two_axes(run):
    def item():
        handler = decoders.SparseTensor("i", "v", densify=True)
        return decode_sequence(handler, i=[[0.0, 2.0], [], [1.0]], v=[[1.0, 2.0], [], [3.0]])

    assert run(item).tolist() == [[1, 0, 2], [0, 0, 0], [0, 3, 0]]


def test_bounding_box_of_dense_sides_and_own_keys(run):
    features = {f"p/{side}": tf.io.FixedLenFeature([2], tf.float32) for side in "abcd"}
    handler = decoders.BoundingBox(list("abcd"), "p/")
    values = {f"p/{side}": [float(i), i + 0.5] for i, side in enumerate("abcd")}
    item = run(lambda: decode(handler, features, **values))
    assert item.tolist() == [[0, 1, 2, 3], [0.5, 1.5, 2.5, 3.5]]


# ---- sequences -----------------------------------------------------------------------------------

SIDES = {"ymin": [[1, 2], [3]], "xmin": [[4, 5], [6]], "ymax": [[7, 8], [9]], "xmax": [[0, 1], [2]]}
BOXES = [[[1, 4, 7, 0], [2, 5, 8, 1]], [[3, 6, 9, 2], [-1, -1, -1, -1]]]


def test_bounding_boxes_of_a_sequence(run):
    handler = decoders.BoundingBoxSequence()
    assert run(lambda: decode_sequence(handler, **SIDES)).tolist() == BOXES
    sparse = run(lambda: decode_sequence(decoders.BoundingBoxSequence(return_dense=False), **SIDES))
    assert list(sparse.dense_shape) == [2, 2, 4]
    assert len(sparse.values) == 12
    with pytest.raises(ValueError, match="keys=.'a',. of a BoundingBoxSequence must be 4 names"):
        decoders.BoundingBoxSequence(["a"])


def test_keypoints_of_a_sequence(run):
    handler = decoders.KeypointsSequence(prefix="k/", default_value=0.5)
    points = {"k/y": [[1], [2, 3]], "k/x": [[4], [5, 6]]}
    expected = [[[1, 4], [0.5, 0.5]], [[2, 5], [3, 6]]]
    assert run(lambda: decode_sequence(handler, **points)).tolist() == expected
    with pytest.raises(ValueError, match="of a KeypointsSequence must be 2 names"):
        decoders.KeypointsSequence(["a"])


def test_boxes_of_a_sequence_are_counted(run):
    def counts(keys, check=True, **values):
        handler = decoders.NumBoxesSequence(keys, check)
        return run(lambda: decode_sequence(handler, **values)).tolist()

    a, b = [[1.0, 2.0], [], [3.0]], [[1.0, 2.0], [3.0], [4.0]]
    assert counts("a", a=a) == [2, 0, 1]
    assert counts("a", a=[[], []]) == [0, 0]
    assert counts(["a", "b"], a=a, b=a) == [2, 0, 1]
    assert counts(["a", "b"], check=False, a=a, b=b) == [2, 0, 1]
    with pytest.raises(tf.errors.InvalidArgumentError):
        counts(["a", "b"], a=a, b=b)


def test_number_of_boxes_needs_sparse_features():
    with pytest.raises(ValueError, match="keys of a NumBoxesSequence must name at least one"):
        decoders.NumBoxesSequence()
    dense = tf.io.FixedLenSequenceFeature([1], tf.float32)
    with pytest.raises(ValueError, match="'a': its tensor must be of type tf.SparseTensor"):
        decode_sequence(decoders.NumBoxesSequence("a"), dense, a=[[1.0]])


def test_context_and_frames_of_a_sequence(run):
    example = sequence_record(x=[[1, 2], [3, 4]])
    example.context.feature["name"].bytes_list.value.append(b"clip")
    decoder = decoders.TFSequenceExampleDecoder(
        {"name": tf.io.FixedLenFeature([], tf.string)},
        {"x": tf.io.FixedLenSequenceFeature([2], tf.float32)},
        {"name": decoders.Tensor("name"), "frames": decoders.Tensor("x")},
    )
    assert decoder.list_items() == ["name", "frames"]
    frames, name = run(lambda: decoder.decode(example.SerializeToString(), ["frames", "name"]))
    assert (frames.tolist(), name) == ([[1, 2], [3, 4]], b"clip")
    assert run(lambda: decoder.decode(example.SerializeToString(), ["name"])) == [b"clip"]
    with pytest.raises(ValueError, match=r"Features \['x'\] are both context and sequence"):
        decoders.TFSequenceExampleDecoder({"x": INTS}, {"x": INTS}, {})
    with pytest.raises(ValueError, match=r"\['y'\], .* keys_to_sequence_features. Known: x"):
        decoders.TFSequenceExampleDecoder({"x": INTS}, {}, {"item": decoders.Tensor("y")})
