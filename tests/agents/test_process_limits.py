"""Processes of a pool that are replaced after some tasks, or because of their memory."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Handlers, TaskManager, TaskStatus, WorkerAgent, rehearse
from muster.agents.command.worker import choose_executor
from muster.agents.execution import process_limits
from muster.agents.execution.process_limits import ProcessLimits, resident_mb
from muster.agents.execution.process_pool import ProcessPool
from muster.messages import InvalidInput, MemoryLimit, Task

from .process_work import MAY_TAKE_S, fail, hold, keep, square, wait_for

needs_proc = pytest.mark.skipif(
    resident_mb(os.getpid()) is None, reason="the system does not tell how much memory is used"
)


@pytest.mark.processes
def test_a_process_is_replaced_after_its_tasks_and_each_task_runs_once() -> None:
    pool = ProcessPool(1, max_tasks_per_child=2)
    futures = [pool.submit(square, number) for number in range(3)]
    outcomes = [future.result(MAY_TAKE_S) for future in futures]
    pool.shutdown()
    assert [outcome for outcome, _ in outcomes] == [0, 1, 4]
    pids = [pid for _, pid in outcomes]
    assert pids[0] == pids[1] != pids[2]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.processes
def test_failures_count_as_tasks_too() -> None:
    pool = ProcessPool(1, max_tasks_per_child=2)
    _, first = pool.submit(square, 1).result(MAY_TAKE_S)
    assert isinstance(pool.submit(fail).exception(MAY_TAKE_S), ValueError)
    _, second = pool.submit(square, 1).result(MAY_TAKE_S)
    pool.shutdown()
    assert first != second


@pytest.mark.slow
@needs_proc
@pytest.mark.processes
def test_a_process_above_its_memory_is_replaced_after_its_task() -> None:
    # A task that ends before the first look is not killed, however much it uses.
    pool = ProcessPool(1, max_memory_mb=400)
    small = pool.submit(keep, 1).result(MAY_TAKE_S)
    large = pool.submit(keep, 450).result(MAY_TAKE_S)
    other = pool.submit(keep, 1).result(MAY_TAKE_S)
    pool.shutdown()
    assert small == large != other


@needs_proc
@pytest.mark.slow
@pytest.mark.processes
def test_a_process_far_above_its_memory_is_killed_and_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "go"
    pool = ProcessPool(2, max_memory_mb=150)
    other = pool.submit(wait_for, str(path))
    fault = pool.submit(hold, 300).exception(MAY_TAKE_S)
    assert not other.done()
    assert isinstance(fault, MemoryLimit)
    assert str(fault).startswith("the process used ")
    assert "max_memory_mb is 150, and a process is killed above 1.5 times" in str(fault)
    path.touch()
    assert other.result(MAY_TAKE_S) == "undisturbed"
    assert pool.submit(square, 3).result(MAY_TAKE_S)[0] == 9
    pool.shutdown()


def grow(task: Task) -> None:
    hold(task.data)


def quick(task: Task) -> int:
    return task.data


def make_limited() -> Executor:
    return ProcessPool(1, max_memory_mb=150)


@needs_proc
@pytest.mark.slow
@pytest.mark.processes
def test_a_task_that_uses_too_much_memory_fails_and_the_worker_goes_on() -> None:
    async def story() -> Any:
        handlers = Handlers()
        handlers.task("grow")(grow)
        handlers.task("quick")(quick)
        worker = WorkerAgent("Ada", 5, handlers=handlers, executor=make_limited)
        tasks = [Task(task_id=1, type="grow", data=300), Task(task_id=2, type="quick", data=7)]
        manager = TaskManager(tasks, 1, quiet=True)
        return await asyncio.wait_for(rehearse(manager, [worker]), MAY_TAKE_S)

    first, second = asyncio.run(story()).tasks
    assert first.status is TaskStatus.FAILED
    assert "MemoryLimit: the process used " in first.model_dump_json()
    assert (second.status, second.output) == (TaskStatus.COMPLETED, 7)


@pytest.mark.parametrize("tasks", [0, -1, True, False, 1.5, float("nan"), "2"])
def test_a_number_of_tasks_that_is_none_is_refused(tasks: Any) -> None:
    with pytest.raises(InvalidInput, match=r"max_tasks_per_child is .*; it must be a whole number"):
        ProcessPool(1, max_tasks_per_child=tasks)


@pytest.mark.parametrize("memory", [0, -1, True, False, 49.9, float("nan"), float("inf"), "500"])
def test_a_memory_that_no_process_fits_is_refused(memory: Any) -> None:
    with pytest.raises(InvalidInput, match=r"max_memory_mb is .*; it must be a number of 50"):
        ProcessPool(1, max_memory_mb=memory)


def test_a_limit_of_memory_is_refused_where_the_system_does_not_tell_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process_limits, "_PROC", tmp_path)
    ProcessLimits(max_tasks_per_child=1)
    with pytest.raises(InvalidInput, match="does not tell how much memory"):
        ProcessLimits(max_memory_mb=500)


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("--max-tasks-per-child", {"max_tasks_per_child": 2}),
        ("--max-memory-mb", {"max_memory_mb": 500}),
    ],
)
def test_the_command_limits_only_processes(option: str, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"{option} replaces .* run in threads; add --processes"):
        choose_executor(2, None, None, **given)


@pytest.mark.parametrize("given", [{"max_tasks_per_child": 0}, {"max_memory_mb": 49}])
def test_the_command_checks_limits_before_the_worker_joins(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="must be"):
        choose_executor(None, 2, None, **given)
