"""Who waits for the result of which task: one watcher of the run, and one entry for each task."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ...messages import RunEnded, Task, TaskId, TaskResult
from ..kernel.board.state import BoardState
from ..kernel.model.occurrences import SETTLING, Occurrence, OccurrenceKind
from ..kernel.model.records import TaskRecord
from .shell import ManagerShell

if TYPE_CHECKING:
    from typing_extensions import TypeVarTuple, Unpack

    _Arguments = TypeVarTuple("_Arguments")

Settle: TypeAlias = Callable[[TaskId, TaskResult | RunEnded], None]
"""Called in the manager's loop with a task's result, or with why there will be none."""


class AwaitedResults:
    """Adds tasks for those who wait for their results, and tells each as it is recorded.

    Args:
        shell: of the manager that has the tasks.
    """

    def __init__(self, shell: ManagerShell) -> None:
        self._shell = shell
        # Bounded by the tasks that are not settled.
        self._waiting: dict[TaskId, Settle] = {}
        self._listeners: set[Callable[[RunEnded], None]] = set()
        self._is_watching = False
        self._is_over = False

    def add(self, tasks: Sequence[Task], settle: Settle) -> None:
        """Add tasks, from any thread, and have a function called with the result of each.

        A task that a resumed run has settled already has its result at once.

        Raises:
            RunEnded: the run has ended.
            InvalidTask: they can't be taken; none of them is.
            EncodeError: a task's data holds what msgpack can't carry; none is added.
            StoreUnusable: they can't be written.
        """
        self._shell.entry.ask(lambda: self._add(tasks, settle))

    def listen(self, listener: Callable[[RunEnded], None]) -> None:
        """Have a function called, in the manager's loop, when the run ends or has ended."""
        self._shell.entry.ask(lambda: self._listen(listener))

    def unlisten(self, listener: Callable[[RunEnded], None]) -> None:
        """Have it called no more."""
        self._shell.entry.ask(lambda: self._listeners.discard(listener))

    def close(self) -> None:
        """Tell all who still wait that the run is over, however it ended."""
        self._shell.entry.ask(self._end)

    def _add(self, tasks: Sequence[Task], settle: Settle) -> None:
        board = self._shell.board
        if self._has_ended(board):
            raise _over()
        self._watch()
        self._shell.add_tasks(tasks)
        for task in tasks:
            record = self._shell.board.tasks[task.id]
            if record.status.is_final:
                settle(task.id, result_of(record))
            else:
                self._waiting[task.id] = settle

    def _listen(self, listener: Callable[[RunEnded], None]) -> None:
        self._watch()
        if self._has_ended(self._shell.board):
            listener(_over())
        else:
            self._listeners.add(listener)

    def _has_ended(self, board: BoardState) -> bool:
        return self._is_over or (board.has_ended and not board.is_suspended)

    def _watch(self) -> None:
        # Whoever submits nothing pays nothing.
        if not self._is_watching:
            self._is_watching = True
            self._shell.watch(self._notice)

    def _notice(self, occurrence: Occurrence) -> None:
        what, task_id = occurrence.what, occurrence.task_id
        if task_id is None:
            if what is OccurrenceKind.RUN_ENDED:
                self._end()
        elif what in SETTLING:
            settle = self._waiting.pop(task_id, None)
            if settle is not None:
                settle(task_id, result_of(self._shell.board.tasks[task_id]))

    def _end(self) -> None:
        self._is_over = True
        waiting, self._waiting = self._waiting, {}
        for task_id, settle in waiting.items():
            settle(task_id, RunEnded(f"the run ended before task {task_id!r} was settled"))
        listeners, self._listeners = self._listeners, set()
        for listener in listeners:
            listener(_over())


def _over() -> RunEnded:
    return RunEnded("the run has ended; tasks can be submitted no more")


def result_of(record: TaskRecord) -> TaskResult:
    """The recorded result of a settled task.

    One that was cancelled, or that nobody could do, has none from a worker; then one is made.
    """
    if record.result is not None:
        return record.result
    return TaskResult(
        task_id=record.task_id,
        worker=record.worker,
        success=False,
        error_message=record.error_message or record.status.value,
        attempt=max(record.attempt, 1),
    )


def call_in(
    loop: asyncio.AbstractEventLoop,
    function: Callable[[Unpack[_Arguments]], object],
    *arguments: Unpack[_Arguments],
) -> None:
    """Call a function in a loop: at once, if this is called in it."""
    try:
        is_here = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_here = False
    if is_here:
        function(*arguments)
    else:
        # If that loop has closed, nobody wants it any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(function, *arguments)
