"""A store that is one SQLite file: it outlives its manager, however that dies."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from ...messages import StoreUnusable, TaskStatus
from ..kernel.board.rows import Rows, TaskRow, WorkerRow
from .file_guard import StoreGuard
from .file_lock import StoreFileLock
from .sqlite_file import (
    check_names,
    create,
    damaged,
    examine,
    is_there,
    look,
    open_to_write,
    telling,
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
# One statement for many rows takes a quarter less time than one for each of them.
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
_READ_RUN = "SELECT state, checksum FROM run"
_READ_TASKS = """
    SELECT id, sequence, status, definition, task.checksum, state, task_state.checksum
    FROM task LEFT JOIN task_state USING (sequence) ORDER BY sequence
"""
_READ_WORKERS = "SELECT name, state, checksum FROM worker ORDER BY place"


class SqliteStore:
    """Keeps the rows of a run in a SQLite file; it is open, and holds the file, from the start.

    What `write` has written is there whatever happens to the process: an exception, `kill -9`, a
    full disk. When the machine itself loses power or crashes, the file stays whole, but what was
    written in the last moments may be missing; with `survives_power_loss` it is there too, and
    each write waits until the disk has it.

    While it is open there are three files beside it: `FILE-wal` and `FILE-shm`, which belong to
    it and go when it is closed, and `FILE.lock`, which says that it is held and stays. All of
    them are made for their owner alone. If one of them is deleted or replaced meanwhile, the next
    write fails, and what was kept is saved.

    Args:
        path: the file, which is made if it isn't there.
        survives_power_loss: whether each write waits for the disk.

    Raises:
        StoreUnusable: another manager holds the file, or it isn't a store, or is damaged, or
            can't be written, or was written by a newer Muster; it is left as it was.
    """

    waits = True

    def __init__(self, path: str | Path, *, survives_power_loss: bool = False) -> None:
        self._path = _resolve(path)
        if is_there(self._path):
            # Before anything is done: where no store of ours is, nothing shall be changed.
            check_names(self._path)
            examine(self._path)
        self._hold = StoreFileLock(self._path)
        try:
            if not is_there(self._path):
                create(self._path)
            self._hold.take_database()
            self._connection: sqlite3.Connection | None = open_to_write(
                self._path, survives_power_loss=survives_power_loss
            )
            self._guard = StoreGuard(self._path, self._connection, self._hold.is_lock_in_place)
        except BaseException:
            self._hold.release()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def load(self) -> Rows:
        """Read all that was written.

        Raises:
            StoreUnusable: the store is closed, or damaged.
        """
        connection = self._connected()
        with telling(self._path, "read"):
            return _read(connection, self._path)

    def write(self, rows: Rows) -> None:
        """Keep rows, all of them or none.

        Raises:
            StoreLost: a file of the store was deleted or replaced meanwhile; what was kept before
                was saved.
            StoreUnusable: the store is closed; the disk is full; a task comes without its
                definition, which was never written.
        """
        connection = self._connected()
        self._guard.check_log()
        with telling(self._path, "written"), connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                _write(connection, rows)
            except sqlite3.IntegrityError as fault:
                raise StoreUnusable(
                    f"rows can't be written to the store {str(self._path)!r}: {fault}; a task "
                    "comes without its definition, and none was kept before, or with the place of "
                    "another task in the order"
                ) from None
        # Afterwards, so that nothing counts as kept that nobody will find.
        self._guard.check()

    def close(self) -> None:
        """Let go of the file, so that another manager may hold it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            finally:
                self._hold.release()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnusable(
                f"the store {str(self._path)!r} is closed; open it anew with SqliteStore(path)"
            )
        return self._connection


def read_store(path: str | Path) -> Rows:
    """Read all that a SQLite store keeps as it is at one moment, also while a manager writes to it.

    Nothing is changed, and nothing is created but SQLite's own `FILE-shm`, if the file was copied
    without it while a manager wrote.

    Args:
        path: the store's file.

    Raises:
        StoreUnusable: there is no such file, or it isn't a store, is damaged, or was written by
            a newer Muster.
    """
    resolved = _resolve(path)
    return look(resolved, lambda connection: _read(connection, resolved))


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
            # Most rows come beside others of their status.
            last_status, status = row.status, row.status.value
            status_sum = _sum_up(b"", status)
        states.append((row.sequence, status, row.state, zlib.crc32(row.state, status_sum)))
    _insert(connection, _WRITE_TASK_STATE, _WRITE_TASK_STATES, states)
    workers = [(row.name, row.state, _sum_up(row.state, row.name)) for row in rows.workers]
    connection.executemany(_WRITE_WORKER, workers)


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
    except ValueError as fault:
        raise damaged(path, str(fault)) from None
    return Rows(runs[0] if runs else None, tasks, workers)


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


def _sum_up(kept: bytes, belonging_to: str) -> int:
    """A checksum, for SQLite sees to the structure of its file alone, and not to what is in it."""
    return zlib.crc32(kept, zlib.crc32(belonging_to.encode()))


def _check(kept: object, checksum: object, belonging_to: str) -> bytes:
    if not isinstance(kept, bytes) or _sum_up(kept, belonging_to) != checksum:
        raise ValueError("its checksums do not fit what they are of")
    return kept
