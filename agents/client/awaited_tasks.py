"""The results of some tasks as they arrive, for whoever waits for several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from ...messages import InvalidInput, MusterError, Task, TaskId, TaskResult
from ...messages.task import check_task_id
from ...messages.wording import show
from ..submission.result_source import Outcome, call_in
from .conversation import ClientConversation

ReturnWhen: TypeAlias = Literal["all", "first", "first_failed"]
"""When `wait` returns: all tasks are settled, or one is, or one has failed."""

_RETURN_WHEN = ("all", "first", "first_failed")


class WaitedTasks(NamedTuple):
    """What `wait` returns.

    Args:
        done: the results that there are, in the order in which they arrived.
        not_done: the ids of the other tasks, in the order in which they were given.
    """

    done: list[TaskResult]
    not_done: list[TaskId]


class AwaitedTasks:
    """Takes the results of some tasks as they arrive; a `with` statement ends it.

    Args:
        conversation: submits tasks and awaits results.
        tasks: the tasks. A `Task` is submitted, unless the manager has it; an id is that of a task
            that was submitted before.
    """

    def __init__(self, conversation: ClientConversation, tasks: Iterable[Task | TaskId]) -> None:
        if isinstance(tasks, Task | str):
            raise InvalidInput(f"tasks is {show(tasks)}; it must be a list of tasks or task ids")
        self._conversation = conversation
        given = {
            task.id if isinstance(task, Task) else check_task_id(task, "a task id"): task
            for task in tasks
        }
        self.waiting = dict.fromkeys(given)
        """The ids of the tasks whose results have not been taken."""
        self._arrived: asyncio.Queue[Outcome] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        new = [task for task in given.values() if isinstance(task, Task)]
        if new:
            conversation.add(new, self._settle)
        former = [task for task in given.values() if not isinstance(task, Task)]
        if former:
            conversation.wait_for(former, self._settle)

    def __enter__(self) -> AwaitedTasks:
        return self

    def __exit__(self, *_: object) -> None:
        self._conversation.stop_waiting(tuple(self.waiting), self._settle)

    async def next(self) -> TaskResult:
        """The next result.

        Raises:
            MusterError: why there will be none.
        """
        outcome = await self._arrived.get()
        return self._take(outcome)

    def arrived(self) -> Iterator[TaskResult]:
        """The results that have arrived and were not taken."""
        while not self._arrived.empty():
            yield self._take(self._arrived.get_nowait())

    def _take(self, outcome: Outcome) -> TaskResult:
        if isinstance(outcome, MusterError):
            raise outcome
        self.waiting.pop(outcome.task_id, None)
        return outcome

    def _settle(self, _: TaskId, outcome: Outcome) -> None:
        call_in(self._loop, self._arrived.put_nowait, outcome)


async def wait_for_tasks(
    awaited: AwaitedTasks, timeout_s: float | None, return_when: ReturnWhen
) -> WaitedTasks:
    """Wait until all tasks are settled, or one is, or one has failed, or time is over.

    Raises:
        InvalidInput: `return_when` is something else.
        MusterError: why a result will not come.
    """
    if return_when not in _RETURN_WHEN:
        raise InvalidInput(
            f"return_when is {show(return_when)}; it must be one of {', '.join(_RETURN_WHEN)}"
        )
    done: list[TaskResult] = []

    async def collect() -> None:
        while awaited.waiting:
            done.append(await awaited.next())
            done.extend(awaited.arrived())
            if return_when == "first":
                return
            if return_when == "first_failed" and any(not result.success for result in done):
                return

    collecting = asyncio.ensure_future(collect())
    try:
        await asyncio.wait([collecting], timeout=timeout_s)
        if collecting.done():
            collecting.result()
    finally:
        collecting.cancel()
    return WaitedTasks(done, list(awaited.waiting))
