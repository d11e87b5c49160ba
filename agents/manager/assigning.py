"""Assigns the tasks that a manager's own `assign_tasks` selects; an error if it selects none."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable

from ...messages import (
    AssigningFailed,
    DifferentTask,
    InvalidTask,
    Task,
    TaskAssignment,
    TaskId,
    TaskStatus,
)
from ...messages.codec import encode_task
from ..kernel.model.events import HandOut
from ..kernel.model.records import TaskRecord
from ..runtime.log import log
from .shell import ManagerShell


class Assigning:
    """Collects the tasks that a subclass selects, and checks each call of `assign_tasks`.

    Tasks that are selected in one turn of the event loop are passed to the board together, so that
    its policy can choose among all of them. Tasks that are selected before the expected workers
    have joined wait for them.

    Args:
        shell: of the manager.
        owner: the name of the manager's class, for error messages.
    """

    def __init__(self, shell: ManagerShell, owner: str) -> None:
        self._shell = shell
        self._driver = shell.driver
        self._owner = owner
        # Bounded by the tasks.
        self._orders: dict[TaskId, HandOut] = {}
        self._calls_running = 0

    def hand_out(self, assignment: TaskAssignment, worker: str = "") -> None:
        """Make the task of an assignment ready, from any thread; a new task is added first.

        Args:
            assignment: the task gets its timeout, and only the worker that it names, if any.
            worker: the name of the worker to assign it to; "": the one that the assignment names.

        Raises:
            DifferentTask: the manager has another task of this id.
            InvalidTask: the task can't be added, or the timeout is not above 0.
        """
        if assignment.timeout is not None and not assignment.timeout > 0:
            raise InvalidTask(
                f"the assignment of task {assignment.task.id!r} has the timeout "
                f"{assignment.timeout!r}; it must be above 0, or None"
            )
        order = HandOut(assignment.task.id, assignment.timeout, worker or assignment.worker)
        self._driver.gate.ask(lambda: self._note(assignment.task, order))

    async def run(self, assign_tasks: Callable[[], object]) -> None:
        """Call `assign_tasks` and check that it selected something.

        Raises:
            Exception: whatever it raises; the run then ends with `AssigningFailed`.
        """
        # Before `assign_tasks` can assign all others, so that these keep their timeouts.
        self._flush()
        self._calls_running += 1
        try:
            pending = assign_tasks()
            if inspect.isawaitable(pending):
                await pending
            # asyncio tasks that it started may select tasks as well.
            await asyncio.sleep(0)
        except BaseException as fault:
            left = self._describe_left()
            failure = AssigningFailed(
                f"{self._owner}.assign_tasks raised {type(fault).__name__}: {fault}; {left}"
            )
            failure.__cause__ = fault
            self._shell.fail(failure)
            raise
        finally:
            self._calls_running -= 1
        self._flush()
        self._check_outcome()

    def check_same(self, record: TaskRecord, task: Task) -> None:
        """Check that a task is the one that the manager has under its id.

        Raises:
            DifferentTask: it is another one.
        """
        if task in (record.added, record.task):
            return
        encoded = encode_task(task)
        if encoded not in (encode_task(record.added), encode_task(record.task)):
            raise DifferentTask(
                f"the manager has another task under the id {task.id!r} than the one given now; "
                "give that task, or choose another id"
            )

    def _note(self, task: Task, order: HandOut) -> None:
        record = self._driver.board.tasks.get(task.id)
        if record is None:
            self._driver.add_tasks((task,))
        else:
            self.check_same(record, task)
            if record.status is not TaskStatus.PENDING:
                if record.status.is_final:
                    log.warning(
                        "a settled task is not assigned again; "
                        "see max_attempts and recover_failed_task",
                        task=task.id,
                        status=record.status.value,
                    )
                return
        self._orders[task.id] = order
        # Without a running loop the run has not started, and the tasks wait for the workers.
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        board = self._driver.board
        if self._orders and board.start_barrier.is_over and not board.has_ended:
            orders, self._orders = self._orders, {}
            known = tuple(each for each in orders.values() if each.task_id in board.tasks)
            self._driver.hand_out(known)

    def _check_outcome(self) -> None:
        """End the run if nothing was selected although all expected workers have joined."""
        board = self._driver.board
        if self._calls_running or board.began_at is not None or not board.start_barrier.is_over:
            return
        if not any(record.status is TaskStatus.PENDING for record in board.tasks.values()):
            self._driver.begin_assigning()
        elif not board.has_ended:
            fault = AssigningFailed(
                f"{self._owner}.assign_tasks returned, but {self._describe_left()}; in it, await "
                "super().assign_tasks(), or broadcast a TaskAssignment of each task"
            )
            log.error("assign_tasks failed", manager=self._driver.name, why=str(fault))
            self._shell.fail(fault)

    def _describe_left(self) -> str:
        records = self._driver.board.tasks.values()
        left = sum(record.status is TaskStatus.PENDING for record in records)
        return f"{left} of {len(records)} tasks are not assigned"
