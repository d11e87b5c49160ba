"""Stores that an older version of Muster wrote can still be read."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.restoration import read_snapshot
from muster.agents.kernel.board.rows import LearnedRow, Rows, changed_rows
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    CancelRequested,
    Event,
    PriorityChanged,
    ResultReceived,
    TasksAdded,
    WorkerJoined,
)
from muster.agents.kernel.model.records import TaskRecord
from muster.agents.store.sqlite import SqliteStore, read_store
from muster.agents.store.sqlite_file import MIGRATIONS
from muster.messages import Task, TaskResult, WorkerProfile

VERSION_1 = Path(__file__).with_name("version_1.sql")
"""What `play` below wrote when stores were of version 1."""


def play(store: SqliteStore) -> Board:
    """A run in which a task of each kind is left as it stands."""
    board, rules = Board(Rules(expected_workers=2)), {"difficulty": 2}

    def tell(now: float, *events: Event) -> None:
        for event in events:
            store.write(changed_rows(board, board.handle(event, now)))

    def result(task_id: int | str, worker: str, **told: Any) -> ResultReceived:
        told = {"execution_time": 1.25, "attempt": 1, **told}
        return ResultReceived(f"at {worker}", TaskResult(task_id=task_id, worker=worker, **told))

    def join(name: str) -> WorkerJoined:
        return WorkerJoined(
            f"at {name}", WorkerProfile(name, 9, frozenset({"tea"}), 1), session=name
        )

    tasks = (
        Task(id=1, description="pick", **rules),
        Task(id="two", description="sort", max_attempts=2, **rules),
        Task(id=3, description="roll", **rules),
        Task(id=4, description="dry", **rules),
        Task(id=5, description="pack", depends_on=[4], **rules),
        Task(id=6, description="weigh", priority=1, **rules),
    )
    tell(0.0, TasksAdded(tasks))
    tell(1.0, PriorityChanged(6, -3), join("Ada"), join("Ben"), AssigningBegun())
    leaves = {"leaves": [1, 2.5, "three", b"four", None]}
    tell(2.5, result(1, "Ada", success=True, output=leaves))
    tell(3.0, result("two", "Ben", success=False, error_message="ValueError: no leaves"))
    tell(4.0, CancelRequested(4, "rain"))
    return board


def known(record: TaskRecord) -> tuple[object, ...]:
    """All that a store keeps of a task."""
    return (
        *(record.task_id, record.task, record.added, record.sequence, record.status),
        *(record.added_at, record.finished_at, record.failures, record.losses, record.failed_by),
        *(record.error_message, record.result, record.decision, record.story, record.forgotten),
        *[
            (each.number, each.worker.name, each.started_at, each.timeout_s, each.deadline)
            for each in record.attempts
        ],
        *[(each.outcome, each.is_reported, each.ended_at) for each in record.attempts],
    )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of version 1."""
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_store_of_version_1_tells_the_same_as_one_of_today(old: Path, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "new.db")
    board = play(store)
    kept = [known(record) for record in board.tasks.values()]
    assert len(kept) == 6
    assert [known(record) for record in read_snapshot(store.load()).tasks] == kept
    store.close()
    assert version(old) == 1
    assert [known(record) for record in read_snapshot(read_store(old)).tasks] == kept
    assert version(old) == 1


def test_a_store_of_version_1_is_brought_to_the_newest_and_told_the_same(old: Path) -> None:
    before = read_store(old)
    store = SqliteStore(old)
    assert store.load() == before
    store.close()
    assert version(old) == len(MIGRATIONS)
    assert read_store(old) == before


def test_a_store_without_learned_rows_has_learned_nothing_and_can_learn(old: Path) -> None:
    assert read_store(old).learned == ()
    store = SqliteStore(old)
    row = LearnedRow("adaptive", "Ada", b"7")
    store.write(Rows(learned=(row,)))
    store.close()
    assert read_store(old).learned == (row,)
