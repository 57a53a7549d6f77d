import contextlib
import threading

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim.store import FrozenStore, ShapeStore
from tests.slim.small_net import IMAGES, NET_NAMES, built, images, small_net


def test_the_first_pass_creates_and_later_passes_reuse():
    store = slim.VariableStore()
    with store.as_default():
        small_net(images())
    first = dict(store.named_variables)
    with store.as_default():
        small_net(images())
    assert list(first) == NET_NAMES
    assert all(store.named_variables[name] is variable for name, variable in first.items())
    assert list(store.named_variables) == NET_NAMES
    assert [v.name for v in first.values()] == [f"{name}:0" for name in NET_NAMES]


def test_a_pass_lists_its_requested_variables_in_order():
    store = built()
    with store.as_default() as one_pass:
        with slim.variable_scope("Net/logits"):
            slim.model_variable("biases", [3])
        slim.variable("own", [])
    assert list(one_pass.requested) == ["Net/logits/biases", "own"]


def test_requesting_a_variable_twice_in_a_pass_is_an_error():
    with slim.VariableStore().as_default():
        slim.conv2d(images(), 3, 1, scope="conv1")
        with pytest.raises(ValueError, match="'conv1/weights' was already requested in this pass"):
            slim.conv2d(images(), 3, 1, scope="conv1")


def test_requesting_a_variable_twice_with_reuse_shares_it():
    store = slim.VariableStore()
    with store.as_default():
        once = slim.conv2d(images(), 3, 1, scope="conv1")
        again = slim.conv2d(images(), 3, 1, scope="conv1", reuse=True)
        auto = slim.conv2d(images(), 3, 1, scope="conv1", reuse=slim.AUTO_REUSE)
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once, auto)
    assert list(store.named_variables) == ["conv1/weights", "conv1/biases"]


def test_reuse_is_inherited_and_auto_reuse_creates():
    store = slim.VariableStore()
    with store.as_default():
        for _ in range(2):
            with slim.variable_scope("tower", reuse=slim.AUTO_REUSE), slim.variable_scope("inner"):
                slim.variable("v", [])
        with slim.variable_scope("tower", reuse=True), slim.variable_scope("inner", reuse=False):
            slim.variable("v", [])
    assert list(store.named_variables) == ["tower/inner/v"]


def test_reuse_of_a_missing_variable_is_an_error_with_the_nearest_name():
    with slim.VariableStore().as_default():
        slim.variable("conv1/weights", [])
        with slim.variable_scope("conv2", reuse=True):
            with pytest.raises(
                ValueError, match=r"no variable 'conv2/weights' in this store; did "
            ):
                slim.variable("weights", [])
            with pytest.raises(
                ValueError, match=r"reuse=True, but there is no variable .*xyz.*\.$"
            ):
                slim.variable("xyz", [])


def test_another_shape_or_dtype_is_an_error():
    store = slim.VariableStore()
    with store.as_default():
        slim.variable("v", [2, 3])
    with store.as_default():
        with pytest.raises(ValueError, match=r"'v' has shape \(2, 3\) in .*, but \(3, 2\) was req"):
            slim.variable("v", [3, 2])
        with pytest.raises(ValueError, match="'v' is float32 in this store, but int64 was reque"):
            slim.variable("v", [2, 3], tf.int64)
        assert slim.variable("v").shape == (2, 3)


def test_new_variable_without_a_shape_is_an_error():
    with slim.VariableStore().as_default():
        with pytest.raises(ValueError, match="variable 'a/v' is new and needs a shape"):
            with slim.variable_scope("a"):
                slim.variable("v")
        assert slim.variable("w", initializer=[1.0, 2.0]).shape == (2,)


def test_initial_value_of_another_shape_is_an_error():
    with slim.VariableStore().as_default(), pytest.raises(ValueError, match=r"shape.*\(2,\)"):
        slim.variable("v", [3], initializer=[1.0, 2.0])
    with slim.VariableStore().as_default(), pytest.raises(ValueError, match=r"shape.*\(2,\)"):
        slim.variable("v", [3], initializer=lambda shape, dtype: tf.zeros([2], dtype))


def test_automatic_names_of_layers_start_over_in_each_pass():
    store = slim.VariableStore()
    for _ in range(2):
        with store.as_default():
            net = slim.conv2d(slim.conv2d(images(), 3, 1), 3, 1)
            slim.fully_connected(slim.flatten(net), 2)
    layers = ["Conv", "Conv_1", "fully_connected"]
    assert list(store.named_variables) == [
        f"{layer}/{leaf}" for layer in layers for leaf in ("weights", "biases")
    ]


def test_scope_without_a_name_is_an_error():
    with pytest.raises(ValueError, match="variable_scope needs a name, a scope or a default_name"):
        with slim.variable_scope(None):
            pass


def test_scope_passes_its_initializer_and_regularizer_to_nested_scopes():
    with slim.VariableStore().as_default():
        halves, penalty = slim.constant_initializer(0.5), slim.l2_regularizer(2.0)
        with slim.variable_scope("a", initializer=halves, regularizer=penalty):
            with slim.variable_scope("b"):
                inherited = slim.variable("v", [3])
                own = slim.variable("w", [3], initializer=slim.zeros_initializer())
        outside = slim.variable("v", [3])
        assert inherited.numpy().tolist() == [0.5] * 3
        assert own.numpy().tolist() == [0.0] * 3
        assert outside.numpy().tolist() != [0.5] * 3
        penalties = slim.losses.get_regularization_losses()
        np.testing.assert_allclose(penalties, [2.0 * 3 * 0.25 / 2, 0.0])


def test_saved_scope_can_be_reopened():
    with slim.VariableStore().as_default():
        with slim.variable_scope("a") as a:
            pass
        with slim.variable_scope("elsewhere"), slim.variable_scope(a) as again:
            variable = slim.variable("v", [])
        assert again.name == "a"
        assert slim.get_variable_full_name(variable) == "a/v"


def test_build_creates_the_variables_of_a_specification():
    store = slim.VariableStore()
    one_pass = store.build(small_net, IMAGES)
    assert list(store.named_variables) == list(one_pass.requested) == NET_NAMES
    weights = store.named_variables["Net/logits/weights"]
    assert weights.shape == (16, 3)
    assert np.abs(weights.numpy()).max() > 0.01
    with store.as_default():
        assert small_net(images(5)).shape == (5, 3)
    assert list(store.named_variables) == NET_NAMES


def test_build_computes_nothing():
    calls = []

    def net(x, extra):
        tf.py_function(lambda: calls.append(1), [], [])
        slim.variable("v", [])
        assert not tf.executing_eagerly()
        return x + extra["a"]

    spec = tf.TensorSpec([None])
    slim.VariableStore().build(net, spec, {"a": spec})
    assert calls == []


def test_creation_is_lifted_out_of_a_tf_function():
    store = slim.VariableStore(seed=3)

    @tf.function(autograph=False)
    def step(x):
        with store.as_default():
            return small_net(x, is_training=False)

    outputs = step(images())
    assert list(store.named_variables) == NET_NAMES
    assert all(isinstance(v.numpy(), np.ndarray) for v in store.named_variables.values())
    before = {name: id(v) for name, v in store.named_variables.items()}
    assert step(images(7)).shape == (7, 3)  # traces again
    assert {name: id(v) for name, v in store.named_variables.items()} == before
    with store.as_default():
        np.testing.assert_allclose(small_net(images(), is_training=False), outputs, rtol=1e-6)


def test_initial_values_depend_on_seed_and_name_and_not_on_the_order():
    def values(seed, names):
        store = slim.VariableStore(seed=seed)
        with store.as_default():
            for name in names:
                slim.variable(name, [4, 5])
        return {name: v.numpy().tolist() for name, v in store.named_variables.items()}

    forth, back = values(1, ["a", "b", "c/d"]), values(1, ["c/d", "b", "more", "a"])
    assert all(forth[name] == back[name] for name in forth)
    assert forth["a"] != forth["b"]
    assert values(2, ["a"])["a"] != forth["a"]
    assert values(None, ["a"]) != values(None, ["a"])


def test_initial_values_are_equal_eager_traced_built_and_in_a_graph():
    built_values = built(seed=5).named_variables
    eager, traced = slim.VariableStore(seed=5), slim.VariableStore(seed=5)
    with eager.as_default():
        small_net(images(), is_training=False)

    @tf.function(autograph=False)
    def step(x):
        with traced.as_default():
            return small_net(x, is_training=False)

    step(images())
    graph = slim.VariableStore(seed=5)
    with tf.Graph().as_default(), graph.as_default(), tf.compat.v1.Session() as session:
        small_net(tf.constant(images()))
        session.run([v.initializer for v in graph.named_variables.values()])
        in_graph = session.run(dict(graph.named_variables))
    for name in NET_NAMES:
        expected = built_values[name].numpy()
        np.testing.assert_array_equal(eager.named_variables[name], expected)
        np.testing.assert_array_equal(traced.named_variables[name], expected)
        np.testing.assert_array_equal(in_graph[name], expected)


def test_store_is_tracked_like_a_module(tmp_path):
    store = built()

    class Model(tf.Module):
        def __init__(self, store):
            super().__init__()
            self.store = store

    model = Model(store)
    assert {v.ref() for v in model.variables} == {v.ref() for v in store.named_variables.values()}
    assert {v.name.split(":")[0] for v in model.trainable_variables} == {
        name for name in NET_NAMES if "moving" not in name
    }
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "checkpoint"))
    other = built(seed=1)
    tf.train.Checkpoint(model=Model(other)).restore(path).assert_consumed()
    for name, variable in store.named_variables.items():
        np.testing.assert_array_equal(other.named_variables[name], variable)


def test_saved_model_is_loaded_without_slim(tmp_path):
    store = built()

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.store = store

        @tf.function(input_signature=[IMAGES])
        def __call__(self, x):
            with self.store.as_default():
                return small_net(x, is_training=False)

    model = Model()
    expected = model(images())
    tf.saved_model.save(model, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_array_equal(loaded(images()), expected)
    assert sorted(v.name for v in loaded.signatures["serving_default"].variables) == sorted(
        f"{name}:0" for name in NET_NAMES
    )


def test_graph_has_reference_variables_under_exact_names():
    store = slim.VariableStore()
    with tf.Graph().as_default() as graph, store.as_default():
        with tf.name_scope("outer"):
            small_net(tf.constant(images()), is_training=False)
    nodes = {op.name: op.type for op in graph.get_operations() if op.type.startswith("Variable")}
    assert nodes == dict.fromkeys(NET_NAMES, "VariableV2")
    assert [v.name for v in store.named_variables.values()] == [f"{name}:0" for name in NET_NAMES]
    assert [v.op.name for v in graph.get_collection("trainable_variables")] == [
        name for name in NET_NAMES if "moving" not in name
    ]


def test_frozen_store_creates_constants_under_exact_names():
    store = built()
    values = {name: variable.numpy() for name, variable in store.named_variables.items()}
    with tf.Graph().as_default() as graph, FrozenStore(values).as_default():
        outputs = small_net(tf.constant(images()), is_training=False)
        with tf.compat.v1.Session() as session:
            result = session.run(outputs)
    assert {op.name for op in graph.get_operations() if op.type == "Const"} >= set(NET_NAMES)
    assert not [op.name for op in graph.get_operations() if "Variable" in op.type]
    with store.as_default():
        np.testing.assert_allclose(result, small_net(images(), is_training=False), rtol=1e-5)


def test_frozen_store_in_a_function_has_no_variables():
    store = built()
    values = {name: variable.numpy() for name, variable in store.named_variables.items()}
    frozen = FrozenStore(values)

    @tf.function(autograph=False)
    def gradient(inputs):
        with frozen.as_default(), tf.GradientTape() as tape:
            outputs = small_net(inputs, is_training=False)
        return outputs, len(tape.watched_variables())

    outputs, watched = gradient(tf.constant(images()))
    assert watched == 0
    assert not gradient.get_concrete_function(tf.constant(images())).variables
    with store.as_default():
        np.testing.assert_allclose(outputs, small_net(images(), is_training=False), rtol=1e-5)


def test_variables_are_placed_on_the_requested_device():
    with slim.VariableStore().as_default():
        named = []

        def place(name):
            named.append(name)
            return "CPU:1"

        with slim.variable_scope("a"):
            assert slim.variable("v", [], device=place).device.endswith("CPU:1")
        assert slim.variable("w", [], device="CPU:1").device.endswith("CPU:1")
        assert slim.variable("x", []).device.endswith("CPU:0")
        with tf.device("CPU:1"):
            assert slim.variable("y", []).device.endswith("CPU:1")
    assert named == ["a/v"]
    with tf.Graph().as_default(), slim.VariableStore().as_default():
        assert slim.variable("v", [], device="CPU:1").device == "/device:CPU:1"
        with tf.device("CPU:1"):
            assert slim.variable("w", []).device == "/device:CPU:1"
        assert slim.variable("x", []).device == ""


def test_default_store_is_used_outside_of_others_and_can_be_reset():
    slim.conv2d(images(), 3, 1)
    slim.conv2d(images(), 3, 1)
    default = slim.current_store()
    assert list(default.named_variables)[::2] == ["Conv/weights", "Conv_1/weights"]
    other = slim.VariableStore()
    with other.as_default():
        assert slim.current_store() is other
        slim.variable("v", [])
    assert slim.current_store() is default
    slim.losses.add_loss(tf.constant(1.0))
    assert slim.reset_default_store() is slim.current_store()
    assert slim.current_store() is not default
    assert not slim.current_store().named_variables
    assert slim.losses.get_losses() == []
    slim.conv2d(images(), 3, 1)
    assert list(slim.current_store().named_variables) == ["Conv/weights", "Conv/biases"]


def test_a_pass_ends_with_an_error_and_starts_outside_all_scopes():
    store = slim.VariableStore()

    def fail_inside():
        with store.as_default():
            slim.variable("v", [])
            raise RuntimeError("inside")

    with slim.variable_scope("outer"):
        with pytest.raises(RuntimeError, match="inside"):
            fail_inside()
        variable = slim.variable("w", [])
    assert list(store.named_variables) == ["v"]
    assert slim.get_variable_full_name(variable) == "outer/w"


def test_nested_stores_are_separate():
    outer, inner = slim.VariableStore(), slim.VariableStore()
    with outer.as_default() as outer_pass, slim.variable_scope("a"):
        with inner.as_default():
            slim.variable("v", [])
        assert slim.current_pass() is outer_pass
        slim.variable("v", [])
    assert list(inner.named_variables) == ["v"]
    assert list(outer.named_variables) == ["a/v"]


def test_views_of_variables_and_records_are_read_only():
    with pytest.raises(TypeError, match="item assignment"):
        built().named_variables["own"] = None
    with pytest.raises(TypeError, match="item assignment"):
        built().records["own"] = None


def test_threads_have_separate_stores_and_scopes():
    stores = [slim.VariableStore() for _ in range(2)]
    barrier = threading.Barrier(2, timeout=20)
    failures = []

    def worker(number):
        try:
            with stores[number].as_default(), slim.variable_scope(f"thread{number}"):
                barrier.wait()
                assert slim.current_store() is stores[number]
                slim.conv2d(images(), 3, 1)
                barrier.wait()
                slim.losses.add_loss(tf.constant(float(number)))
                barrier.wait()
                assert [float(loss) for loss in slim.losses.get_losses()] == [number]
        except Exception as error:
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=worker, args=[number]) for number in range(2)]
    with slim.variable_scope("main"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    for number, store in enumerate(stores):
        assert list(store.named_variables) == [
            f"thread{number}/Conv/weights",
            f"thread{number}/Conv/biases",
        ]


def test_draws_depend_on_seed_name_and_count():
    def draws(seed):
        with slim.VariableStore().as_default(seed=tf.constant(seed)) as one_pass:
            return [tuple(one_pass.draw_seed(name).numpy()) for name in "aab"]

    assert draws([1, 2]) == draws([1, 2])
    assert len(set(draws([1, 2]) + draws([1, 3]))) == 6
    with slim.VariableStore().as_default() as one_pass:
        assert one_pass.draw_seed("a") is None


@pytest.mark.parametrize("in_graph", [False, True])
def test_a_shape_store_calls_no_initializer(in_graph):
    def never(shape, dtype):
        raise AssertionError

    store = ShapeStore(seed=0)
    with tf.Graph().as_default() if in_graph else contextlib.nullcontext(), store.as_default():
        variable = slim.variable("v", [2, 3], initializer=never, trainable=False)
        slim.variable("constant", initializer=tf.constant([5.0]))
    assert (variable.shape, variable.dtype.base_dtype) == ([2, 3], tf.float32)
    assert list(store.named_variables) == ["v", "constant"]
    assert not store.records["v"].trainable
    if not in_graph:
        np.testing.assert_array_equal(variable, np.zeros([2, 3]))
        np.testing.assert_array_equal(store.named_variable("constant"), [5.0])
