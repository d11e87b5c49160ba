"""A pool that starts workers and lets them go, in virtual time; and once with real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from muster.agents import (
    ForkServer,
    MemoryNetwork,
    TaskManager,
    WorkerAgent,
    run_in_virtual_time,
)
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.scaling import Step
from muster.agents.worker_pool.pool import WorkerPool
from muster.agents.worker_pool.processes import LocalProcesses
from muster.messages import InvalidInput, Task

DEADLINE_S = 180.0


class Spawned:
    def __init__(self, serving: asyncio.Future[None], worker: WorkerAgent) -> None:
        self.serving = serving
        self.worker = worker

    @property
    def is_alive(self) -> bool:
        return not self.serving.done()

    async def end(self) -> None:
        await self.worker.stop()
        await asyncio.wait([self.serving])


class Hall:
    """A manager, and a spawner of workers that come over the same memory network."""

    def __init__(self, **options: Any) -> None:
        self.network = MemoryNetwork()
        self.manager = TaskManager(quiet=True, **options)
        self.spawned: dict[str, Spawned] = {}
        self.at: list[float] = []
        self.stillborn = False
        self.happened: list[Any] = []
        self.manager.watch(self.happened.append)

    async def open(self) -> None:
        async def start_agent(*_: Any) -> None:
            await self.manager.serve_over(self.network.join("boss", self.manager.receive))

        self.manager.start_agent = start_agent  # type: ignore[method-assign]
        await self.manager.start()

    async def spawn(self, name: str) -> Spawned:
        self.at.append(asyncio.get_running_loop().time())
        worker = WorkerAgent(name, 5)

        async def live() -> None:
            if not self.stillborn:
                await asyncio.sleep(0.5)
                await worker.serve_over(self.network.join(name, worker.receive))

        self.spawned[name] = Spawned(asyncio.ensure_future(live()), worker)
        return self.spawned[name]

    def told(self, what: OccurrenceKind) -> list[str]:
        return [each.worker for each in self.happened if each.what is what]


def play(story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return run_in_virtual_time(story())


def test_it_grows_with_the_work_up_to_its_maximum_and_back_to_its_minimum() -> None:
    async def story() -> Any:
        hall = Hall()
        await hall.open()
        async with WorkerPool(hall.manager, hall, minimum=1, maximum=4) as pool:
            await asyncio.sleep(3)
            before = pool.workers
            for number in range(1, 41):
                hall.manager.add_task(Task(task_id=number, difficulty=2))
            await asyncio.sleep(10)
            during = pool.workers
            await asyncio.sleep(60)
            after = pool.workers
        await hall.manager.stop()
        return hall, before, during, after

    hall, before, during, after = play(story)
    assert (len(before), len(during), len(after)) == (1, 4, 1)
    assert len(hall.told(OccurrenceKind.WORKER_RETIRED)) == 3
    assert set(hall.manager.get_all_task_status().values()) == {"Completed"}
    # Nobody that held work was let go: each task took one attempt.
    assert {task.attempts for task in hall.manager.report().tasks} == {1}
    assert not any(each.is_alive for each in hall.spawned.values())


def test_with_a_minimum_of_none_it_begins_with_the_first_task() -> None:
    async def story() -> Any:
        hall = Hall()
        await hall.open()
        async with WorkerPool(hall.manager, hall, minimum=0, maximum=2) as pool:
            await asyncio.sleep(10)
            assert pool.workers == []
            hall.manager.add_task(Task(task_id=1))
            await asyncio.sleep(60)
            assert pool.workers == []
        status = hall.manager.get_task_status(1)
        await hall.manager.stop()
        return status

    assert play(story) == "Completed"


def test_a_worker_that_dies_is_replaced() -> None:
    async def story() -> Any:
        hall = Hall()
        await hall.open()
        async with WorkerPool(hall.manager, hall, minimum=1) as pool:
            await asyncio.sleep(3)
            hall.spawned["worker-1"].serving.cancel()
            await asyncio.sleep(3)
            names = pool.workers
        await hall.manager.stop()
        return names

    assert play(story) == ["worker-2"]


def test_where_workers_die_before_they_join_it_tries_ever_less_often() -> None:
    async def story() -> Any:
        hall = Hall()
        hall.stillborn = True
        await hall.open()
        async with WorkerPool(hall.manager, hall, minimum=1):
            await asyncio.sleep(600)
        await hall.manager.stop()
        return hall.at

    at = play(story)
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 5
    assert max(gaps) == pytest.approx(60, abs=3)


def test_a_spawner_that_fails_is_told_of_and_stops_neither_run_nor_pool(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Flaky(Hall):
        failures = 3

        async def spawn(self, name: str) -> Spawned:
            if self.failures:
                self.failures -= 1
                raise LookupError("no machine is left")
            return await super().spawn(name)

    async def story() -> Any:
        hall = Flaky()
        await hall.open()
        async with WorkerPool(hall.manager, hall, minimum=1):
            result = await hall.manager.submit(Task(task_id=1))
        await hall.manager.stop()
        return result

    assert play(story).success
    told = [each.getMessage() for each in caplog.records if "could not scale" in each.getMessage()]
    assert len(told) == 3
    assert "LookupError: no machine is left" in told[0]


def test_work_that_comes_and_goes_finds_its_workers_still_there() -> None:
    async def story() -> Any:
        hall = Hall()
        await hall.open()
        async with WorkerPool(hall.manager, hall, minimum=1, maximum=3):
            for burst in range(10):
                tasks = [Task(task_id=100 * burst + n, difficulty=2) for n in range(1, 13)]
                async for _ in hall.manager.submit_many(tasks):
                    pass
                await asyncio.sleep(20)
        await hall.manager.stop()
        return hall

    hall = play(story)
    assert len(hall.spawned) == 3
    assert hall.told(OccurrenceKind.WORKER_RETIRED) == []


def test_names_that_a_run_knows_are_not_given_again() -> None:
    async def story() -> Any:
        hall = Hall()
        await hall.open()
        await hall.spawn("worker-1")
        await asyncio.sleep(1)
        async with WorkerPool(hall.manager, hall, minimum=1) as pool:
            await asyncio.sleep(1)
            names = pool.workers
        await hall.manager.stop()
        return names

    assert play(story) == ["worker-2"]


def test_after_the_end_of_the_run_nobody_is_replaced() -> None:
    async def story() -> Any:
        hall = Hall()
        await hall.open()
        async with WorkerPool(hall.manager, hall, minimum=2):
            await asyncio.sleep(5)
            await hall.manager.stop()
            await asyncio.sleep(60)
        return hall

    hall = play(story)
    assert sorted(hall.spawned) == ["worker-1", "worker-2"]
    assert not any(each.is_alive for each in hall.spawned.values())


def test_one_step_is_taken_by_the_documents_name() -> None:
    async def story() -> Any:
        hall = Hall()
        await hall.open()
        pool = WorkerPool(hall.manager, hall, minimum=0, maximum=2)
        steps = [await pool.scale_workers(0.9)]
        # The first is still on its way.
        steps.append(await pool.scale_workers(0.9))
        await asyncio.sleep(2)
        hall.manager.add_task(Task(task_id=1, difficulty=5))
        await asyncio.sleep(0.1)
        # The only one holds work.
        steps.append(await pool.scale_workers(0.1))
        await asyncio.sleep(10)
        steps.append(await pool.scale_workers(0.5, target_load=0.9))
        steps.append(await pool.scale_workers(0.1, target_load=0.9))
        await pool.stop()
        await hall.manager.stop()
        return steps

    assert play(story) == [Step.GROW, Step.STAY, Step.STAY, Step.STAY, Step.SHRINK]


def test_arguments_that_make_no_sense_are_refused() -> None:
    hall = Hall()
    for options in ({"minimum": 3, "maximum": 2}, {"target_load": 0.0}, {"every_s": 0.0}):
        with pytest.raises(InvalidInput):
            WorkerPool(hall.manager, hall, **options)


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came"
        await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_real_processes_come_with_the_work_and_go_when_it_is_done() -> None:
    async def story() -> None:
        manager = TaskManager(port=0, quiet=True)
        await manager.start()
        spawner = LocalProcesses(manager.ticket(), 5, time_scale=0.5)
        async with WorkerPool(
            manager, spawner, minimum=0, maximum=2, every_s=0.2, cool_down_s=1.0
        ) as pool:
            number = 0
            while len(pool.workers) < 2 or number < 20:
                # A process takes its time to start: the work must not run out before.
                number += 1
                manager.add_task(Task(task_id=number))
                await asyncio.sleep(0.0 if number < 20 else 0.1)
            await until(lambda: set(manager.get_all_task_status().values()) == {"Completed"})
            await until(lambda: pool.workers == [])
            await until(lambda: not any(w.alive for w in manager.board.workers.values()))
        assert {task.attempts for task in manager.report().tasks} == {1}
        await manager.stop()

    asyncio.run(asyncio.wait_for(story(), 4 * DEADLINE_S))


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_real_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import asyncio
import contextlib
from muster.agents import TaskManager
from muster.agents.worker_pool.processes import LocalProcesses

async def main():
    manager = TaskManager(port=0, quiet=True)
    await manager.start()
    process = await LocalProcesses(manager.ticket(), 5).spawn("Ada")
    while not manager.board.workers:
        await asyncio.sleep(0.05)
    print(process._process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    )
    with subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        child = int(started.stdout.readline())
        started.kill()
    deadline = time.monotonic() + DEADLINE_S
    while is_running(child):
        assert time.monotonic() < deadline, "the worker outlives its pool"
        time.sleep(0.1)


def is_running(process_id: int) -> bool:
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    # Nobody may be there to bury it.
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_a_real_process_that_ignores_its_end_is_killed() -> None:
    async def story() -> None:
        manager = TaskManager(port=0, quiet=True)
        await manager.start()
        process = await LocalProcesses(manager.ticket(), 5).spawn("stubborn")
        await until(lambda: bool(manager.board.workers))
        os.kill(process._process.pid, signal.SIGSTOP)
        await process.end()
        assert not process.is_alive
        await manager.stop()

    asyncio.run(asyncio.wait_for(story(), DEADLINE_S))


def test_the_death_of_a_process_is_known_at_once() -> None:
    async def story() -> tuple[float, float]:
        hall = Hall(lost_after_s=30.0)
        await hall.open()
        died: list[asyncio.Event] = []
        spawn = hall.spawn

        class Watched:
            def __init__(self, spawned: Spawned) -> None:
                self._spawned = spawned
                self.death = asyncio.Event()
                died.append(self.death)

            @property
            def is_alive(self) -> bool:
                return not self.death.is_set()

            async def ended(self) -> None:
                await self.death.wait()

            async def end(self) -> None:
                await self._spawned.end()

        async def spawn_watched(name: str) -> Watched:
            return Watched(await spawn(name))

        hall.spawn = spawn_watched  # type: ignore[assignment,method-assign]
        hall.manager.add_task(Task(id=1, difficulty=4))
        loop = asyncio.get_running_loop()
        async with WorkerPool(hall.manager, hall, minimum=1, maximum=1, every_s=20.0):
            await until(lambda: bool(hall.told(OccurrenceKind.TASK_ASSIGNED)))
            # As kill -9 does: nothing more comes, and nobody says so.
            hall.spawned["worker-1"].serving.cancel()
            died[0].set()
            died_at = loop.time()
            await until(lambda: bool(hall.told(OccurrenceKind.WORKER_LOST)))
            known_at = loop.time()
        await hall.manager.stop()
        return died_at, known_at

    died_at, known_at = play(story)
    assert known_at - died_at < 0.5


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.parametrize("forks", [False, True])
def test_a_real_process_that_is_killed_is_known_at_once(forks: bool) -> None:
    async def story() -> None:
        # Neither the silence nor the next look of the pool would tell it in time.
        manager = TaskManager(port=0, quiet=True, lost_after_s=3_600.0)
        await manager.start()
        with ForkServer() if forks else contextlib.nullcontext() as fork_server:
            spawner = LocalProcesses(manager.ticket(), 5, fork_server=fork_server)
            async with WorkerPool(manager, spawner, minimum=1, maximum=1, every_s=3_600.0) as pool:
                manager.add_task(Task(id=1, difficulty=5, timeout=600.0))
                record = manager.board.tasks[1]
                await until(lambda: record.attempt == 1)
                (pooled,) = pool._spawned_workers
                process: Any = pooled.worker
                os.kill(process._process.pid, signal.SIGKILL)
                await until(lambda: record.losses == 1)
            await manager.stop()

    asyncio.run(asyncio.wait_for(story(), DEADLINE_S))
