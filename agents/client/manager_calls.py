"""The methods of a client that ask a manager to do or to tell something."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, cast

from ...messages import MusterError, Payload, TaskId, TaskResult, TaskStatus, UnknownTask
from ...messages.client import ManagerMethod
from ..runtime.log import log
from ..schedules.listing import ScheduleState
from ..store.managers import ManagerEntry
from ..submission.questions import OpenQuestion
from ..submission.result_source import Outcome, call_in, fulfil
from .conversation import ClientConversation
from .replies import set_reply

if TYPE_CHECKING:
    from ..manager.manager_state import ManagerState
    from ..report.model import RunReport


class ManagerCalls:
    """Asks a manager to do or to tell something.

    A further method needs a name in `ManagerMethod`, a function in the manager's
    `RequestAnswers`, a method here, and a line in `BlockingClient`.
    """

    _conversation: ClientConversation

    async def cancel(self, task_id: TaskId, reason: str = "by a client") -> None:
        """Cancel a task; a worker that runs it is told to stop.

        Raises:
            UnknownTask: the manager has no such task.
            IllegalTransition: it is settled already.
        """
        await self._ask("cancel", task_id=task_id, reason=reason)

    async def retry(
        self, task_ids: Sequence[TaskId] | None = None, reason: str = "by a client"
    ) -> list[TaskId]:
        """Try failed or cancelled tasks again, all of them or none.

        Args:
            task_ids: the tasks; None for all that failed.
            reason: who asks for it, or why; the tasks' stories contain it.

        Returns:
            The tasks that begin anew, with those that were cancelled for their sake.

        Raises:
            UnknownTask: the manager has no such task.
            IllegalTransition: a task is not settled or is completed, depends on a task that will
                never be completed, or the run has ended.
        """
        ids = None if task_ids is None else list(task_ids)
        return cast("list[TaskId]", await self._ask("retry", task_ids=ids, reason=reason))

    async def set_priority(self, task_id: TaskId, priority: int) -> None:
        """Change the priority of a waiting task; higher numbers are assigned sooner.

        Raises:
            UnknownTask: the manager has no such task.
            IllegalTransition: it does not wait any more.
        """
        await self._ask("set_priority", task_id=task_id, priority=priority)

    async def questions(self) -> list[OpenQuestion]:
        """What tasks ask people, and nobody has answered yet; see `TaskContext.ask`."""
        told = cast("list[Payload]", await self._ask("questions"))
        return [OpenQuestion.from_payload(each) for each in told]

    async def answer(
        self,
        task_id: TaskId,
        answer: str,
        *,
        by: str = "",
        question: int | None = None,
    ) -> None:
        """Answer the question of a task.

        Args:
            task_id: the task.
            answer: one of the choices, or any text if the question has none.
            by: who answers, for the task's story; by default this client's name.
            question: the number of the question, if the task asks several at once.

        Raises:
            UnknownTask: the manager has no such task.
            IllegalTransition: it asks nothing now, or somebody has answered, or it is too late.
            InvalidInput: the answer is no choice, or the question must be named.
        """
        who = by or self._conversation.name
        await self._ask("answer", task_id=task_id, answer=answer, by=who, question=question)

    async def pause(self) -> int:
        """Let the manager assign no more tasks until `resume`; those that run go on.

        Returns:
            How many run.
        """
        return cast("int", await self._ask("pause"))

    async def resume(self, worker: str | None = None) -> None:
        """Let the manager assign tasks again, or give tasks to a drained worker again.

        Args:
            worker: the drained worker; None ends the pause of the whole manager.

        Raises:
            InvalidInput: no worker of this name is connected.
        """
        await self._ask("resume", worker=worker)

    async def drain(self, worker: str, *, leaves: bool = True) -> int:
        """Give a worker no more tasks; it finishes those that it has begun.

        Args:
            worker: its name.
            leaves: whether it leaves then. If not, it stays without tasks until `resume`.

        Returns:
            How many tasks it finishes.

        Raises:
            InvalidInput: no worker of this name is connected; the message lists those that are.
        """
        return cast("int", await self._ask("drain", worker=worker, leaves=leaves))

    # ------------------------------------------------------------------ managers

    async def managers(self) -> list[ManagerEntry]:
        """The managers that share the run's store: the one that leads, then those that stand by."""
        return _entries(await self._ask("managers"))

    async def hand_over(self) -> list[ManagerEntry]:
        """Let a standby manager lead the run; what workers run goes on, and nothing is lost.

        Returns:
            The managers that stand by, one of which is about to lead.

        Raises:
            InvalidInput: none stands by.
        """
        return _entries(await self._ask("hand_over"))

    # ------------------------------------------------------------------ questions

    async def status(self, task_id: TaskId) -> TaskStatus:
        """The status of a task.

        Raises:
            UnknownTask: the manager has no such task.
        """
        return TaskStatus(cast("str", await self._ask("status", task_id=task_id)))

    async def find(self, task_ids: Sequence[TaskId]) -> TaskId:
        """The first of some possible ids that is that of a task, or of which it is the short form.

        Args:
            task_ids: the possible ids, such as 7 and "7" for what somebody has typed.

        Raises:
            UnknownTask: the manager has no such task.
        """
        return cast("TaskId", await self._ask("find", task_ids=list(task_ids)))

    async def counts(self) -> dict[TaskStatus, int]:
        """How many tasks there are of each status."""
        counts = cast("dict[str, int]", await self._ask("status"))
        return {TaskStatus(status): count for status, count in counts.items()}

    async def why(self, task_id: TaskId) -> list[str]:
        """Why a task is where it is, in lines of text, with the tracebacks of failed attempts.

        Raises:
            UnknownTask: the manager has no such task.
        """
        return cast("list[str]", await self._ask("why", task_id=task_id))

    async def workers(self) -> list[dict[str, Payload]]:
        """The workers: name, whether connected or drained, skill level, slots, and their tasks."""
        return cast("list[dict[str, Payload]]", await self._ask("workers"))

    async def task_types(self) -> list[dict[str, Payload]]:
        """The task types that connected workers take by their handlers.

        Returns:
            For each its `type`, its `workers` and, if its function tells its arguments, their JSON
            schema as `parameters`, and a `description`, which may come from elsewhere.
        """
        return cast("list[dict[str, Payload]]", await self._ask("task_types"))

    async def report(self) -> RunReport:
        """The report of the run as it is now.

        Raises:
            InvalidInput: the run has more than 10,000 tasks.
        """
        from ..report.model import RunReport  # noqa: PLC0415 - it takes a while to load

        return RunReport.model_validate_json(cast("str", await self._ask("report")))

    async def diagram(self) -> str:
        """The run so far as a Mermaid sequence diagram.

        Raises:
            InvalidInput: the run has more than 10,000 tasks.
        """
        return cast("str", await self._ask("diagram"))

    async def schedules(self) -> list[ScheduleState]:
        """The schedules, in the order of their names, with those that only the store knows."""
        return cast("list[ScheduleState]", await self._ask("schedules"))

    async def state(self) -> ManagerState:
        """The manager's name and time, whether it is paused, its tasks, and what they wait for."""
        told = cast("ManagerState", await self._ask("state"))
        counts = {TaskStatus(status): count for status, count in told["counts"].items()}
        return {**told, "counts": counts}

    async def skills(self) -> dict[str, Payload]:
        """What the manager has learned of its workers' skills, as the content of a skills file.

        Raises:
            InvalidInput: its policy learns no skills.
        """
        workers: dict[str, Payload] = {}
        while True:
            told = cast("dict[str, Any]", await self._ask("skills", after=max(workers, default="")))
            workers.update(told["content"]["workers"])
            if told["is_last"]:
                return {**told["content"], "workers": workers}

    async def follow(self) -> AsyncGenerator[TaskResult, None]:
        """Yield the result of every task that is settled from now on, whoever has submitted it.

        It ends only with an error. Of a client that falls behind by more than 10,000 results, or
        was away for so long, the oldest pass by; the log tells how many. What is settled just
        before a manager ends or is lost may pass by, too.

        Raises:
            RunEnded: the run has ended.
        """
        told = cast("dict[str, Any]", await self._ask("settled"))
        while True:
            position = {"log_id": told["log_id"], "after": told["after"]}
            told = cast("dict[str, Any]", await self._ask("settled", **position))
            if told["missed"]:
                log.warning(
                    "results passed by", client=self._conversation.name, missed=told["missed"]
                )
            futures = self._await_all(told["task_ids"])
            try:
                for future in futures:
                    # Some may be forgotten by now.
                    with contextlib.suppress(UnknownTask):
                        yield await future
            finally:
                for future in futures:
                    future.cancel()

    def _await_all(self, task_ids: Sequence[TaskId]) -> list[asyncio.Future[TaskResult]]:
        loop = asyncio.get_running_loop()
        futures: dict[TaskId, asyncio.Future[TaskResult]] = {
            task_id: loop.create_future() for task_id in task_ids
        }

        def settle(task_id: TaskId, outcome: Outcome) -> None:
            call_in(loop, fulfil, futures[task_id], outcome)

        self._conversation.wait_for(tuple(futures), settle)
        return list(futures.values())

    async def _ask(self, method: ManagerMethod, **arguments: Payload) -> Payload:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Payload] = loop.create_future()

        def replied(reply: Payload | MusterError) -> None:
            call_in(loop, set_reply, future, reply)

        self._conversation.ask(method, arguments, replied)
        return await future


def _entries(told: Payload) -> list[ManagerEntry]:
    found = map(ManagerEntry.from_payload, cast("list[Payload]", told))
    return [each for each in found if each is not None]
