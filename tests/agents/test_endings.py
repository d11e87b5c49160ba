"""Whatever a handler does, its attempt ends in a result, and its slot comes back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from muster.agents import Handlers, TaskManager, TaskStatus, WorkerAgent, rehearse
from muster.agents.execution.process_pool import ProcessPool
from muster.agents.execution.task_runner import TaskRunner
from muster.agents.simulation.handler_endings import COROUTINE_ENDINGS, PLAIN_ENDINGS, SUCCEEDING
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import CancelTask, Task, TaskAssignment, TaskResult

MAY_TAKE_S = 60.0

PLAIN = {each.__name__: each for each in PLAIN_ENDINGS}
COROUTINES = {each.__name__: each for each in COROUTINE_ENDINGS}


async def do(way: str, worker: WorkerAgent) -> tuple[Any, Any]:
    """Have a worker of one slot do a task that ends in a way, and one after it."""
    tasks = [Task(task_id=1, type=way), Task(task_id=2, type="after")]
    manager = TaskManager(tasks, 1, quiet=True)
    report = await asyncio.wait_for(rehearse(manager, [worker]), MAY_TAKE_S)
    return report.tasks


def check(way: str, first: Any, second: Any) -> None:
    assert second.status is TaskStatus.COMPLETED
    if way in SUCCEEDING:
        assert first.status is TaskStatus.COMPLETED
    else:
        assert first.status is TaskStatus.FAILED
        assert first.error_message
        first.error_message.encode()


def after(task: Task) -> str:
    return "done"


async def after_in_the_loop(task: Task) -> str:
    return "done"


# ------------------------------------------------------------------------------- in the loop


def in_the_loop(way: str) -> Callable[[Task], Any]:
    if way in COROUTINES:
        return COROUTINES[way]

    async def call(task: Task) -> Any:
        return PLAIN[way](task)

    return call


@pytest.mark.parametrize("way", [*PLAIN, *COROUTINES])
def test_a_coroutine_that_ends_in_any_way_ends_its_attempt(way: str) -> None:
    worker = WorkerAgent("Ada", 5)
    worker.task(way)(in_the_loop(way))
    worker.task("after")(after_in_the_loop)
    check(way, *run_in_virtual_time(do(way, worker)))


@pytest.mark.parametrize("way", [*PLAIN, *COROUTINES])
def test_an_overridden_handle_task_that_ends_in_any_way_ends_its_attempt(way: str) -> None:
    class Overriding(WorkerAgent):
        async def handle_task(self, data: TaskAssignment) -> Any:
            if data.task.type == "after":
                return True
            output = await in_the_loop(way)(data.task)
            return TaskResult(task_id=data.task.id, worker="Ada", success=True, output=output)

    check(way, *run_in_virtual_time(do(way, Overriding("Ada", 5))))


@pytest.mark.parametrize("when", ["before", "behind"])
@pytest.mark.parametrize("way", [*PLAIN, *COROUTINES])
def test_what_is_put_around_tasks_may_end_in_any_way(way: str, when: str) -> None:
    worker = WorkerAgent("Ada", 5)
    worker.task(way)(after_in_the_loop)
    worker.task("after")(after_in_the_loop)

    async def around(perform: Any, assignment: TaskAssignment) -> TaskResult:
        result = None if when == "before" else await perform(assignment)
        if assignment.task.id == 1:
            output = await in_the_loop(way)(assignment.task)
            result = result or TaskResult(task_id=1, worker="Ada", success=True)
            return result.model_copy(update={"output": output})
        return result or await perform(assignment)

    worker.surround(around)
    check(way, *run_in_virtual_time(do(way, worker)))


@pytest.mark.parametrize(
    "result",
    [
        None,
        7,
        TaskResult(task_id=1, worker="Ada", success=True).model_copy(
            update={"execution_time": float("inf")}
        ),
        TaskResult(task_id=1, worker="Ada", success=True).model_copy(
            update={"execution_time": "long"}
        ),
        TaskResult(task_id=1, worker="Ada", success=True).model_copy(update={"success": "yes!"}),
        TaskResult(task_id=1, worker="Ada", success=False).model_copy(
            update={"error_message": "\udcff"}
        ),
        TaskResult.model_construct(success=True),
    ],
    ids=repr,
)
def test_what_is_no_result_fails_its_task(result: Any) -> None:
    worker = WorkerAgent("Ada", 5)

    async def around(perform: Any, assignment: TaskAssignment) -> Any:
        return result if assignment.task.id == 1 else await perform(assignment)

    worker.surround(around)
    check("fails", *run_in_virtual_time(do("any", worker)))


@pytest.mark.parametrize("way", [*PLAIN, *COROUTINES])
def test_execute_task_returns_however_the_handler_ends(way: str) -> None:
    async def story() -> list[TaskResult]:
        worker = WorkerAgent("Ada", 5)
        worker.task(way)(in_the_loop(way))
        working = asyncio.wait_for(worker.execute_task(Task(task_id=1, type=way)), MAY_TAKE_S)
        return [await working]

    (result,) = run_in_virtual_time(story())
    # Nobody else hears of it, so that it need not be sent.
    assert result.success == (way in SUCCEEDING or way.startswith("returns_"))


# ------------------------------------------------------------------------------- elsewhere


@pytest.mark.parametrize("way", PLAIN)
@pytest.mark.parametrize("make", [None, lambda: ThreadPoolExecutor(1)], ids=["threads", "a pool"])
def test_a_function_in_a_thread_that_ends_in_any_way_ends_its_attempt(
    way: str, make: Callable[[], Executor] | None
) -> None:
    worker = WorkerAgent("Ada", 5, executor=make)
    worker.task(way)(PLAIN[way])
    worker.task("after")(after)
    check(way, *asyncio.run(do(way, worker)))


@pytest.mark.processes
@pytest.mark.parametrize(
    "make", [lambda: ProcessPoolExecutor(1, get_context("spawn")), lambda: ProcessPool(1)]
)
def test_functions_in_processes_may_end_in_any_way(make: Callable[[], Executor]) -> None:
    ways = {**PLAIN, "after": after}
    handlers = Handlers()
    for way, function in ways.items():
        handlers.task(way)(function)
    tasks = [Task(task_id=number, type=way) for number, way in enumerate(ways, 1)]

    async def story() -> Any:
        worker = WorkerAgent("Ada", 5, handlers=handlers, executor=make)
        manager = TaskManager(tasks, 1, quiet=True)
        return await asyncio.wait_for(rehearse(manager, [worker]), MAY_TAKE_S)

    report = asyncio.run(story())
    for task, way in zip(report.tasks, ways, strict=True):
        check(way if way != "after" else "returns", task, report.tasks[-1])


# ------------------------------------------------------------------------------- cancelled, stopped


@pytest.mark.parametrize("way", [*PLAIN, *COROUTINES])
def test_an_attempt_that_the_manager_cancels_says_so_however_it_ends(way: str) -> None:
    async def story() -> list[TaskResult]:
        results: list[TaskResult] = []
        worker = WorkerAgent("Ada", 5)

        @worker.task("any")
        async def wait(task: Task) -> Any:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if way not in SUCCEEDING:
                    return await in_the_loop(way)(task)
                raise

        jobs = TaskRunner("Ada", 1, worker.perform, results.append, lambda _: None)
        jobs.take(TaskAssignment(task=Task(task_id=1, type="any"), worker="Ada"))
        await asyncio.sleep(1)
        jobs.cancel(CancelTask(task_id=1, reason="timed out"))
        await asyncio.sleep(1)
        assert not jobs.running
        return results

    (result,) = run_in_virtual_time(story())
    # There are no groups before Python 3.11.
    is_cancellation = "cancel" in way and (sys.version_info >= (3, 11) or "group" not in way)
    if (is_cancellation and "exit" not in way and "futures" not in way) or way in SUCCEEDING:
        assert (result.success, result.error_message) == (False, "timed out")


@pytest.mark.parametrize("way", [*PLAIN, *COROUTINES])
def test_what_a_worker_that_stops_leaves_unfinished_has_not_failed(way: str) -> None:
    async def story() -> list[TaskResult]:
        results: list[TaskResult] = []
        worker = WorkerAgent("Ada", 5)

        @worker.task("any")
        async def wait(task: Task) -> Any:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if way not in SUCCEEDING and not way.startswith("returns_"):
                    return await in_the_loop(way)(task)
                raise

        jobs = TaskRunner("Ada", 1, worker.perform, results.append, lambda _: None)
        jobs.take(TaskAssignment(task=Task(task_id=1, type="any"), worker="Ada"))
        await asyncio.sleep(1)
        await jobs.stop()
        assert not jobs.running
        return results

    assert run_in_virtual_time(story()) == []


def test_an_attempt_is_unfinished_when_the_loop_ends_with_all_its_tasks() -> None:
    results: list[TaskResult] = []

    async def serve(jobs: TaskRunner) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            jobs.drop()

    async def main() -> None:
        worker = WorkerAgent("Ada", 5)

        @worker.task("any")
        async def wait(task: Task) -> None:
            await asyncio.sleep(60)

        jobs = TaskRunner("Ada", 2, worker.perform, results.append, lambda _: None)
        main.serving = asyncio.ensure_future(serve(jobs))
        jobs.take(TaskAssignment(task=Task(task_id=1, type="any"), worker="Ada"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        # Not even begun.
        jobs.take(TaskAssignment(task=Task(task_id=2, type="any"), worker="Ada"))

    asyncio.run(main())
    assert results == []


def test_an_attempt_that_is_cancelled_from_elsewhere_before_its_first_step_has_failed() -> None:
    async def story() -> list[TaskResult]:
        results: list[TaskResult] = []
        worker = WorkerAgent("Ada", 5)
        jobs = TaskRunner("Ada", 1, worker.perform, results.append, lambda _: None)
        before = asyncio.all_tasks()
        jobs.take(TaskAssignment(task=Task(task_id=1), worker="Ada"))
        for each in asyncio.all_tasks() - before:
            each.cancel()
        await asyncio.sleep(1)
        assert not jobs.running
        return results

    (result,) = run_in_virtual_time(story())
    assert not result.success
