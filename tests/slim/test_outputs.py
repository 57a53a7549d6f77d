import tensorflow as tf

import slim

IMAGES = tf.ones([1, 8, 8, 3])

LAYERS = {
    "conv": lambda **kw: slim.conv2d(IMAGES, 2, 3, **kw),
    "in_plane": lambda **kw: slim.conv2d_in_plane(IMAGES, 3, **kw),
    "transposed": lambda **kw: slim.conv2d_transpose(IMAGES, 2, 3, **kw),
    "separable": lambda **kw: slim.separable_conv2d(IMAGES, 2, 3, **kw),
    "fc": lambda **kw: slim.fully_connected(IMAGES, 2, **kw),
    "biased": lambda **kw: slim.bias_add(IMAGES, **kw),
    "dropped": lambda **kw: slim.dropout(IMAGES, **kw),
    "bn": lambda **kw: slim.batch_norm(IMAGES, **kw),
    "pool": lambda **kw: slim.max_pool2d(IMAGES, 2, **kw),
    "flat": lambda **kw: slim.flatten(IMAGES, **kw),
}


def test_layers_collect_their_outputs_under_their_scope_names():
    expected = {}
    with slim.variable_scope("net"):
        for name, layer in LAYERS.items():
            expected[f"net/{name}"] = layer(scope=name, outputs_collections="ends")
    noted = slim.convert_collection_to_dict("ends")
    assert list(noted) == list(expected)
    assert all(noted[name] is output for name, output in expected.items())


def test_arg_scope_collects_outputs_under_automatic_names():
    with slim.arg_scope([slim.conv2d, slim.max_pool2d], outputs_collections=["ends", "more"]):
        slim.max_pool2d(slim.conv2d(slim.conv2d(IMAGES, 2, 1), 2, 1), 2)
        slim.conv2d(IMAGES, 2, 1, outputs_collections=None)
    assert list(slim.convert_collection_to_dict("ends")) == ["Conv", "Conv_1", "MaxPool2D"]
    assert list(slim.convert_collection_to_dict("more")) == ["Conv", "Conv_1", "MaxPool2D"]


def test_collected_output_is_the_one_after_the_activation():
    outputs = slim.conv2d(
        -IMAGES, 2, 1, weights_initializer=slim.ones_initializer(), outputs_collections="ends"
    )
    assert slim.convert_collection_to_dict("ends")["Conv"] is outputs
    assert float(tf.reduce_max(outputs)) == 0.0


def test_custom_outputs_can_be_collected():
    output = tf.constant(1.0)
    assert slim.collect_named_outputs("ends", "mine/", output) is output
    assert slim.collect_named_outputs(None, "other", output) is output
    assert slim.convert_collection_to_dict("ends") == {"mine": output}
    assert slim.convert_collection_to_dict("none") == {}


def test_reading_outputs_returns_a_copy_and_may_clear():
    slim.collect_named_outputs(["ends"], "a", tf.constant(1.0))
    slim.convert_collection_to_dict("ends").clear()
    assert list(slim.convert_collection_to_dict("ends", clear_collection=True)) == ["a"]
    assert slim.convert_collection_to_dict("ends", clear_collection=True) == {}


def test_passes_have_separate_outputs():
    store = slim.VariableStore()
    with store.as_default():
        slim.conv2d(IMAGES, 2, 1, outputs_collections="ends")
        with store.as_default():
            assert slim.convert_collection_to_dict("ends") == {}
        assert list(slim.convert_collection_to_dict("ends")) == ["Conv"]
    assert slim.convert_collection_to_dict("ends") == {}
