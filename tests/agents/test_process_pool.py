"""Processes that can be killed one by one, and handlers that go on too long after their cancel."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Handlers, MemoryNetwork, TaskManager, TaskStatus, WorkerAgent, rehearse
from muster.agents.execution.process_pool import ProcessPool
from muster.messages import InvalidInput, Task

from .process_work import (
    MAY_TAKE_S,
    begin,
    begin_deaf,
    begin_with_a_child,
    call,
    exit_with_nine,
    interrupted,
    make_lock,
    wait_for,
)

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    made = ProcessPool(2)
    yield made
    made.shutdown()


async def begun(path: Path) -> int:
    async def look() -> int:
        while not (told := read(path)):
            await asyncio.sleep(0.01)
        return int(told)

    return await asyncio.wait_for(look(), MAY_TAKE_S)


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_functions_run_in_processes_that_are_kept(pool: ProcessPool) -> None:
    pids = {pool.submit(os.getpid).result(MAY_TAKE_S) for _ in range(6)}
    assert os.getpid() not in pids
    assert len(pids) <= 2


def test_what_a_function_raises_is_raised(pool: ProcessPool) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        pool.submit(int, "seven").result(MAY_TAKE_S)


@pytest.mark.parametrize("what", [make_lock, lambda: 1], ids=["comes back", "goes out"])
def test_what_cannot_be_pickled_fails_alone(pool: ProcessPool, what: Any) -> None:
    assert pool.submit(call, what).exception(MAY_TAKE_S) is not None
    assert pool.submit(int, "7").result(MAY_TAKE_S) == 7


@pytest.mark.parametrize("what", [partial(int, "seven"), partial(call, make_lock), exit_with_nine])
def test_an_exception_can_be_collected_with_what_it_keeps(
    pool: ProcessPool, monkeypatch: pytest.MonkeyPatch, what: Any
) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    fault = pool.submit(what).exception(MAY_TAKE_S)
    assert fault is not None
    # As in a report of the fault, which stands in one of its own frames.
    vars(fault)["itself"] = fault
    del fault
    gc.collect()
    assert [str(each.exc_value) for each in unraisable] == []


def test_a_process_that_ends_takes_only_its_own_function_with_it(
    pool: ProcessPool, tmp_path: Path
) -> None:
    other = pool.submit(begin, str(tmp_path / "begun"))
    asyncio.run(begun(tmp_path / "begun"))
    with pytest.raises(BrokenProcessPool, match="ended with exit code 9"):
        pool.submit(exit_with_nine).result(MAY_TAKE_S)
    assert not other.done()
    assert pool.submit(int, "7").result(MAY_TAKE_S) == 7
    pool.kill(other)
    with pytest.raises(BrokenProcessPool, match="exit code -9"):
        other.result(MAY_TAKE_S)


def test_ctrl_c_is_for_the_process_that_has_the_pool(pool: ProcessPool) -> None:
    assert pool.submit(interrupted).result(MAY_TAKE_S) is None


def test_a_process_that_has_started_another_is_seen_to_end(
    pool: ProcessPool, tmp_path: Path
) -> None:
    future = pool.submit(begin_with_a_child, str(tmp_path / "begun"))
    asyncio.run(begun(tmp_path / "begun"))
    pool.kill(future)
    assert isinstance(future.exception(MAY_TAKE_S), BrokenProcessPool)


def test_killing_what_has_ended_or_is_unknown_does_nothing(pool: ProcessPool) -> None:
    future = pool.submit(int, "7")
    assert future.result(MAY_TAKE_S) == 7
    pool.kill(future)
    assert pool.submit(int, "7").result(MAY_TAKE_S) == 7


def test_a_pool_that_is_shut_down_leaves_no_process() -> None:
    pool = ProcessPool(2)
    pids = {pool.submit(os.getpid).result(MAY_TAKE_S)}
    pool.shutdown()
    assert not any(map(is_alive, pids))
    with pytest.raises(RuntimeError):
        pool.submit(int)


def test_a_pool_whose_processes_are_killed_leaves_none(tmp_path: Path) -> None:
    pool = ProcessPool(1)
    future = pool.submit(begin_deaf, str(tmp_path / "begun"))
    pid = asyncio.run(begun(tmp_path / "begun"))
    pool.kill_workers()
    assert isinstance(future.exception(MAY_TAKE_S), BrokenProcessPool)
    pool.shutdown()
    assert not is_alive(pid)


# ------------------------------------------------------------------------------- kill_after_s


def stuck(task: Task) -> None:
    begin_deaf(task.data)


def quick(task: Task) -> int:
    return os.getpid()


def make_ours() -> Executor:
    return ProcessPool(1)


def make_pythons() -> Executor:
    return ProcessPoolExecutor(1, get_context("spawn"))


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_ours, make_pythons])
@pytest.mark.parametrize("by", ["cancel", "timeout"])
def test_a_process_that_goes_on_after_its_cancel_is_killed_and_the_slot_comes_back(
    make: Any, by: str, tmp_path: Path
) -> None:
    path = tmp_path / "begun"

    async def story() -> Any:
        handlers = Handlers()
        handlers.task("stuck")(stuck)
        handlers.task("quick")(quick)
        worker = WorkerAgent("Ada", 5, handlers=handlers, executor=make, kill_after_s=0.2)
        limit_s = 60.0 if by == "cancel" else 5.0
        # The first starts the process, which may take longer than that.
        tasks = [
            Task(task_id=3, type="quick"),
            Task(task_id=1, type="stuck", data=str(path), timeout=limit_s, depends_on=[3]),
        ]
        manager = TaskManager(tasks, 1, quiet=True)
        rehearsing = asyncio.ensure_future(rehearse(manager, [worker]))
        pid = await begun(path)
        manager.add_task(Task(task_id=2, type="quick"))
        if by == "cancel":
            manager.cancel_task(1)
        report = await asyncio.wait_for(rehearsing, MAY_TAKE_S)
        return pid, report

    pid, report = asyncio.run(story())
    by_id = {task.id: task for task in report.tasks}
    first, second = by_id[1], by_id[2]
    assert first.status is (TaskStatus.CANCELLED if by == "cancel" else TaskStatus.FAILED)
    assert second.status is TaskStatus.COMPLETED
    assert second.output != pid
    assert not is_alive(pid)


def test_a_process_that_ends_in_time_after_its_cancel_is_not_killed(tmp_path: Path) -> None:
    # Of one process, so that the second task shows that the first one's goes on.
    pool, its_end = ProcessPool(1), tmp_path / "end"

    async def story() -> Any:
        worker = WorkerAgent("Ada", 5, executor=pool, kill_after_s=MAY_TAKE_S)
        worker.task("nap")(nap)
        worker.task("quick")(quick)
        nap_task = Task(task_id=1, type="nap", data=str(its_end), timeout=0.1)
        manager = TaskManager([nap_task, Task(task_id=2, type="quick")], 1, quiet=True)
        rehearsing = asyncio.ensure_future(rehearse(manager, [worker]))
        while manager.get_task_status(1) != "Failed":
            await asyncio.sleep(0.01)
        its_end.touch()
        return await asyncio.wait_for(rehearsing, MAY_TAKE_S)

    pool.submit(int).result(MAY_TAKE_S)
    before = {child._process.pid for child in pool._idle}
    report = asyncio.run(story())
    assert [task.status for task in report.tasks] == [TaskStatus.FAILED, TaskStatus.COMPLETED]
    assert {child._process.pid for child in pool._idle} == before
    pool.shutdown()


def nap(task: Task) -> None:
    wait_for(task.data)


@pytest.mark.parametrize(
    ("executor", "kind"),
    [(None, "threads"), (ThreadPoolExecutor(1), "a ThreadPoolExecutor")],
    ids=["threads", "a pool"],
)
def test_what_runs_in_threads_can_not_be_killed(executor: Any, kind: str) -> None:
    with pytest.raises(InvalidInput, match=rf"run in {kind}, which can't be killed; .*ProcessPool"):
        WorkerAgent("Ada", 5, executor=executor, kill_after_s=1)


def test_it_is_refused_at_the_start_if_only_then_is_known_where_functions_run() -> None:
    async def story() -> None:
        worker = WorkerAgent("Ada", 5, executor=lambda: ThreadPoolExecutor(1), kill_after_s=1)
        worker.task("quick")(quick)
        with pytest.raises(InvalidInput, match="which can't be killed"):
            await worker.serve_over(MemoryNetwork().join("Ada", worker.receive))

    asyncio.run(story())


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_limit_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidInput, match=r"kill_after_s is .*; it must be 0 or more"):
        WorkerAgent("Ada", 5, executor=make_ours, kill_after_s=seconds)


def test_there_is_no_zombie_left() -> None:
    pool = ProcessPool(1)
    pid = pool.submit(os.getpid).result(MAY_TAKE_S)
    pool.shutdown()
    told = subprocess.run(["ps", "-p", str(pid)], capture_output=True, check=False)
    assert told.returncode != 0
