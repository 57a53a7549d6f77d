import numpy as np
import pytest
import tensorflow as tf

import slim
from slim.layers import sparse_ops
from tests.slim import modes

DENSE = np.array([[[1, 0, 2], [0, 0, 0]], [[0, 3, 4], [5, 0, 6]]])


def parts(sparse):
    return sparse.indices, sparse.values, sparse.dense_shape


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "dense, ignored, used",
    [
        (DENSE, None, 0),
        (DENSE.astype(np.float32), 2, 2),
        (DENSE > 2, None, False),
        (DENSE.astype("S"), "4", b"4"),
        (np.array([b"", b"a", b""]), None, b""),
    ],
    ids=["int", "float", "bool", "string", "empty string"],
)
def test_dense_to_sparse_tensor_equals_numpy(mode, known, dense, ignored, used):
    (indices, values, shape), _ = modes.run(
        mode, lambda t: parts(sparse_ops.dense_to_sparse_tensor(t, ignored)), dense, known=known
    )
    np.testing.assert_array_equal(indices, np.argwhere(dense != used))
    np.testing.assert_array_equal(values, dense[dense != used])
    np.testing.assert_array_equal(shape, dense.shape)
    assert indices.dtype == shape.dtype == np.int64


@pytest.mark.parametrize("mode", modes.MODES)
def test_dense_to_sparse_drops_the_end_token(mode):
    names = []

    def layer(labels):
        sparse = slim.dense_to_sparse(labels, eos_token=5, outputs_collections="c")
        names[:] = slim.convert_collection_to_dict("c")
        return tf.sparse.to_dense(sparse, default_value=5)

    np.testing.assert_array_equal(modes.run(mode, layer, DENSE)[0], DENSE)
    assert names == ["dense_to_sparse"]


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("dtype", [tf.int64, tf.int16])
@pytest.mark.parametrize(
    "indicators, ignored, absent",
    [(DENSE, None, 0), (DENSE, 3, 3), (DENSE.astype("S"), "0", b"0"), (0 * DENSE, None, 0)],
)
def test_indicators_to_sparse_ids_equals_numpy(mode, dtype, indicators, ignored, absent):
    def ids(tensor):
        return parts(sparse_ops.indicators_to_sparse_ids(tensor, ignored, dtype))

    (indices, values, shape), _ = modes.run(mode, ids, indicators)
    rows = [np.flatnonzero(row != absent) for row in indicators.reshape(4, 3)]
    expected = [(i // 2, i % 2, j) for i, row in enumerate(rows) for j in range(len(row))]
    np.testing.assert_array_equal(indices, np.reshape(expected, [-1, 3]))
    np.testing.assert_array_equal(values, np.concatenate(rows))
    np.testing.assert_array_equal(shape, [2, 2, max(map(len, rows))])
    assert values.dtype == dtype.as_numpy_dtype


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("row_axis, col_axis", [(0, 1), (1, 2), (2, 0)])
def test_sparse_row_envelope_equals_numpy(mode, row_axis, col_axis):
    def envelope(dense):
        sparse = sparse_ops.dense_to_sparse_tensor(dense)
        shuffled = tf.SparseTensor(sparse.indices[::-1], sparse.values[::-1], sparse.dense_shape)
        return sparse_ops.sparse_row_envelope(shuffled, row_axis, col_axis)

    expected = np.zeros(DENSE.shape[row_axis], np.int64)
    for index in np.argwhere(DENSE):
        row = index[row_axis]
        expected[row] = max(expected[row], index[col_axis] + 1)
    np.testing.assert_array_equal(modes.run(mode, envelope, DENSE)[0], expected)


def test_errors():
    sparse = tf.sparse.from_dense(DENSE)
    with pytest.raises(ValueError, match="row_axis='0' and col_axis=1 must be integers"):
        sparse_ops.sparse_row_envelope(sparse, "0")
    with pytest.raises(ValueError, match="row_axis and col_axis cannot be the same axis, 1"):
        sparse_ops.sparse_row_envelope(sparse, 1)
    with pytest.raises(ValueError, match="dtype=float32 must be an integer type"):
        sparse_ops.indicators_to_sparse_ids(DENSE, dtype=tf.float32)
