"""Batches of the images of all requests."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any, NamedTuple


class _Waiting(NamedTuple):
    image: Any
    answer: asyncio.Future


class Batcher:
    """Runs a function on batches of what concurrent callers submit, one batch at a time.

    Args:
      run: function from a batch to a result per item; called in a thread of its own.
      sizes: the sizes of a batch, rising; a smaller one is filled with copies of its last item.
      timeout: seconds to wait for a full batch.
      observe: called with the number of submitted items of each batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Any]], Sequence[Any]],
        sizes: Sequence[int],
        timeout: float,
        observe: Callable[[int], None] = lambda number: None,
    ) -> None:
        self._run, self._sizes, self._timeout, self._observe = run, sizes, timeout, observe
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._thread = futures.ThreadPoolExecutor(1, "network")

    async def __call__(self, image: Any) -> Any:
        """Returns the result of an item."""
        answer = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(image, answer))
        return await answer

    async def work(self) -> None:
        """Runs batches until it is canceled."""
        while True:
            batch = await self._next()
            self._observe(len(batch))
            try:
                results = await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._run, self._filled([each.image for each in batch])
                )
            except Exception as error:
                for each in batch:
                    if not each.answer.done():
                        each.answer.set_exception(error)
                continue
            for each, result in zip(batch, results, strict=False):
                if not each.answer.done():  # its caller may have been canceled
                    each.answer.set_result(result)

    async def _next(self) -> list[_Waiting]:
        """Returns the next batch: the waiting items, and those that arrive before the timeout."""
        batch = [await self._queue.get()]
        loop = asyncio.get_running_loop()
        end = loop.time() + self._timeout
        while len(batch) < self._sizes[-1]:
            try:
                if self._queue.empty():
                    async with asyncio.timeout_at(end):
                        batch.append(await self._queue.get())
                else:
                    batch.append(self._queue.get_nowait())
            except TimeoutError:
                break
        return batch

    def _filled(self, images: list[Any]) -> list[Any]:
        size = next(size for size in self._sizes if size >= len(images))
        return images + images[-1:] * (size - len(images))

    def close(self) -> None:
        """Ends the thread, after its batch."""
        self._thread.shutdown()
