"""Batches of concurrent calls."""

import asyncio
import contextlib

import pytest

from classifier.serving.batching import Batcher


async def results_of(batcher, submit):
    """Returns the results of the calls that `submit` makes while the batcher works."""
    task = asyncio.create_task(batcher.work())
    try:
        return await submit()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        batcher.close()


def run(batcher, items, pause=0.0):
    """Returns the results of items that are submitted one after the other."""

    async def submit():
        calls = []
        for item in items:
            calls.append(asyncio.create_task(batcher(item)))
            await asyncio.sleep(pause)
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(results_of(batcher, submit))


def test_each_caller_gets_its_result_from_full_batches():
    batches, numbers = [], []

    def double(batch):
        batches.append(list(batch))
        return [2 * each for each in batch]

    batcher = Batcher(double, [1, 2, 4], 5.0, numbers.append)
    assert run(batcher, range(8)) == [2 * each for each in range(8)]
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert numbers == [4, 4]


@pytest.mark.parametrize("sizes, filled", [([1, 2, 4], [7, 7, 7]), ([1, 3, 4], [7, 7, 7])])
def test_a_batch_is_filled_to_the_next_size(sizes, filled):
    lengths = []
    batcher = Batcher(lambda batch: lengths.append(len(batch)) or batch, sizes, 0.05)
    assert run(batcher, filled) == filled
    assert lengths == [next(size for size in sizes if size >= 3)]


@pytest.mark.parametrize("timeout, number", [(0.0, 2), (5.0, 1)])
def test_the_timeout_decides_whether_later_calls_share_a_batch(timeout, number):
    batches = []
    batcher = Batcher(lambda batch: batches.append(batch) or batch, [1, 2], timeout)
    run(batcher, [1, 2], pause=0.05)
    assert len(batches) == number


def test_an_exception_is_raised_in_its_callers_and_the_next_batch_runs():
    def fail_once(batch):
        if 0 in batch:
            raise ValueError("broken")
        return batch

    first, second, third = run(Batcher(fail_once, [1, 2], 0.05), [0, 1, 2])
    assert [str(first), str(second), third] == ["broken", "broken", 2]


def test_a_canceled_caller_does_not_stop_the_others():
    async def submit():
        first, second = (asyncio.create_task(batcher(each)) for each in (1, 2))
        await asyncio.sleep(0.02)
        first.cancel()
        return await second

    batcher = Batcher(lambda batch: batch, [2, 3], 0.1)
    assert asyncio.run(results_of(batcher, submit)) == 2
