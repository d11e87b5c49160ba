"""Streams the parts of one task's output as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

from pydantic import JsonValue

from ...messages import MusterError, TaskId
from ..manager.task_manager import TaskManager
from ..submission.parts import StreamedPart
from .json_views import view_payload

MAX_STREAMS = 100
"""How many streams of parts may be read at a time over HTTP."""

KEEP_ALIVE_S = 10.0
"""After how many seconds without a part a comment is sent, so that no proxy ends the connection."""


class PartStreams:
    """Makes streams of server-sent events for readers over HTTP.

    Args:
        manager: the manager whose tasks are read.
    """

    def __init__(self, manager: TaskManager) -> None:
        self._manager = manager
        self._open = 0

    @property
    def is_full(self) -> bool:
        """Whether there may be no further stream."""
        return self._open >= MAX_STREAMS

    async def frames(self, task_id: TaskId) -> AsyncGenerator[bytes, None]:
        """The events of a task: `part` for each part, and `end` with the error if it failed."""
        self._open += 1
        parts = self._manager.stream(task_id)
        following: asyncio.Future[StreamedPart] | None = None
        try:
            while True:
                if following is None:
                    following = asyncio.ensure_future(anext(parts))
                done, _ = await asyncio.wait([following], timeout=KEEP_ALIVE_S)
                if not done:
                    yield b": nothing yet\n\n"
                    continue
                frame, is_last = _frame(following)
                following = None
                yield frame
                if is_last:
                    return
        finally:
            self._open -= 1
            if following is not None:
                following.cancel()
                await asyncio.wait([following])
            await parts.aclose()


def _frame(following: asyncio.Future[StreamedPart]) -> tuple[bytes, bool]:
    try:
        part = following.result()
    except StopAsyncIteration:
        return _event("end", {"error": None}), True
    except MusterError as fault:
        return _event("end", {"error": str(fault)}), True
    told: dict[str, JsonValue] = {
        "attempt": part.attempt,
        "number": part.number,
        "data": view_payload(part.data),
    }
    if part.begins_anew:
        told["begins_anew"] = True
    if part.missed:
        told["missed"] = part.missed
    return _event("part", told), False


def _event(name: str, told: dict[str, JsonValue]) -> bytes:
    # Python writes JSON as one line of ASCII.
    return f"event: {name}\ndata: {json.dumps(told)}\n\n".encode("ascii")
