"""Losses equal those of TensorFlow 1, averaged over the elements of non-zero weight."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import losses

v1 = tf.compat.v1.losses
BY_NONZERO = {"reduction": v1.Reduction.SUM_BY_NONZERO_WEIGHTS}
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=[4, 3]).astype(np.float32) * 3
REALS = RANDOM.normal(size=[4, 3]).astype(np.float32)
PROBABILITIES = RANDOM.uniform(0.01, 0.99, size=[4, 3]).astype(np.float32)
UNIT_A, UNIT_B = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (LOGITS, REALS))
BINARY = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 1]], np.float32)
CLASSES = np.array([2, 0, 1, 1])
ONE_HOT = np.eye(3, dtype=np.float32)[CLASSES]

# name: (predictions, labels).
ELEMENTWISE = {
    "mean_squared_error": (LOGITS, REALS),
    "absolute_difference": (LOGITS, REALS),
    "huber": (LOGITS, REALS),
    "log_loss": (PROBABILITIES, BINARY),
    "sigmoid_cross_entropy": (LOGITS, BINARY),
}
PER_EXAMPLE = {
    "softmax_cross_entropy": (LOGITS, ONE_HOT),
    "sparse_softmax_cross_entropy": (LOGITS, CLASSES),
    "cosine_distance": (UNIT_A, UNIT_B),
}
ALL = ELEMENTWISE | PER_EXAMPLE


def ours(name, weights=1.0, **options):
    predictions, labels = ALL[name]
    if name == "cosine_distance":
        options["axis"] = 1
    return getattr(losses, name)(predictions, labels, weights=weights, **options)


def theirs(name, weights=1.0, **options):
    predictions, labels = ALL[name]
    if name == "cosine_distance":
        options["axis"] = 1
    function = getattr(v1, {"huber": "huber_loss"}.get(name, name))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        # By position, since their names differ; there the labels come first.
        tensors = tf.constant(labels), tf.constant(predictions)
        return session.run(function(*tensors, weights=weights, **options, **BY_NONZERO))


def agree(name, weights=1.0, their_weights=None, **options):
    expected = theirs(name, weights if their_weights is None else their_weights, **options)
    result = ours(name, weights, **options)
    assert (result.shape, result.dtype) == ((), tf.float32)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_unweighted_losses_equal_tensorflow_1(name):
    agree(name)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("weights", [2.5, 0.0, -1.0, 2])
def test_scalar_weights_equal_tensorflow_1(name, weights):
    agree(name, weights)


EACH = np.array([1.0, 0.0, 2.5, 0.5], np.float32)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_weights_equal_tensorflow_1(name):
    agree(name, EACH[:, np.newaxis])
    agree(name, EACH, their_weights=EACH[:, np.newaxis])
    agree(name, BINARY)
    agree(name, np.zeros([4, 3], np.float32))


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_weights_per_example_equal_tensorflow_1(name):
    # TensorFlow's cosine distance keeps its reduced axis and expects [batch, 1].
    fitting = EACH[:, np.newaxis] if name == "cosine_distance" else EACH
    agree(name, EACH, their_weights=fitting)
    agree(name, EACH[:, np.newaxis], their_weights=fitting)
    agree(name, np.zeros([4], np.float32), their_weights=0.0)


def test_boolean_and_integer_weights():
    np.testing.assert_allclose(
        ours("softmax_cross_entropy", np.array([True, False, True, True])),
        theirs("softmax_cross_entropy", np.array([1.0, 0.0, 1.0, 1.0], np.float32)),
        rtol=1e-5,
    )
    agree("mean_squared_error", np.array([[1], [0], [2], [0]]))


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sigmoid_cross_entropy"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_label_smoothing_equals_tensorflow_1(name, smoothing):
    agree(name, label_smoothing=smoothing)


def test_softmax_cross_entropies_equal_keras():
    keras = tf.keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    np.testing.assert_allclose(
        ours("softmax_cross_entropy", label_smoothing=0.2), keras(ONE_HOT, LOGITS), rtol=1e-5
    )
    np.testing.assert_allclose(
        ours("sparse_softmax_cross_entropy"), ours("softmax_cross_entropy"), rtol=1e-6
    )


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sigmoid_cross_entropy"])
def test_label_smoothing_out_of_range_is_an_error(name, smoothing):
    with pytest.raises(ValueError, match=rf"label_smoothing={smoothing} must lie in \[0, 1\]"):
        ours(name, label_smoothing=smoothing)


@pytest.mark.parametrize("delta", [0.25, 2.0])
def test_huber_delta_equals_tensorflow_1(delta):
    agree("huber", delta=delta)


def test_log_loss_epsilon_equals_tensorflow_1():
    agree("log_loss", epsilon=0.1)
    assert np.isfinite(losses.log_loss([[0.0, 1.0]], [[1.0, 0.0]]))


def test_sparse_labels_with_an_axis_of_one_and_dense_predictions():
    logits = RANDOM.normal(size=[2, 5, 3]).astype(np.float32)
    labels = RANDOM.integers(0, 3, size=[2, 5])
    expected = np.mean(tf.keras.losses.sparse_categorical_crossentropy(labels, logits, True))
    for form in (labels, labels[..., np.newaxis], labels.astype(np.int32)):
        result = losses.sparse_softmax_cross_entropy(tf.constant(logits), form)
        np.testing.assert_allclose(result, expected, rtol=1e-5)
    per_example = np.array([1.0, 0.0], np.float32)
    np.testing.assert_allclose(
        losses.sparse_softmax_cross_entropy(tf.constant(logits), labels, per_example),
        np.mean(tf.keras.losses.sparse_categorical_crossentropy(labels[:1], logits[:1], True)),
        rtol=1e-5,
    )


def test_cosine_distance_along_another_axis():
    result = losses.cosine_distance(UNIT_A.T, UNIT_B.T, axis=0)
    np.testing.assert_allclose(result, ours("cosine_distance"), rtol=1e-5)


def test_softmax_cross_entropy_has_no_gradient_of_its_labels():
    logits, labels = tf.constant(LOGITS), tf.constant(ONE_HOT)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([logits, labels])
        loss = losses.softmax_cross_entropy(logits, labels, weights=EACH)
    expected = (tf.nn.softmax(logits) - ONE_HOT) * EACH[:, np.newaxis] / 3
    np.testing.assert_allclose(tape.gradient(loss, logits), expected, rtol=1e-4, atol=1e-6)
    assert tape.gradient(loss, labels) is None


def test_half_precision_is_computed_in_float32():
    half = losses.softmax_cross_entropy(LOGITS.astype(np.float16), ONE_HOT)
    assert half.dtype == tf.float32
    np.testing.assert_allclose(half, ours("softmax_cross_entropy"), rtol=1e-2)


def test_one_weight_for_all_counts_as_one_example():
    # TF-Slim divides by the number of weights here, not by the batch size.
    np.testing.assert_allclose(
        ours("softmax_cross_entropy", np.array([0.5])), 2 * theirs("softmax_cross_entropy"), 1e-5
    )


@pytest.mark.parametrize("shape", [[3], [4, 3, 1, 1], [4, 2], [2, 3], [5]])
def test_weights_that_do_not_fit_are_errors(shape):
    with pytest.raises(
        ValueError, match=r"weights of shape .* cannot be broadcast to losses of shape"
    ):
        losses.mean_squared_error(LOGITS, REALS, weights=tf.ones(shape))


@pytest.mark.parametrize("name", [n for n in ALL if n != "sparse_softmax_cross_entropy"])
def test_mismatched_shapes_are_errors(name):
    options = {"axis": 1} if name == "cosine_distance" else {}
    with pytest.raises(ValueError, match=r"Shapes \(4, 3\) .* \(4,\) .* incompatible"):
        getattr(losses, name)(LOGITS, CLASSES, **options)


def test_weights_with_an_unknown_batch_size():
    @tf.function(autograph=False)
    def loss(x, y, weights):
        with slim.VariableStore().as_default():
            return losses.mean_squared_error(x, y, weights)

    images = tf.TensorSpec([None, 3])
    for spec, weights in [([None], EACH), ([None, 1], EACH[:, np.newaxis]), ([None, 3], BINARY)]:
        result = loss.get_concrete_function(images, images, tf.TensorSpec(spec))(
            tf.constant(LOGITS), tf.constant(REALS), tf.constant(weights)
        )
        np.testing.assert_allclose(result, ours("mean_squared_error", weights), rtol=1e-6)


def test_weights_of_unknown_sizes_for_a_loss_per_example():
    @tf.function(autograph=False)
    def loss(weights):
        with slim.VariableStore().as_default():
            return ours("softmax_cross_entropy", weights)

    spec = tf.TensorSpec([None, None])
    result = loss.get_concrete_function(spec)(tf.constant(EACH[:, np.newaxis]))
    np.testing.assert_allclose(result, ours("softmax_cross_entropy", EACH), rtol=1e-6)


@pytest.mark.parametrize("unknown", ["losses", "weights"])
def test_unknown_ranks_are_errors(unknown):
    @tf.function(autograph=False)
    def loss(values):
        return losses.compute_weighted_loss(
            **{"losses": tf.ones([4]), "weights": 1.0} | {unknown: values}
        )

    with pytest.raises(ValueError, match=rf"{unknown}.get_shape\(\).ndims cannot be None"):
        loss.get_concrete_function(tf.TensorSpec(None))


def test_missing_labels_and_weights_are_errors():
    with pytest.raises(ValueError, match="labels is None. Pass a tensor of the predictions' shape"):
        losses.mean_squared_error(LOGITS)
    with pytest.raises(ValueError, match="weights=None is not a number"):
        losses.mean_squared_error(LOGITS, REALS, None)


def test_hinge_loss_is_neither_reduced_nor_added():
    with slim.VariableStore().as_default():
        values = losses.hinge_loss(LOGITS, BINARY)
        np.testing.assert_allclose(values, np.maximum(0, 1 - (2 * BINARY - 1) * LOGITS), rtol=1e-6)
        assert losses.get_losses() == []
        loss = losses.compute_weighted_loss(values)
    expected = tf.keras.losses.Hinge()(BINARY, LOGITS)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("weights", [1.0, 0.0, 2.5, EACH])
def test_mean_pairwise_squared_error_equals_its_definition(weights):
    differences = (LOGITS - REALS).astype(np.float64)
    each = np.broadcast_to(weights, [4])
    pairs = differences[:, :, np.newaxis] - differences[:, np.newaxis, :]
    expected = np.sum(each * np.mean(pairs**2, axis=(1, 2)))
    result = losses.mean_pairwise_squared_error(LOGITS, REALS, weights)
    np.testing.assert_allclose(result, expected, rtol=1e-4)


def test_the_axis_of_cosine_distance_has_an_older_name():
    np.testing.assert_allclose(
        losses.cosine_distance(UNIT_A, UNIT_B, dim=1), ours("cosine_distance")
    )
    for options in ({}, {"axis": 1, "dim": 1}):
        with pytest.raises(ValueError, match="You must specify 'axis', or else 'dim'"):
            losses.cosine_distance(UNIT_A, UNIT_B, **options)


def weighted_pass(penalty=0.5):
    images = tf.ones([2, 3])
    with slim.arg_scope([slim.fully_connected], weights_regularizer=slim.l2_regularizer(penalty)):
        net = slim.fully_connected(images, 4, scope="a")
        net = slim.fully_connected(net, 4, scope="b", biases_regularizer=slim.l1_regularizer(1.0))
        return slim.fully_connected(net, 4, scope="b", reuse=True)


def test_total_loss_sums_losses_and_one_penalty_per_variable():
    store = slim.VariableStore()
    for _ in range(2):  # a pass starts with nothing
        with store.as_default():
            weighted_pass()
            first = losses.mean_squared_error(LOGITS, REALS)
            losses.add_loss(tf.constant(7.0))
            penalties = [0.25 * tf.reduce_sum(v**2) for v in slim.get_variables(suffix="weights")]
            penalties.append(tf.reduce_sum(tf.abs(slim.get_unique_variable("b/biases"))))
            np.testing.assert_allclose(
                losses.get_regularization_losses(), [penalties[0], penalties[1], penalties[2]],
                rtol=1e-6,
            )  # fmt: skip
            assert [float(loss) for loss in losses.get_losses()] == [float(first), 7.0]
            total = float(first) + 7.0
            np.testing.assert_allclose(losses.get_total_loss(False), total, rtol=1e-6)
            np.testing.assert_allclose(
                losses.get_total_loss(), total + sum(map(float, penalties)), rtol=1e-6
            )


def test_penalty_counts_in_passes_that_use_its_variable():
    store = slim.VariableStore()
    with store.as_default():
        weighted_pass()
    with store.as_default():
        slim.fully_connected(tf.ones([2, 3]), 4, scope="a")
        assert losses.get_regularization_losses() == []
    with store.as_default():
        regularizer = slim.l2_regularizer(1.0)
        slim.fully_connected(tf.ones([2, 3]), 4, scope="a", weights_regularizer=regularizer)
        np.testing.assert_allclose(
            losses.get_total_loss(), regularizer(store.named_variables["a/weights"])
        )


def test_losses_and_penalties_by_scope():
    with slim.VariableStore().as_default():
        weighted_pass()
        aux = losses.absolute_difference(LOGITS, REALS, scope="aux_loss")
        main = losses.absolute_difference(LOGITS, BINARY, scope="main")
        with tf.name_scope("aux_other"):
            losses.add_loss(tf.constant(1.0))
        assert losses.get_losses("aux_loss") == [aux]
        assert losses.get_losses("main") == [main]
        assert len(losses.get_losses("aux")) == 2
        assert losses.get_losses("none") == []
        assert len(losses.get_regularization_losses("b/")) == 2


def test_losses_of_another_collection():
    with slim.VariableStore().as_default():
        losses.add_loss(tf.constant(1.0), "own")
        losses.add_loss(tf.constant(2.0), None)
        assert [float(loss) for loss in losses.get_losses(loss_collection="own")] == [1.0]
        assert losses.get_losses() == []


def test_losses_of_tensorflow_1_in_a_function_are_in_the_total():
    @tf.function(autograph=False)
    def total():
        with slim.VariableStore().as_default():
            ours("mean_squared_error")
            v1.absolute_difference(REALS, LOGITS)
            return losses.get_total_loss()

    expected = theirs("mean_squared_error") + theirs("absolute_difference")
    np.testing.assert_allclose(total(), expected, rtol=1e-5)


def test_passes_have_separate_losses():
    store = slim.VariableStore()
    with store.as_default():
        losses.add_loss(tf.constant(1.0))
        with store.as_default():
            losses.add_loss(tf.constant(2.0))
            assert float(losses.get_total_loss()) == 2.0
        assert float(losses.get_total_loss()) == 1.0


def test_total_loss_without_losses_is_an_error():
    with slim.VariableStore().as_default():
        with pytest.raises(ValueError, match="there are no losses to sum; first call"):
            losses.get_total_loss()
        weighted_pass()
        with pytest.raises(ValueError, match="first call a function of slim.losses"):
            losses.get_total_loss(add_regularization_losses=False)
        assert losses.get_total_loss() > 0


def test_compute_weighted_loss_is_added_to_the_losses():
    with slim.VariableStore().as_default():
        loss = losses.compute_weighted_loss([[1.0, 2.0], [3.0, 4.0]], [1.0, 0.0], scope="own")
        assert float(loss) == 1.5
        assert losses.get_losses("own") == [loss]
        assert float(losses.compute_weighted_loss([1.0, 3.0])) == 2.0
        assert len(losses.get_losses()) == 2
