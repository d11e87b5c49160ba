"""The SQLite file of a store: its schema (run, task, task_state, worker, learned) and migrations.

A file is created under another name and then renamed, so that there is never an incomplete store.
Readers change nothing: neither the file nor its `-wal`, in which SQLite keeps the last writes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

from ...messages import StoreUnusable
from ..runtime.private_file import open_private, take_after

APPLICATION_ID = int.from_bytes(b"Mstr", "big")
"""The mark of our SQLite files; `file` and SQLite's tools show it."""

_CREATE_RUN = """
    CREATE TABLE run (only INTEGER PRIMARY KEY CHECK (only = 1), state BLOB, checksum INTEGER)
"""
# The definition, which never changes, has its own table, since SQLite writes whole rows. The id has
# no type, since SQLite would otherwise convert between 1 and "1".
_CREATE_TASK = """
    CREATE TABLE task (
        sequence INTEGER PRIMARY KEY, id NOT NULL UNIQUE, definition BLOB, checksum INTEGER
    )
"""
_CREATE_TASK_STATE = """
    CREATE TABLE task_state (
        sequence INTEGER PRIMARY KEY REFERENCES task, status TEXT, state BLOB, checksum INTEGER
    )
"""
_CREATE_WORKER = """
    CREATE TABLE worker (
        place INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state BLOB, checksum INTEGER
    )
"""
# SQLite compares texts by their UTF-8 bytes, as Python orders them by code points.
_CREATE_LEARNED = """
    CREATE TABLE learned (
        policy TEXT, part TEXT, state BLOB, checksum INTEGER, PRIMARY KEY (policy, part)
    ) WITHOUT ROWID
"""

_CREATE_SCHEDULE = """
    CREATE TABLE schedule (name TEXT PRIMARY KEY, state BLOB, checksum INTEGER) WITHOUT ROWID
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (_CREATE_RUN, _CREATE_TASK, _CREATE_TASK_STATE, _CREATE_WORKER),
    # The tables are the same, but earlier versions of Muster can't read the state of a task.
    (),
    (_CREATE_LEARNED,),
    (_CREATE_SCHEDULE,),
)
"""The statements that migrate each version of the schema to the next, from an empty file on."""

_LOCK_TIMEOUT_S = 5.0
"""How long to wait for another program that writes to the file, such as SQLite's shell."""

_CHECKPOINT_PAGES = 4_000
"""After how many pages the `-wal` is copied into the file: 16 MB. A smaller number would write
pages that change often more times."""

_Found = TypeVar("_Found")


@contextlib.contextmanager
def raising_ours(path: Path, failed: str) -> Generator[None]:
    """Convert SQLite's errors to ours.

    Args:
        path: the store's file.
        failed: what can't be done to it, such as "read".

    Raises:
        StoreUnusable: SQLite reports an error.
    """
    try:
        yield
    except sqlite3.Error as fault:
        raise StoreUnusable(
            f"the store {str(path)!r} can't be {failed}: {fault}; {_advise(fault)}"
        ) from None


def exists(path: Path) -> bool:
    """Whether there is a file that may be a store; False if a new store can be created there.

    Raises:
        StoreUnusable: there is something else, or no store can be created there.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        size = 0
    except OSError as fault:
        raise StoreUnusable(
            f"the store {str(path)!r} can't be opened: {fault.strerror}; name another file"
        ) from None
    else:
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "not a file"
            raise StoreUnusable(
                f"the store {str(path)!r} can't be opened: it is {what}; name a file"
            )
        size = found.st_size
    if size:
        return True
    if not path.parent.is_dir():
        raise StoreUnusable(
            f"the store {str(path)!r} can't be opened: there is no folder {str(path.parent)!r}; "
            "create it first"
        )
    if _wal(path).exists():
        # SQLite would copy it into the next file of this name.
        raise StoreUnusable(
            f"the store {str(path)!r} does not exist, but its {str(_wal(path))!r} does; "
            "restore the store from a copy, or remove that file too"
        )
    return False


def create(path: Path) -> None:
    """Create an empty store; only the holder of the store's lock may do so.

    Only its owner can read it and the files that SQLite creates beside it. If an empty file exists
    there, the store gets its owner and mode.

    Raises:
        StoreUnusable: it can't be created.
    """
    unfinished = Path(f"{path}.new")
    try:
        _remove(unfinished)
        descriptor = open_private(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with contextlib.suppress(FileNotFoundError):
                take_after(descriptor, path.stat())
        finally:
            os.close(descriptor)
        with (
            raising_ours(path, "created"),
            contextlib.closing(_connect(unfinished, "rwc")) as connection,
        ):
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            migrate(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
        unfinished.replace(path)
    except OSError as fault:
        raise StoreUnusable(
            f"the store {str(path)!r} can't be created: {fault.strerror}; "
            "choose a folder in which files can be written"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            _remove(unfinished)


def open_to_write(path: Path, *, survives_power_loss: bool) -> sqlite3.Connection:
    """Open a store and migrate it to the newest version; only the holder of its lock may do so.

    Args:
        path: the store's file, which must exist.
        survives_power_loss: whether each commit waits for the disk.

    Returns:
        A connection in autocommit mode, for use by any thread.

    Raises:
        StoreUnusable: it can't be opened; it is left unchanged.
    """
    with raising_ours(path, "opened"):
        connection = _connect(path, "rw")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            connection.execute(
                f"PRAGMA synchronous = {'FULL' if survives_power_loss else 'NORMAL'}"
            )
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def check_names(path: Path) -> None:
    """Check that a store has no second hard link, since SQLite finds its `-wal` by one name only.

    Raises:
        StoreUnusable: it has several hard links.
    """
    try:
        names = path.stat().st_nlink
    except OSError:
        return
    if names > 1:
        raise StoreUnusable(
            f"the store {str(path)!r} has {names} names (hard links), and SQLite finds the -wal "
            "file of one name only; remove all names but one, or make a copy"
        )


def check_file(path: Path) -> None:
    """Check that a file is an intact store of a supported version, without changing it.

    Raises:
        StoreUnusable: it is not.
    """
    _read(path, lambda connection: _check(connection, path))


def read_snapshot(path: Path, reading: Callable[[sqlite3.Connection], _Found]) -> _Found:
    """Read a consistent snapshot of a store without changing it, also while a manager holds it.

    Args:
        path: the store's file.
        reading: reads from the connection, in one transaction. The tables have the newest version;
            those of an older store are migrated in a copy in memory.

    Raises:
        StoreUnusable: it is not a store, is damaged, or has an unsupported version.
    """

    def read(connection: sqlite3.Connection) -> _Found:
        _check(connection, path)
        if _read_version(connection, path) == len(MIGRATIONS):
            return reading(connection)
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
            connection.backup(copy)
            migrate(copy, path)
            return reading(copy)

    return _read(path, read)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Migrate a store's tables to the newest version, atomically.

    Raises:
        StoreUnusable: it has an unsupported version.
    """
    with connection:
        # Also if there is nothing to migrate, to detect a file that can't be written.
        connection.execute("BEGIN IMMEDIATE")
        for statements in MIGRATIONS[_read_version(connection, path) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def damage_error(path: Path, detail: str) -> StoreUnusable:
    """Make the error for a damaged store.

    Args:
        path: the store's file.
        detail: what is wrong with it.
    """
    return StoreUnusable(
        f"the store {str(path)!r} is damaged: {detail}; "
        "restore it from a copy, or create a new one in another file"
    )


def _read_version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StoreUnusable(
            f"the store {str(path)!r} has version {version}, and this Muster supports versions up "
            f"to {len(MIGRATIONS)}; open it with the Muster that wrote it, or a newer one"
        )
    if version < 0:
        raise damage_error(path, f"its version is {version}")
    return version


def _read(path: Path, reading: Callable[[sqlite3.Connection], _Found]) -> _Found:
    if not exists(path):
        raise StoreUnusable(
            f"there is no store {str(path)!r}; a manager that uses this file creates it"
        )
    with raising_ours(path, "read"):
        if not _wal(path).exists():
            # No process has it open. Immutable mode keeps SQLite from creating files beside it.
            before = _stamp(path)
            try:
                found = _read_in_mode("ro&immutable=1", path, reading)
            except (sqlite3.Error, StoreUnusable):
                if _stamp(path) == before:
                    raise
            else:
                if _stamp(path) == before:
                    return found
            # Another process has begun to write to it in the meantime.
        return _read_in_mode("ro", path, reading)


def _read_in_mode(mode: str, path: Path, reading: Callable[[sqlite3.Connection], _Found]) -> _Found:
    with contextlib.closing(_connect(path, mode)) as connection:
        connection.execute("BEGIN")
        return reading(connection)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Check that a file is an intact store of a supported version."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    if mark != APPLICATION_ID:
        raise StoreUnusable(
            f"{str(path)!r} is a SQLite file, but not a store of Muster; name another file"
        )
    _read_version(connection, path)
    (first_problem,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if first_problem != "ok":
        raise damage_error(path, str(first_problem))


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_LOCK_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _wal(path: Path) -> Path:
    return Path(f"{path}-wal")


def _stamp(path: Path) -> tuple[bool, int, int, int]:
    # The file must not be opened: closing it would release this process's locks on it.
    found = path.stat()
    return _wal(path).exists(), found.st_ino, found.st_size, found.st_mtime_ns


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _advise(fault: sqlite3.Error) -> str:
    # Python 3.10 does not expose SQLite's error codes; the texts have been stable for years.
    words = str(fault)
    for part, advice in _ADVICE.items():
        if part in words:
            return advice
    return "check the permissions of the file and its folder"


_DAMAGED = "restore it from a copy, or create a new one in another file"
_ADVICE = {
    "is full": "free space on its disk; earlier writes are kept",
    "I/O error": "check whether its disk is full or failing; earlier writes are kept",
    "malformed": _DAMAGED,
    "not a database": "name a store's file",
    "readonly": "make the file and its folder writable",
    "is locked": "another program writes to it; end that program",
}
