"""Keeps the latest parts of tasks whose handlers yield them, and tells them to those who read."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from pydantic import BaseModel

from ...messages import (
    DecodeError,
    MusterError,
    PartsTaken,
    RunEnded,
    TaskFailed,
    TaskId,
    TaskPart,
    UnknownTask,
)
from ...messages.codec import unpack
from ..submission.parts import PartsRead, TakeParts
from ..submission.result_source import Outcome
from .awaited_results import AwaitedResults
from .board_driver import BoardDriver

KEPT_PARTS = 1_000
"""How many parts of a task are kept for those who read them: the latest."""

KEPT_BYTES = 1024 * 1024
"""How many bytes of parts of a task are kept."""

ALL_KEPT_BYTES = 64 * 1024 * 1024
"""How many bytes of parts are kept of all tasks; then the parts go that came first."""

KEPT_STREAMS = 1_000
"""Of how many settled tasks the parts are kept."""


@dataclass(slots=True)
class _Reader:
    """Who waits for the parts after a certain one."""

    attempt: int
    after: int
    take: TakeParts


@dataclass(slots=True)
class _Stream:
    """The parts of one task, of its latest attempt that has any.

    Args:
        task_id: the task.
        sequence: its number in the order of adding.
        attempt: the number of that attempt; 0 before the first part.
        last: the number of its last part.
        kept: the parts that are kept, the last ones.
        size: how many bytes these have.
        readers: those who wait for a part.
        is_awaited: whether the end of the task is awaited.
    """

    task_id: TaskId
    sequence: int
    attempt: int = 0
    last: int = 0
    kept: deque[bytes] = field(default_factory=deque)
    size: int = 0
    readers: dict[Hashable, _Reader] = field(default_factory=dict)
    is_awaited: bool = False

    def after(self, attempt: int, number: int) -> PartsRead | None:
        """What follows a part; None if nothing does."""
        wanted = number + 1 if attempt == self.attempt else 1
        if attempt > self.attempt or wanted > self.last:
            return None
        first = max(wanted, self.last - len(self.kept) + 1)
        skipped = first - (self.last - len(self.kept) + 1)
        parts = tuple(itertools.islice(self.kept, skipped, None))
        return PartsRead(self.attempt, first, first - wanted, parts)


class TaskParts:
    """Takes parts from workers, and tells them to those who read the stream of a task.

    It keeps the latest parts of each task, so a reader that is slow or late misses those before.
    Nothing is written to the store: a manager that is started again has only the parts that come
    from then on.

    Args:
        driver: drives the board.
        awaited: tells when a task is settled.
        post: sends a message to a worker.
    """

    def __init__(
        self,
        driver: BoardDriver,
        awaited: AwaitedResults,
        post: Callable[[str, BaseModel], None],
    ) -> None:
        self._driver = driver
        self._awaited = awaited
        self._post = post
        # In the order of their latest parts.
        self._streams: OrderedDict[TaskId, _Stream] = OrderedDict()
        self._size = 0
        self._untold: dict[tuple[str, TaskId, int], int] = {}
        self._keys = itertools.count()
        self._next_sweep = KEPT_STREAMS

    @property
    def size(self) -> int:
        """How many bytes of parts are kept."""
        return self._size

    # ------------------------------------------------------------------ workers

    def arrived(self, sender: str, part: TaskPart) -> None:
        """Take a part from a worker, and tell it so."""
        if not self._take(sender, part):
            return
        if not self._untold:
            # One message tells of all parts that arrive together.
            asyncio.get_running_loop().call_soon(self._tell_workers)
        key = (sender, part.task_id, part.attempt)
        self._untold[key] = max(part.number, self._untold.get(key, 0))

    def _take(self, sender: str, part: TaskPart) -> bool:
        """Keep a part if it is of use; False if parts before it are missing."""
        record = self._driver.board.tasks.get(part.task_id)
        if record is None or record.status.is_final or not 1 <= part.attempt <= record.attempt:
            return True
        attempt = record.attempts[part.attempt - 1]
        if attempt.worker.worker_id != sender or attempt.is_review:
            return True
        try:
            unpack(part.part)
        except DecodeError:
            return True
        stream = self._open(part.task_id, record.sequence)
        if part.attempt < stream.attempt:
            return True
        if part.attempt > stream.attempt:
            # The task began anew, so what it yielded before is void.
            self._clear(stream)
            # A manager that was started again takes what comes.
            stream.attempt, stream.last = part.attempt, part.number - 1
        if part.number != stream.last + 1:
            return part.number <= stream.last
        stream.last = part.number
        stream.kept.append(part.part)
        stream.size += len(part.part)
        self._size += len(part.part)
        self._streams.move_to_end(part.task_id)
        self._drop_surplus(stream)
        for key in tuple(stream.readers):
            self._serve(stream, key)
        return True

    def _tell_workers(self) -> None:
        untold, self._untold = self._untold, {}
        for (worker_id, task_id, attempt), number in untold.items():
            self._post(worker_id, PartsTaken(task_id=task_id, attempt=attempt, number=number))

    # ------------------------------------------------------------------ readers

    def read_parts(
        self, task_id: TaskId, attempt: int, after: int, take: TakeParts
    ) -> Callable[[], None]:
        """Read the parts after a certain one, from any thread; see `PartsSource`."""
        key = next(self._keys)
        gate = self._driver.gate
        try:
            gate.ask(lambda: self.read(key, task_id, attempt, after, take))
        except (UnknownTask, RunEnded) as fault:
            take(fault)
        return lambda: gate.ask(lambda: self.stop_reading(key, task_id))

    def read(
        self, key: Hashable, task_id: TaskId, attempt: int, after: int, take: TakeParts
    ) -> None:
        """Read the parts after a certain one; only in the manager's loop.

        Args:
            key: the reading is known by it, as long as it waits.
            task_id: the task.
            attempt: the attempt of the last part that the reader has; 0 if it has none.
            after: the number of that part.
            take: takes what was read, once.

        Raises:
            UnknownTask: there is no such task.
            RunEnded: the run has ended before the task was settled.
        """
        board = self._driver.board
        record = board.find(task_id)
        if board.has_ended and not board.is_suspended and not record.status.is_final:
            raise RunEnded(f"the run ended before task {task_id!r} was settled")
        stream = self._open(task_id, record.sequence)
        stream.readers[key] = _Reader(attempt, after, take)
        if not self._serve(stream, key) and not stream.is_awaited:
            stream.is_awaited = True
            self._awaited.wait_for((task_id,), self._settled)

    def stop_reading(self, key: Hashable, task_id: TaskId) -> None:
        """End a reading that may still wait."""
        stream = self._streams.get(task_id)
        if stream is not None and stream.readers.pop(key, None) and not stream.attempt:
            self._forget_if_unused(stream)

    def _serve(self, stream: _Stream, key: Hashable) -> bool:
        """Tell a reader what there is for it; False if there is nothing."""
        reader = stream.readers[key]
        read = stream.after(reader.attempt, reader.after)
        if read is None:
            return False
        del stream.readers[key]
        reader.take(read)
        return True

    def _settled(self, task_id: TaskId, outcome: Outcome) -> None:
        stream = self._streams.get(task_id)
        if stream is None:
            return
        stream.is_awaited = False
        readers, stream.readers = stream.readers, {}
        for reader in readers.values():
            reader.take(_end_of(reader, outcome))
        self._forget_if_unused(stream)

    # ------------------------------------------------------------------ what is kept

    def _open(self, task_id: TaskId, sequence: int) -> _Stream:
        stream = self._streams.get(task_id)
        if stream is not None and stream.sequence != sequence:
            # The former task of this id was forgotten.
            self._clear(stream)
            stream = None
        if stream is None:
            stream = self._streams[task_id] = _Stream(task_id, sequence)
            if len(self._streams) > self._next_sweep:
                self._sweep()
        return stream

    def _forget_if_unused(self, stream: _Stream) -> None:
        if not (stream.attempt or stream.readers or stream.is_awaited):
            self._streams.pop(stream.task_id, None)

    def _drop_surplus(self, stream: _Stream) -> None:
        while len(stream.kept) > KEPT_PARTS or stream.size > KEPT_BYTES:
            size = len(stream.kept.popleft())
            stream.size -= size
            self._size -= size
        while self._size > ALL_KEPT_BYTES:
            oldest = next(iter(self._streams.values()))
            self._clear(oldest)
            self._streams.move_to_end(oldest.task_id)

    def _sweep(self) -> None:
        """Forget the parts of settled tasks that came first, if there are too many."""
        surplus = len(self._streams) - KEPT_STREAMS
        for stream in tuple(self._streams.values()):
            if surplus <= 0:
                break
            if not stream.readers and self._driver.is_settled(stream.task_id):
                self._clear(stream)
                del self._streams[stream.task_id]
                surplus -= 1
        # Those of tasks that are not settled stay, so the next sweep is as far away again.
        self._next_sweep = KEPT_STREAMS + max(2 * surplus, KEPT_STREAMS // 10)

    def _clear(self, stream: _Stream) -> None:
        self._size -= stream.size
        stream.size = 0
        stream.kept.clear()


def _end_of(reader: _Reader, outcome: Outcome) -> PartsRead | MusterError:
    if isinstance(outcome, MusterError):
        return outcome
    failure: TaskFailed | None = None
    try:
        outcome.unwrap()
    except TaskFailed as fault:
        failure = fault
    return PartsRead(reader.attempt, reader.after + 1, is_over=True, failure=failure)
