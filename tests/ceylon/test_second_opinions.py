"""Reviews and votes by worker processes over real Ceylon, also when one is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster.agents import SqliteStore, TaskManager
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.security.ticket import write_ticket_file
from muster.messages import Task

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

DEADLINE_S = 180
NAMES = ("Ada", "Ben", "Cleo")

HANDLERS = """
import os, time
from muster.agents import Handlers, Rejected, Review

handlers = Handlers()
IS_BAD = os.environ["WORKER_NAME"] == "Ada"

@handlers.task("paint")
def paint(task):
    return {"picture": ("a dog" if IS_BAD else "a cat") + task.data}

@handlers.review("paint")
def look(task, result):
    time.sleep(float(os.environ["REVIEW_TAKES_S"]))
    if "dog" in result.output["picture"]:
        raise Rejected("not a cat")
    return Review(0.9, "a fine cat")

@handlers.task("count")
def count(task):
    return 5 if IS_BAD else 4
"""


@contextlib.contextmanager
def workers_at(
    folder: Path, ticket: Path, takes_s: float
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    (folder / "painting.py").write_text(HANDLERS)
    command = [sys.executable, "-m", "muster.agents.command", "worker", "--join", str(ticket)]
    options = ["--skill", "5", "--slots", "4", "--handlers", "painting"]
    workers = {
        name: subprocess.Popen(
            [*command, *options, "--name", name],
            cwd=folder,
            env={**os.environ, "WORKER_NAME": name, "REVIEW_TAKES_S": str(takes_s)},
            stdout=subprocess.DEVNULL,
        )
        for name in NAMES
    }
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.terminate()
        for worker in workers.values():
            worker.wait(timeout=DEADLINE_S)


def picture(task_id: int = 1, size: int = 0, **fields: int) -> Task:
    data = "." * size
    return Task(task_id, "paint", type="paint", data=data, review=True, **fields)


def roster(tasks: list[Task], lost_after_s: float = 60.0, **options: object) -> TaskManager:
    return TaskManager(
        tasks,
        expected_workers=list(NAMES),
        port=0,
        policy="in_order",
        lost_after_s=lost_after_s,
        quiet=True,
        **options,  # type: ignore[arg-type]
    )


def test_a_bad_result_is_rejected_and_outvoted(tmp_path: Path) -> None:
    """The large picture is sent to its reviewer by a blob."""
    tasks = [
        picture(1, max_attempts=2),
        Task(2, "2 + 2", type="count", votes=3),
        picture(3, size=200_000, max_attempts=3),
    ]

    async def go() -> TaskManager:
        manager = roster(tasks, blob_threshold_bytes=100_000)
        ticket = tmp_path / "ticket"
        write_ticket_file(ticket, manager.ticket())
        with workers_at(tmp_path, ticket, 0.0):
            await asyncio.wait_for(manager.start_agent(b""), DEADLINE_S)
        return manager

    manager = asyncio.run(go())
    results = {each.task_id: each for each in manager.task_results}
    assert [results[each].success for each in (1, 2, 3)] == [True] * 3
    assert results[1].output["picture"] == "a cat"
    assert results[1].quality == results[3].quality == 0.9
    assert len(results[3].output["picture"]) == 200_005
    assert (results[2].output, results[2].quality) == (4, pytest.approx(2 / 3, abs=1e-6))
    votes = {each.worker.name: each.quality for each in manager.board.tasks[2].attempts}
    assert votes == {"Ada": 0.0, "Ben": 1.0, "Cleo": 1.0}
    first = manager.board.tasks[1].attempts[0]
    assert (first.worker.name, first.outcome) == ("Ada", AttemptOutcome.REJECTED)


def test_a_review_of_a_killed_reviewer_is_done_by_another(tmp_path: Path) -> None:
    killed: list[str] = []

    async def go() -> TaskManager:
        manager = roster([picture(max_attempts=3)], lost_after_s=5.0)
        ticket = tmp_path / "ticket"
        write_ticket_file(ticket, manager.ticket())
        with workers_at(tmp_path, ticket, 1.0) as workers:

            def watch(occurrence: Occurrence) -> None:
                is_assigned = occurrence.what is OccurrenceKind.TASK_ASSIGNED
                if is_assigned and occurrence.attempt == 2 and not killed:
                    killed.append(occurrence.worker)
                    workers[occurrence.worker].send_signal(signal.SIGKILL)

            manager.watch(watch)
            await asyncio.wait_for(manager.start_agent(b""), DEADLINE_S)
        return manager

    manager = asyncio.run(go())
    attempts = manager.board.tasks[1].attempts
    assert killed == [attempts[1].worker.name]
    assert attempts[1].is_review
    assert attempts[1].outcome is AttemptOutcome.LOST
    assert attempts[2].is_review
    assert attempts[2].worker.name not in (attempts[0].worker.name, killed[0])


MANAGER = """
import asyncio, sys
from muster.agents import SqliteStore, TaskManager
from muster.agents.security.ticket import write_ticket_file
from muster.messages import Task

async def go():
    manager = TaskManager(
        [
            Task(1, "paint", type="paint", data="", review=True, max_attempts=3),
            Task(2, "2 + 2", type="count", votes=3),
        ],
        expected_workers=["Ada", "Ben", "Cleo"], port=0, policy="in_order", lost_after_s=5.0,
        quiet=True,
        store=SqliteStore(sys.argv[1]),
    )
    manager.watch(lambda each: print(each.what.value, each.task_id, each.attempt, flush=True))
    write_ticket_file(sys.argv[2], manager.ticket())
    await manager.start_agent(b"")

asyncio.run(go())
"""


def test_a_review_goes_on_after_the_manager_is_killed(tmp_path: Path) -> None:
    store, ticket = tmp_path / "run.db", tmp_path / "ticket"

    @contextlib.contextmanager
    def managing() -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-c", MANAGER, str(store), str(ticket)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as manager:
            try:
                yield manager
            finally:
                manager.kill()

    with contextlib.ExitStack() as workers:
        with managing() as first:
            while not ticket.exists():
                assert first.poll() is None
                time.sleep(0.02)
            workers.enter_context(workers_at(tmp_path, ticket, 3.0))
            assert first.stdout is not None
            for line in first.stdout:
                if line.split() == ["task_assigned", "1", "2"]:
                    break
        with managing() as second:
            assert second.wait(timeout=DEADLINE_S) == 0
    with contextlib.closing(SqliteStore(store)) as kept:
        board = TaskManager([], store=kept, quiet=True).board
        results = {each.task_id: each for each in board.results}
        outcomes = [each.outcome for each in board.tasks[1].attempts]
    assert results[1].output == {"picture": "a cat"}
    assert results[1].quality == 0.9
    assert results[2].output == 4
    assert outcomes.count(AttemptOutcome.REJECTED) == 1
