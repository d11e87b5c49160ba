"""However a run ends, and if it never begins, its store and its trace are closed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import StateFileTaskManager, TaskManager, WorkerAgent
from muster.agents.manager.board_driver import BoardDriver
from muster.agents.simulation.memory_network import MemoryNetwork
from muster.agents.store import sqlite as sqlite_store
from muster.agents.store.sqlite import SqliteStore
from muster.messages import (
    DifferentTask,
    InvalidInput,
    PortInUse,
    RunEnded,
    StoreCorrupt,
    StoreUnusable,
    Task,
    WorkersMissing,
)

from ..open_databases import failing_on_open_databases

TASKS = [Task(id=number, description="brew", difficulty=1, timeout=60) for number in (1, 2, 3)]

WayToEnd = Callable[[TaskManager, asyncio.Future[None]], Awaitable[None]]


def is_closed(path: Path) -> bool:
    """Whether another manager can open the store."""
    SqliteStore(path).close()
    return True


def manager_of(path: Path, **options: Any) -> TaskManager:
    options = {"expected_workers": 1, "port": 0, "quiet": True, **options}
    return TaskManager(
        options.pop("tasks", TASKS), store=path, trace=path.with_suffix(".jsonl"), **options
    )


def has_closed_its_trace(manager: TaskManager) -> bool:
    return all(not file._thread.is_alive() for file in manager._trace_files)


def raising(words: str) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise StoreUnusable(words)

    return fail


# ---------------------------------------------------------------------- a run that began


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def settle_all(manager: TaskManager, running: asyncio.Future[None]) -> None:
    del manager
    await running


async def stop(manager: TaskManager, running: asyncio.Future[None]) -> None:
    await manager.stop()
    await running


async def cancel(manager: TaskManager, running: asyncio.Future[None]) -> None:
    await until(lambda: manager._shell.is_running)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def cancel_at_its_beginning(manager: TaskManager, running: asyncio.Future[None]) -> None:
    del manager
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def fail_to_write(manager: TaskManager, running: asyncio.Future[None]) -> None:
    commit = manager._shell.driver.commit
    assert commit is not None
    vars(commit._store)["write"] = raising("the disk is full")
    with pytest.raises(StoreUnusable, match="the disk is full"):
        await running


async def have_no_worker(manager: TaskManager, running: asyncio.Future[None]) -> None:
    del manager
    with pytest.raises(WorkersMissing):
        await running


async def lose_the_workspace(manager: TaskManager, running: asyncio.Future[None]) -> None:
    await until(lambda: manager._shell.is_running)
    manager.joining_failed(RunEnded("the host has ended"))
    with contextlib.suppress(RunEnded):
        await running


@pytest.mark.parametrize(
    ("end", "has_worker"),
    [
        (settle_all, True),
        (stop, True),
        (stop, False),
        (cancel, False),
        (cancel_at_its_beginning, False),
        (fail_to_write, True),
        (have_no_worker, False),
        (lose_the_workspace, False),
    ],
)
async def test_a_run_that_ends_has_closed_its_store(
    tmp_path: Path, end: WayToEnd, has_worker: bool
) -> None:
    path, network = tmp_path / "run.db", MemoryNetwork()
    missing = {"join_timeout_s": 0.05, "on_missing": "fail"} if end is have_no_worker else {}
    manager = manager_of(path, **missing)
    running = asyncio.ensure_future(manager.serve_over(network.join("boss", manager.receive)))
    working: asyncio.Future[None] | None = None
    if has_worker:
        worker = WorkerAgent("Ada", 5, time_scale=0.01)
        working = asyncio.ensure_future(worker.serve_over(network.join("Ada", worker.receive)))
    await asyncio.wait_for(end(manager, running), 60)
    assert is_closed(path)
    assert has_closed_its_trace(manager)
    if working is not None:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


# ---------------------------------------------------------------------- a run that never begins


def test_a_manager_that_is_closed_can_neither_run_nor_take_tasks(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    manager = manager_of(path)
    manager.close()
    manager.close()
    assert is_closed(path)
    assert has_closed_its_trace(manager)
    with pytest.raises(StoreUnusable, match="its store is closed"):
        manager.add_task(Task(id=9, description="late", difficulty=1))


async def test_a_manager_that_is_stopped_before_it_runs_closes_its_store(tmp_path: Path) -> None:
    manager = manager_of(tmp_path / "run.db")
    await manager.stop()
    assert is_closed(tmp_path / "run.db")
    assert has_closed_its_trace(manager)


async def test_a_manager_that_runs_is_not_closed_but_stopped(tmp_path: Path) -> None:
    manager, network = manager_of(tmp_path / "run.db"), MemoryNetwork()
    running = asyncio.ensure_future(manager.serve_over(network.join("boss", manager.receive)))
    await until(lambda: manager._shell.is_running)
    with pytest.raises(InvalidInput, match=r"runs; end it with `await stop\(\)`"):
        manager.close()
    await manager.stop()
    await running


async def test_skills_that_cannot_be_kept_end_the_run_and_close_the_store(tmp_path: Path) -> None:
    path, network = tmp_path / "run.db", MemoryNetwork()
    manager = manager_of(path, policy="adaptive", skills=tmp_path / "skills.json")

    class Failing:
        async def __aenter__(self) -> None:
            raise InvalidInput("the skills file can't be read")

        async def __aexit__(self, *_: object) -> None: ...

    vars(manager)["_kept_skills"] = Failing()
    with pytest.raises(InvalidInput, match="can't be read"):
        await manager.serve_over(network.join("boss", manager.receive))
    assert is_closed(path)


async def test_a_port_in_use_ends_the_run_and_closes_the_store(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        manager = manager_of(tmp_path / "run.db", port=other.getsockname()[1])
        with pytest.raises(PortInUse):
            await manager.start_agent()
    assert is_closed(tmp_path / "run.db")
    assert has_closed_its_trace(manager)


def fails_to_write(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    del path
    monkeypatch.setattr(SqliteStore, "write", raising("the disk is full"))


def fails_to_load(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    del path
    monkeypatch.setattr(SqliteStore, "load", raising("it is damaged"))


def has_another_task(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    del monkeypatch
    manager_of(path, tasks=[Task(id=1, description="paint", difficulty=1)]).close()


def has_no_trace(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    del monkeypatch
    path.with_suffix(".jsonl").mkdir()


def fails_to_guard(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    del path
    monkeypatch.setattr(sqlite_store, "StoreGuard", raising("its files can't be found"))


HALF_WAY = [
    (fails_to_write, StoreUnusable),
    (fails_to_load, StoreUnusable),
    (fails_to_guard, StoreUnusable),
    (has_another_task, DifferentTask),
    (has_no_trace, InvalidInput),
]


@pytest.mark.parametrize(("prepare", "fault"), HALF_WAY)
def test_a_manager_that_cannot_be_made_has_closed_the_store(
    tmp_path: Path,
    prepare: Callable[[pytest.MonkeyPatch, Path], None],
    fault: type[Exception],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        prepare(patch, tmp_path / "run.db")
        with pytest.raises(fault):
            manager_of(tmp_path / "run.db")
    assert is_closed(tmp_path / "run.db")


def test_a_run_whose_first_write_fails_is_in_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_to_write(monkeypatch, tmp_path)
    manager = TaskManager(TASKS, port=0, quiet=True)
    driver: BoardDriver = manager._shell.driver
    with pytest.raises(StoreUnusable, match="the disk is full"):
        manager.keep_in(tmp_path / "run.db")
    assert driver.commit is None


def test_a_run_is_kept_in_one_store(tmp_path: Path) -> None:
    manager = manager_of(tmp_path / "run.db")
    with pytest.raises(InvalidInput, match="in a store already"):
        manager.keep_in(tmp_path / "other.db")
    assert not (tmp_path / "other.db").exists()
    manager.close()


# ---------------------------------------------------------------------- state files


@pytest.mark.parametrize("content", [b"no database", b""], ids=["foreign", "fails_to_begin"])
def test_a_state_file_that_cannot_be_opened_is_closed(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks.db").write_bytes(content)
    if not content:

        def fail(*_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(
            "muster.agents.state_file.sqlite.SqliteTaskTable._find_files", fail, raising=True
        )
    with pytest.raises((StoreCorrupt, StoreUnusable)):
        StateFileTaskManager(f"sqlite:///{tmp_path}/tasks.db")


# ---------------------------------------------------------------------- the check of all tests


def test_a_connection_that_is_left_open_fails_its_test_with_its_place() -> None:
    watching = failing_on_open_databases()
    watching.__enter__()
    sqlite3.connect(":memory:").close()
    left = sqlite3.connect(":memory:")
    with pytest.raises(pytest.fail.Exception, match="1 SQLite connections were left open") as told:
        watching.__exit__(None, None, None)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        left.execute("SELECT 1")
    assert Path(__file__).name in str(told.value)
