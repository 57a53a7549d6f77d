"""Convolution and pooling in NumPy by definition, the reference for tests of layers."""

import itertools

import numpy as np


def _start_and_size(size, kernel, stride, rate, padding):
    """Returns the start of the first window (negative: in the padding) and their number."""
    reach = (kernel - 1) * rate + 1
    if padding == "VALID":
        return 0, (size - reach) // stride + 1
    count = -(-size // stride)
    return -(max((count - 1) * stride + reach - size, 0) // 2), count


def start_is_settled(dims, kernel, stride, padding):
    """Returns whether all of TensorFlow's kernels start the windows at the same place.

    In three dimensions oneDNN starts at the edge, as defined; other kernels start later if the
    strides of "SAME" windows are so large that no padding is needed.
    """
    return not (dims == 3 and padding == "SAME" and stride > kernel + 1)


def windows(x, kernel, strides, rates, padding, fill=0.0):
    """Returns [batch, *places, kernel position, channels] of x, [batch, *spatial, channels]."""
    dims = x.ndim - 2
    where = [
        _start_and_size(x.shape[1 + i], kernel[i], strides[i], rates[i], padding)
        for i in range(dims)
    ]
    sizes = [count for _, count in where]
    result = np.full([x.shape[0], *sizes, int(np.prod(kernel)), x.shape[-1]], fill, np.float64)
    for place in itertools.product(*map(range, sizes)):
        for k, offset in enumerate(itertools.product(*map(range, kernel))):
            source = [
                start + p * s + o * r
                for (start, _), p, s, o, r in zip(where, place, strides, offset, rates, strict=True)
            ]
            if all(0 <= i < size for i, size in zip(source, x.shape[1:-1], strict=True)):
                result[(slice(None), *place, k)] = x[(slice(None), *source)]
    return result


def convolve(x, weights, strides, rates, padding):
    """Convolves with weights [*kernel, in, out]."""
    kernel = weights.shape[:-2]
    patches = windows(x, kernel, strides, rates, padding)
    return np.einsum("...kc,kcf->...f", patches, weights.reshape(-1, *weights.shape[-2:]))


def convolve_depthwise(x, weights, strides, rates, padding):
    """Convolves each channel with its own filters, weights [height, width, in, multiplier]."""
    patches = windows(x, weights.shape[:2], strides, rates, padding)
    result = np.einsum("...kc,kcm->...cm", patches, weights.reshape(-1, *weights.shape[-2:]))
    return result.reshape(*result.shape[:-2], -1)


def pool(x, kind, kernel, strides, rates, padding):
    """Returns the maximum or the mean of each window; padding does not count."""
    patches = windows(x, kernel, strides, rates, padding, fill=np.nan)
    return (np.nanmax if kind == "MAX" else np.nanmean)(patches, axis=-2)
