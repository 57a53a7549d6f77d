import numpy as np
import pytest
import tensorflow as tf

import slim

RANDOM = np.random.default_rng(0)
SHAPES = {2: [8, 3], 3: [4, 5, 3], 4: [4, 5, 2, 3], 5: [2, 3, 2, 4, 3]}
SOME = {
    name: slim.random_uniform_initializer(0.5, 2.0)
    for name in ("beta", "gamma", "moving_mean", "moving_variance")
}
CASES = [(rank, fused) for rank in SHAPES for fused in ((None, False) if rank != 3 else (None,))]


def inputs(rank):
    return RANDOM.normal(size=SHAPES[rank], loc=2.0, scale=3.0).astype(np.float32)


def variable(name):
    return slim.get_unique_variable(f"bn/{name}").numpy()


def normalized(x, mean, variance, gamma, beta, epsilon=0.001):
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


@pytest.mark.parametrize("rank, fused", CASES)
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_training_and_inference_equal_numpy(rank, fused, data_format):
    x = inputs(rank)
    images = np.moveaxis(x, -1, 1) if data_format == "NCHW" else x

    def apply(is_training):
        outputs = slim.batch_norm(
            images, decay=0.9, scale=True, param_initializers=SOME, is_training=is_training,
            fused=fused, data_format=data_format, scope="bn", reuse=slim.AUTO_REUSE,
        ).numpy()  # fmt: skip
        return np.moveaxis(outputs, 1, -1) if data_format == "NCHW" else outputs

    apply(is_training=False)
    gamma, beta, mean, variance = (
        variable(name) for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    axes = tuple(range(rank - 1))
    batch_mean, batch_variance = x.mean(axes), x.var(axes)
    np.testing.assert_allclose(
        apply(is_training=True), normalized(x, batch_mean, batch_variance, gamma, beta),
        rtol=1e-3, atol=1e-4,
    )  # fmt: skip
    count = x.size // 3
    bessel = count / (count - 1) if rank != 3 and fused is None else 1.0
    mean = 0.9 * mean + 0.1 * batch_mean
    variance = 0.9 * variance + 0.1 * bessel * batch_variance
    np.testing.assert_allclose(variable("moving_mean"), mean, rtol=1e-4)
    np.testing.assert_allclose(variable("moving_variance"), variance, rtol=1e-4)
    np.testing.assert_allclose(
        apply(is_training=False), normalized(x, mean, variance, gamma, beta), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(variable("moving_mean"), mean, rtol=1e-4)


def test_outputs_and_gradients_equal_those_of_keras():
    x = tf.constant(inputs(4))
    keras = tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=0.001)
    mix = tf.constant(RANDOM.normal(size=SHAPES[4]).astype(np.float32))
    results = []
    for layer in (
        lambda: slim.batch_norm(x, 0.9, scale=True, scope="bn"),
        lambda: keras(x, training=True),
    ):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer()
            loss = tf.reduce_sum(outputs * mix)
        results.append([outputs, tape.gradient(loss, x)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(variable("moving_mean"), keras.moving_mean, rtol=1e-4)


def test_defaults_are_those_of_tf_slim():
    slim.batch_norm(inputs(4))
    store = slim.current_store()
    assert list(store.named_variables) == [
        "BatchNorm/beta", "BatchNorm/moving_mean", "BatchNorm/moving_variance",
    ]  # fmt: skip
    assert [v.name for v in slim.get_trainable_variables()] == ["BatchNorm/beta:0"]
    assert len(slim.get_model_variables()) == 3
    assert store.named_variables["BatchNorm/beta"].numpy().tolist() == [0, 0, 0]
    # decay 0.999 from a mean of 0
    mean = store.named_variables["BatchNorm/moving_mean"].numpy()
    assert np.all((mean > 0.0005) & (mean < 0.0045))


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("scale", [False, True])
def test_center_and_scale_create_beta_and_gamma(center, scale):
    slim.batch_norm(inputs(4), center=center, scale=scale, scope="bn")
    kept = ["gamma"] * scale + ["beta"] * center + ["moving_mean", "moving_variance"]
    assert list(slim.current_store().named_variables) == [f"bn/{name}" for name in kept]


def test_param_regularizers_reach_beta_and_gamma():
    regularizers = {"gamma": slim.l1_regularizer(1.0), "beta": slim.l2_regularizer(2.0)}
    with slim.VariableStore().as_default():
        slim.batch_norm(
            inputs(4), scale=True, scope="bn", param_initializers=SOME,
            param_regularizers=regularizers,
        )  # fmt: skip
        penalties = slim.losses.get_regularization_losses()
        expected = [variable("gamma").sum(), (variable("beta") ** 2).sum()]
    np.testing.assert_allclose(penalties, expected, rtol=1e-5)


def test_untrainable_parameters_are_not_trainable_variables():
    slim.batch_norm(inputs(4), scale=True, trainable=False)
    assert slim.get_trainable_variables() == []


@pytest.mark.parametrize("frozen", [True, lambda name: name == "outer/bn", lambda name: False])
def test_frozen_batch_norm_uses_its_averages_and_does_not_update_them(frozen):
    x = inputs(4)
    values = {"beta": 0.7, "moving_mean": 1.5, "moving_variance": 2.5}
    initializers = {name: slim.constant_initializer(value) for name, value in values.items()}
    expected = normalized(x, 1.5, 2.5, 1.0, 0.7)
    is_frozen = frozen if frozen is True else frozen("outer/bn")
    with slim.variable_scope("outer"):
        outputs = slim.batch_norm(
            x, 0.5, param_initializers=initializers, frozen=frozen, scope="bn", is_training=True
        )
        after = slim.batch_norm(x, is_training=False, scope="bn", reuse=True)
    assert np.allclose(outputs, expected, rtol=1e-3, atol=1e-4) == is_frozen
    assert np.allclose(after, expected, rtol=1e-3, atol=1e-4) == is_frozen


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_is_training_may_be_a_tensor(rank):
    x = inputs(rank)
    store = slim.VariableStore()

    @tf.function(autograph=False)
    def step(x, is_training):
        with store.as_default():
            outputs = slim.batch_norm(x, decay=0.5, is_training=is_training, scope="bn")
        assert outputs.shape.as_list() == SHAPES[rank]
        return outputs

    untouched = step(x, tf.constant(False))
    np.testing.assert_allclose(untouched, x / np.sqrt(1.001), rtol=1e-4, atol=1e-5)
    trained = step(x, tf.constant(True))
    axes = tuple(range(rank - 1))
    mean = x.mean(axes)
    np.testing.assert_allclose(
        trained, normalized(x, mean, x.var(axes), 1, 0), rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(store.named_variables["bn/moving_mean"], mean / 2, rtol=1e-4)
    after = step(x, tf.constant(False))
    assert not np.allclose(after, untouched, atol=1e-2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("rank", [4, 5])
def test_half_precision_keeps_its_statistics_in_float32(dtype, rank):
    x = tf.cast(inputs(rank), dtype)
    outputs = slim.batch_norm(x, decay=0.5, scale=True, scope="bn")
    assert outputs.dtype == x.dtype
    assert {v.dtype for v in slim.get_variables()} == {tf.float32}
    axes = tuple(range(rank - 1))
    full = tf.cast(x, tf.float32).numpy()
    np.testing.assert_allclose(variable("moving_mean"), full.mean(axes) / 2, rtol=1e-3)
    np.testing.assert_allclose(
        tf.cast(outputs, tf.float32), normalized(full, full.mean(axes), full.var(axes), 1, 0),
        rtol=0.02, atol=0.02,
    )  # fmt: skip
    assert slim.batch_norm(x, is_training=False, scope="bn", reuse=True).dtype == x.dtype


@pytest.mark.parametrize("rank", [2, 4, 5])
def test_double_precision_is_kept(rank):
    x = inputs(rank).astype(np.float64)
    outputs = slim.batch_norm(x, scope="bn", decay=0.5)
    assert outputs.dtype == slim.get_unique_variable("bn/moving_mean").dtype == tf.float64
    axes = tuple(range(rank - 1))
    np.testing.assert_allclose(outputs, normalized(x, x.mean(axes), x.var(axes), 1, 0), rtol=1e-9)


def test_epsilon_below_the_minimum_of_the_fused_kernel():
    x = 1e-3 * inputs(4)
    axes = (0, 1, 2)
    for fused, epsilon in ((None, 1.001e-5), (False, 1e-9)):
        outputs = slim.batch_norm(x, epsilon=1e-9, fused=fused)
        expected = normalized(x, x.mean(axes), x.var(axes), 1, 0, epsilon)
        np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)


def test_activation_is_applied_after_the_normalization():
    linear = slim.batch_norm(inputs(4), scope="bn")
    outputs = slim.batch_norm(inputs(4) * 0 + inputs(4), activation_fn=tf.nn.relu)
    assert np.min(linear) < 0 == np.min(outputs)


def test_unknown_sizes_and_gradients_with_channels_first():
    store = slim.VariableStore()

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, 3, None, None])])
    def step(x):
        with store.as_default(), tf.GradientTape() as tape:
            outputs = slim.batch_norm(x, scale=True, data_format="NCHW", scope="bn")
            loss = tf.reduce_sum(outputs**3)
        assert outputs.shape.as_list() == [None, 3, None, None]
        return tape.gradient(loss, slim.get_trainable_variables() or list(
            store.named_variables.values())[:2])  # fmt: skip

    gradients = step(tf.random.stateless_normal([2, 3, 4, 5], [1, 2]))
    assert [g.shape for g in gradients] == [(3,), (3,)]
    assert np.abs(gradients[0]).min() > 0


def test_invalid_arguments_are_errors():
    with pytest.raises(ValueError, match="data_format has to be either NCHW or NHWC, not 'NWC'"):
        slim.batch_norm(inputs(3), data_format="NWC")
    with pytest.raises(ValueError, match=r"shape \(3,\), but a rank of 2 or more is needed"):
        slim.batch_norm(tf.ones([3]))
    for shape, message in [(None, "a rank of 2 or more"), ([4, None], "must have a known size")]:
        with pytest.raises(ValueError, match=message):
            slim.VariableStore().build(slim.batch_norm, tf.TensorSpec(shape))


def test_exclusive_options_of_renorm_are_errors():
    for options in ({"batch_weights": [1.0] * 4}, {"updates_collections": None},
                    {"zero_debias_moving_mean": True}):  # fmt: skip
        with pytest.raises(
            ValueError, match="renorm is not supported with batch_weights, updates_"
        ):
            slim.batch_norm(inputs(4), renorm=True, **options)
    with pytest.raises(ValueError, match="renorm_clipping key='max' is not known; did you mean"):
        slim.batch_norm(inputs(4), renorm=True, renorm_clipping={"max": 1.0})


def test_batch_weights_need_one_per_example():
    with pytest.raises(
        ValueError, match=r"batch_weights of shape \(3,\) need one weight for each of"
    ):
        slim.batch_norm(inputs(4), batch_weights=[1.0, 2.0, 3.0])


@pytest.mark.parametrize("rank, fused", [(2, None), (3, None), (4, None), (4, False), (5, None)])
@pytest.mark.parametrize("updates_collections", ["update_ops", None])
def test_averages_follow_the_batches_in_both_modes(mode, rank, fused, updates_collections):
    x = inputs(rank)

    def build():
        return slim.batch_norm(x, 0.8, fused=fused, updates_collections=updates_collections)

    outputs = mode.run(build, steps=3)
    axes = tuple(range(rank - 1))
    count = x.size // 3
    bessel = 1.0 if rank == 3 or fused is False else count / (count - 1)
    mean, variance = x.mean(axes), x.var(axes)
    expected = normalized(x, mean, variance, 1.0, 0.0)
    for value in outputs:
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-4)
    kept = 0.8**3
    np.testing.assert_allclose(
        mode.variables["BatchNorm/moving_mean"], (1 - kept) * mean, rtol=1e-4
    )
    np.testing.assert_allclose(
        mode.variables["BatchNorm/moving_variance"],
        kept + (1 - kept) * bessel * variance,
        rtol=1e-4,
    )


@pytest.mark.parametrize("fused", [None, False])
@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("updates_collections", ["update_ops", None])
def test_tensor_is_training_in_both_modes(mode, fused, is_training, updates_collections):
    x = inputs(4)

    def build():
        training = tf.reduce_all(tf.equal(tf.random.uniform([]) < 2.0, is_training))
        return slim.batch_norm(
            x, 0.5, fused=fused, is_training=training, zero_debias_moving_mean=True, scope="bn",
            updates_collections=updates_collections,
        )  # fmt: skip

    outputs = mode.run(build, steps=2)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = normalized(x, mean, variance, 1.0, 0.0) if is_training else normalized(x, 0, 1, 1, 0)
    np.testing.assert_allclose(outputs[1], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        mode.variables["bn/moving_mean"], mean if is_training else [0, 0, 0], rtol=1e-4
    )


@pytest.mark.parametrize("fused", [None, False])
def test_zero_debias_removes_the_initial_zero(mode, fused):
    x = inputs(4)
    with slim.arg_scope([slim.batch_norm], zero_debias_moving_mean=True, fused=fused):
        mode.run(lambda: slim.batch_norm(x, 0.9, scope="bn"), steps=3)
    mean = x.mean((0, 1, 2))
    np.testing.assert_allclose(mode.variables["bn/moving_mean"], mean, rtol=1e-4)
    # The layer's name comes twice, as in TF-Slim's checkpoints.
    np.testing.assert_allclose(
        mode.variables["bn/bn/moving_mean/biased"], (1 - 0.9**3) * mean, rtol=1e-4
    )
    assert mode.variables["bn/bn/moving_mean/local_step"] == 3.0


def test_batch_weights_count_examples(mode):
    x = inputs(4)
    weights = np.array([2.0, 0.0, 1.0, 1.0], np.float32)
    outputs = mode.run(lambda: slim.batch_norm(x, 0.9, batch_weights=weights, scope="bn"))[0]
    counted = x[[0, 0, 2, 3]]
    mean, variance = counted.mean((0, 1, 2)), counted.var((0, 1, 2))
    np.testing.assert_allclose(
        outputs, normalized(x, mean, variance, 1.0, 0.0), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(mode.variables["bn/moving_mean"], 0.1 * mean, rtol=1e-4)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_adjustment_changes_normalized_values_in_training(mode, data_format):
    x = inputs(4)
    images = np.moveaxis(x, -1, 1) if data_format == "NCHW" else x

    def build():
        with slim.arg_scope(
            [slim.batch_norm], scope="bn", reuse=slim.AUTO_REUSE, data_format=data_format,
            adjustment=lambda shape: (tf.fill([1, 1, 1, 1], 2.0), tf.fill([1, 1, 1, 1], 0.5)),
        ):  # fmt: skip
            return slim.batch_norm(images), slim.batch_norm(images, is_training=False)

    trained = mode.run(build)[0][0]
    trained = np.moveaxis(trained, 1, -1) if data_format == "NCHW" else trained
    expected = normalized(x, x.mean((0, 1, 2)), x.var((0, 1, 2)), 2.0, 0.5)
    np.testing.assert_allclose(trained, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rank", [2, 4])
def test_renorm_equals_the_formulas_of_the_paper(mode, rank):
    x = inputs(rank)
    limits = {"rmin": 0.9, "rmax": 1.5, "dmax": 0.6}

    def build():
        return slim.batch_norm(
            x, 0.8, renorm=True, renorm_clipping=limits, renorm_decay=0.5, scale=True, scope="bn",
            param_initializers={"gamma": slim.constant_initializer(1.5)},
        )  # fmt: skip

    outputs = mode.run(build, steps=3)
    axes = tuple(range(rank - 1))
    mean, variance = x.mean(axes), x.var(axes)
    stddev = np.sqrt(variance + 0.001)
    state = {"mean": 0.0, "stddev": 1.0, "moving_mean": 0.0, "moving_stddev": 1.0}
    for value in outputs:
        r = np.clip(stddev / state["stddev"], 0.9, 1.5)
        d = np.clip((mean - state["mean"]) / state["stddev"], -0.6, 0.6)
        expected = ((x - mean) / stddev * r + d) * 1.5
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-4)
        state = {
            "mean": 0.5 * state["mean"] + 0.5 * mean,
            "stddev": 0.5 * state["stddev"] + 0.5 * stddev,
            "moving_mean": 0.8 * state["moving_mean"] + 0.2 * mean,
            "moving_stddev": 0.8 * state["moving_stddev"] + 0.2 * stddev,
        }
    for name, value in {
        "renorm_mean": state["mean"],
        "renorm_stddev": state["stddev"],
        "moving_mean": state["moving_mean"],
        "moving_stddev": state["moving_stddev"],
        "moving_variance": state["moving_stddev"] ** 2 - 0.001,
    }.items():
        np.testing.assert_allclose(mode.variables[f"bn/{name}"], value, rtol=1e-4)


def test_renorm_has_no_effect_in_inference(mode):
    x = inputs(4)
    outputs = mode.run(lambda: slim.batch_norm(x, renorm=True, is_training=False))[0]
    np.testing.assert_allclose(outputs, normalized(x, 0.0, 1.0, 1.0, 0.0), rtol=1e-4, atol=1e-5)
    assert mode.variables["BatchNorm/renorm_stddev"].tolist() == [1.0, 1.0, 1.0]
