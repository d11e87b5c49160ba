"""Checks the subtasks that a handler submits, and lets those that failed before begin anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...messages import DependencyCycle, IllegalTransition, InvalidTask, Task, TaskId, TaskStatus
from ..kernel.model.records import Attempt
from .board_driver import BoardDriver

MAX_DEPTH = 1_000
"""How deep subtasks may be nested."""

_UNSUCCESSFUL = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED})


class SubtaskSubmission:
    """Adds the subtasks of running attempts.

    Args:
        driver: drives the board.
    """

    def __init__(self, driver: BoardDriver) -> None:
        self._driver = driver

    def add(self, tasks: Sequence[Task], asked_by: tuple[TaskId, int], address: str) -> None:
        """Add subtasks, all of them or none.

        Those that are there already, because an earlier attempt added them, are found. If they
        failed or were cancelled before this attempt began, they begin anew.

        Args:
            tasks: the subtasks.
            asked_by: the attempt that adds them.
            address: the address of its worker.

        Raises:
            IllegalTransition: the attempt has ended.
            InvalidTask: a task can't be added; its subclasses give the reason.
        """
        attempt = self._find_attempt(asked_by, address)
        ancestors = set(self._ancestors(asked_by[0]))
        for task in tasks:
            self._check(task, asked_by[0], ancestors)
        board = self._driver.board
        known = [board.tasks[task.id] for task in tasks if task.id in board.tasks]
        unsuccessful = tuple(
            record.task_id
            for record in known
            if record.status in _UNSUCCESSFUL
            and record.finished_at is not None
            and record.finished_at < attempt.started_at
        )
        # First what may be refused.
        self._driver.add_tasks(tasks)
        if unsuccessful:
            reason = f"its parent, task {asked_by[0]}, began anew"
            self._driver.retry(unsuccessful, reason)

    def _find_attempt(self, asked_by: tuple[TaskId, int], address: str) -> Attempt:
        task_id, number = asked_by
        record = self._driver.board.tasks.get(task_id)
        attempts = () if record is None else record.attempts
        attempt = attempts[number - 1] if 1 <= number <= len(attempts) else None
        if attempt is None or attempt.outcome is not None or attempt.worker.worker_id != address:
            raise IllegalTransition(
                f"attempt {number} at task {task_id!r} has ended, so it can't submit subtasks"
            )
        return attempt

    def _ancestors(self, task_id: TaskId) -> Iterator[TaskId]:
        """A task, its parent, the parent's parent and so on."""
        tasks = self._driver.board.tasks
        for _ in range(MAX_DEPTH):
            yield task_id
            record = tasks.get(task_id)
            parent_id = None if record is None else record.task.parent_id
            if parent_id is None:
                return
            task_id = parent_id
        raise InvalidTask(
            f"subtasks are nested {MAX_DEPTH:,} deep, which is the limit; does a handler submit "
            "its own task again and again?"
        )

    @staticmethod
    def _check(task: Task, parent_id: TaskId, ancestors: set[TaskId]) -> None:
        if task.parent_id != parent_id:
            raise InvalidTask(
                f"task {task.id!r} has the parent {task.parent_id!r}; a handler's subtasks have "
                f"its own task {parent_id!r} as their parent"
            )
        if task.id in ancestors:
            raise DependencyCycle(
                f"task {task.id!r} would be its own ancestor; a subtask needs an id of its own"
            )
        awaited = next((each for each in task.depends_on if each in ancestors), None)
        if awaited is not None:
            raise DependencyCycle(
                f"task {task.id!r} depends on {awaited!r}, its own ancestor, which may wait for "
                "it; pass what it needs as its data"
            )
