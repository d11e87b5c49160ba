"""`StateFileBridge`: the workers of a `TaskManager` do the tasks of a state file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar, cast

from pydantic import JsonValue, ValidationError

from ...messages import (
    EncodeError,
    IllegalTransition,
    InvalidInput,
    InvalidTask,
    LocalError,
    StoreBusy,
    Task,
    TaskId,
    TaskStatus,
)
from ..kernel.model.occurrences import SETTLING, Occurrence, OccurrenceKind
from ..kernel.model.records import TaskRecord
from ..manager.task_manager import TaskManager
from ..report.json_value import to_json_value
from ..runtime.log import log
from .manager import StateFileTaskManager
from .table import Entry

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


class StateFileBridge:
    """Takes tasks from a state file, has a manager's workers do them, and writes back how it went.

    ```python
    bridge = StateFileBridge(StateFileTaskManager("states/tea.json"), manager)
    await manager.start(b"", workers)
    await bridge.serve(until_empty=True)
    await manager.stop()
    ```

    For the file the bridge is an agent like any other, and others may work on it as well. A
    worker's handler gets the task's `type` and `data`; what it returns is written as the
    `result_data` `{"output": …, "worker": …}`, why it failed as `{"error": …, "worker": …}`.

    A bridge that was killed and is made anew with the same agent id takes up what it held.

    Args:
        state_file: where the tasks are.
        manager: whose workers do them; it has a loop, and runs while the bridge serves.
        agent_id: the name by which it holds tasks; by default that of the manager.
        task_types: the types it takes; None for all.
        at_once: how many tasks it holds at most, 1 or more; enough to keep all workers busy.
        look_every_s: how often it looks whether there are new tasks, in seconds, above 0.

    Raises:
        InvalidInput: an argument is out of range.
    """

    def __init__(
        self,
        state_file: StateFileTaskManager,
        manager: TaskManager,
        *,
        agent_id: str = "",
        task_types: Sequence[str] | None = None,
        at_once: int = 64,
        look_every_s: float = 0.5,
    ) -> None:
        if at_once < 1:
            raise InvalidInput(f"at_once is {at_once}; it must be 1 or more")
        if not look_every_s > 0:
            raise InvalidInput(f"look_every_s is {look_every_s}; it must be above 0")
        self.agent_id = agent_id or manager.name
        self._file = state_file
        self._manager = manager
        self._task_types = task_types
        self._at_once = at_once
        self._look_every_s = look_every_s
        # By the ids that they have at the manager, which knows each id once; `at_once` at most.
        self._in_hand: dict[TaskId, str] = {}
        self._settled: list[TaskId] = []
        self._news = asyncio.Event()
        manager.watch(self._note)

    async def serve(self, *, until_empty: bool = False) -> None:
        """Carry tasks and results to and fro, until the manager's run ends or this is cancelled.

        Tasks that are not done by then are cancelled at the manager, and pending in the file.

        Args:
            until_empty: whether to end as soon as there are no tasks left to be taken, and none
                in hand.

        Raises:
            StoreUnusable: the state file can't be read or written.
        """
        try:
            for task in await _call(self._file.get_held_tasks, self.agent_id):
                await self._offer(task)
            while not self._manager.board.has_ended:
                self._news.clear()
                await self._write_back()
                await self._take()
                if until_empty and not self._in_hand:
                    break
                await self._wait_for_news()
        finally:
            await self._give_back()

    def _note(self, occurrence: Occurrence) -> None:
        if occurrence.what in SETTLING and occurrence.task_id in self._in_hand:
            self._settled.append(occurrence.task_id)
            self._news.set()
        elif occurrence.what is OccurrenceKind.RUN_ENDED:
            self._news.set()

    async def _wait_for_news(self) -> None:
        waiting = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait([waiting], timeout=self._look_every_s)
        finally:
            waiting.cancel()

    # ------------------------------------------------------------------ from the file

    async def _take(self) -> None:
        while len(self._in_hand) < self._at_once:
            try:
                task = await _call(self._file.get_next_task, self.agent_id, self._task_types)
            except StoreBusy as fault:
                log.warning("the state file is busy", bridge=self.agent_id, reason=str(fault))
                return
            if task is None:
                return
            await self._offer(task)

    async def _offer(self, task: Entry) -> None:
        task_id = cast("str", task["id"])
        if task_id in self._in_hand.values():
            # Held for too long, and taken again by this bridge itself: it is being done.
            return
        try:
            offered = Task(
                id=self._free_id(task_id),
                description=f"{task['type']} from the state file: {task_id}",
                type=cast("str", task["type"]),
                data=task["data"],
                priority=cast("int", task["priority"]) if self._file.has_schedule else 0,
            )
            # Before it is added, for it may be settled at once.
            self._in_hand[offered.id] = task_id
            try:
                self._manager.add_task(offered)
            except BaseException:
                del self._in_hand[offered.id]
                raise
        except InvalidTask:
            # The run has ended meanwhile.
            await _call(self._file.release_task, task_id, self.agent_id)
        except (ValidationError, EncodeError) as fault:
            await self._record(task_id, TaskStatus.FAILED, {"error": str(fault)})

    def _free_id(self, task_id: str) -> str:
        """The task's id, or with a number if it was here before."""
        known, number, free = self._manager.board.tasks, 1, task_id
        while free in known:
            number += 1
            free = f"{task_id}~{number}"
        return free

    # ------------------------------------------------------------------ back to the file

    async def _write_back(self) -> None:
        while self._settled:
            offered_id = self._settled[0]
            record = self._manager.board.tasks[offered_id]
            try:
                await self._record(
                    self._in_hand[offered_id], record.status, _describe_result(record)
                )
            except StoreBusy as fault:
                log.warning("the state file is busy", bridge=self.agent_id, reason=str(fault))
                return
            del self._in_hand[offered_id]
            del self._settled[0]

    async def _record(
        self, task_id: str, status: TaskStatus, result_data: Mapping[str, JsonValue]
    ) -> None:
        recorded = await _call(
            self._file.complete_task, task_id, self.agent_id, status, result_data
        )
        if not recorded:
            log.warning(
                "a result came too late for the state file", bridge=self.agent_id, task=task_id
            )

    async def _give_back(self) -> None:
        try:
            await self._write_back()
            if not self._manager.board.has_ended:
                for offered_id in self._in_hand.keys() - set(self._settled):
                    self._cancel(offered_id)
            for task in await _call(self._file.get_held_tasks, self.agent_id):
                await _call(self._file.release_task, cast("str", task["id"]), self.agent_id)
        except LocalError as fault:
            # What is still held is pending again after the file's timeout.
            log.error("tasks could not be given back", bridge=self.agent_id, reason=str(fault))
        finally:
            self._in_hand.clear()
            self._settled.clear()

    def _cancel(self, offered_id: TaskId) -> None:
        try:
            self._manager.cancel_task(offered_id, "its bridge to the state file ended")
        except IllegalTransition:
            log.warning("a task was settled as its bridge ended", task=offered_id)


async def _call(
    function: Callable[_Arguments, _Answer],
    *arguments: _Arguments.args,
    **options: _Arguments.kwargs,
) -> _Answer:
    """Call what waits for locks and disks in a thread; whoever is cancelled waits for its end."""
    call = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **options))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait([call])
        raise


def _describe_result(record: TaskRecord) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {}
    if record.status is TaskStatus.COMPLETED:
        assert record.result is not None
        told["output"] = to_json_value(record.result.output)
    else:
        told["error"] = record.error_message
    if record.worker:
        told["worker"] = record.worker
    return told
