"""Large data between processes, over real Ceylon; and what is left of it when they are killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager
from muster.agents.kernel.board.restoration import read_snapshot
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.security.ticket import write_ticket_file
from muster.agents.store.sqlite import read_store
from muster.messages import StoreUnusable, Task, TaskStatus

pytestmark = [pytest.mark.ceylon, pytest.mark.processes]

DEADLINE_S = 180
MUSTER = (sys.executable, "-m", "muster.agents.command")
HANDLERS = """
import time
from pathlib import Path

from muster.agents import Handlers

handlers = Handlers()


@handlers.task("turn")
def turn(task):
    while task.id > 10 and Path("hold").exists():
        time.sleep(0.02)
    return task.data[::-1]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where all work, with the handlers, and with temporary files of its own."""
    (tmp_path / "turning.py").write_text(HANDLERS)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return tmp_path


def directories_of_blobs(folder: Path) -> list[str]:
    return [path.name for path in (folder / "temporary").glob("muster-blobs-*")]


@contextlib.contextmanager
def workers_in(folder: Path, *names: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    workers = {
        name: subprocess.Popen(
            [
                *(*MUSTER, "worker", "--join", "ticket", "--wait-for-ticket", "60", "--name", name),
                *("--skill", "5", "--slots", "2", "--handlers", "turning"),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        for name in names
    }
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.terminate()
        for worker in workers.values():
            worker.wait(timeout=DEADLINE_S)


def run(folder: Path, tasks: list[Task], watch: Callable[..., None], **options: Any) -> TaskManager:
    async def go() -> TaskManager:
        manager = TaskManager(tasks, expected_workers=2, port=0, quiet=True, **options)
        write_ticket_file(folder / "ticket", manager.ticket())
        with workers_in(folder, "Ada", "Ben") as workers:
            manager.watch(lambda occurrence: watch(occurrence, workers))
            await asyncio.wait_for(manager.start_agent(b""), DEADLINE_S)
        return manager

    return asyncio.run(go())


@pytest.mark.parametrize(
    "insecure",
    [
        pytest.param(False, id="sealed"),
        pytest.param(True, id="unsealed", marks=pytest.mark.slow),
    ],
)
def test_large_data_goes_to_worker_processes_and_back(folder: Path, insecure: bool) -> None:
    tasks = [
        Task(id=number, description="turn", type="turn", data=os.urandom(500_000))
        for number in range(1, 9)
    ]
    seen: set[str] = set()
    manager = run(
        folder, tasks, lambda *_: seen.update(directories_of_blobs(folder)), insecure=insecure
    )
    outputs = {result.task_id: result.output for result in manager.task_results}
    assert outputs == {task.id: task.data[::-1] for task in tasks}
    assert len(seen) == 1
    assert directories_of_blobs(folder) == []


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle_harms_no_large_data(folder: Path) -> None:
    tasks = [
        Task(id=number, description="turn", type="turn", data=os.urandom(300_000))
        for number in range(1, 31)
    ]
    settled: Counter[Any] = Counter()

    def watch(occurrence: Occurrence, workers: dict[str, subprocess.Popen[bytes]]) -> None:
        if occurrence.what is OccurrenceKind.TASK_COMPLETED:
            settled[occurrence.task_id] += 1
            if settled.total() == 6:
                workers["Ben"].send_signal(signal.SIGKILL)

    manager = run(folder, tasks, watch, lost_after_s=2.0)
    outputs = {result.task_id: result.output for result in manager.task_results}
    assert outputs == {task.id: task.data[::-1] for task in tasks}
    assert set(settled.values()) == {1}
    assert directories_of_blobs(folder) == []


def completed(store: Path) -> set[Any]:
    with contextlib.suppress(StoreUnusable):
        snapshot = read_snapshot(read_store(store))
        return {each.task_id for each in snapshot.tasks if each.status is TaskStatus.COMPLETED}
    return set()


def start_manager(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(*MUSTER, "manager", "--tasks", "tasks.jsonl", "--workers", "2", "--port", "0"),
            *("--ticket-file", "ticket", "--store", "run.db"),
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_manager_that_is_killed_is_followed_by_one_that_loses_no_large_data(
    folder: Path,
) -> None:
    words = {number: f"{number} leaf " * 30_000 for number in range(1, 31)}
    lines = [
        f'{{"id": {number}, "description": "turn", "type": "turn", "data": "{text}"}}\n'
        for number, text in words.items()
    ]
    (folder / "tasks.jsonl").write_text("".join(lines))
    # However late the kill comes, there is work left.
    (folder / "hold").touch()
    manager = start_manager(folder)
    with workers_in(folder, "Ada", "Ben"):
        deadline = time.monotonic() + DEADLINE_S
        while len(completed(folder / "run.db")) < 5:
            assert time.monotonic() < deadline
            assert manager.poll() is None
            time.sleep(0.05)
        manager.kill()
        manager.wait()
        assert (folder / "run.db.blobs").is_dir()
        before = completed(folder / "run.db")
        assert 5 <= len(before) <= 10
        (folder / "hold").unlink()
        manager = start_manager(folder)
        assert manager.wait(timeout=DEADLINE_S) == 0
    snapshot = read_snapshot(read_store(folder / "run.db"))
    outputs = {each.task_id: each.result and each.result.output for each in snapshot.tasks}
    assert outputs == {number: text[::-1] for number, text in words.items()}
    assert not (folder / "run.db.blobs").exists()
