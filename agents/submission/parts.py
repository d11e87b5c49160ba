"""Streams the parts of a task's output as its handler yields them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from ...messages import MusterError, Payload, Task, TaskFailed, TaskId
from ...messages.codec import unpack
from .result_source import Outcome, ResultSource, call_in


@dataclass(frozen=True, slots=True)
class StreamedPart:
    """A part of a task's output.

    Args:
        data: what the handler yielded, in plain form.
        attempt: the attempt that yielded it, from 1.
        number: its number within the attempt, from 1.
        begins_anew: whether the task was tried again: what earlier attempts yielded is void.
        missed: how many parts before this one are not kept any more, so that this reader does not
            get them.
    """

    data: Payload
    attempt: int
    number: int
    begins_anew: bool = False
    missed: int = 0


class PartsRead(NamedTuple):
    """What follows the last part that a reader has.

    Args:
        attempt: the attempt that the parts belong to.
        first: the number of the first of them.
        missed: how many parts before it are not kept any more.
        parts: the encoded parts; none if there will be none.
        is_over: whether the task is settled, and these are its last parts.
        failure: why the task failed; None if it did not.
    """

    attempt: int
    first: int
    missed: int = 0
    parts: tuple[bytes, ...] = ()
    is_over: bool = False
    failure: TaskFailed | None = None


TakeParts: TypeAlias = Callable[[PartsRead | MusterError], None]
"""Takes what was read, once, or the error that says why nothing can be read."""


class PartsSource(Protocol):
    """Tells the parts of tasks."""

    def read_parts(
        self, task_id: TaskId, attempt: int, after: int, take: TakeParts
    ) -> Callable[[], None]:
        """Read the parts after a certain one, once there are some; from any thread.

        Args:
            task_id: the task.
            attempt: the attempt of the last part that the reader has; 0 if it has none.
            after: the number of that part.
            take: takes them, in any thread.

        Returns:
            A function that stops the reading.
        """
        ...


async def stream_parts(
    awaited: ResultSource, source: PartsSource, task: Task | TaskId
) -> AsyncGenerator[StreamedPart, None]:
    """Yield the parts of a task, which is added first if it is a task.

    Args:
        awaited: adds the task.
        source: tells its parts.
        task: the task or its id.

    Raises:
        TaskFailed: the task has failed or was cancelled; raised after its parts.
        UnknownTask: the manager has no such task.
        RunEnded: the run ends before the task is settled.
        MusterError: what the manager says against the task.
    """
    loop = asyncio.get_running_loop()
    refused: list[MusterError] = []
    if isinstance(task, Task):
        task_id = task.id

        def settle(_: TaskId, outcome: Outcome) -> None:
            if isinstance(outcome, MusterError):
                refused.append(outcome)

        awaited.add((task,), settle)
    else:
        task_id = task
    attempt = after = missed = 0
    while True:
        reading: asyncio.Future[PartsRead] = loop.create_future()
        stop = source.read_parts(task_id, attempt, after, _taker(loop, reading))
        try:
            read = await reading
        except MusterError as fault:
            raise refused[0] if refused else fault from None
        finally:
            stop()
        if refused:
            # The manager may have another task of this id.
            raise refused[0]
        missed += read.missed
        for number, part in enumerate(read.parts, read.first):
            begins_anew = 0 < attempt < read.attempt
            yield StreamedPart(unpack(part), read.attempt, number, begins_anew, missed)
            attempt, missed = read.attempt, 0
        if read.is_over:
            if read.failure is not None:
                raise read.failure
            return
        attempt, after = read.attempt, read.first + len(read.parts) - 1


def _taker(loop: asyncio.AbstractEventLoop, reading: asyncio.Future[PartsRead]) -> TakeParts:
    def fulfil(outcome: PartsRead | MusterError) -> None:
        if reading.done():
            return
        if isinstance(outcome, MusterError):
            reading.set_exception(outcome)
        else:
            reading.set_result(outcome)

    return lambda outcome: call_in(loop, fulfil, outcome)
