"""The SQLite file of a `StateFileTaskManager`: its tables, its version, and how it is opened."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path

from ...messages import StoreCorrupt, StoreUnusable
from .document import WORKFLOW_TYPE

_APPLICATION_ID = int.from_bytes(b"MstT", "big")
_VERSION = 1

_TABLES = (
    "CREATE TABLE workflow (only INTEGER PRIMARY KEY CHECK (only = 1), type TEXT, metadata TEXT)",
    # `held_since` and `ready_at` are `locked_at` and `not_before` as numbers. `ready_at` becomes
    # null when that time has passed, so that one index has all tasks that can start, in order.
    """
    CREATE TABLE task (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL,
        status TEXT NOT NULL,
        parent_id TEXT,
        locked_by TEXT,
        locked_at TEXT,
        created_at TEXT,
        completed_at TEXT,
        data TEXT NOT NULL,
        result_data TEXT,
        priority INTEGER NOT NULL,
        not_before TEXT,
        max_attempts INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        held_since REAL,
        ready_at REAL
    )
    """,
    """
    CREATE INDEX ready ON task (priority DESC, sequence)
    WHERE status = 'pending' AND ready_at IS NULL
    """,
    """
    CREATE INDEX ready_of_type ON task (type, priority DESC, sequence)
    WHERE status = 'pending' AND ready_at IS NULL
    """,
    """
    CREATE INDEX scheduled ON task (ready_at)
    WHERE status = 'pending' AND ready_at IS NOT NULL
    """,
    "CREATE INDEX held ON task (held_since) WHERE status = 'in_progress'",
    "CREATE INDEX held_by ON task (locked_by) WHERE status = 'in_progress'",
    "CREATE INDEX child ON task (parent_id) WHERE parent_id IS NOT NULL",
    """
    CREATE TABLE tally (
        status TEXT, type TEXT, count INTEGER NOT NULL, PRIMARY KEY (status, type)
    ) WITHOUT ROWID
    """,
    """
    CREATE TRIGGER task_added AFTER INSERT ON task BEGIN
        INSERT INTO tally VALUES (new.status, new.type, 1)
        ON CONFLICT (status, type) DO UPDATE SET count = count + 1;
    END
    """,
    """
    CREATE TRIGGER task_moved AFTER UPDATE OF status ON task WHEN old.status <> new.status BEGIN
        UPDATE tally SET count = count - 1 WHERE status = old.status AND type = old.type;
        INSERT INTO tally VALUES (new.status, new.type, 1)
        ON CONFLICT (status, type) DO UPDATE SET count = count + 1;
    END
    """,
)

_ADDED_LATER = (
    # Files of earlier versions get them too; those versions still work with them.
    """
    CREATE INDEX IF NOT EXISTS settled ON task (status, sequence)
    WHERE status = 'completed' OR status = 'failed' OR status = 'cancelled'
    """,
    """
    CREATE TRIGGER IF NOT EXISTS task_removed AFTER DELETE ON task BEGIN
        UPDATE tally SET count = count - 1 WHERE status = old.status AND type = old.type;
    END
    """,
)
_COUNT_ADDED_LATER = "SELECT count(*) FROM sqlite_master WHERE name IN ('settled', 'task_removed')"


def open_task_file(
    path: Path, *, timeout_s: float, survives_power_loss: bool, now: str
) -> sqlite3.Connection:
    """Open a file of tasks, and create it if it does not exist; one process at a time may do so.

    Args:
        path: the file.
        timeout_s: how long SQLite waits for other processes, in seconds.
        survives_power_loss: whether each change waits for the disk.
        now: the timestamp of the creation of a new file.

    Returns:
        A connection in autocommit mode, for use by any thread.

    Raises:
        StoreCorrupt: another program owns the file.
        StoreUnusable: the file has another version.
        sqlite3.Error: it can't be opened.
    """
    with contextlib.suppress(OSError):
        # Files that SQLite creates itself are never writable by the group, whatever the umask.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
    connection = sqlite3.connect(
        path, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )
    try:
        if not _has_our_tables(connection, path):
            _create_tables(connection, now)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if survives_power_loss else 'NORMAL'}")
        if connection.execute(_COUNT_ADDED_LATER).fetchone() != (len(_ADDED_LATER),):
            for statement in _ADDED_LATER:
                connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    # Invalid UTF-8 of another program in one task must not make the others unreadable.
    connection.text_factory = _read_text
    return connection


def _has_our_tables(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has our tables; False if it is empty."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not mark:
        return False
    if mark != _APPLICATION_ID:
        raise StoreCorrupt(
            f"{str(path)!r} is a SQLite file, but not one of a StateFileTaskManager; "
            "it is left unchanged; name another file"
        )
    if version != _VERSION:
        raise StoreUnusable(
            f"{str(path)!r} has version {version}, and this Muster supports version "
            f"{_VERSION}; open it with the Muster that wrote it"
        )
    return True


def _create_tables(connection: sqlite3.Connection, now: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        connection.execute(statement)
    metadata = json.dumps({"initialized_at": now, "last_updated": now})
    connection.execute("INSERT INTO workflow VALUES (1, ?, ?)", (WORKFLOW_TYPE, metadata))
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _read_text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
