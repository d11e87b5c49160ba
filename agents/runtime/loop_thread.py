"""Runs an event loop in a thread of its own, for programs without asyncio."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import TypeVar

READ_AHEAD = 64
"""How many values of an async generator may wait for the thread that takes them."""

_Value = TypeVar("_Value")


class LoopThread:
    """An event loop in a daemon thread; any other thread may use it.

    Args:
        name: the name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def start(self) -> None:
        """Start the thread; call it once, before anything else."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the loop and wait for the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the loop, without waiting."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def wait_for(
        self, coroutine: Coroutine[None, None, _Value], timeout_s: float | None = None
    ) -> _Value:
        """Run a coroutine in the loop, and wait for what it returns.

        Raises:
            TimeoutError: it takes longer than `timeout_s` seconds; it is cancelled.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(timeout_s)
        except BaseException:
            future.cancel()
            raise

    def iterate(self, values: AsyncGenerator[_Value, None]) -> Iterator[_Value]:
        """Yield the values of an async generator, which runs in the loop, a little ahead."""
        arrived: queue.SimpleQueue[tuple[_Value] | None] = queue.SimpleQueue()
        has_room = asyncio.Event()
        room = READ_AHEAD

        async def pump() -> None:
            nonlocal room
            try:
                async for value in values:
                    arrived.put((value,))
                    room -= 1
                    while room <= 0:
                        has_room.clear()
                        await has_room.wait()
            finally:
                arrived.put(None)

        def make_room() -> None:
            nonlocal room
            room += READ_AHEAD // 2
            has_room.set()

        async def start() -> asyncio.Task[None]:
            return asyncio.ensure_future(pump())

        async def end() -> None:
            pumping.cancel()
            await asyncio.wait([pumping])
            await values.aclose()

        pumping = self.wait_for(start())
        try:
            taken = 0
            while (value := arrived.get()) is not None:
                yield value[0]
                taken += 1
                # Not each time, since to wake the loop takes long.
                if not taken % (READ_AHEAD // 2):
                    self.call_soon(make_room)
        finally:
            self.wait_for(end())
        if not pumping.cancelled():
            pumping.result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        # Other threads may wait for what still runs.
        self._loop.run_until_complete(_cancel_others())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _cancel_others() -> None:
    await asyncio.sleep(0)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
