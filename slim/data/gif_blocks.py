"""Reads the blocks of a GIF in a graph, without decoding it."""

from typing import NamedTuple

import tensorflow as tf

from slim import _image_limits as limits

_CONTROL = 0xF9  # label of the extension with the transparent color


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
    first_start: tf.Tensor
    transparent: tf.Tensor


class Frame(NamedTuple):
    """The first frame of a GIF; int64.

    Attributes:
      start: offset of its descriptor.
      end: offset after its last block.
      first_block: offset after the global color table.
      palette: offset of its color table.
      transparent: index of its transparent color; -1 if there is none.
      corner: its first row and column, [2].
      canvas: height and width of the canvas, [2].
    """

    start: tf.Tensor
    end: tf.Tensor
    first_block: tf.Tensor
    palette: tf.Tensor
    transparent: tf.Tensor
    corner: tf.Tensor
    canvas: tf.Tensor


def walk(contents: tf.Tensor) -> limits.Gif:
    """Returns the result of `slim._image_limits.walk_gif`, as tensors.

    Args:
      contents: the encoded image, a scalar string.
    """
    last, end, _ = _walked(contents)
    first_only = (last.first_end > 0) & tf.reduce_all(tf.equal(last.first, last.largest))
    return limits.Gif(
        width=last.sides[0],
        height=last.sides[1],
        total=tf.where(first_only, tf.reduce_prod(last.first), last.total),
        first_end=tf.where(first_only, last.first_end, 0),
        complete=(last.at >= end) | last.finished,
    )


def first_frame(contents: tf.Tensor) -> Frame:
    """Returns where the first frame is; arguments as in `walk`."""
    last, end, data = _walked(contents)
    start = tf.minimum(last.first_start, end)
    table = _colors(_at(data, start + 9))
    return Frame(
        start=start,
        end=tf.where(last.first_end > 0, last.first_end, end),
        first_block=13 + _colors(_at(data, 10)),
        palette=tf.where(table > 0, start + 10, 13),
        transparent=last.transparent,
        corner=_pair(data, start + 1)[::-1],
        canvas=last.canvas[::-1],
    )


def _walked(contents: tf.Tensor) -> tuple[_Walk, tf.Tensor, tf.Tensor]:
    """Returns the state after the walk, the number of bytes, and the bytes, padded."""
    end, padding = tf.strings.length(contents), bytes(16)
    end = tf.cast(end, tf.int64)
    data = tf.io.decode_raw(tf.strings.join([contents, padding]), tf.uint8)
    zero, no, sides = tf.constant(0, tf.int64), tf.constant(False), tf.zeros([2], tf.int64)
    canvas, first_block = _pair(data, tf.constant(6, tf.int64)), 13 + _colors(_at(data, 10))
    start = _Walk(
        steps=zero,
        at=first_block,
        in_blocks=no,
        in_frame=no,
        finished=no,
        canvas=canvas,
        frames=zero,
        first=sides,
        largest=sides,
        sides=canvas,
        total=zero,
        first_end=zero,
        first_start=zero,
        transparent=tf.constant(-1, tf.int64),
    )

    def unfinished(walk: _Walk) -> tf.Tensor:
        return (walk.at < end) & (walk.steps < limits.MAX_GIF_STEPS) & ~walk.finished

    def step(walk: _Walk) -> tuple[_Walk]:
        return (_step(data, end, walk),)

    (last,) = tf.while_loop(unfinished, step, [start], parallel_iterations=1)
    return last, end, data


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
        first_start=tf.where(is_frame & tf.equal(walk.frames, 0), at, walk.first_start),
        transparent=tf.where(
            is_extension & tf.equal(_at(data, at + 1), _CONTROL) & tf.equal(walk.frames, 0),
            tf.where(_at(data, at + 3) % 2 > 0, _at(data, at + 6), -1),
            walk.transparent,
        ),
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
