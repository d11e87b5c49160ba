"""The tasks of a `StateFileTaskManager` in a SQLite file: millions, with priorities and times."""

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
from .document import NotAStateDocument, check_depth, check_entry, parse_object, unreadable
from .lock import StateFileLock
from .sqlite_file import open_task_file
from .table import Entry, StatusCounts
from .timestamps import from_timestamp, to_timestamp

_COLUMNS: tuple[str, ...] = (
    "type",
    "status",
    "parent_id",
    "locked_by",
    "locked_at",
    "created_at",
    "completed_at",
    "data",
    "result_data",
    "priority",
    "not_before",
    "max_attempts",
    "failures",
)
_JSON_COLUMNS = ("data", "result_data")
_INTEGER_COLUMNS = ("priority", "max_attempts", "failures")

_FIND = f"SELECT {', '.join(_COLUMNS)} FROM task WHERE id = ?"  # noqa: S608 - names of ours
_ADD = f"""
    INSERT INTO task (id, {", ".join(_COLUMNS)}, held_since, ready_at)
    VALUES (?, {", ".join("?" for _ in _COLUMNS)}, ?, ?)
"""  # noqa: S608 - names of ours
_REPLACE = f"""
    UPDATE task SET {", ".join(f"{name} = ?" for name in _COLUMNS)}, held_since = ?
    WHERE id = ?
"""  # noqa: S608 - names of ours
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
# To have them sorted by SQLite would have it look at every task there is.
_HELD_SINCE_BEFORE = """
    SELECT sequence, id FROM task WHERE status = 'in_progress' AND held_since < ?
"""
_HELD_SINCE_UNKNOWN = """
    SELECT sequence, id FROM task WHERE status = 'in_progress' AND held_since IS NULL
"""
_HELD_BY = "SELECT sequence, id FROM task WHERE status = 'in_progress' AND locked_by = ?"
_CHILDREN = "SELECT sequence, id FROM task WHERE parent_id = ?"
_FAMILIES = "SELECT id, parent_id FROM task WHERE parent_id IS NOT NULL"
# By the words of each status, for a partial index is no good for what is only told later.
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
        path: the file, which is made if it isn't there, with its folder.
        lock_timeout_s: how long to wait for other threads and processes, in seconds.
        survives_power_loss: whether each change waits for the disk.
        clock: tells the time in seconds since 1970.

    Raises:
        StoreBusy: another process did not make way in time.
        StoreCorrupt: it is damaged, or no file of such tasks.
        StoreUnusable: it can't be read or made.
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
        # Connections of the process that this one was forked from: to close them would drop locks.
        self._inherited: list[sqlite3.Connection] = []
        self._is_changed = False
        self._files: tuple[FileId | None, FileId | None] = (None, None)
        self._has_begun = False
        self._logged: set[str] = set()
        # What was read to see whether it can be, for whoever asks for it next.
        self._read_last: tuple[str, Entry] | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise StoreUnusable(
                f"the folder {str(self._path.parent)!r} can't be made: {fault.strerror}; name a "
                "file in another"
            ) from None
        with self.reading():
            pass
        self._has_begun = True

    def close(self) -> None:
        """Give back what is open; it opens again when needed."""
        with self._lock.among_threads():
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # ------------------------------------------------------------------ one at a time

    @contextlib.contextmanager
    def changing(self) -> Generator[float]:
        """Keep all others from changing anything, and write what was changed at the end."""
        with self._transaction("BEGIN IMMEDIATE"):
            at = self._clock()
            yield at
            if self._is_changed:
                self.replace_metadata({**self.metadata(), "last_updated": to_timestamp(at)})

    @contextlib.contextmanager
    def reading(self) -> Generator[None]:
        """See everything as it was at one moment; waits for no other process."""
        with self._transaction("BEGIN"):
            yield

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Generator[None]:
        with self._lock.among_threads() as patience_s, self._telling():
            connection = self._open(patience_s)
            self._is_changed = False
            self._read_last = None
            connection.execute(f"PRAGMA busy_timeout = {round(1000 * patience_s)}")
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

    def find(self, task_id: str) -> Entry | None:
        """A task, as a copy; None if there is none of this id.

        Raises:
            UnreadableTask: it can't be read.
        """
        last, self._read_last = self._read_last, None
        if last is not None and last[0] == task_id:
            return last[1]
        # Half a surrogate pair is in no id, and SQLite can't even look for it.
        for row in self._query(_FIND, task_id.encode(errors="replace").decode()):
            try:
                return _read_row(task_id, row)
            except NotAStateDocument as fault:
                raise unreadable(task_id, str(fault)) from None
        return None

    def add(self, task_id: str, entry: Entry) -> None:
        """Add a task of a new id."""
        self._is_changed = True
        not_before = entry["not_before"]
        ready_at = None if not_before is None else from_timestamp(cast("str", not_before))
        self._query(_ADD, task_id, *_values(entry), _held_since(entry), ready_at)

    def replace(self, task_id: str, entry: Entry) -> None:
        """Put a changed task in its place."""
        self._is_changed = True
        self._read_last = None
        self._query(_REPLACE, *_values(entry), _held_since(entry), task_id)

    def next_pending(self, task_types: Sequence[str] | None, now: float) -> str | None:
        """The id of the most urgent pending task of these types that may start, or None."""
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
        """The ids of the tasks in progress that were locked before a moment, in order."""
        held = self._ids(_HELD_SINCE_BEFORE, moment)
        # Another program has locked them, and tells in words alone since when.
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
        self._read_last = None if entry is None else (task_id, entry)
        return True

    def held_by(self, agent_id: str) -> list[str]:
        """The ids of the tasks in progress that an agent holds, in order."""
        return [each for each in self._ids(_HELD_BY, agent_id) if self._can_be_read(each)]

    def children(self, parent_id: str) -> list[str]:
        """The ids of the tasks that belong to another, in order."""
        return [each for each in self._ids(_CHILDREN, parent_id) if self._can_be_read(each)]

    def families(self) -> list[tuple[str, str]]:
        """The ids of all tasks that belong to another, each with that one's."""
        return list(self._query(_FAMILIES))

    def with_status(self, status: TaskStatus | None, limit: int | None) -> list[str]:
        """The ids of the first tasks of one status, or of all that can be read, in order."""
        statements = (_ALL,) if status is None else _WITH_STATUS[status]
        # Only what comes in the order of the tasks may be cut off by SQLite; -1 is no limit.
        most = limit if limit is not None and "ORDER BY" in statements[0] else -1
        found = sorted(row for statement in statements for row in self._query(statement, most))
        ids = (task_id for _, task_id in found if self._can_be_read(task_id))
        return list(islice(ids, limit))

    def settled_before(self, moment: float, statuses: Collection[TaskStatus]) -> list[str]:
        """The ids of the tasks of some statuses that have been so since before a moment."""
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
        """Take tasks out, for good."""
        self._is_changed = True
        self._read_last = None
        assert self._connection is not None
        self._connection.executemany(_REMOVE, [(task_id,) for task_id in task_ids])

    def set_aside(self) -> dict[str, str]:
        """The tasks that can't be read: by their ids, why; looks at all there are."""
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

    def metadata(self) -> Entry:
        """What is noted of the whole, as a copy."""
        ((text,),) = self._query("SELECT metadata FROM workflow")
        return cast("Entry", json.loads(text))

    def replace_metadata(self, metadata: Entry) -> None:
        """Note other things of the whole."""
        self._is_changed = True
        self._query("UPDATE workflow SET metadata = ?", json.dumps(metadata))

    def _ids(self, statement: str, *values: object) -> list[str]:
        return [task_id for _, task_id in sorted(self._query(statement, *values))]

    def _query(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        assert self._connection is not None
        return self._connection.execute(statement, values)

    # ------------------------------------------------------------------ opening

    def _open(self, patience_s: float) -> sqlite3.Connection:
        if self._process != os.getpid():
            if self._connection is not None:
                self._inherited.append(self._connection)
            self._connection = None
            self._process = os.getpid()
        if self._connection is not None and self._find_files() != self._files:
            self._give_up(self._connection)
            self._connection = None
        if self._connection is None:
            if self._has_begun and not self._path.exists():
                self._check_in_place()
            # One after another, for SQLite lets nobody wait who makes the file one with a WAL.
            with self._lock.among_processes(patience_s):
                self._connection = open_task_file(
                    self._path,
                    timeout_s=self._lock_timeout_s,
                    survives_power_loss=self._survives_power_loss,
                    now=to_timestamp(self._clock()),
                )
                self._files = self._find_files()
        return self._connection

    def _find_files(self) -> tuple[FileId | None, FileId | None]:
        """Which files are there now: the database, and what SQLite keeps beside it."""
        return find_file_id(self._name), find_file_id(self._wal_name)

    def _give_up(self, connection: sqlite3.Connection) -> None:
        """Close a file that nobody else finds any more; SQLite would go on with it."""
        database, beside = self._find_files()
        if beside is None and database == self._files[0]:
            # What was written last is in a file that was deleted.
            with contextlib.suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(FULL)")
        connection.close()

    def _check_in_place(self) -> None:
        found = self._find_files()
        if found != self._files:
            how = "gone" if None in found else "replaced"
            raise StoreUnusable(
                f"the state file {str(self._path)!r}, or what SQLite keeps beside it, is {how}, "
                "and nothing was changed; put it back, or begin a new one with a new "
                "StateFileTaskManager"
            )

    # ------------------------------------------------------------------ errors

    @contextlib.contextmanager
    def _telling(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            words = str(fault)
            if "locked" in words:
                raise self._lock.busy("another process") from None
            if "not a database" in words or "malformed" in words:
                raise StoreCorrupt(
                    f"{str(self._path)!r} is not a SQLite file that can be used: {words}; it is "
                    "left as it was; put back an older copy, or name another file"
                ) from None
            raise StoreUnusable(
                f"{str(self._path)!r} can't be used: {words}; see whether you may read and write "
                "there and the disk has room"
            ) from None


def _read_row(task_id: str, row: tuple[Any, ...]) -> Entry:
    """A row's entry.

    Raises:
        NotAStateDocument: it can't be read; says why.
    """
    entry = dict(zip(_COLUMNS, row, strict=True))
    for name, value in entry.items():
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise NotAStateDocument(f"its {name} is not Unicode text") from None
        if name in _INTEGER_COLUMNS and not isinstance(value, int):
            raise NotAStateDocument(f"its {name} is {str(value)[:20]!r}, not an integer")
        if name in _JSON_COLUMNS and value is not None:
            if not isinstance(value, str):
                raise NotAStateDocument(f"its {name} is not text")
            check_depth(value.encode())
            entry[name] = parse_object(value)
    check_entry(task_id, entry)
    if entry["result_data"] is None:
        del entry["result_data"]
    return entry


def _values(entry: Entry) -> Iterator[object]:
    for name in _COLUMNS:
        value = entry.get(name)
        is_json = name in _JSON_COLUMNS and value is not None
        yield json.dumps(value) if is_json else value


def _held_since(entry: Entry) -> float | None:
    locked_at = entry["locked_at"]
    return None if locked_at is None else from_timestamp(cast("str", locked_at))
