import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim import windows

SIZES = {1: [7], 2: [7, 6], 3: [5, 4, 6]}
FIRST = {1: "NCW", 2: "NCHW", 3: "NCDHW"}
NAMED = {
    ("MAX", 2): slim.max_pool2d,
    ("AVG", 2): slim.avg_pool2d,
    ("MAX", 3): slim.max_pool3d,
    ("AVG", 3): slim.avg_pool3d,
}

CASES = [
    (kind, dims, kernel, stride, padding)
    for kind, dims in NAMED
    for kernel, stride in ((2, 2), (3, 2), (3, 1), (1, 3))
    for padding in ("SAME", "VALID")
    if windows.start_is_settled(dims, kernel, stride, padding)
]


def inputs(dims):
    return np.random.default_rng(dims).normal(size=[2, *SIZES[dims], 3]).astype(np.float32)


def tuples(dims, *values):
    return [tuple(np.broadcast_to(v, [dims])) for v in values]


def check(layer, kind, dims, kernel, stride, rate, padding, **options):
    x = inputs(dims)
    expected = windows.pool(x, kind, *tuples(dims, kernel, stride, rate), padding)
    options |= {"stride": stride, "padding": padding}
    np.testing.assert_allclose(layer(x, kernel, **options), expected, rtol=1e-5, atol=1e-6)
    first = layer(np.moveaxis(x, -1, 1), kernel, data_format=FIRST[dims], **options)
    np.testing.assert_allclose(first, np.moveaxis(expected, -1, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind, dims, kernel, stride, padding", CASES)
def test_pools_equal_numpy(kind, dims, kernel, stride, padding):
    check(NAMED[kind, dims], kind, dims, kernel, stride, 1, padding)


@pytest.mark.parametrize("kind", ["MAX", "AVG"])
def test_non_square_windows_equal_numpy(kind):
    check(NAMED[kind, 2], kind, 2, (3, 2), (1, 2), 1, "SAME")
    check(NAMED[kind, 3], kind, 3, (1, 2, 3), (2, 1, 1), 1, "VALID")


@pytest.mark.parametrize("kind", ["MAX", "AVG"])
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    "stride, rate, padding",
    [(1, 1, "SAME"), (2, 1, "SAME"), (1, 1, "VALID"), (2, 1, "VALID"), (1, 2, "VALID")],
)
def test_pool_equals_numpy(kind, dims, stride, rate, padding):
    check(slim.pool, kind, dims, 2, stride, rate, padding, pooling_type=kind, dilation_rate=rate)


def test_defaults_are_those_of_tf_slim():
    x = inputs(2)
    for layer in (slim.max_pool2d, slim.avg_pool2d):
        np.testing.assert_array_equal(layer(x, 2), layer(x, [2, 2], 2, "VALID", "NHWC"))
    np.testing.assert_array_equal(
        slim.pool(x, 2, "max"), slim.max_pool2d(x, 2, stride=1, padding="VALID")
    )


def test_arg_scope_reaches_pools():
    with slim.arg_scope([slim.max_pool2d, slim.avg_pool2d], stride=1, padding="SAME"):
        assert slim.max_pool2d(inputs(2), 3).shape == slim.avg_pool2d(inputs(2), 3).shape
        assert slim.max_pool2d(inputs(2), 3).shape == (2, 7, 6, 3)


def test_dilated_strided_windows_are_errors_of_tensorflow():
    with pytest.raises(ValueError, match="pooling with 'SAME' padding is not implemented"):
        slim.pool(inputs(2), 2, "MAX", padding="SAME", dilation_rate=2)


def test_invalid_arguments_are_errors():
    with pytest.raises(ValueError, match="MaxPool2D expects input with rank 4, got 5"):
        slim.max_pool2d(inputs(3), 2)
    with pytest.raises(ValueError, match="AvgPool3D expects input with rank 5, got 4"):
        slim.avg_pool3d(inputs(2), 2)
    with pytest.raises(ValueError, match="expects input with rank 3 or 4 or 5, got 2"):
        slim.pool(tf.ones([2, 2]), 2, "MAX")
    with pytest.raises(ValueError, match="data_format has to be either NCHW or NHWC, not 'NWC'"):
        slim.max_pool2d(inputs(2), 2, data_format="NWC")
    with pytest.raises(ValueError, match="pooling_type='SUM' is not known. Known: AVG, MAX"):
        slim.pool(inputs(2), 2, "sum")
    with pytest.raises(ValueError, match=r"kernel_size=\[2, 2, 2\] must be a positive integ"):
        slim.max_pool2d(inputs(2), [2, 2, 2])


def test_collected_outputs_have_the_default_scope_names():
    x = inputs(2)
    with slim.variable_scope("net"):
        for layer in (slim.max_pool2d, slim.max_pool2d, slim.avg_pool2d):
            layer(x, 2, outputs_collections="pools")
        slim.max_pool2d(x, 2, outputs_collections=["pools", "more"], scope="pool1")
        slim.pool(x, 2, "MAX", outputs_collections="pools")
    assert list(slim.convert_collection_to_dict("pools")) == [
        "net/MaxPool2D", "net/MaxPool2D_1", "net/AvgPool2D", "net/pool1", "net/max_pool",
    ]  # fmt: skip
    assert list(slim.convert_collection_to_dict("more")) == ["net/pool1"]
