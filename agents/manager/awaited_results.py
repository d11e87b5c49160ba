"""Passes the results of submitted tasks to those who wait for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ...messages import RunEnded, Task, TaskId, TaskResult
from ..kernel.model.records import TaskRecord
from .shell import ManagerShell

Settle: TypeAlias = Callable[[TaskId, TaskResult | RunEnded], None]
"""Called in the manager's loop with a task's result, or with the reason why there will be none."""


class AwaitedResults:
    """Adds tasks for those who wait for their results, and passes on each result when recorded.

    Args:
        shell: of the manager that has the tasks.
    """

    def __init__(self, shell: ManagerShell) -> None:
        self._shell = shell
        self._driver = shell.driver
        # Bounded by the tasks that are not settled.
        self._waiting: dict[TaskId, Settle] = {}
        # Of tasks that were submitted several times, the others who wait.
        self._also_waiting: dict[TaskId, list[Settle]] = {}
        self._end_listeners: set[Callable[[RunEnded], None]] = set()
        self._is_listening = False
        self._is_over = False

    def add(self, tasks: Sequence[Task], settle: Settle) -> None:
        """Add tasks, from any thread, and call a function with the result of each.

        A task that the manager has already is not added again; if it is settled, its result is
        passed on at once.

        Raises:
            RunEnded: the run has ended.
            InvalidTask: the tasks are not valid; none of them is added.
            EncodeError: a task's data can't be encoded by msgpack; none is added.
            StoreUnusable: the store can't be written to.
        """
        self._driver.gate.ask(lambda: self._add(tasks, settle))

    def listen(self, listener: Callable[[RunEnded], None]) -> None:
        """Call a function in the manager's loop when the run ends; at once if it has ended."""
        self._driver.gate.ask(lambda: self._listen(listener))

    def unlisten(self, listener: Callable[[RunEnded], None]) -> None:
        """Do not call a function any more that `listen` was called with."""
        self._driver.gate.ask(lambda: self._end_listeners.discard(listener))

    def close(self) -> None:
        """Tell all who still wait that the run is over, however it ended."""
        self._driver.gate.ask(self.run_ended)

    def task_settled(self, record: TaskRecord) -> None:
        """Pass on the result of a task that will not change any more."""
        settle = self._waiting.pop(record.task_id, None)
        if settle is not None:
            result = result_of(record)
            settle(record.task_id, result)
            for other in self._also_waiting.pop(record.task_id, ()):
                other(record.task_id, result)

    def run_ended(self) -> None:
        """Tell all who still wait that no further task will be settled."""
        self._is_over = True
        waiting, self._waiting = self._waiting, {}
        also_waiting, self._also_waiting = self._also_waiting, {}
        for task_id, settle in waiting.items():
            ended = RunEnded(f"the run ended before task {task_id!r} was settled")
            for each in (settle, *also_waiting.get(task_id, ())):
                each(task_id, ended)
        listeners, self._end_listeners = self._end_listeners, set()
        for listener in listeners:
            listener(_run_has_ended())

    def _add(self, tasks: Sequence[Task], settle: Settle) -> None:
        if self._has_ended():
            raise _run_has_ended()
        self._start_listening()
        self._driver.add_tasks(tasks)
        records = self._driver.board.tasks
        for task in tasks:
            record = records[task.id]
            if record.status.is_final:
                settle(task.id, result_of(record))
            elif task.id in self._waiting:
                self._also_waiting.setdefault(task.id, []).append(settle)
            else:
                self._waiting[task.id] = settle

    def _listen(self, listener: Callable[[RunEnded], None]) -> None:
        self._start_listening()
        if self._has_ended():
            listener(_run_has_ended())
        else:
            self._end_listeners.add(listener)

    def _has_ended(self) -> bool:
        board = self._driver.board
        return self._is_over or (board.has_ended and not board.is_suspended)

    def _start_listening(self) -> None:
        # A manager that nothing is submitted to saves the notifications.
        if not self._is_listening:
            self._is_listening = True
            self._shell.notify(self)


def _run_has_ended() -> RunEnded:
    return RunEnded("the run has ended; no further tasks can be submitted")


def result_of(record: TaskRecord) -> TaskResult:
    """The recorded result of a settled task.

    A task that was cancelled, or that no worker could do, has no result of a worker; then one is
    made.
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
