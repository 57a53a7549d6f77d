"""Reads the blocks of a GIF in a graph, without decoding it."""

from typing import NamedTuple

import tensorflow as tf

from slim import _image_limits as limits


class _Walk(NamedTuple):
    """State of a walk over the blocks, as in `limits.walk_gif`; scalars, mostly int64."""

    steps: tf.Tensor
    at: tf.Tensor
    in_blocks: tf.Tensor
    in_frame: tf.Tensor
    finished: tf.Tensor
    canvas: tf.Tensor  # [2], width and height
    frames: tf.Tensor
    first: tf.Tensor  # [2]
    largest: tf.Tensor  # [2]
    sides: tf.Tensor  # [2]
    total: tf.Tensor
    first_end: tf.Tensor


def walk(contents: tf.Tensor) -> limits.Gif:
    """Returns the result of `slim._image_limits.walk_gif`, as tensors.

    Args:
      contents: the encoded image, a scalar string.
    """
    end, padding = tf.strings.length(contents), bytes(16)
    end = tf.cast(end, tf.int64)
    data = tf.io.decode_raw(tf.strings.join([contents, padding]), tf.uint8)
    zero, no, sides = tf.constant(0, tf.int64), tf.constant(False), tf.zeros([2], tf.int64)
    canvas, first_block = _pair(data, tf.constant(6, tf.int64)), 13 + _colors(_at(data, 10))
    start = _Walk(zero, first_block, no, no, no, canvas, zero, sides, sides, canvas, zero, zero)

    def unfinished(walk: _Walk) -> tf.Tensor:
        return (walk.at < end) & (walk.steps < limits.MAX_GIF_STEPS) & ~walk.finished

    def step(walk: _Walk) -> tuple[_Walk]:
        return (_step(data, end, walk),)

    (last,) = tf.while_loop(unfinished, step, [start], parallel_iterations=1)
    first_only = (last.first_end > 0) & tf.reduce_all(tf.equal(last.first, last.largest))
    return limits.Gif(
        width=last.sides[0],
        height=last.sides[1],
        total=tf.where(first_only, tf.reduce_prod(last.first), last.total),
        first_end=tf.where(first_only, last.first_end, 0),
        complete=(last.at >= end) | last.finished,
    )


def _step(data: tf.Tensor, end: tf.Tensor, walk: _Walk) -> _Walk:
    at, head = walk.at, _at(data, walk.at)
    heads = at + (head + 1) * tf.range(limits.GIF_RUN, dtype=tf.int64)
    same = tf.equal(tf.cast(tf.gather(data, tf.minimum(heads, end)), tf.int64), head)
    run = tf.reduce_sum(tf.math.cumprod(tf.cast(same, tf.int64)))
    run = tf.where(head > 0, run, 1)
    is_extension = ~walk.in_blocks & tf.equal(head, 0x21)
    is_frame = ~walk.in_blocks & tf.equal(head, 0x2C) & (at + 10 < end)
    after = at + tf.where(walk.in_blocks, (head + 1) * run, 2 * tf.cast(is_extension, tf.int64))
    after += tf.where(is_frame, 11 + _colors(_at(data, at + 9)), 0)
    ends = walk.in_blocks & walk.in_frame & tf.equal(head, 0) & tf.equal(walk.first_end, 0)
    wide_high = tf.where(is_frame, _pair(data, at + 5), 0)
    return _Walk(
        steps=walk.steps + 1,
        at=after,
        in_blocks=tf.where(walk.in_blocks, head > 0, is_extension | is_frame),
        in_frame=tf.where(walk.in_blocks, walk.in_frame, is_frame),
        finished=tf.where(
            walk.in_blocks,
            ends & tf.reduce_all(tf.equal(walk.first, walk.canvas)),
            ~is_extension & ~is_frame,
        ),
        canvas=walk.canvas,
        frames=walk.frames + tf.cast(is_frame, tf.int64),
        first=tf.where(walk.frames > 0, walk.first, wide_high),
        largest=tf.maximum(walk.largest, wide_high),
        sides=tf.maximum(walk.sides, tf.where(is_frame, _pair(data, at + 1), 0) + wide_high),
        total=walk.total + tf.reduce_prod(wide_high),
        first_end=tf.where(ends, after, walk.first_end),
    )


def _at(data: tf.Tensor, offset: int | tf.Tensor) -> tf.Tensor:
    return tf.cast(data[offset], tf.int64)


def _pair(data: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Returns two integers of two bytes each."""
    low_high = tf.reshape(tf.cast(tf.slice(data, [offset], [4]), tf.int64), [2, 2])
    return low_high[:, 0] + 256 * low_high[:, 1]


def _colors(flags: tf.Tensor) -> tf.Tensor:
    """Returns the size of a color table in bytes."""
    return tf.where(
        flags >= 128, tf.bitwise.left_shift(tf.constant(3, tf.int64), (flags & 7) + 1), 0
    )
