"""A store in a SQLite file, which survives its manager however that dies."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from ...messages import StoreUnusable, TaskStatus
from ..kernel.board.rows import LearnedRow, Rows, ScheduleRow, TaskRow, WorkerRow
from .file_guard import StoreGuard
from .file_lock import StoreFileLock
from .manager_files import ManagerFiles
from .sqlite_file import (
    check_file,
    check_names,
    create,
    damage_error,
    exists,
    open_to_write,
    raising_ours,
    read_snapshot,
)

_WRITE_RUN = """
    INSERT INTO run (only, state, checksum) VALUES (1, ?, ?)
    ON CONFLICT (only) DO UPDATE SET state = excluded.state, checksum = excluded.checksum
"""
_WRITE_TASK = """
    INSERT INTO task (sequence, id, definition, checksum) VALUES (?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET definition = excluded.definition, checksum = excluded.checksum
"""
_WRITE_TASK_STATE = """
    INSERT INTO task_state (sequence, status, state, checksum) VALUES (?, ?, ?, ?)
    ON CONFLICT (sequence) DO UPDATE
    SET status = excluded.status, state = excluded.state, checksum = excluded.checksum
"""
# One statement for many rows takes a quarter less time than one statement for each row.
_ROWS_AT_ONCE = 32
_ONE_ROW = "(?, ?, ?, ?)"
_MANY_ROWS = ", ".join([_ONE_ROW] * _ROWS_AT_ONCE)
_WRITE_TASKS = _WRITE_TASK.replace(_ONE_ROW, _MANY_ROWS)
_WRITE_TASK_STATES = _WRITE_TASK_STATE.replace(_ONE_ROW, _MANY_ROWS)
_FORGET_TASK_STATE = """
    DELETE FROM task_state WHERE sequence = (SELECT sequence FROM task WHERE id = ?)
"""
_FORGET_TASK = "DELETE FROM task WHERE id = ?"
_WRITE_WORKER = """
    INSERT INTO worker (name, state, checksum) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET state = excluded.state, checksum = excluded.checksum
"""
_WRITE_LEARNED = """
    INSERT INTO learned (policy, part, state, checksum) VALUES (?, ?, ?, ?)
    ON CONFLICT (policy, part) DO UPDATE SET state = excluded.state, checksum = excluded.checksum
"""
_FORGET_LEARNED = "DELETE FROM learned WHERE policy = ? AND part = ?"
_WRITE_SCHEDULE = """
    INSERT INTO schedule (name, state, checksum) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET state = excluded.state, checksum = excluded.checksum
"""
_FORGET_SCHEDULE = "DELETE FROM schedule WHERE name = ?"
_READ_RUN = "SELECT state, checksum FROM run"
_READ_TASKS = """
    SELECT id, sequence, status, definition, task.checksum, state, task_state.checksum
    FROM task LEFT JOIN task_state USING (sequence) ORDER BY sequence
"""
_READ_WORKERS = "SELECT name, state, checksum FROM worker ORDER BY place"
_READ_LEARNED = "SELECT policy, part, state, checksum FROM learned ORDER BY policy, part"

_READ_SCHEDULES = "SELECT name, state, checksum FROM schedule ORDER BY name"


class SqliteStore:
    """Keeps the rows of a run in a SQLite file; a new store is open and holds the file.

    Rows that `write` has written survive whatever happens to the process: an exception, `kill -9`,
    a full disk. When the machine loses power or crashes, the file stays intact, but the last writes
    may be lost. With `survives_power_loss` they are kept too, and each write waits for the disk.

    An open store has three files beside it: `FILE-wal` and `FILE-shm`, which belong to it and
    disappear when it is closed, and `FILE.lock`, which locks it and stays. Only the owner can read
    them. If one of them is deleted or replaced, the next write fails, and all rows are saved.

    Args:
        path: the file; it is created if it does not exist.
        survives_power_loss: whether each write waits for the disk.

    Raises:
        StoreBusy: another manager holds the file.
        StoreUnusable: the file is not a store, is damaged, can't be written or was written by a
            newer version of Muster; it is left unchanged.
    """

    waits = True

    def __init__(self, path: str | Path, *, survives_power_loss: bool = False) -> None:
        self._path = _resolve(path)
        self._managers = ManagerFiles(self._path)
        if exists(self._path):
            # Before anything else: a file that is not a store must not be changed.
            check_names(self._path)
            check_file(self._path)
        self._lock = StoreFileLock(self._path)
        try:
            if not exists(self._path):
                create(self._path)
            self._lock.take_database()
            connection = open_to_write(self._path, survives_power_loss=survives_power_loss)
            try:
                self._guard = StoreGuard(self._path, connection, self._lock.is_lock_in_place)
            except BaseException:
                connection.close()
                raise
            self._connection: sqlite3.Connection | None = connection
        except BaseException:
            self._lock.release()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def managers(self) -> ManagerFiles:
        """The managers that share it: the one that leads, and those that stand by."""
        return self._managers

    def load(self) -> Rows:
        """Read all rows.

        Raises:
            StoreUnusable: the store is closed or damaged.
        """
        connection = self._connected()
        with raising_ours(self._path, "read"):
            return _read(connection, self._path)

    def write(self, rows: Rows) -> None:
        """Write rows atomically.

        Raises:
            StoreLost: a file of the store was deleted or replaced; all earlier rows were saved.
            StoreUnusable: the store is closed; the disk is full; a row lacks the definition of its
                task, which was never written.
        """
        connection = self._connected()
        self._guard.check_wal()
        with raising_ours(self._path, "written"), connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                _write(connection, rows)
            except sqlite3.IntegrityError as fault:
                raise StoreUnusable(
                    f"rows can't be written to the store {str(self._path)!r}: {fault}; a row has "
                    "no definition of its task, and none was written before, or it has the "
                    "sequence number of another task"
                ) from None
        # After the write, so that rows in a file that was deleted do not count as written.
        self._guard.check()

    def close(self) -> None:
        """Close the file, so that another manager can open it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            finally:
                self._lock.release()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnusable(
                f"the store {str(self._path)!r} is closed; open it again with SqliteStore(path)"
            )
        return self._connection


def read_store(path: str | Path) -> Rows:
    """Read a consistent snapshot of a SQLite store, also while a manager writes to it.

    It changes nothing. It creates nothing but SQLite's own `FILE-shm`, if the file was copied
    without it while a manager was writing.

    Args:
        path: the store's file.

    Raises:
        StoreUnusable: the file does not exist, is not a store, is damaged, or was written by a
            newer version of Muster.
    """
    resolved = _resolve(path)
    return read_snapshot(resolved, lambda connection: _read(connection, resolved))


def _resolve(path: str | Path) -> Path:
    # Two ways to one file must lead to the same files beside it.
    return Path(os.path.realpath(path))


def _write(connection: sqlite3.Connection, rows: Rows) -> None:
    if rows.run is not None:
        connection.execute(_WRITE_RUN, (rows.run, _sum_up(rows.run, "")))
    forgotten = [(task_id,) for task_id in rows.forgotten]
    connection.executemany(_FORGET_TASK_STATE, forgotten)
    connection.executemany(_FORGET_TASK, forgotten)
    definitions = [
        (row.sequence, row.task_id, row.definition, _sum_up(row.definition, str(row.task_id)))
        for row in rows.tasks
        if row.definition is not None
    ]
    _insert(connection, _WRITE_TASK, _WRITE_TASKS, definitions)
    states: list[tuple[object, ...]] = []
    last_status: TaskStatus | None = None
    status, status_sum = "", 0
    for row in rows.tasks:
        if row.status is not last_status:
            # Most rows have the same status as the row before.
            last_status, status = row.status, row.status.value
            status_sum = _sum_up(b"", status)
        states.append((row.sequence, status, row.state, zlib.crc32(row.state, status_sum)))
    _insert(connection, _WRITE_TASK_STATE, _WRITE_TASK_STATES, states)
    workers = [(row.name, row.state, _sum_up(row.state, row.name)) for row in rows.workers]
    connection.executemany(_WRITE_WORKER, workers)
    for policy, part, state in rows.learned:
        if state is None:
            connection.execute(_FORGET_LEARNED, (policy, part))
        else:
            checksum = _sum_up(state, _name_of_part(policy, part))
            connection.execute(_WRITE_LEARNED, (policy, part, state, checksum))
    for name, state in rows.schedules:
        if state is None:
            connection.execute(_FORGET_SCHEDULE, (name,))
        else:
            connection.execute(_WRITE_SCHEDULE, (name, state, _sum_up(state, name)))


def _insert(
    connection: sqlite3.Connection,
    one: str,
    many: str,
    rows: Sequence[tuple[object, ...]],
) -> None:
    whole = len(rows) - len(rows) % _ROWS_AT_ONCE
    for start in range(0, whole, _ROWS_AT_ONCE):
        connection.execute(many, tuple(chain.from_iterable(rows[start : start + _ROWS_AT_ONCE])))
    connection.executemany(one, rows[whole:])


def _read(connection: sqlite3.Connection, path: Path) -> Rows:
    try:
        runs = [_check(state, checksum, "") for state, checksum in connection.execute(_READ_RUN)]
        tasks = tuple(_read_tasks(connection))
        workers = tuple(
            WorkerRow(name, _check(state, checksum, name))
            for name, state, checksum in connection.execute(_READ_WORKERS)
        )
        learned = tuple(
            LearnedRow(policy, part, _check(state, checksum, _name_of_part(policy, part)))
            for policy, part, state, checksum in connection.execute(_READ_LEARNED)
        )
        schedules = tuple(
            ScheduleRow(name, _check(state, checksum, name))
            for name, state, checksum in connection.execute(_READ_SCHEDULES)
        )
    except ValueError as fault:
        raise damage_error(path, str(fault)) from None
    run = runs[0] if runs else None
    return Rows(run, tasks, workers, learned=learned, schedules=schedules)


def _read_tasks(connection: sqlite3.Connection) -> Iterator[TaskRow]:
    found = connection.execute(_READ_TASKS)
    for task_id, sequence, status, definition, definition_sum, state, state_sum in found:
        yield TaskRow(
            task_id,
            sequence,
            TaskStatus(status),
            _check(definition, definition_sum, str(task_id)),
            _check(state, state_sum, status),
        )


def _name_of_part(policy: str, part: str) -> str:
    return f"{policy}\0{part}"


def _sum_up(kept: bytes, belonging_to: str) -> int:
    """A checksum, since SQLite checks the structure of its file, but not the content of rows."""
    return zlib.crc32(kept, zlib.crc32(belonging_to.encode()))


def _check(kept: object, checksum: object, belonging_to: str) -> bytes:
    if not isinstance(kept, bytes) or _sum_up(kept, belonging_to) != checksum:
        raise ValueError("a checksum does not match its content")
    return kept
