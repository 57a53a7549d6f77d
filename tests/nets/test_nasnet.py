"""NASNet and PNASNet: cells, end points, drop path; the registry's tests cover the rest."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets.nasnet import cells, nasnet, nasnet_utils, network, pnasnet, variants
from nets.nasnet.config import NasnetConfig
from slim import _checks
from slim.store import ShapeStore

TINY = NasnetConfig(
    num_cells=3,
    num_conv_filters=4,
    stem_multiplier=1.0,
    drop_path_keep_prob=1.0,
    dense_dropout_keep_prob=1.0,
    skip_reduction_layer_input=True,
    use_aux_head=False,
    total_training_steps=100,
)
# A single cell after the stem: enough where the number of cells makes no difference.
SHORT = dataclasses.replace(TINY, num_cells=1, num_reduction_layers=0)
DROPPING = dataclasses.replace(SHORT, drop_path_keep_prob=0.3)
NASNET_NAMES = [
    "Stem", "Cell_0", "Reduction_Cell_0", "Cell_1", "Reduction_Cell_1", "Cell_2",
    "global_pool", "Logits", "Predictions",
]  # fmt: skip
PNASNET_NAMES = [name for name in NASNET_NAMES if not name.startswith("Reduction")]
BUILDERS = [
    (nasnet.build_nasnet_cifar, NASNET_NAMES),
    (nasnet.build_nasnet_mobile, NASNET_NAMES),
    (pnasnet.build_pnasnet_mobile, PNASNET_NAMES),
]


def network_fn(builder, num_classes=5, is_training=False, config=TINY, **kwargs):
    def build(images):
        with slim.arg_scope(nasnet.nasnet_cifar_arg_scope()):
            return builder(
                images, num_classes=num_classes, is_training=is_training, config=config, **kwargs
            )

    return build


def built(builder, size=32, batch=2, **kwargs):
    """Returns the network's outputs for symbolic images, and its store."""
    store, results = ShapeStore(seed=0), []
    fn = network_fn(builder, **kwargs)
    store.build(lambda x: results.append(fn(x)), tf.TensorSpec([batch, size, size, 3]))
    return *results[0], store


def images(size=32, scale=1.0):
    return tf.constant(
        scale * np.random.RandomState(0).standard_normal((2, size, size, 3)), tf.float32
    )


def run(builder, x, store=None, seed=None, **kwargs):
    """Returns the network's outputs for `x`."""
    store = store or slim.VariableStore(seed=0)
    fn = network_fn(builder, **kwargs)

    @tf.function(autograph=False)
    def once(x):
        with store.as_default(seed=None if seed is None else tf.constant([seed, 0])):
            return fn(x)

    return once(x)


@pytest.mark.parametrize(
    "config, expected",
    [
        (nasnet.cifar_config(), [6, 12]),
        (nasnet.mobile_imagenet_config(), [4, 8]),
        (nasnet.large_imagenet_config(), [6, 12]),
        (pnasnet.mobile_imagenet_config(), [3, 6]),
        (pnasnet.large_imagenet_config(), [4, 8]),
    ],
)
def test_reductions_split_the_cells_into_thirds(config, expected):
    assert variants.reduction_cells(config) == expected
    assert variants.aux_cell(config) == expected[1] - 1


@pytest.mark.parametrize(
    "builder, names, name",
    [
        (*BUILDERS[0], "Cell_1"),
        pytest.param(*BUILDERS[1], "Stem", marks=pytest.mark.slow),
        pytest.param(*BUILDERS[2], "Cell_1", marks=pytest.mark.slow),
    ],
)
def test_end_points_are_in_order_and_building_stops_at_final_endpoint(builder, names, name):
    logits, end_points, full = built(builder)
    assert list(end_points) == names
    assert logits is end_points["Logits"]
    net, end_points, store = built(builder, final_endpoint=name)
    assert list(end_points) == names[: names.index(name) + 1]
    assert net is end_points[name]
    variables = list(store.named_variables)
    assert variables == list(full.named_variables)[: len(variables)]
    assert all(not v.startswith(("cell_2", "final_layer")) for v in variables)


@pytest.mark.parametrize(
    "name, last_variable",
    [
        ("global_pool", "cell_0/comb_iter_4/left/bn_sep_3x3_2/moving_variance"),
        ("Logits", "final_layer/FC/biases"),
        ("Predictions", "final_layer/FC/biases"),
    ],
)
def test_final_endpoint_may_follow_the_cells(name, last_variable):
    net, end_points, store = built(nasnet.build_nasnet_cifar, final_endpoint=name, config=SHORT)
    assert net is end_points[name]
    assert list(end_points)[-1] == name
    assert list(store.named_variables)[-1] == last_variable


@pytest.mark.slow
def test_final_endpoint_before_the_auxiliary_head_skips_it():
    config = dataclasses.replace(TINY, use_aux_head=True)
    kwargs = {"is_training": True, "config": config, "size": 80}
    _, end_points, _ = built(nasnet.build_nasnet_cifar, final_endpoint="Cell_1", **kwargs)
    assert "AuxLogits" not in end_points
    _, end_points, _ = built(nasnet.build_nasnet_cifar, final_endpoint="Reduction_Cell_1", **kwargs)
    assert list(end_points)[-2:] == ["AuxLogits", "Reduction_Cell_1"]


@pytest.mark.parametrize("builder, names", BUILDERS)
def test_unknown_final_endpoint_error_suggests_the_nearest(builder, names):
    known = ", ".join(names)
    with pytest.raises(_checks.UserError, match=f"did you mean 'Cell_1'.* Known: {known}$"):
        built(builder, final_endpoint="cell_1")


def test_final_endpoint_logits_without_classes_is_an_error():
    with pytest.raises(_checks.UserError, match=r"'Logits' is not known.* global_pool$"):
        built(nasnet.build_nasnet_cifar, num_classes=0, final_endpoint="Logits")


@pytest.mark.parametrize(
    "builder, channels, num_classes",
    [
        (nasnet.build_nasnet_cifar, 6 * 16, None),
        pytest.param(pnasnet.build_pnasnet_mobile, 5 * 16, 0, marks=pytest.mark.slow),
    ],
)
def test_no_classes_returns_features(builder, channels, num_classes):
    config = dataclasses.replace(TINY, use_aux_head=True)
    net, end_points, store = built(
        builder, num_classes=num_classes, is_training=True, config=config, batch=None
    )
    assert net.shape.as_list() == [None, channels]
    assert list(end_points)[-1] == "global_pool"
    assert not any(name.startswith(("aux", "final_layer")) for name in store.named_variables)


def test_inference_has_no_auxiliary_head():
    config = dataclasses.replace(TINY, use_aux_head=True)
    _, end_points, _ = built(nasnet.build_nasnet_cifar, config=config, size=80)
    assert list(end_points) == NASNET_NAMES


def test_auxiliary_head_with_small_images_is_an_error():
    config = dataclasses.replace(TINY, use_aux_head=True)
    with pytest.raises(ValueError, match=r"its input is 4x4; .* use_aux_head=False"):
        built(nasnet.build_nasnet_cifar, is_training=True, config=config, size=8)


def second_inputs(name, skip):
    """Returns each cell's second input among the outputs so far, by its scope."""
    config = dataclasses.replace(TINY, skip_reduction_layer_input=skip)
    return {row.scope: row.prev for row in variants.rows(variants.VARIANTS[name], config)}


@pytest.mark.parametrize("skip, expected", [(True, [-2, -3]), (False, [-2, -2])])
def test_second_input_of_a_cell_after_a_reduction(skip, expected):
    prev = second_inputs("nasnet_cifar", skip)
    assert [prev[name] for name in ("reduction_cell_0", "cell_1")] == expected


def test_second_input_of_a_reducing_pnasnet_cell():
    assert list(second_inputs("pnasnet_mobile", True).values()) == [-2] * 5
    assert list(second_inputs("pnasnet_mobile", False).values()) == [-2, -2, -2, -3, -3]
    built(pnasnet.build_pnasnet_mobile,
          config=dataclasses.replace(TINY, skip_reduction_layer_input=False))  # fmt: skip


@pytest.mark.parametrize("size", [pytest.param(31, marks=pytest.mark.slow), 33])
def test_odd_image_sizes_are_supported(size):
    net, _, _ = built(pnasnet.build_pnasnet_mobile, size=size)
    assert net.shape.as_list() == [2, 5]


def test_reductions_without_a_cell_between_them_are_an_error():
    config = dataclasses.replace(TINY, num_cells=1, num_reduction_layers=1)
    with pytest.raises(
        _checks.UserError, match="more than one reduction between cell_0 and its second input; use"
    ):
        built(nasnet.build_nasnet_mobile, config=config)


def test_variables_do_not_depend_on_the_image_size():
    # At 5 pixels the input and the output of the stem's second cell have one pixel each.
    layouts = []
    for size in (5, 64):
        _, _, store = built(nasnet.build_nasnet_mobile, size=size, config=SHORT)
        layouts.append({name: v.shape for name, v in store.named_variables.items()})
    assert layouts[0] == layouts[1]


@pytest.mark.parametrize(
    "builder",
    [
        nasnet.build_nasnet_mobile,
        pytest.param(pnasnet.build_pnasnet_mobile, marks=pytest.mark.slow),  # the same cells
    ],
)
def test_channels_first_computes_the_same(builder):
    store, x = slim.VariableStore(seed=0), images()
    expected, _ = run(builder, x, store, config=SHORT)
    config = dataclasses.replace(SHORT, data_format="NCHW")
    logits, end_points = run(builder, x, store, config=config)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert end_points["Stem"].shape[2:] == [4, 4]


@pytest.mark.slow
def test_bounded_activations_stay_within_six():
    x = images(scale=1000.0)
    for bounded in (True, False):
        config = dataclasses.replace(SHORT, use_bounded_activation=bounded)
        _, end_points = run(pnasnet.build_pnasnet_mobile, x, config=config)
        assert (np.abs(end_points["Cell_0"]).max() <= 6.0) == bounded


@pytest.mark.parametrize("size, filters", [(6, 4), (7, 5)])
def test_factorized_reduction_uses_all_pixels(size, filters):
    x = np.random.RandomState(0).standard_normal((1, size, size, 3)).astype(np.float32)
    store = slim.VariableStore(seed=0)
    with (
        slim.arg_scope(nasnet.nasnet_cifar_arg_scope(batch_norm_epsilon=0.0)),
        slim.arg_scope([slim.batch_norm], is_training=False, fused=False),
        store.as_default(),
    ):
        net = cells.factorized_reduction(tf.constant(x), filters, 2)
    even, odd = (store.named_variables[f"path{i}_conv/weights"].numpy()[0, 0] for i in (1, 2))
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    expected = np.concatenate([x[:, ::2, ::2] @ even, padded[:, 1::2, 1::2] @ odd], axis=3)
    np.testing.assert_allclose(net, expected, rtol=1e-5, atol=1e-5)
    assert net.shape[-1] == filters


def test_drop_path_keep_prob_falls_with_depth_and_steps():
    def keep(step):
        return [float(p) for p in network._keep_probs(DROPPING, 4, step)]

    np.testing.assert_allclose(keep(0), [1.0] * 4)
    np.testing.assert_allclose(keep(50), [1 - 0.5 * 0.7 * i / 4 for i in (1, 2, 3, 4)], rtol=1e-6)
    np.testing.assert_allclose(keep(100), [1 - 0.7 * i / 4 for i in (1, 2, 3, 4)], rtol=1e-6)
    np.testing.assert_allclose(keep(1000), keep(100))


def test_drop_path_masks_preserve_the_mean():
    with slim.VariableStore(seed=0).as_default(seed=tf.constant([1, 2])):
        masks = [m.numpy() for m in cells.drop_path_masks(tf.zeros([4000, 1, 1, 1]), 0.8, 3)]
    assert [m.shape for m in masks] == [(4000, 1, 1, 1)] * 3
    assert all(np.unique(m) == pytest.approx([0.0, 1.25]) for m in masks)
    assert all(m.mean() == pytest.approx(1.0, abs=0.03) for m in masks)
    assert not np.array_equal(masks[0], masks[1])


def test_drop_path_depends_on_the_seed_and_the_step():
    store, x = slim.VariableStore(seed=0), images()

    def logits(config=DROPPING, seed=1, **kwargs):
        return run(nasnet.build_nasnet_cifar, x, store, seed, is_training=True, config=config,
                   **kwargs)[0].numpy()  # fmt: skip

    late = logits(current_step=100)
    assert not np.allclose(logits(seed=2, current_step=100), late)
    # At the first step nothing is dropped, by argument or by the store's global step.
    all_paths = logits(config=SHORT)
    np.testing.assert_allclose(logits(current_step=0), all_paths, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits(), all_paths, rtol=1e-4, atol=1e-5)
    store.named_variables["global_step"].assign(100)
    np.testing.assert_array_equal(logits(), late)


def test_inference_creates_no_global_step_for_drop_path():
    _, _, store = built(nasnet.build_nasnet_cifar, config=DROPPING)
    assert "global_step" not in store.named_variables


@pytest.mark.parametrize(
    "change, message",
    [
        ({"num_cells": 0}, "num_cells=0 must be positive"),
        ({"drop_path_keep_prob": 0.0}, r"drop_path_keep_prob=0\.0 must be positive"),
        ({"dense_dropout_keep_prob": 1.5}, r"dense_dropout_keep_prob=1\.5 must lie between 0"),
        ({"num_reduction_layers": -1}, "num_reduction_layers=-1 must not be negative"),
        ({"data_format": "NHCW"}, "data_format='NHCW' is not known; did you mean 'N"),
    ],
)
def test_invalid_config_is_an_error(change, message):
    with pytest.raises(_checks.UserError, match=message):
        dataclasses.replace(TINY, **change)


@pytest.mark.parametrize("config", [nasnet.cifar_config, pnasnet.mobile_imagenet_config])
def test_set_hparam_changes_one_configuration_in_place(config):
    changed = config()
    changed.set_hparam("use_aux_head", 0)
    changed.set_hparam("data_format", "NCHW")
    assert changed == dataclasses.replace(config(), use_aux_head=False, data_format="NCHW")
    assert config().use_aux_head is True
    with pytest.raises(_checks.UserError, match="name='use_aux' is not known; did you mean"):
        changed.set_hparam("use_aux", 1)
    with pytest.raises(_checks.UserError, match="num_cells='2' must be of type int"):
        changed.set_hparam("num_cells", "2")
    with pytest.raises(_checks.UserError, match="num_cells=0 must be positive"):
        changed.set_hparam("num_cells", 0)
    assert changed.num_cells == config().num_cells


@pytest.mark.parametrize(
    "arg_scope, regularization, decay, epsilon",
    [
        (nasnet.nasnet_cifar_arg_scope, 5e-4, 0.9, 1e-5),
        (nasnet.nasnet_mobile_arg_scope, 4e-5, 0.9997, 1e-3),
        (nasnet.nasnet_large_arg_scope, 5e-5, 0.9997, 1e-3),
        (pnasnet.pnasnet_mobile_arg_scope, 4e-5, 0.9997, 1e-3),
        (pnasnet.pnasnet_large_arg_scope, 4e-5, 0.9997, 1e-3),
    ],
)
def test_arg_scopes_have_the_published_defaults(arg_scope, regularization, decay, epsilon):
    scope = arg_scope()
    norm = scope[slim.arg_scope_func_key(slim.batch_norm)]
    assert (norm["decay"], norm["epsilon"], norm["scale"]) == (decay, epsilon, True)
    for layer in (slim.conv2d, slim.separable_conv2d, slim.fully_connected):
        penalty = scope[slim.arg_scope_func_key(layer)]["weights_regularizer"]
        # Half the sum of squares: of 2, that is 1 times the coefficient.
        assert float(penalty(tf.constant([1.0, 1.0]))) == pytest.approx(regularization)


@pytest.mark.parametrize("data_format, axis", [("NHWC", 3), ("NCHW", 1)])
def test_nasnet_utils_under_tf_slims_names(data_format, axis):
    values = tf.reshape(tf.range(2.0 * 3 * 4 * 5), [2, 3, 4, 5])
    with slim.arg_scope(
        [
            nasnet_utils.get_channel_index,
            nasnet_utils.get_channel_dim,
            nasnet_utils.global_avg_pool,
        ],
        data_format=data_format,
    ):
        assert nasnet_utils.get_channel_index() == axis
        assert nasnet_utils.get_channel_dim(values.shape) == values.shape[axis]
        pooled = nasnet_utils.global_avg_pool(values)
    other = [each for each in (1, 2, 3) if each != axis]
    np.testing.assert_allclose(pooled, np.mean(values.numpy(), axis=tuple(other)))
    assert nasnet_utils.calc_reduction_layers(10, 3) == [2, 5, 7]
    assert nasnet_utils.drop_path(values, 0.5, is_training=False) is values
    kept = nasnet_utils.drop_path(tf.ones([200, 1, 1, 1]), 0.5)
    assert set(np.unique(kept)) == {0.0, 2.0}
    with pytest.raises(_checks.UserError, match="data_format='HW' is not known"):
        nasnet_utils.get_channel_index("HW")
