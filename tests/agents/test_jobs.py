"""What an attempt at a task may count on, and who has a say in how it is made."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from muster.agents import Handlers, TaskContext, WorkerAgent
from muster.agents.execution.task_runner import TaskRunner
from muster.agents.runtime.clock import now
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import CancelTask, Task, TaskAssignment, TaskResult

mark: ContextVar[str] = ContextVar("mark", default="none")


def _task(number: int, task_type: str = "any", **fields: Any) -> Task:
    return Task(id=number, description="any", type=task_type, **fields)


def _do(
    worker: WorkerAgent, tasks: list[Task], slots: int = 1, perform: Any = None
) -> list[TaskResult]:
    """Have a worker's jobs do tasks, and wait until all are done."""

    async def run() -> list[TaskResult]:
        results: list[TaskResult] = []
        jobs = TaskRunner(
            worker.name, slots, perform or worker.perform, results.append, lambda _: None
        )
        for task in tasks:
            jobs.take(TaskAssignment(task=task, worker=worker.name))
        while jobs.keys:
            await asyncio.sleep(0.1)
        return results

    return run_in_virtual_time(run())


def _worker(handlers: Handlers) -> WorkerAgent:
    return WorkerAgent("Ada", 5, handlers=handlers)


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("pause_s", [None, 0.0, 0.5])
def test_what_a_handler_sets_in_its_context_no_other_sees(
    slots: int, pause_s: float | None
) -> None:
    handlers = Handlers()

    @handlers.task("any")
    async def set_mark(task: Task) -> str:
        seen = mark.get()
        mark.set(f"of {task.id}")
        if pause_s is not None:
            await asyncio.sleep(pause_s)
        assert mark.get() == f"of {task.id}"
        return seen

    results = _do(_worker(handlers), [_task(number) for number in range(1, 7)], slots)
    assert [result.output for result in results] == ["none"] * 6


def test_each_attempt_is_an_asyncio_task_of_its_own_which_ends_with_it() -> None:
    handlers, seen, ended = Handlers(), [], []

    @handlers.task("any")
    async def look(task: Task) -> None:
        current = asyncio.current_task()
        assert current is not None
        current.add_done_callback(lambda _: ended.append(task.id))
        seen.append(current)

    @handlers.task("ended")
    async def tell(task: Task) -> list[int]:
        await asyncio.sleep(0)
        return list(ended)

    results = _do(_worker(handlers), [_task(1), _task(2), _task(3, "ended")])
    assert len(set(seen)) == 2
    assert results[-1].output == [1, 2]


def test_a_handler_that_cancels_itself_and_ends_all_the_same_harms_no_other() -> None:
    handlers = Handlers()

    @handlers.task("any")
    async def cancel_itself(task: Task) -> str:
        current = asyncio.current_task()
        assert current is not None
        if task.id == 1:
            current.cancel()
            return "asked for it"
        await asyncio.wait_for(asyncio.sleep(0.2), timeout=1)
        return "slept"

    results = _do(_worker(handlers), [_task(1), _task(2)])
    assert [(each.task_id, each.output) for each in results] == [(1, "asked for it"), (2, "slept")]


def test_a_handler_that_takes_a_context_gets_that_of_its_task() -> None:
    handlers = Handlers()

    @handlers.task("any")
    async def tell(task: Task, context: TaskContext) -> list[Any]:
        await asyncio.sleep(0.01)
        return [task is context.task, context.task.id, context.attempt, context.is_cancelled]

    results = _do(_worker(handlers), [_task(1), _task(2)], slots=2)
    assert [each.output for each in results] == [[True, 1, 1, False], [True, 2, 1, False]]


def test_a_cancel_stops_one_attempt_and_no_other() -> None:
    handlers, begun = Handlers(), []

    @handlers.task("any")
    async def sleep(task: Task) -> str:
        begun.append(task.id)
        await asyncio.sleep(1)
        return "slept"

    async def run() -> list[TaskResult]:
        results: list[TaskResult] = []
        worker = _worker(handlers)
        jobs = TaskRunner("Ada", 2, worker.perform, results.append, lambda _: None)
        for number in range(1, 5):
            jobs.take(TaskAssignment(task=_task(number), worker="Ada"))
        # Before its first step, in the midst of it, and while it waits for a slot.
        jobs.cancel(CancelTask(task_id=1, reason="too early"))
        jobs.cancel(CancelTask(task_id=4))
        await asyncio.sleep(0.5)
        jobs.cancel(CancelTask(task_id=2, reason="too late"))
        while jobs.keys:
            await asyncio.sleep(0.1)
        return results

    results = run_in_virtual_time(run())
    assert begun == [2, 3]
    assert [(each.task_id, each.success, each.error_message) for each in results] == [
        (4, False, "cancelled"),
        (1, False, "too early"),
        (2, False, "too late"),
        (3, True, None),
    ]
    assert [each.execution_time for each in results] == [0.0, 0.0, 0.5, 1.0]


def test_what_the_handlers_of_an_attempt_took_is_measured() -> None:
    handlers = Handlers()

    @handlers.task("any")
    async def sleep(task: Task) -> None:
        await asyncio.sleep(task.data)
        if task.data > 1:
            raise ValueError("too long")

    results = _do(_worker(handlers), [_task(1, data=0.25), _task(2, data=1.5), _task(3, data=0)])
    assert [(each.execution_time, each.error_message) for each in results] == [
        (0.25, None),
        (1.5, "ValueError: too long"),
        (0.0, None),
    ]


def test_a_result_in_real_time_takes_some() -> None:
    handlers = Handlers()

    @handlers.task("any")
    async def nothing(task: Task) -> None:
        began_at = now()
        while now() - began_at < 0.001:
            pass

    result = asyncio.run(_worker(handlers).execute_task(_task(1)))
    assert result == TaskResult(
        task_id=1, worker="Ada", success=True, execution_time=result.execution_time
    )
    assert 0.001 <= result.execution_time < 1


def test_a_type_without_a_handler_fails_its_task_and_names_those_there_are() -> None:
    handlers = Handlers()

    @handlers.task("any")
    async def nothing(task: Task) -> None: ...

    (result,) = _do(_worker(handlers), [_task(1, "other")])
    assert not result.success
    assert result.error_message == (
        "UnknownName: there is no handler for tasks of type 'other'; known: any"
    )


class _LoudHandlers(Handlers):
    async def run(self, assignment: TaskAssignment, executor: Any) -> Any:
        return f"{await super().run(assignment, executor)}!"


def test_handlers_of_a_subclass_are_run_as_it_says() -> None:
    handlers = _LoudHandlers()

    @handlers.task("any")
    async def tell(task: Task) -> str:
        return "done"

    (result,) = _do(_worker(handlers), [_task(1)])
    assert result.output == "done!"


class _Overriding(WorkerAgent):
    async def handle_task(self, data: TaskAssignment, time: int = 0, agent: Any = None) -> Any:
        result = await super().handle_task(data, time, agent)
        assert isinstance(result, TaskResult)
        return result.model_copy(update={"output": f"{result.output}!"})


class _Performing(WorkerAgent):
    async def perform(self, assignment: TaskAssignment) -> TaskResult:
        result = await super().perform(assignment)
        return result.model_copy(update={"output": f"{result.output}?"})


@pytest.mark.parametrize(
    ("worker_class", "output"),
    [(WorkerAgent, "done"), (_Overriding, "done!"), (_Performing, "done?")],
)
def test_a_subclass_has_its_say_in_how_a_task_is_done(
    worker_class: type[WorkerAgent], output: str
) -> None:
    handlers = Handlers()

    @handlers.task("any")
    async def tell(task: Task) -> str:
        return "done"

    (result,) = _do(worker_class("Ada", 5, handlers=handlers), [_task(1)])
    assert result.output == output


def test_a_handle_task_put_on_one_worker_is_the_one_that_is_called() -> None:
    handlers = Handlers()

    @handlers.task("any")
    async def tell(task: Task) -> str:
        return "done"

    worker = _worker(handlers)

    async def refuse(data: TaskAssignment) -> bool:
        return False

    worker.handle_task = refuse  # type: ignore[method-assign]
    (result,) = _do(worker, [_task(1)])
    assert (result.success, result.error_message) == (False, "failed: it said so")


def test_a_result_that_a_handler_broadcasts_is_not_taken_for_a_later_tasks() -> None:
    handlers = Handlers()
    worker = _worker(handlers)

    @handlers.task("any")
    async def tell(task: Task) -> str:
        told = TaskResult(task_id=1, worker="Ada", success=False, error_message="told")
        await worker.broadcast_message(told)
        return "returned"

    results = _do(worker, [_task(1), _task(2)])
    assert [(result.success, result.output) for result in results] == [
        (False, None),
        (True, "returned"),
    ]


def test_a_result_that_lies_about_whose_it_is_is_put_right() -> None:
    async def perform(assignment: TaskAssignment) -> TaskResult:
        return TaskResult(
            task_id=99,
            worker="Eve",
            success=True,
            execution_time=2.0,
            error_message="none",
            attempt=7,
            output="done",
        )

    (result,) = _do(_worker(Handlers()), [_task(1)], perform=perform)
    assert result == TaskResult(
        task_id=1, worker="Ada", success=True, execution_time=2.0, output="done"
    )


class _Weighed(TaskResult):
    weight: int = 0


@pytest.mark.parametrize("execution_time", [0.0, 2.0])
def test_a_result_of_a_class_of_ones_own_is_sent_as_a_result_that_managers_know(
    execution_time: float,
) -> None:
    async def perform(assignment: TaskAssignment) -> TaskResult:
        return _Weighed(task_id=1, worker="Ada", success=True, execution_time=execution_time)

    (result,) = _do(_worker(Handlers()), [_task(1)], perform=perform)
    assert type(result) is TaskResult
    assert (result.task_id, result.execution_time) == (1, execution_time)
