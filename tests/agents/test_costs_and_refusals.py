"""A handler reports what its attempt cost and how good it is, or declines its task."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pytest
from muster.agents import (
    Handlers,
    LocalTask,
    LocalTaskManager,
    ProcessPool,
    TaskContext,
    TaskDeclined,
    TaskManager,
    WorkerAgent,
    on,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.kernel.board.spending import ModelSum
from muster.agents.kernel.model.records import AttemptOutcome
from muster.messages import InvalidInput, Task, TaskAssignment, TaskResult
from muster.messages.usage import ModelUsage

REASON = "needs a vision model"
USAGE = ModelUsage("large", 7, 4)


def run(*workers: WorkerAgent, is_virtual: bool = True, **fields: Any) -> TaskManager:
    async def main() -> TaskManager:
        task = Task(id=1, description="one", type="any", **fields)
        manager = TaskManager(
            [task], expected_workers=len(workers), quiet=True, policy="in_order", budget=100.0
        )
        await rehearse(manager, workers)
        return manager

    return run_in_virtual_time(main()) if is_virtual else asyncio.run(main())


def done_by(
    function: Callable[..., Any], executor: Executor | None = None, **options: Any
) -> WorkerAgent:
    handlers = Handlers()
    handlers.task("any")(function)
    return WorkerAgent("Ada", 5, handlers=handlers, executor=executor, **options)


def attempts(manager: TaskManager) -> list[Any]:
    return manager.board.tasks[1].attempts


# ------------------------------------------------------------------ costs and grades


async def reports(task: Task, context: TaskContext) -> str:
    context.cost(0.012, unit="USD")
    context.cost(0.5, unit="USD")
    context.usage("small", 5, 1)
    context.usage("large", 2, 3)
    context.quality(0.2)
    context.quality(0.8)
    return "done"


def reports_in_a_thread(task: Task, context: TaskContext) -> str:
    context.cost(0.012, unit="USD")
    context.cost(0.5, unit="USD")
    context.usage("large", 7, 4)
    context.quality(0.8)
    return "done"


async def reports_and_fails(task: Task, context: TaskContext) -> None:
    await reports(task, context)
    raise ValueError("no")


async def reports_and_declines(task: Task, context: TaskContext) -> None:
    await reports(task, context)
    context.decline(REASON)


async def reports_and_returns_what_cannot_be_sent(task: Task, context: TaskContext) -> object:
    await reports(task, context)
    return object()


async def returns_a_result(task: Task) -> TaskResult:
    return TaskResult(1, "", True, cost=0.512, cost_unit="USD", quality=0.8, usage=USAGE)


async def returns_a_failed_result(task: Task) -> TaskResult:
    return TaskResult(1, "", False, cost=0.512, quality=0.8, usage=USAGE)


async def returns_a_result_that_says_more(task: Task, context: TaskContext) -> TaskResult:
    context.cost(9.0)
    context.usage("none", 1, 1)
    context.quality(0.1)
    return TaskResult(1, "", True, cost=0.512, quality=0.8, usage=USAGE)


@pytest.mark.parametrize(
    "function",
    [
        reports,
        reports_in_a_thread,
        reports_and_fails,
        reports_and_declines,
        reports_and_returns_what_cannot_be_sent,
        returns_a_result,
        returns_a_failed_result,
        returns_a_result_that_says_more,
    ],
)
def test_what_is_reported_travels_however_the_attempt_ends(function: Callable[..., Any]) -> None:
    manager = run(done_by(function, cost_per_task=7.0))
    (attempt,) = attempts(manager)
    assert (attempt.cost, attempt.quality, attempt.usage) == (0.512, 0.8, USAGE)
    spending = manager.board.spending
    assert spending.budget.spent == 0.512
    assert spending.by_model == {"large": ModelSum(1, 7, 4, 0.512)}
    told = manager.report().tasks[0].history[0]
    assert (told.model, told.tokens_in, told.tokens_out) == ("large", 7, 4)


def test_several_threads_add_up_their_costs() -> None:
    def function(task: Task, context: TaskContext) -> None:
        with ThreadPoolExecutor(8) as threads:
            for _ in range(1_000):
                threads.submit(context.cost, 0.5)

    manager = run(done_by(function), is_virtual=False)
    assert manager.board.budget.spent == 500.0


def test_an_override_may_add_a_cost_to_the_result_of_its_handler() -> None:
    class Own(WorkerAgent):
        async def handle_task(self, data: TaskAssignment) -> Any:
            result = await super().handle_task(data)
            assert isinstance(result, TaskResult)
            return result.model_copy(update={"cost": 3.0})

    handlers = Handlers()
    handlers.task("any")(reports)
    assert attempts(run(Own("Ada", 5, handlers=handlers)))[0].cost == 3.0


NONSENSE = [-1, -0.001, float("nan"), float("inf"), -float("inf"), "0.1", None, True, [1]]


@pytest.mark.parametrize("amount", NONSENSE, ids=repr)
def test_a_cost_that_is_none_is_refused_with_its_value(amount: Any) -> None:
    async def function(task: Task, context: TaskContext) -> None:
        with pytest.raises(InvalidInput, match="must be a finite number of 0 or more") as told:
            context.cost(amount)
        assert f"cost is {amount!r}" in str(told.value)

    (attempt,) = attempts(run(done_by(function)))
    assert (attempt.outcome, attempt.cost) == (AttemptOutcome.SUCCEEDED, 0.0)


@pytest.mark.parametrize("grade", [*NONSENSE, 1.001, 2], ids=repr)
def test_a_grade_out_of_range_is_refused_with_its_value(grade: Any) -> None:
    async def function(task: Task, context: TaskContext) -> None:
        with pytest.raises(InvalidInput, match="must be a number from 0 to 1") as told:
            context.quality(grade)
        assert f"quality is {grade!r}" in str(told.value)

    (attempt,) = attempts(run(done_by(function)))
    assert (attempt.outcome, attempt.quality) == (AttemptOutcome.SUCCEEDED, None)


@pytest.mark.parametrize(
    "used", [("m" * 201, 1, 1), (7, 1, 1), ("m", -1, 1), ("m", 1, 0.5), ("m", None, 1)], ids=repr
)
def test_a_usage_that_is_none_is_refused_and_changes_nothing(used: Any) -> None:
    async def function(task: Task, context: TaskContext) -> None:
        context.usage(*USAGE)
        with pytest.raises(InvalidInput, match="it must be the name of a model"):
            context.usage(*used)

    assert attempts(run(done_by(function)))[0].usage == USAGE


@pytest.mark.parametrize(
    ("costs", "told"),
    [
        ([(1.0, "x" * 21)], "must be text of at most 20 characters"),
        ([(1.0, 7)], "the unit of the cost is 7"),
        ([(1.0, "USD"), (1.0, "EUR")], "is 'EUR', and was 'USD' before"),
        ([(1.0, "USD"), (1.0, "")], "is '', and was 'USD' before"),
        ([(1e308, ""), (1e308, "")], "the sum is not finite"),
    ],
)
def test_units_that_do_not_fit_are_refused(costs: Any, told: str) -> None:
    async def function(task: Task, context: TaskContext) -> None:
        *earlier, last = costs
        for amount, unit in earlier:
            context.cost(amount, unit)
        with pytest.raises(InvalidInput, match=told):
            context.cost(*last)

    assert attempts(run(done_by(function)))[0].outcome is AttemptOutcome.SUCCEEDED


@pytest.mark.parametrize("fields", [{"cost": float("nan")}, {"cost": -1.0}, {"quality": 2.0}])
def test_a_result_made_without_validation_fails_the_attempt(fields: dict[str, float]) -> None:
    async def function(task: Task) -> TaskResult:
        return TaskResult(1, "Ada", True).model_copy(update=fields)

    (attempt,) = attempts(run(done_by(function)))
    assert (attempt.outcome, attempt.cost, attempt.quality) == (AttemptOutcome.FAILED, 0.0, None)


# ------------------------------------------------------------------ refusals


async def declines(task: Task, context: TaskContext) -> None:
    context.decline(REASON)


def declines_in_a_thread(task: Task, context: TaskContext) -> None:
    context.decline(REASON)


async def declines_below_a_net(task: Task, context: TaskContext) -> None:
    with contextlib.suppress(Exception):
        context.decline(REASON)


async def declines_in_a_task_of_its_own(task: Task, context: TaskContext) -> None:
    await asyncio.wait_for(declines(task, context), 60)


async def declines_in_a_gathering(task: Task, context: TaskContext) -> None:
    await asyncio.gather(asyncio.sleep(60), declines(task, context))


async def raises_it(task: Task) -> None:
    raise TaskDeclined(REASON)


async def returns_it(task: Task) -> TaskResult:
    return TaskResult(1, "", False, error_message=REASON, declined=True)


async def returns_it_as_a_success(task: Task) -> TaskResult:
    return TaskResult(1, "", True, error_message=REASON, declined=True)


def declines_elsewhere(task: Task) -> None:
    raise TaskDeclined(REASON)


def check_declined(manager: TaskManager) -> None:
    (attempt,) = attempts(manager)
    assert attempt.outcome is AttemptOutcome.DECLINED
    record = manager.board.tasks[1]
    assert record.error_message == f"declined: Ada: {REASON}"
    assert record.failures == 0


@pytest.mark.parametrize(
    "function",
    [
        declines,
        declines_in_a_thread,
        declines_below_a_net,
        declines_in_a_task_of_its_own,
        declines_in_a_gathering,
        raises_it,
        returns_it,
        returns_it_as_a_success,
    ],
)
def test_an_attempt_ends_as_declined_however_its_handler_says_so(
    function: Callable[..., Any],
) -> None:
    check_declined(run(done_by(function)))


def test_a_handler_in_a_task_group_may_decline() -> None:
    groups: Any = getattr(asyncio, "TaskGroup", None)
    if groups is None:
        pytest.skip("task groups came with 3.11")

    async def function(task: Task, context: TaskContext) -> None:
        async with groups() as group:
            group.create_task(declines(task, context))

    check_declined(run(done_by(function)))


@pytest.mark.processes
def test_a_handler_in_a_process_may_decline() -> None:
    pool = ProcessPool(1)
    try:
        check_declined(run(done_by(declines_elsewhere, pool), is_virtual=False))
    finally:
        pool.shutdown()


class HandlesAsync(WorkerAgent):
    async def handle_task(self, data: TaskAssignment) -> TaskResult:
        return TaskResult(data.task.id, self.name, False, error_message=REASON, declined=True)


class HandlesPlainly(WorkerAgent):
    def handle_task(self, data: TaskAssignment) -> TaskResult:
        return TaskResult(data.task.id, self.name, False, error_message=REASON, declined=True)


class RaisesIt(WorkerAgent):
    async def handle_task(self, data: TaskAssignment) -> TaskResult:
        raise TaskDeclined(REASON)


class PassesItOn(WorkerAgent):
    async def handle_task(self, data: TaskAssignment) -> Any:
        return await super().handle_task(data)


class Executes(WorkerAgent):
    async def execute_task(self, task: Task) -> Any:
        raise TaskDeclined(REASON)


class ExecutesByDefault(WorkerAgent):
    async def execute_task(self, task: Task) -> Any:
        return await super().execute_task(task)


class Broadcasts(WorkerAgent):
    @on(TaskAssignment)
    async def work(self, data: TaskAssignment) -> None:
        result = TaskResult(data.task.id, self.name, False, error_message=REASON, declined=True)
        await self.broadcast_message(result)


@pytest.mark.parametrize(
    "kind",
    [
        HandlesAsync,
        HandlesPlainly,
        RaisesIt,
        PassesItOn,
        Executes,
        ExecutesByDefault,
        Broadcasts,
    ],
)
def test_a_method_may_decline(kind: type[WorkerAgent]) -> None:
    handlers = Handlers()
    if kind in (PassesItOn, ExecutesByDefault):
        handlers.task("any")(declines)
    check_declined(run(kind("Ada", 5, handlers=handlers)))


def test_the_task_goes_to_another_worker_and_its_result_is_complete() -> None:
    handlers = Handlers()

    @handlers.task("any")
    async def do(task: Task, context: TaskContext) -> int:
        return context.attempt

    manager = run(done_by(declines), WorkerAgent("Ben", 5, handlers=handlers))
    result = manager.get_task_result(1)
    assert result is not None
    assert (result.worker, result.output, result.declined) == ("Ben", 2, False)


def test_a_reason_is_bounded_and_never_empty() -> None:
    assert len(TaskDeclined("x" * 5_000).reason) == 1_000
    assert TaskDeclined(" ").reason == "no reason given"


@pytest.mark.parametrize("is_raised", [False, True])
def test_a_local_task_that_declines_fails_with_the_reason(is_raised: bool) -> None:
    async def decline(task: LocalTask) -> None:
        if is_raised:
            raise TaskDeclined(REASON)
        task.decline(REASON)

    async def main() -> None:
        manager = LocalTaskManager()
        running = asyncio.ensure_future(manager.run_tasks())
        task_id = manager.create_task("one", decline)
        while manager.get_stats()["failed"] == 0:
            await asyncio.sleep(0.01)
        manager.stop()
        await running
        task = manager.get_task(task_id)
        assert task is not None
        assert task.error == f"declined: local: {REASON}"

    run_in_virtual_time(main())
