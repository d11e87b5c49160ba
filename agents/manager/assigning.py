"""What a manager's own `assign_tasks` hands out, and an error if it hands out nothing."""

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
    """Collects the tasks that are handed out, and watches each call of `assign_tasks`.

    Tasks that are handed out without a pause between them go to the board together, so that
    its policy can choose among all of them. What is handed out before the expected workers have
    come waits for them.

    Args:
        shell: of the manager whose tasks they are.
        owner: the name of the manager's class, for errors.
    """

    def __init__(self, shell: ManagerShell, owner: str) -> None:
        self._shell = shell
        self._owner = owner
        # Bounded by the tasks.
        self._orders: dict[TaskId, HandOut] = {}
        self._calls_running = 0

    def hand_out(self, assignment: TaskAssignment, worker: str = "") -> None:
        """Hand out the task of an assignment, from any thread; a task that is new is added.

        Args:
            assignment: its timeout becomes that of the task, and its worker the only one to get it.
            worker: the name of the only worker to get it, or "" for what the assignment says.

        Raises:
            DifferentTask: the manager has another task under this id.
            InvalidTask: the task can't be added, or the timeout is not above 0.
        """
        if assignment.timeout is not None and not assignment.timeout > 0:
            raise InvalidTask(
                f"the assignment of task {assignment.task.id!r} has the timeout "
                f"{assignment.timeout!r}; it must be above 0, or None"
            )
        order = HandOut(assignment.task.id, assignment.timeout, worker or assignment.worker)
        self._shell.entry.ask(lambda: self._note(assignment.task, order))

    async def run(self, assign_tasks: Callable[[], object]) -> None:
        """Call `assign_tasks`, and see what came of it.

        Raises:
            Exception: whatever it raises; the run ends with `AssigningFailed` then.
        """
        # With their timeouts, before all others may be.
        self._flush()
        self._calls_running += 1
        try:
            pending = assign_tasks()
            if inspect.isawaitable(pending):
                await pending
            # What it has started and does not wait for may hand out, too.
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
        self._judge()

    def check_same(self, record: TaskRecord, task: Task) -> None:
        """See that a task is the one that the manager has under its id.

        Raises:
            DifferentTask: it is another.
        """
        if task in (record.added, record.task):
            return
        encoded = encode_task(task)
        if encoded not in (encode_task(record.added), encode_task(record.task)):
            raise DifferentTask(
                f"the manager has another task under the id {task.id!r} than the one given now; "
                "give its own, or take another id"
            )

    def _note(self, task: Task, order: HandOut) -> None:
        record = self._shell.board.tasks.get(task.id)
        if record is None:
            self._shell.add_tasks((task,))
        else:
            self.check_same(record, task)
            if record.status is not TaskStatus.PENDING:
                if record.status.is_final:
                    log.warning(
                        "a settled task is not handed out again; "
                        "see max_attempts and recover_failed_task",
                        task=task.id,
                        status=record.status.value,
                    )
                return
        self._orders[task.id] = order
        # In no loop nothing runs yet, and what is handed out waits for the workers.
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        board = self._shell.board
        if self._orders and board.start_barrier.is_over and not board.has_ended:
            orders, self._orders = self._orders, {}
            known = tuple(each for each in orders.values() if each.task_id in board.tasks)
            self._shell.hand_out(known)

    def _judge(self) -> None:
        """End the run if nothing is handed out although all are there who are waited for."""
        board = self._shell.board
        if self._calls_running or board.began_at is not None or not board.start_barrier.is_over:
            return
        if not any(record.status is TaskStatus.PENDING for record in board.tasks.values()):
            self._shell.begin_assigning()
        elif not board.has_ended:
            fault = AssigningFailed(
                f"{self._owner}.assign_tasks returned, but {self._describe_left()}; in it, await "
                "super().assign_tasks(), or broadcast a TaskAssignment of each task"
            )
            log.error("assign_tasks failed", manager=self._shell.name, why=str(fault))
            self._shell.fail(fault)

    def _describe_left(self) -> str:
        records = self._shell.board.tasks.values()
        left = sum(record.status is TaskStatus.PENDING for record in records)
        return f"{left} of {len(records)} tasks are not handed out"
