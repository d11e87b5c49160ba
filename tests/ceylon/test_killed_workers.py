"""Worker processes killed in the middle of a run, over real Ceylon."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.security.ticket import write_ticket_file
from muster.messages import Task

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

DEADLINE_S = 120
TASKS = 120


def start_worker(name: str, ticket: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "muster.agents.command", "worker", "--join", str(ticket)),
            *("--name", name, "--skill", "5", "--slots", "4", "--time-scale", "0.1"),
        ],
        stdout=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def workers_at(ticket: Path, *names: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    workers = {name: start_worker(name, ticket) for name in names}
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.terminate()
        for worker in workers.values():
            worker.wait(timeout=DEADLINE_S)


def run_and_kill(tmp_path: Path, *, come_back: bool) -> tuple[TaskManager, Counter[Any]]:
    """Kill one of three workers once forty tasks are done; perhaps start it anew."""
    tasks = [Task(id=number, description="work", difficulty=2) for number in range(1, TASKS + 1)]
    settled: Counter[Any] = Counter()
    joined: Counter[str] = Counter()

    async def go() -> TaskManager:
        manager = TaskManager(
            tasks,
            expected_workers=3,
            port=0,
            lost_after_s=2.0,
            unmatched_after_s=None,
            quiet=True,
        )
        ticket = tmp_path / "ticket"
        write_ticket_file(ticket, manager.ticket())
        with workers_at(ticket, "Ada", "Ben", "Cleo") as workers:

            def watch(occurrence: Occurrence) -> None:
                if occurrence.what is OccurrenceKind.WORKER_JOINED:
                    joined[occurrence.worker] += 1
                if occurrence.what is not OccurrenceKind.TASK_COMPLETED:
                    return
                settled[occurrence.task_id] += 1
                if come_back and settled.total() > TASKS // 2 and joined["Ben"] < 2:
                    # A process takes its time to start: the work must not run out before.
                    number = len(manager.tasks) + 1
                    manager.add_task(Task(id=number, description="more work", difficulty=2))
                if settled.total() == TASKS // 3:
                    workers["Ben"].send_signal(signal.SIGKILL)
                    workers["Ben"].wait()
                    if come_back:
                        workers["Ben"] = start_worker("Ben", ticket)

            manager.watch(watch)
            await asyncio.wait_for(manager.start_agent(b""), DEADLINE_S)
        return manager

    return asyncio.run(go()), settled


def test_the_tasks_of_a_killed_worker_are_done_by_the_others(tmp_path: Path) -> None:
    manager, settled = run_and_kill(tmp_path, come_back=False)
    report = manager.report()
    assert report.success_rate == 1.0
    assert set(settled.values()) == {1}
    assert len(settled) == TASKS
    assert report.workers["Ben"].lost
    assert any(task.attempts == 2 and task.worker != "Ben" for task in report.tasks)


def test_a_killed_worker_that_comes_back_under_its_name_is_let_in_again(tmp_path: Path) -> None:
    manager, settled = run_and_kill(tmp_path, come_back=True)
    report = manager.report()
    assert report.success_rate == 1.0
    assert set(settled.values()) == {1}
    assert len(settled) == len(manager.tasks) >= TASKS
    assert not report.workers["Ben"].lost


def works_again(happened: list[OccurrenceKind]) -> bool:
    """Whether a worker was lost, joined again, and has then completed a task."""
    steps = iter(happened)
    story = (
        OccurrenceKind.WORKER_LOST,
        OccurrenceKind.WORKER_JOINED,
        OccurrenceKind.TASK_COMPLETED,
    )
    return all(step in steps for step in story)


def test_a_worker_that_slept_too_long_is_let_in_again_and_works_on(tmp_path: Path) -> None:
    tasks = [Task(id=number, description="work", difficulty=5) for number in range(1, TASKS + 1)]
    happened: list[Occurrence] = []

    async def go() -> TaskManager:
        manager = TaskManager(tasks, expected_workers=3, port=0, lost_after_s=2.0, quiet=True)
        ticket = tmp_path / "ticket"
        write_ticket_file(ticket, manager.ticket())
        with workers_at(ticket, "Ada", "Ben", "Cleo") as workers:

            def watch(occurrence: Occurrence) -> None:
                happened.append(occurrence)
                if occurrence.what is OccurrenceKind.TASK_COMPLETED and not slept:
                    slept.append(occurrence.at)
                    workers["Ben"].send_signal(signal.SIGSTOP)
                if occurrence.worker == "Ben":
                    of_ben.append(occurrence.what)
                if occurrence.what is OccurrenceKind.WORKER_LOST and occurrence.worker == "Ben":
                    workers["Ben"].send_signal(signal.SIGCONT)
                if occurrence.what is OccurrenceKind.TASK_COMPLETED and not works_again(of_ben):
                    # It takes its time to come back: the work must not run out before.
                    number = len(manager.tasks) + 1
                    manager.add_task(Task(id=number, description="more work", difficulty=5))

            slept: list[float] = []
            of_ben: list[OccurrenceKind] = []
            manager.watch(watch)
            await asyncio.wait_for(manager.start_agent(b""), DEADLINE_S)
        return manager

    manager = asyncio.run(go())
    assert manager.report().success_rate == 1.0
    assert works_again([each.what for each in happened if each.worker == "Ben"])
    completed = Counter(
        each.task_id for each in happened if each.what is OccurrenceKind.TASK_COMPLETED
    )
    assert set(completed.values()) == {1}
