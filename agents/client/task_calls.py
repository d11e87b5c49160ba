"""The methods of a client that submit tasks and take results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any

from ...messages import InvalidInput, MusterError, Payload, Task, TaskId, TaskResult
from ...messages.task import check_task_id
from ..execution.typed_function import typed_function_of
from ..submission.call_future import CallFuture
from ..submission.result_source import Outcome, call_in, fulfil
from ..submission.submission import Submission
from .awaited_tasks import AwaitedTasks, ReturnWhen, WaitedTasks, wait_for_tasks
from .conversation import ClientConversation
from .part_requests import PartRequests
from .replies import set_reply

_ADDED_AT_ONCE = 1_000


class TaskCalls(Submission):
    """Submits tasks to a manager, and takes results."""

    _conversation: ClientConversation

    @property
    def _parts(self) -> PartRequests:
        return PartRequests(self._conversation)

    async def result(self, task_id: TaskId) -> TaskResult:
        """Wait for the result of a task that any client, or the manager itself, has submitted.

        Raises:
            InvalidInput: `task_id` is no task's id.
            UnknownTask: the manager has no such task.
            RunEnded: the run ends before the task is settled.
        """
        check_task_id(task_id)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[TaskResult] = loop.create_future()

        def settle(_: TaskId, outcome: Outcome) -> None:
            call_in(loop, fulfil, future, outcome)

        self._conversation.wait_for((task_id,), settle)
        return await future

    def call_nowait(
        self, function: Callable[..., Any], /, *arguments: Any, **named: Any
    ) -> CallFuture[Any]:
        """Call a typed function at a worker, from any thread, without waiting for its value.

        Args:
            function: the function, which is registered with `@handlers.task`.
            arguments: its arguments.
            named: its arguments by name.

        Returns:
            A future of what the function returns; it raises `TaskFailed` for a failed task. To
                cancel it cancels the task.

        Raises:
            InvalidInput: the function is not registered as a typed function.
            WrongCall: these are not the function's arguments; names each fault.
            RunEnded: the client is not connected.
        """
        typed = typed_function_of(function)
        task = typed.task(*arguments, **named)
        future: CallFuture[Any] = CallFuture(task.id, self._cancel_call)

        def settle(_: TaskId, outcome: Outcome) -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                if isinstance(outcome, MusterError):
                    raise outcome
                future.set_result(typed.read(outcome).unwrap())
            except MusterError as fault:
                future.set_exception(fault)

        self._conversation.add((task,), settle)
        return future

    def _cancel_call(self, task_id: TaskId) -> None:
        asked: dict[str, Payload] = {"task_id": task_id, "reason": "its future was cancelled"}
        # It may be settled by now, or the client be closed: then there is nothing to cancel.
        self._conversation.ask("cancel", asked, lambda _: None)

    async def gather(self, tasks: Sequence[Task]) -> list[TaskResult]:
        """Submit tasks together, and return their results in the tasks' order."""
        return [result async for result in self.submit_many(tasks, in_order=True)]

    async def as_completed(
        self, tasks: Iterable[Task | TaskId]
    ) -> AsyncGenerator[TaskResult, None]:
        """Yield the results of tasks in the order in which they arrive.

        Args:
            tasks: tasks, which are submitted unless the manager has them, or ids of tasks that were
                submitted before. All are taken at once; for more than fit in memory there is
                `submit_many`.

        Raises:
            UnknownTask: the manager has no task with one of the ids.
            RunEnded: the run ends before all are settled.
        """
        with AwaitedTasks(self._conversation, tasks) as awaited:
            while awaited.waiting:
                yield await awaited.next()

    async def wait(
        self,
        tasks: Iterable[Task | TaskId],
        timeout_s: float | None = None,
        return_when: ReturnWhen = "all",
    ) -> WaitedTasks:
        """Wait for several tasks; return which are done and which are not.

        Args:
            tasks: as for `as_completed`.
            timeout_s: return after this time in any case, in seconds; None for never. Nothing is
                cancelled.
            return_when: "all", "first" for the first result, or "first_failed" for the first
                failure.

        Raises:
            InvalidInput: `return_when` is something else.
            UnknownTask: the manager has no task with one of the ids.
            RunEnded: the run ends before.
        """
        with AwaitedTasks(self._conversation, tasks) as awaited:
            return await wait_for_tasks(awaited, timeout_s, return_when)

    async def add_tasks(self, tasks: Sequence[Task]) -> None:
        """Submit tasks, and return when the manager has them, without waiting for their results.

        Raises:
            MusterError: what the manager says against one of the tasks. They are added by the
                thousand, and of that thousand none is.
        """
        for start in range(0, len(tasks), _ADDED_AT_ONCE):
            await self._add(tasks[start : start + _ADDED_AT_ONCE])

    async def _add(self, tasks: Sequence[Task]) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Payload] = loop.create_future()

        self._conversation.add_only(tasks, lambda reply: call_in(loop, set_reply, future, reply))
        await future

    def _forget(self, task_ids: Sequence[TaskId]) -> None:
        raise InvalidInput("only the manager's own process can forget tasks; leave out forget=True")
