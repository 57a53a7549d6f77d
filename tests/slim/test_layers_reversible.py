"""Reversible blocks: equal to the plain chain, and inverse to themselves, in constant memory."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim import modes

RANDOM = np.random.default_rng(0)
X1, X2 = RANDOM.normal(size=[2, 4, 3])
SIDE = RANDOM.normal(size=[4, 3])


def dense(x, side=()):
    hidden = slim.fully_connected(x, 5, activation_fn=tf.nn.tanh)
    outputs = slim.fully_connected(hidden, 3, activation_fn=tf.nn.sigmoid)
    return tf.add_n([outputs * each for each in side]) if side else outputs


def other(x, side=()):
    return slim.fully_connected(x, 3, activation_fn=tf.nn.softplus) + sum(side)


def normed(x):
    return slim.batch_norm(slim.fully_connected(x, 3, activation_fn=tf.nn.tanh), is_training=True)


CASES = {
    "two functions": ({"f": [dense, other], "g": other}, []),
    "side inputs": ({"f": dense, "g": other}, [SIDE, SIDE**2]),
    "no variables": ({"f": tf.sin, "g": tf.tanh}, []),
    "batch norm": ({"f": normed, "g": dense}, []),
}
SLOW = [
    ("two functions", "function"),
    ("two functions", "graph"),
    ("side inputs", "graph"),
    ("batch norm", "function"),
]


@pytest.mark.parametrize(
    "case, mode",
    [
        pytest.param(case, mode, marks=[pytest.mark.slow] * ((case, mode) in SLOW))
        for case in CASES
        for mode in modes.MODES
    ],
)
def test_outputs_and_gradients_equal_those_of_the_plain_chain(case, mode):
    functions, side = CASES[case]
    results = []
    values = None
    autograph = case == "no variables"
    for is_training in (True, False):

        def block(x1, x2, *side, is_training=is_training):
            return slim.rev_block(
                x1, x2, **functions, num_layers=2, is_training=is_training,
                f_side_input=side[:1], g_side_input=side,
            )  # fmt: skip

        def both(*inputs, block=block):
            with slim.variable_scope("net", reuse=slim.AUTO_REUSE):
                outputs = block(*inputs)
                return outputs, modes.gradients(block, *inputs, variables=True)

        if values is None:
            _, variables = modes.run(mode, both, X1, X2, *side, autograph=autograph)
            values = {
                name: RANDOM.normal(size=v.shape).astype(v.dtype.base_dtype.as_numpy_dtype)
                for name, v in variables.items()
                if "moving" not in name
            }
        results.append(modes.run(mode, both, X1, X2, *side, values=values, autograph=autograph)[0])
    (outputs, gradients), (plain_outputs, plain_gradients) = results
    np.testing.assert_allclose(outputs, plain_outputs, rtol=1e-12)
    assert len(gradients) == len(plain_gradients) == 2 + len(side) + len(values)
    for gradient, plain in zip(gradients, plain_gradients, strict=True):
        np.testing.assert_allclose(gradient, plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", modes.MODES)
def test_gradients_equal_differences(mode):
    def block(x1, x2):
        return slim.rev_block(x1, x2, tf.sin, lambda x: tf.cos(x) * 0.5, num_layers=3)

    def chain(x1, x2):
        for _ in range(3):
            x1 = x1 + np.sin(x2)
            x2 = x2 + np.cos(x1) * 0.5
        return np.concatenate([x1, x2])

    gradients, _ = modes.run(mode, lambda *x: modes.gradients(block, *x), X1, X2)
    for gradient, numeric in [
        (gradients[0], modes.numeric_gradient(lambda x: chain(x, X2), X1)),
        (gradients[1], modes.numeric_gradient(lambda x: chain(X1, x), X2)),
    ]:
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("forward_first", [True, False])
def test_backward_inverts_forward(mode, forward_first):
    seen = []

    def there_and_back(x1, x2):
        block = slim.RevBlock(dense, other, 3, [x1 * 0 + SIDE], [x1 * 0 + SIDE])
        first, second = (block.forward, block.backward)[:: 1 if forward_first else -1]
        result = second(*first(x1, x2))
        seen[:] = [block.name, len(block.weights), len(block.trainable_weights)]
        return result

    (y1, y2), variables = modes.run(mode, there_and_back, X1, X2)
    np.testing.assert_allclose(y1, X1, rtol=1e-9)
    np.testing.assert_allclose(y2, X2, rtol=1e-9)
    assert seen == ["revblock", 18, 18]
    assert [name for name in variables if "revlayer_2" in name] == [
        f"revblock/revlayer_2/{leaf}"
        for fully_connected in (
            ["f/fully_connected", "f/fully_connected_1", "g/fully_connected"]
            if forward_first
            else ["g/fully_connected", "f/fully_connected", "f/fully_connected_1"]
        )
        for leaf in (f"{fully_connected}/weights", f"{fully_connected}/biases")
    ]


def test_the_gradients_of_a_graph_need_no_inner_tensors():
    def used_by_gradients(num_layers, is_training):
        with tf.Graph().as_default() as graph:
            x1, x2 = (tf.compat.v1.placeholder(tf.float32, [None, 3]) for _ in range(2))
            y = slim.rev_block(x1, x2, dense, dense, num_layers, is_training=is_training)
            forward = set(graph.get_operations())
            tf.gradients(y, [x1, x2, *slim.get_trainable_variables()])
            backward = set(graph.get_operations()) - forward
            used = {tensor.ref() for op in backward for tensor in op.inputs if tensor.op in forward}
            # An IdentityN repeats the outputs, the arguments and the variables.
            kinds = ("IdentityN", "VarHandleOp", "ReadVariableOp", "Placeholder", "Const", "Shape")
            return len([each for each in used if each.deref().op.type not in kinds])

    assert used_by_gradients(6, True) == used_by_gradients(2, True) == 2
    assert used_by_gradients(6, False) > 2 * used_by_gradients(2, False)


def test_a_tape_holds_no_inner_tensors():
    def held(is_training):
        """Returns the megabytes in use after the forward run."""
        x = tf.zeros([1024, 1024])
        with tf.GradientTape() as tape:
            tape.watch(x)
            before = modes.resident_megabytes()
            y = slim.rev_block(x, x, tf.sin, tf.tanh, 16, is_training=is_training)
            after = modes.resident_megabytes()
            assert tape.gradient(y, x).shape == x.shape
        return after - before

    plain, efficient = held(False), held(True)
    # Each layer keeps two tensors of 4 MB.
    assert plain > 100
    assert efficient < plain / 3


def test_averages_and_dropout_are_those_of_one_run():
    store = slim.VariableStore(seed=0)

    def f(x):
        return slim.dropout(slim.batch_norm(x, is_training=True, decay=0.5), 0.5)

    def step(is_training):
        with store.as_default(seed=tf.constant([1, 2])), tf.GradientTape() as tape:
            x1, x2 = tf.constant(X1), tf.constant(X2)
            tape.watch([x1, x2])
            y = slim.rev_block(x1, x2, f, tf.sin, 2, is_training=is_training)
        return tape.gradient(y, [x1, x2])

    efficient = step(True)
    average = store.named_variables["revblock/revlayer_0/f/BatchNorm/moving_mean"]
    np.testing.assert_allclose(average, 0.5 * X2.mean(0), rtol=1e-6)
    np.testing.assert_allclose(efficient, step(False), rtol=1e-9)


def test_a_graph_has_the_update_ops_of_one_run():
    def ops(is_training):
        with tf.Graph().as_default():
            x = tf.compat.v1.placeholder(tf.float32, [None, 3])
            y = slim.rev_block(x, x, normed, normed, 2, is_training=is_training)
            tf.gradients(y, [x])
            return len(tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.UPDATE_OPS))

    assert ops(True) == ops(False)


@pytest.mark.parametrize("mode", modes.MODES)
def test_blocks_have_names_of_their_own_unless_reused(mode):
    def three(x1, x2):
        with slim.variable_scope("net"):
            y = slim.rev_block(*slim.rev_block(x1, x2, other, other), other, other)
        with slim.variable_scope("net", reuse=True):
            return slim.rev_block(*y, other, other)

    _, variables = modes.run(mode, three, X1, X2)
    blocks = {name.split("/")[1] for name in variables}
    assert blocks == {"revblock", "revblock_1"}
    assert len(variables) == 8


@pytest.mark.parametrize("leaf", ["f", "g"])
def test_a_list_needs_a_function_for_each_layer(leaf):
    functions = {"f": tf.sin, "g": tf.sin, leaf: [tf.sin]}
    with pytest.raises(ValueError, match=f"{leaf} is a list of 1 functions, but num_layers=2"):
        slim.RevBlock(num_layers=2, **functions)
