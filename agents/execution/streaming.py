"""Runs handlers that are generators: sends what they yield, and makes the output of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from ...messages import Payload
from ...messages.codec import unpack
from .part_sender import PartSender, encode_part
from .signature import PlannedCall

if TYPE_CHECKING:
    from ...messages import Task
    from .handler_output import HandlerOutput

MAX_LISTED_PARTS = 10_000
"""Up to how many parts the output of a generator lists."""

MAX_LISTED_BYTES = 16 * 1024 * 1024
"""Up to how many bytes, encoded, the output of a generator lists."""


class AsyncStream:
    """Calls an async generator function as a handler that returns its output once.

    Args:
        function: the generator function; takes the task and, if it wants it, the context.
        passes_context: whether it wants the context.
    """

    def __init__(
        self, function: Callable[..., AsyncGenerator[object, None]], *, passes_context: bool
    ) -> None:
        self._function = function
        self._passes_context = passes_context
        self.__muster_function__ = function

    async def __call__(self, task: Task, context: HandlerOutput | None = None) -> Payload:
        """Perform a task, and send each part."""
        given = (task, context) if self._passes_context and context is not None else (task,)
        stream = _Stream(context)
        async with aclosing(self._function(*given)) as parts:
            async for part in parts:
                await stream.send(part)
        return stream.output()


class PlainStream:
    """Calls a plain generator function, in a thread, as a handler that returns its output once.

    Args:
        function: the generator function; takes the task and, if it wants it, the context.
        passes_context: whether it wants the context.
    """

    def __init__(
        self, function: Callable[..., Generator[object, None, object]], *, passes_context: bool
    ) -> None:
        self._function = function
        self._passes_context = passes_context
        self.__muster_function__ = function

    def __call__(self, task: Task, context: HandlerOutput | None = None) -> Payload:
        """Perform a task, and send each part."""
        given = (task, context) if self._passes_context and context is not None else (task,)
        stream = _Stream(context)
        parts = self._function(*given)
        try:
            while True:
                try:
                    part = next(parts)
                except StopIteration as end:
                    return stream.output(end.value)
                stream.send_from_thread(part)
        finally:
            parts.close()


def stream_parts_of(planned: PlannedCall) -> PlannedCall:
    """The call of a generator function as one of a handler that returns its output once."""
    kind = AsyncStream if planned.is_async else PlainStream
    function = kind(planned.function, passes_context=planned.takes_context)
    return replace(planned, function=function, takes_context=True, needs_context=True)


class _Stream:
    """The parts of one attempt.

    Args:
        context: the attempt's context; None if there is none, so that nobody takes the parts.
    """

    def __init__(self, context: HandlerOutput | None) -> None:
        self._context = context
        self._sender: PartSender | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        if context is not None:
            self._sender, self._loop = context.open_stream()
        # Encoded, since a handler may change what it has yielded.
        self._parts: list[bytes] = []
        self._bytes = 0
        self._is_listed = True

    def output(self, returned: Payload = None) -> Payload:
        """What the handler set or returned as its output, or the list of its parts if it is short.

        Args:
            returned: what it returned.
        """
        if self._context is not None and self._context.has_output:
            return self._context.own_output
        if returned is not None:
            return returned
        return [unpack(part) for part in self._parts] if self._is_listed else None

    async def send(self, part: object) -> None:
        self._list(encode_part(part) if self._sender is None else await self._sender.send(part))

    def send_from_thread(self, part: object) -> None:
        if self._sender is None:
            self._list(encode_part(part))
            return
        assert self._loop is not None
        sending = asyncio.run_coroutine_threadsafe(self._sender.send(part), self._loop)
        self._list(sending.result())
        if self._sender.is_over:
            raise InterruptedError("the attempt is over, so no further parts are taken")

    def _list(self, part: bytes) -> None:
        if self._is_listed:
            self._bytes += len(part)
            self._parts.append(part)
            if len(self._parts) > MAX_LISTED_PARTS or self._bytes > MAX_LISTED_BYTES:
                self._is_listed = False
                self._parts.clear()
