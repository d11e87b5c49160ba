"""The run that MCP's clients see: by a client of its manager, or from its store, which is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ...messages import Payload, Task, TaskId, TaskStatus, UnknownTask
from ...messages.wording import find_known_id
from ..client.client import Client
from ..diagram.sequence_of_run import tell_as_sequence
from ..diagram.sequence_writer import write_sequence
from ..kernel.board.board import Board
from ..kernel.trace import trace_of
from ..report.model import RunReport
from ..submission.questions import OpenQuestion

ANSWERED_BY = "an MCP client"
CANCELLED_BY = "by an MCP client"


class StoredBoard(Protocol):
    """A run from its store."""

    @property
    def board(self) -> Board: ...  # noqa: D102

    def report(self) -> RunReport: ...  # noqa: D102


class RunAccess:
    """What MCP's clients can do with a run that its manager tells of.

    Args:
        client: a client of the manager, which is connected.
    """

    reads_only = False

    def __init__(self, client: Client) -> None:
        self._client = client

    async def submit(self, task: Task) -> None:
        """Add a task.

        Raises:
            MusterError: what the manager says against it.
        """
        await self._client.add_tasks([task])

    async def wait(self, task_id: TaskId, timeout_s: float) -> dict[str, Payload] | None:
        """The result of a task; None if it is not settled in time.

        Raises:
            UnknownTask: there is no such task.
        """
        task_id = await self._find(task_id)
        waited = await self._client.wait([task_id], timeout_s=timeout_s)
        if not waited.done:
            return None
        result = waited.done[0]
        fields = ("task_id", "success", "output", "error_message", "worker", "attempt")
        told = {each: getattr(result, each) for each in fields}
        return {**told, "execution_time_s": result.execution_time}

    async def status(self, task_id: TaskId | None) -> dict[str, Payload]:
        """The status of a task; without an id, how many tasks have each status.

        Raises:
            UnknownTask: there is no such task.
        """
        if task_id is None:
            counts = await self._client.counts()
            return {status.value: count for status, count in counts.items()}
        task_id = await self._find(task_id)
        return {"task_id": task_id, "status": (await self._client.status(task_id)).value}

    async def cancel(self, task_id: TaskId, reason: str) -> None:
        """Cancel a task.

        Raises:
            UnknownTask: there is no such task.
            IllegalTransition: it is settled already.
        """
        await self._client.cancel(await self._find(task_id), reason or CANCELLED_BY)

    async def why(self, task_id: TaskId) -> list[str]:
        """Why a task is where it is.

        Raises:
            UnknownTask: there is no such task.
        """
        return await self._client.why(await self._find(task_id))

    async def workers(self) -> list[dict[str, Payload]]:
        """The workers."""
        return await self._client.workers()

    async def task_types(self) -> list[dict[str, Payload]]:
        """The task types that the workers take."""
        return await self._client.task_types()

    async def questions(self) -> list[dict[str, Payload]]:
        """What tasks ask people."""
        return [each.to_payload() for each in await self._client.questions()]

    async def answer(self, task_id: TaskId, answer: str, question: int | None) -> None:
        """Answer the question of a task.

        Raises:
            MusterError: why that is not possible.
        """
        known = await self._find(task_id)
        await self._client.answer(known, answer, by=ANSWERED_BY, question=question)

    async def report(self) -> RunReport:
        """The report of the run so far."""
        return await self._client.report()

    async def diagram(self) -> str:
        """The run so far as a Mermaid sequence diagram."""
        return await self._client.diagram()

    async def _find(self, task_id: TaskId) -> TaskId:
        return await self._client.find(_possible(task_id))


class StoredAccess:
    """What MCP's clients can read of a run in a store.

    Args:
        read: reads the store as it is now; it may block.
    """

    reads_only = True

    def __init__(self, read: Callable[[], StoredBoard]) -> None:
        self._read = read

    async def _board(self) -> Board:
        return (await asyncio.to_thread(self._read)).board

    async def status(self, task_id: TaskId | None) -> dict[str, Payload]:
        """As `RunAccess.status`."""
        board = await self._board()
        if task_id is None:
            return {status.value: board.counts[status] for status in TaskStatus}
        known = _known(board, task_id)
        record = board.tasks[known]
        told: dict[str, Payload] = {"task_id": known, "status": record.status.value}
        if record.result is not None:
            told |= {
                "success": record.result.success,
                "output": record.result.output,
                "error_message": record.result.error_message,
                "worker": record.result.worker,
            }
        return told

    async def why(self, task_id: TaskId) -> list[str]:
        """As `RunAccess.why`."""
        board = await self._board()
        return list(board.explain(_known(board, task_id)).lines())

    async def workers(self) -> list[dict[str, Payload]]:
        """As `RunAccess.workers`."""
        return [
            {
                "name": worker.name,
                "skill_level": worker.skill_level,
                "slots": worker.slots,
                "task_types": sorted(worker.task_types or ()),
                "completed": worker.stats.completed_tasks,
                "succeeded": worker.stats.successful_tasks,
            }
            for worker in (await self._board()).workers.values()
        ]

    async def questions(self) -> list[dict[str, Payload]]:
        """As `RunAccess.questions`."""
        found = (await self._board()).questions.open()
        return [OpenQuestion.of(each.task_id, asked).to_payload() for each, asked in found]

    async def report(self) -> RunReport:
        """As `RunAccess.report`."""
        stored = await asyncio.to_thread(self._read)
        return await asyncio.to_thread(stored.report)

    async def diagram(self) -> str:
        """As `RunAccess.diagram`."""
        board = await self._board()
        return await asyncio.to_thread(
            lambda: write_sequence(tell_as_sequence(trace_of(board, "")))
        )


def _possible(task_id: TaskId) -> list[TaskId]:
    """The ids that a client may mean: of "7", that may be the integer 7."""
    is_number = isinstance(task_id, str) and task_id.isascii() and task_id.isdecimal()
    return [task_id, int(str(task_id)[:19])] if is_number else [task_id]


def _known(board: Board, task_id: TaskId) -> TaskId:
    found = find_known_id(_possible(task_id), board.tasks)
    if found is None:
        raise UnknownTask(f"the run in the store has no task {task_id!r}")
    return found
