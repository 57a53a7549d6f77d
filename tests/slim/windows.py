"""Convolution and pooling in NumPy, from the definition: the oracle of the layers' tests."""

import itertools

import numpy as np


def _start_and_size(size, kernel, stride, rate, padding):
    """Returns where the first window starts (negative: in the padding) and how many there are."""
    reach = (kernel - 1) * rate + 1
    if padding == "VALID":
        return 0, (size - reach) // stride + 1
    count = -(-size // stride)
    return -(max((count - 1) * stride + reach - size, 0) // 2), count


def start_is_settled(dims, kernel, stride, padding):
    """Returns whether TensorFlow's kernels agree on where the windows start.

    In three dimensions those of oneDNN start at the edge, as the definition says, and the others
    later where "SAME" windows lie so far apart that no padding is needed.
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
    seen = windows(x, kernel, strides, rates, padding)
    return np.einsum("...kc,kcf->...f", seen, weights.reshape(-1, *weights.shape[-2:]))


def convolve_depthwise(x, weights, strides, rates, padding):
    """Convolves each channel with its own filters, weights [height, width, in, multiplier]."""
    seen = windows(x, weights.shape[:2], strides, rates, padding)
    result = np.einsum("...kc,kcm->...cm", seen, weights.reshape(-1, *weights.shape[-2:]))
    return result.reshape(*result.shape[:-2], -1)


def pool(x, kind, kernel, strides, rates, padding):
    """Takes the largest or the mean value of each window; padding does not count."""
    seen = windows(x, kernel, strides, rates, padding, fill=np.nan)
    return (np.nanmax if kind == "MAX" else np.nanmean)(seen, axis=-2)
