"""Passes the results of submitted tasks to those who wait for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ...messages import MusterError, RunEnded, Task, TaskId, TaskResult
from ..kernel.model.records import TaskRecord
from ..submission.result_source import Settle
from .board_driver import BoardDriver
from .outgoing import SettlementListener


class AwaitedResults:
    """Adds tasks for those who wait for their results, and passes on each result when recorded.

    Args:
        driver: drives the board of the manager that has the tasks.
        notify: makes the manager notify a listener of settled tasks.
    """

    def __init__(self, driver: BoardDriver, notify: Callable[[SettlementListener], None]) -> None:
        self._driver = driver
        self._notify = notify
        # Bounded by the tasks that are not settled. Several may wait for the same task.
        self._waiting: dict[TaskId, tuple[Settle, ...]] = {}
        self._followers: list[Callable[[TaskId], None]] = []
        self._end_listeners: set[Callable[[MusterError], None]] = set()
        self._is_listening = False
        self._is_over = False

    def add(self, tasks: Sequence[Task], settle: Settle) -> None:
        """Add tasks, from any thread, and call a function with the result of each.

        A task that the manager has already is not added again; if it is settled, its result is
        passed on at once.

        Raises:
            RunEnded: the run has ended.
            InvalidTask: the tasks are not valid; none of them is added.
            EncodeError: a task's data have no plain form; none is added.
            StoreUnusable: the store can't be written to.
        """
        self._driver.gate.ask(lambda: self._add(tasks, settle))

    def listen(self, listener: Callable[[MusterError], None]) -> None:
        """Call a function in the manager's loop when the run ends; at once if it has ended."""
        self._driver.gate.ask(lambda: self._listen(listener))

    def unlisten(self, listener: Callable[[MusterError], None]) -> None:
        """Do not call a function any more that `listen` was called with."""
        self._driver.gate.ask(lambda: self._end_listeners.discard(listener))

    def follow(self, follower: Callable[[TaskId], None]) -> None:
        """Call a function with each task that is settled from now on; only in the manager's loop.

        It is called after those who wait for the task.
        """
        self._start_listening()
        self._followers.append(follower)

    def close(self) -> None:
        """Tell all who still wait that the run is over, however it ended."""
        self._driver.gate.ask(self.run_ended)

    def task_settled(self, record: TaskRecord) -> None:
        """Pass on the result of a task that will not change any more."""
        waiting = self._waiting.pop(record.task_id, ())
        if waiting:
            result = result_of(record)
            for settle in waiting:
                settle(record.task_id, result)
        for follower in self._followers:
            follower(record.task_id)

    def run_ended(self) -> None:
        """Tell all who still wait that no further task will be settled."""
        self._is_over = True
        waiting, self._waiting = self._waiting, {}
        for task_id, settles in waiting.items():
            fault = RunEnded(f"the run ended before task {task_id!r} was settled")
            for settle in settles:
                settle(task_id, fault)
        listeners, self._end_listeners = self._end_listeners, set()
        for listener in listeners:
            listener(_run_has_ended())

    def _add(self, tasks: Sequence[Task], settle: Settle) -> None:
        if self._has_ended():
            raise _run_has_ended()
        self._start_listening()
        self._driver.add_tasks(tasks)
        self.wait_for([task.id for task in tasks], settle)

    def wait_for(self, task_ids: Iterable[TaskId], settle: Settle) -> list[TaskId]:
        """Call a function with the result of each of some tasks; only in the manager's loop.

        Returns:
            The ids of those that the manager does not have.
        """
        self._start_listening()
        records = self._driver.board.tasks
        unknown: list[TaskId] = []
        for task_id in task_ids:
            record = records.get(task_id)
            if record is None:
                unknown.append(task_id)
            elif record.status.is_final:
                settle(task_id, result_of(record))
            else:
                self._waiting[task_id] = (*self._waiting.get(task_id, ()), settle)
        return unknown

    def stop_waiting(self, task_ids: Iterable[TaskId], settle: Settle) -> None:
        """Do not call a function any more with the results of some tasks."""
        for task_id in task_ids:
            left = tuple(each for each in self._waiting.get(task_id, ()) if each != settle)
            if left:
                self._waiting[task_id] = left
            else:
                self._waiting.pop(task_id, None)

    def _listen(self, listener: Callable[[MusterError], None]) -> None:
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
            self._notify(self)


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
