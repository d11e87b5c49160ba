"""A handler asks for a later attempt, or gives its task up, wherever it runs."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import (
    GiveUp,
    Handlers,
    LocalTask,
    LocalTaskManager,
    ProcessPool,
    RetryLater,
    TaskContext,
    TaskManager,
    WorkerAgent,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.execution.handler_requests import HandlerRequest, fields_of
from muster.agents.kernel.model.records import AttemptOutcome
from muster.messages import InvalidInput, Retry, Task, TaskResult, TaskStatus

LATER_S = 0.2


def run(
    function: Callable[..., Any], executor: Any = None, *, is_virtual: bool = True, **fields: Any
) -> TaskManager:
    async def main() -> TaskManager:
        handlers = Handlers()
        handlers.task("any")(function)
        worker = WorkerAgent("Ada", 5, handlers=handlers, executor=executor)
        task = Task(id=1, type="any", retry=Retry(max_attempts=3, wait_s=50), **fields)
        manager = TaskManager([task], expected_workers=1, quiet=True, quarantine_after=1)
        await rehearse(manager, [worker])
        return manager

    return run_in_virtual_time(main()) if is_virtual else asyncio.run(main())


async def comes_later(task: Task, context: TaskContext) -> str:
    if context.attempt == 1:
        context.cost(2.0)
        raise RetryLater(LATER_S, "429")
    return "done"


def comes_later_in_a_thread(task: Task, context: TaskContext) -> str:
    if context.attempt == 1:
        context.cost(2.0)
        raise RetryLater(LATER_S, "429")
    return "done"


async def comes_later_below_a_net(task: Task, context: TaskContext) -> str:
    with contextlib.suppress(Exception):
        return await comes_later(task, context)
    return "suppressed"


async def comes_later_in_a_task_of_its_own(task: Task, context: TaskContext) -> str:
    return await asyncio.wait_for(comes_later(task, context), 60)


async def returns_it(task: Task, context: TaskContext) -> Any:
    if context.attempt == 1:
        context.cost(2.0)
        error = "RetryLater: 429"
        return TaskResult(1, "", False, error_message=error, retry_after_s=LATER_S)
    return "done"


@pytest.mark.parametrize(
    "function",
    [
        comes_later,
        comes_later_in_a_thread,
        comes_later_below_a_net,
        comes_later_in_a_task_of_its_own,
        returns_it,
    ],
)
def test_a_handler_may_ask_for_a_later_attempt(function: Callable[..., Any]) -> None:
    manager = run(function)
    record = manager.board.tasks[1]
    first, second = record.attempts
    assert (first.outcome, first.cost) == (AttemptOutcome.POSTPONED, 2.0)
    assert first.ended_at is not None
    assert second.started_at - first.ended_at == pytest.approx(LATER_S, abs=0.05)
    assert (record.status, manager.board.workers["Ada"].failures_in_a_row) == (
        TaskStatus.COMPLETED,
        0,
    )


async def gives_up(task: Task, context: TaskContext) -> None:
    context.cost(2.0)
    raise GiveUp("there is no customer 7")


def gives_up_in_a_thread(task: Task, context: TaskContext) -> None:
    context.cost(2.0)
    raise GiveUp("there is no customer 7")


@pytest.mark.parametrize("function", [gives_up, gives_up_in_a_thread])
def test_a_handler_may_give_its_task_up(function: Callable[..., Any]) -> None:
    record = run(function).board.tasks[1]
    assert record.status is TaskStatus.FAILED
    assert record.error_message == "GiveUp: there is no customer 7"
    assert [each.cost for each in record.attempts] == [2.0]


def comes_later_elsewhere(task: Task) -> None:
    raise RetryLater(0.01)


def gives_up_elsewhere(task: Task) -> None:
    class ForGood(GiveUp):
        """A class that the worker's process does not know."""

    raise ForGood("no")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("function", "error", "attempts"),
    [
        (comes_later_elsewhere, "RetryLater: after 0.01 s; no attempt is left of 3", 3),
        (gives_up_elsewhere, "GiveUp: no", 1),
    ],
)
def test_a_handler_in_a_process_may_ask_for_it_too(
    function: Callable[..., Any], error: str, attempts: int
) -> None:
    with ProcessPool(1) as pool:
        record = run(function, pool, is_virtual=False).board.tasks[1]
    assert (record.error_message, record.attempt) == (error, attempts)


@pytest.mark.parametrize("request_", [RetryLater(3), RetryLater(3, "busy"), GiveUp("no")])
def test_a_request_survives_pickle(request_: HandlerRequest) -> None:
    again = pickle.loads(pickle.dumps(request_))
    assert type(again) is type(request_)
    assert fields_of(again) == fields_of(request_)


@pytest.mark.parametrize("after_s", [-1, float("nan"), float("inf"), 1e9, "30", None, True])
def test_a_wait_is_a_number_of_seconds(after_s: Any) -> None:
    with pytest.raises(InvalidInput, match=r"after_s is .*; it must be a number of seconds from 0"):
        RetryLater(after_s)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (RetryLater(3, "busy"), "RetryLater: busy; no attempt is left of 1"),
        (GiveUp("no"), "GiveUp: no"),
    ],
)
def test_a_local_task_fails_with_what_was_asked(request_: HandlerRequest, error: str) -> None:
    async def asks(task: LocalTask) -> None:
        raise request_

    async def main() -> None:
        manager = LocalTaskManager()
        running = asyncio.ensure_future(manager.run_tasks())
        task_id = manager.create_task("one", asks)
        while manager.get_stats()["failed"] == 0:
            await asyncio.sleep(0.01)
        manager.stop()
        await running
        task = manager.get_task(task_id)
        assert task is not None
        assert task.error == error

    run_in_virtual_time(main())
