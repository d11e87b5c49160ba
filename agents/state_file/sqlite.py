"""The tasks of a `StateFileTaskManager` in a SQLite file, with priorities and start times."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

from ...messages import StoreCorrupt, StoreUnusable, TaskStatus, UnreadableTask
from ..runtime.lock_file import FileId, find_file_id
from ..runtime.log import log
from .entry_checks import check_entry, unreadable
from .json_text import InvalidStateDocument
from .json_values import from_timestamp, to_timestamp
from .lock import StateFileLock
from .sqlite_file import open_task_file
from .sqlite_rows import COLUMNS, held_since_of, read_row, row_values
from .table import StatusCounts, TaskEntry

_FIND = f"SELECT {', '.join(COLUMNS)} FROM task WHERE id = ?"  # noqa: S608 - our own column names
_ADD = f"""
    INSERT INTO task (id, {", ".join(COLUMNS)}, held_since, ready_at)
    VALUES (?, {", ".join("?" for _ in COLUMNS)}, ?, ?)
"""  # noqa: S608 - our own column names
_REPLACE = f"""
    UPDATE task SET {", ".join(f"{name} = ?" for name in COLUMNS)}, held_since = ?
    WHERE id = ?
"""  # noqa: S608 - our own column names
_MAKE_READY = """
    UPDATE task SET ready_at = NULL
    WHERE status = 'pending' AND ready_at IS NOT NULL AND ready_at <= ?
"""
_NEXT = """
    SELECT -priority, sequence, id FROM task
    WHERE status = 'pending' AND ready_at IS NULL
    ORDER BY priority DESC, sequence LIMIT 1 OFFSET ?
"""
_NEXT_OF_TYPE = """
    SELECT -priority, sequence, id FROM task
    WHERE status = 'pending' AND ready_at IS NULL AND type = ?
    ORDER BY priority DESC, sequence LIMIT 1 OFFSET ?
"""
# Without ORDER BY, with which SQLite would scan all tasks.
_HELD_SINCE_BEFORE = """
    SELECT sequence, id FROM task WHERE status = 'in_progress' AND held_since < ?
"""
_HELD_SINCE_UNKNOWN = """
    SELECT sequence, id FROM task WHERE status = 'in_progress' AND held_since IS NULL
"""
_HELD_BY = "SELECT sequence, id FROM task WHERE status = 'in_progress' AND locked_by = ?"
_CHILDREN = "SELECT sequence, id FROM task WHERE parent_id = ?"
_FAMILIES = "SELECT id, parent_id FROM task WHERE parent_id IS NOT NULL"
# One statement for each status: SQLite uses partial indexes only for constants in the statement.
_WITH_STATUS: dict[TaskStatus, tuple[str, ...]] = {
    TaskStatus.PENDING: (
        "SELECT sequence, id FROM task WHERE status = 'pending' AND ready_at IS NULL LIMIT ?",
        "SELECT sequence, id FROM task WHERE status = 'pending' AND ready_at IS NOT NULL LIMIT ?",
    ),
    TaskStatus.IN_PROGRESS: ("SELECT sequence, id FROM task WHERE status = 'in_progress' LIMIT ?",),
    TaskStatus.COMPLETED: (
        "SELECT sequence, id FROM task WHERE status = 'completed' ORDER BY sequence LIMIT ?",
    ),
    TaskStatus.FAILED: (
        "SELECT sequence, id FROM task WHERE status = 'failed' ORDER BY sequence LIMIT ?",
    ),
    TaskStatus.CANCELLED: (
        "SELECT sequence, id FROM task WHERE status = 'cancelled' ORDER BY sequence LIMIT ?",
    ),
}
_ALL = "SELECT sequence, id FROM task ORDER BY sequence LIMIT ?"
_SETTLED = "SELECT coalesce(completed_at, created_at) FROM task WHERE id = ?"
_REMOVE = "DELETE FROM task WHERE id = ?"


class SqliteTaskTable:
    """Tasks in a SQLite file, shared with other threads and processes.

    Args:
        path: the file; it is created if it does not exist, with its folder.
        lock_timeout_s: how long to wait for other threads and processes, in seconds.
        survives_power_loss: whether each change waits for the disk.
        clock: returns the time in seconds since 1970.

    Raises:
        StoreBusy: another process held the lock for longer than the timeout.
        StoreCorrupt: it is damaged, or not a file of such tasks.
        StoreUnusable: it can't be read or created.
    """

    has_schedule = True

    def __init__(
        self,
        path: Path,
        lock_timeout_s: float,
        *,
        survives_power_loss: bool,
        clock: Callable[[], float],
    ) -> None:
        self._name = os.path.realpath(path)
        self._wal_name = f"{self._name}-wal"
        self._path = Path(self._name)
        self._lock_timeout_s = lock_timeout_s
        self._survives_power_loss = survives_power_loss
        self._clock = clock
        self._lock = StateFileLock(self._path, lock_timeout_s)
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        # Connections of the parent process of a fork; closing them would release its locks.
        self._inherited: list[sqlite3.Connection] = []
        self._is_changed = False
        self._files: tuple[FileId | None, FileId | None] = (None, None)
        self._was_opened = False
        self._logged: set[str] = set()
        # The entry that was read last, in a check whether it can be read; for the next `find`.
        self._last_entry: tuple[str, TaskEntry] | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise StoreUnusable(
                f"the folder {str(self._path.parent)!r} can't be created: {fault.strerror}; name a "
                "file in another folder"
            ) from None
        try:
            with self.reading():
                pass
        except BaseException:
            self.close()
            raise
        self._was_opened = True

    @property
    def tasks(self) -> SqliteTaskTable:
        """The tasks: this table."""
        return self

    def close(self) -> None:
        """Close the file; it is opened again when needed."""
        with self._lock.among_threads():
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # ------------------------------------------------------------------ transactions

    @contextlib.contextmanager
    def changing(self) -> Generator[float]:
        """Exclude all other writers, and write the changes at the end."""
        with self._transaction("BEGIN IMMEDIATE"):
            at = self._clock()
            yield at
            if self._is_changed:
                self.replace_metadata({**self.metadata(), "last_updated": to_timestamp(at)})

    @contextlib.contextmanager
    def reading(self) -> Generator[None]:
        """Read a consistent snapshot; waits for no other process."""
        with self._transaction("BEGIN"):
            yield

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Generator[None]:
        with self._lock.among_threads() as timeout_s, self._raising_ours():
            connection = self._open(timeout_s)
            self._is_changed = False
            self._last_entry = None
            connection.execute(f"PRAGMA busy_timeout = {round(1000 * timeout_s)}")
            connection.execute(begin)
            try:
                yield
                if self._is_changed:
                    self._check_in_place()
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    # ------------------------------------------------------------------ tasks

    def find(self, task_id: str) -> TaskEntry | None:
        """A copy of a task; None if no task has this id.

        Raises:
            UnreadableTask: the task can't be read.
        """
        last, self._last_entry = self._last_entry, None
        if last is not None and last[0] == task_id:
            return last[1]
        # No id has a lone surrogate, and SQLite can't search for one.
        for row in self._query(_FIND, task_id.encode(errors="replace").decode()):
            try:
                return read_row(task_id, row)
            except InvalidStateDocument as fault:
                raise unreadable(task_id, str(fault)) from None
        return None

    def add(self, task_id: str, entry: TaskEntry) -> None:
        """Add a task under a new id."""
        self._is_changed = True
        not_before = entry["not_before"]
        ready_at = None if not_before is None else from_timestamp(cast("str", not_before))
        self._query(_ADD, task_id, *row_values(entry), held_since_of(entry), ready_at)

    def replace(self, task_id: str, entry: TaskEntry) -> None:
        """Replace a task by a changed one."""
        self._is_changed = True
        self._last_entry = None
        self._query(_REPLACE, *row_values(entry), held_since_of(entry), task_id)

    def next_pending(self, task_types: Sequence[str] | None, now: float) -> str | None:
        """The id of the pending task with the highest priority that may start now, or None."""
        self._query(_MAKE_READY, now)
        if task_types is None:
            found = [self._first_readable(_NEXT)]
        else:
            found = [self._first_readable(_NEXT_OF_TYPE, each) for each in task_types]
        return min((row for row in found if row is not None), default=(0, 0, None))[-1]

    def _first_readable(self, statement: str, *values: object) -> tuple[int, int, str] | None:
        skipped = 0
        while True:
            row = next(iter(self._query(statement, *values, skipped)), None)
            if row is None or self._can_be_read(row[-1]):
                return row
            skipped += 1

    def held_since_before(self, moment: float) -> list[str]:
        """The ids of the tasks in progress that were locked before a given time, in order."""
        held = self._ids(_HELD_SINCE_BEFORE, moment)
        # Another program locked them, and wrote the time as text only.
        held += [
            task_id
            for task_id in self._ids(_HELD_SINCE_UNKNOWN)
            if self._can_be_read(task_id)
            and check_entry(task_id, self.find(task_id)).locked_at < moment
        ]
        return [task_id for task_id in held if self._can_be_read(task_id)]

    def _can_be_read(self, task_id: str) -> bool:
        try:
            entry = self.find(task_id)
        except UnreadableTask as fault:
            if task_id not in self._logged:
                self._logged.add(task_id)
                log.warning("a task can't be read", file=str(self._path), reason=str(fault))
            return False
        self._last_entry = None if entry is None else (task_id, entry)
        return True

    def held_by(self, agent_id: str) -> list[str]:
        """The ids of the tasks in progress that an agent holds, in order."""
        return [each for each in self._ids(_HELD_BY, agent_id) if self._can_be_read(each)]

    def children(self, parent_id: str) -> list[str]:
        """The ids of the tasks that have this parent, in order."""
        return [each for each in self._ids(_CHILDREN, parent_id) if self._can_be_read(each)]

    def families(self) -> list[tuple[str, str]]:
        """The id of each task that has a parent, with the id of the parent."""
        return list(self._query(_FAMILIES))

    def with_status(self, status: TaskStatus | None, limit: int | None) -> list[str]:
        """The ids of the first readable tasks of one status, or of any, in order."""
        statements = (_ALL,) if status is None else _WITH_STATUS[status]
        # SQLite may apply the limit only to rows in the order of the tasks; -1 means no limit.
        most = limit if limit is not None and "ORDER BY" in statements[0] else -1
        found = sorted(row for statement in statements for row in self._query(statement, most))
        ids = (task_id for _, task_id in found if self._can_be_read(task_id))
        return list(islice(ids, limit))

    def settled_before(self, moment: float, statuses: Collection[TaskStatus]) -> list[str]:
        """The ids of the tasks with these statuses that were settled before a given time."""
        return [
            task_id
            for status in statuses
            for task_id in self._ids(_WITH_STATUS[status][0], -1)
            if self._was_settled_before(moment, task_id)
        ]

    def _was_settled_before(self, moment: float, task_id: str) -> bool:
        ((text,),) = self._query(_SETTLED, task_id)
        try:
            return from_timestamp(text) < moment
        except (TypeError, ValueError):
            return False

    def remove(self, task_ids: Collection[str]) -> None:
        """Remove tasks permanently."""
        self._is_changed = True
        self._last_entry = None
        assert self._connection is not None
        self._connection.executemany(_REMOVE, [(task_id,) for task_id in task_ids])

    def set_aside(self) -> dict[str, str]:
        """The reason why each unreadable task can't be read, by its id; reads all tasks."""
        faults: dict[str, str] = {}
        for task_id in self._ids(_ALL, -1):
            try:
                self.find(task_id)
            except UnreadableTask as fault:
                faults[task_id] = str(fault)
        return faults

    def tallies(self) -> StatusCounts:
        """How many tasks there are, by status and by type."""
        by_status: dict[str, int] = {}
        by_type: dict[str, int] = {}
        for status, task_type, count in self._query("SELECT * FROM tally WHERE count > 0"):
            by_status[status] = by_status.get(status, 0) + count
            by_type[task_type] = by_type.get(task_type, 0) + count
        return StatusCounts(by_status, by_type)

    def metadata(self) -> TaskEntry:
        """A copy of the metadata of the workflow."""
        ((text,),) = self._query("SELECT metadata FROM workflow")
        return cast("TaskEntry", json.loads(text))

    def replace_metadata(self, metadata: TaskEntry) -> None:
        """Replace the metadata of the workflow."""
        self._is_changed = True
        self._query("UPDATE workflow SET metadata = ?", json.dumps(metadata))

    def _ids(self, statement: str, *values: object) -> list[str]:
        return [task_id for _, task_id in sorted(self._query(statement, *values))]

    def _query(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        assert self._connection is not None
        return self._connection.execute(statement, values)

    # ------------------------------------------------------------------ opening

    def _open(self, timeout_s: float) -> sqlite3.Connection:
        if self._process != os.getpid():
            if self._connection is not None:
                self._inherited.append(self._connection)
            self._connection = None
            self._process = os.getpid()
        if self._connection is not None and self._find_files() != self._files:
            self._close_replaced(self._connection)
            self._connection = None
        if self._connection is None:
            if self._was_opened and not self._path.exists():
                self._check_in_place()
            # Under the lock, since SQLite does not wait for locks when it switches a file to WAL.
            with self._lock.among_processes(timeout_s):
                self._connection = open_task_file(
                    self._path,
                    timeout_s=self._lock_timeout_s,
                    survives_power_loss=self._survives_power_loss,
                    now=to_timestamp(self._clock()),
                )
                self._files = self._find_files()
        return self._connection

    def _find_files(self) -> tuple[FileId | None, FileId | None]:
        """Which files are there now: the database and its `-wal`."""
        return find_file_id(self._name), find_file_id(self._wal_name)

    def _close_replaced(self, connection: sqlite3.Connection) -> None:
        """Close a file that was deleted or replaced; SQLite would continue to write to it."""
        database, wal = self._find_files()
        if wal is None and database == self._files[0]:
            # The last changes are in the `-wal`, which was deleted.
            with contextlib.suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(FULL)")
        connection.close()

    def _check_in_place(self) -> None:
        found = self._find_files()
        if found != self._files:
            how = "deleted" if None in found else "replaced"
            raise StoreUnusable(
                f"the state file {str(self._path)!r} or its -wal file was {how}; nothing was "
                "changed; put it back, or create a new one with a new StateFileTaskManager"
            )

    # ------------------------------------------------------------------ errors

    @contextlib.contextmanager
    def _raising_ours(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            words = str(fault)
            if "locked" in words:
                raise self._lock.busy("another process") from None
            if "not a database" in words or "malformed" in words:
                raise StoreCorrupt(
                    f"{str(self._path)!r} is not a valid SQLite file: {words}; it is left "
                    "unchanged; restore an older copy, or name another file"
                ) from None
            raise StoreUnusable(
                f"{str(self._path)!r} can't be used: {words}; check the permissions and the free "
                "space"
            ) from None
