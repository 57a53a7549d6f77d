"""Summaries: ops of a graph in TensorFlow 1's collection, events of a writer elsewhere."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import summaries
from slim.recompute import segment

v1 = tf.compat.v1
RANDOM = np.random.default_rng(0)
VALUES = np.maximum(RANDOM.normal(size=[4, 5]), 0).astype(np.float32)
ZEROS = float((VALUES == 0).mean())
IMAGES = RANDOM.normal(size=[4, 3, 2, 3]).astype(np.float32)


def ops():
    """Returns the serialized values of this graph's summary ops, by tag."""
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        results = session.run(v1.get_collection(v1.GraphKeys.SUMMARIES))
    return {value.tag: value for each in results for value in v1.Summary.FromString(each).value}


def written(directory):
    """Returns (step, tag, plugin, array) of each value in a directory's event files."""
    records = tf.data.TFRecordDataset([str(path) for path in directory.glob("events*")])
    events = [v1.Event.FromString(record.numpy()) for record in records]
    return [
        (
            event.step,
            value.tag,
            value.metadata.plugin_data.plugin_name,
            tf.make_ndarray(value.tensor),
        )
        for event in events
        for value in event.summary.value
    ]


def test_ops_of_a_graph():
    with tf.Graph().as_default():
        tensor = tf.constant(VALUES, name="layer/values")
        step = v1.Variable(2.0, name="step")
        histogram = summaries.add_histogram_summary(tensor, prefix="train")
        summaries.add_histogram_summaries([step])  # its name is the variable's already
        summaries.add_scalar_summary(step, "rate", "train")
        summaries.add_scalar_summaries([step], "all")
        summaries.add_zero_fraction_summary(tensor)
        summaries.add_zero_fraction_summaries([tensor], "all")
        summaries.add_image_summary(tf.constant(IMAGES), "image")
        summaries.add_image_summaries([tf.constant(IMAGES, name="pixels")])
        values = ops()
        assert histogram in v1.get_collection(v1.GraphKeys.SUMMARIES)
    assert values["train/layer/values"].histo.num == VALUES.size
    assert values["step_1"].histo.sum == 2.0
    assert values["train/rate"].simple_value == values["all/step"].simple_value == 2.0
    for tag in ("layer/values", "all/layer/values"):
        assert values[f"{tag}/Fraction_of_Zero_Values"].simple_value == pytest.approx(ZEROS)
    assert [tag for tag in values if tag.endswith("image/2")] == [
        "image/image/2",
        "pixels_1/image/2",
    ]


@pytest.mark.parametrize("in_graph", [False, True])
def test_print_summary(in_graph, capfd):
    with tf.Graph().as_default() if in_graph else tf.init_scope():
        scalar, images = tf.constant(3.0), tf.constant(IMAGES)
        op = summaries.add_scalar_summary(scalar, "score", "eval", print_summary=True)
        summaries.add_image_summary(images, "image", print_summary=True)
        summaries.add_zero_fraction_summary(scalar, "zero", print_summary=True)
        if in_graph:
            assert op in v1.get_collection(v1.GraphKeys.SUMMARIES)
            assert ops()["eval/score"].simple_value == 3.0
    printed = capfd.readouterr().err
    assert "eval/score 3" in printed
    assert "image [[[[" in printed
    assert "zero/Fraction_of_Zero_Values 0" in printed


@pytest.mark.parametrize("decorate", [lambda fn: fn, tf.function])
def test_events_of_a_writer(decorate, tmp_path):
    store = slim.VariableStore(seed=0)

    @decorate
    def write(step):
        with store.as_default():
            variable = slim.model_variable("weights", [], initializer=tf.ones)
        with store.as_default():
            summaries.add_scalar_summaries([variable], "train", step=step)
            summaries.add_histogram_summary(tf.constant(VALUES), "values", step=step)
            summaries.add_zero_fraction_summary(tf.constant(VALUES), "values", step=step)
            return summaries.add_image_summary(tf.constant(IMAGES), "image", step=step)

    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        assert write(tf.constant(7, tf.int64))
    events = written(tmp_path)
    assert [event[:3] for event in events] == [
        (7, "train/weights", "scalars"),
        (7, "values", "histograms"),
        (7, "values/Fraction_of_Zero_Values", "scalars"),
        (7, "image", "images"),
    ]
    arrays = [event[3] for event in events]
    assert (arrays[0], arrays[2]) == (1.0, pytest.approx(ZEROS))
    assert arrays[1][:, 2].sum() == VALUES.size
    assert arrays[3][:2].tolist() == [b"2", b"3"]


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        np.abs(IMAGES),
        IMAGES[..., :1] * 0,
        IMAGES[..., :1] - 9,
        (np.abs(IMAGES) * 50).astype(np.uint8),
    ],
    ids=["negative", "positive", "zero", "below zero", "uint8"],
)
def test_images_equal_those_of_a_graph(images, tmp_path):
    with tf.Graph().as_default():
        summaries.add_image_summary(tf.constant(images), "image")
        expected = [value.image.encoded_image_string for value in ops().values()]
    with tf.summary.create_file_writer(str(tmp_path)).as_default(step=1):
        summaries.add_image_summary(images, "image")
    pngs = written(tmp_path)[0][3][2:]
    assert len(pngs) == len(expected) == 3
    for png, other in zip(pngs, expected, strict=True):
        png, other = (tf.io.decode_png(each).numpy().astype(int) for each in (png, other))
        assert np.abs(png - other).max() <= 1


def test_without_a_writer_nothing_is_computed():
    assert not summaries.add_scalar_summary(tf.constant("not a number"), "name")


def test_recomputed_segments_write_once(tmp_path):
    def network(inputs):
        def layer(net):
            net = slim.fully_connected(net, 2, scope="fc")
            summaries.add_scalar_summary(tf.reduce_sum(net), "sum", step=1)
            return net

        return segment(layer, inputs)

    inputs, store = tf.ones([1, 3]), slim.VariableStore(seed=0)
    store.build(network, inputs)
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        with tf.GradientTape() as tape, store.as_default(recompute=True):
            tape.watch(inputs)
            loss = tf.reduce_sum(network(inputs))
        assert tape.gradient(loss, inputs) is not None
    assert [event[1] for event in written(tmp_path)] == ["sum"]


def test_step_of_writer_pass_and_store(tmp_path):
    store = slim.VariableStore()
    add = functools.partial(summaries.add_scalar_summary, tf.constant(0.0))
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        with pytest.raises(ValueError, match="No step set"):
            add("none")
        with store.as_default():
            slim.create_global_step().assign(4)
            add("store")
            with store.as_default(step=tf.constant(3, tf.int64)):
                add("pass")
                tf.summary.experimental.set_step(2)
                add("writer")
                add("argument", step=1)
    tf.summary.experimental.set_step(None)
    assert {event[1]: event[0] for event in written(tmp_path)} == {
        "store": 4,
        "pass": 3,
        "writer": 2,
        "argument": 1,
    }


def test_default_names_outside_a_graph():
    network = functools.partial(slim.fully_connected, num_outputs=1, outputs_collections="ends")
    with slim.VariableStore().as_default():
        output = network(tf.ones([1, 2]), scope="logits")
        assert summaries.name_of(output) == "logits"
        assert summaries.name_of(slim.get_model_variables()[0]) == "logits/weights"
    concrete = tf.function(lambda x: tf.nn.relu(x, name="relu")).get_concrete_function(tf.ones([1]))
    assert summaries.name_of(concrete.graph.get_operations()[1].outputs[0]) == "relu"
    with pytest.raises(ValueError, match="computed eagerly has no name; pass name="):
        summaries.add_scalar_summary(tf.constant(1.0))
