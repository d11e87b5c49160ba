"""What a SQLite store is as a file: its mark and version, how it comes to be, and who may open it.

A file is made beside its place and then moved there, so that there never is half a store. Readers
change nothing: neither the file nor its `-wal`, in which SQLite keeps what was written last.
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
"""The mark by which a SQLite file is known to be ours; `file` and SQLite's tools show it."""

_CREATE_RUN = """
    CREATE TABLE run (only INTEGER PRIMARY KEY CHECK (only = 1), state BLOB, checksum INTEGER)
"""
# What never changes has a table of its own: to change a row is to write all of it. The id has no
# type, for else SQLite would take 1 and "1" for the same.
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

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (_CREATE_RUN, _CREATE_TASK, _CREATE_TASK_STATE, _CREATE_WORKER),
    # The tables are the same, but what is in a task's state no earlier Muster can read.
    (),
)
"""Statements that lead from each version of the tables to the next; the first makes version 1."""

_PATIENCE_S = 5.0
"""How long a program that writes to the same file, such as SQLite's shell, is waited for."""

_CHECKPOINT_PAGES = 4_000
"""After how many pages the `-wal` goes into the file: 16 MB; fewer would write pages that change
often again and again."""

_Found = TypeVar("_Found")


@contextlib.contextmanager
def telling(path: Path, doing: str) -> Generator[None]:
    """Tell of SQLite's errors as ours.

    Args:
        path: the store's file.
        doing: what can't be done to it, such as "read".

    Raises:
        StoreUnusable: SQLite reports an error.
    """
    try:
        yield
    except sqlite3.Error as fault:
        raise StoreUnusable(
            f"the store {str(path)!r} can't be {doing}: {fault}; {_advise(fault)}"
        ) from None


def is_there(path: Path) -> bool:
    """Whether there is a file that may be a store; False if a new one can be made in its place.

    Raises:
        StoreUnusable: neither.
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
            "make it first"
        )
    if _wal(path).exists():
        # SQLite would write it into whatever stands here next.
        raise StoreUnusable(
            f"the store {str(path)!r} is gone, but its {str(_wal(path))!r} is still there; "
            "restore it from a copy, or remove that too"
        )
    return False


def create(path: Path) -> None:
    """Make a store with nothing in it; only whoever holds the store may do so.

    It is for its owner alone, as are the files that SQLite makes beside it. Where an empty file
    was made for it, it has that one's owner and mode.

    Raises:
        StoreUnusable: it can't be made.
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
        with telling(path, "made"), contextlib.closing(_connect(unfinished, "rwc")) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            migrate(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
        unfinished.replace(path)
    except OSError as fault:
        raise StoreUnusable(
            f"the store {str(path)!r} can't be made: {fault.strerror}; "
            "choose a folder in which files can be written"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            _remove(unfinished)


def open_to_write(path: Path, *, survives_power_loss: bool) -> sqlite3.Connection:
    """Open a store and bring it to the newest version; only whoever holds it may do so.

    Args:
        path: the store's file, which is there.
        survives_power_loss: whether each commit waits until the disk has it.

    Returns:
        A connection that begins and ends no transaction by itself, for any thread.

    Raises:
        StoreUnusable: it can't be opened; it is as it was.
    """
    with telling(path, "opened"):
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
    """See that a store has no second name, for SQLite keeps files beside the one that it knows.

    Raises:
        StoreUnusable: it has, as a hard link.
    """
    try:
        names = path.stat().st_nlink
    except OSError:
        return
    if names > 1:
        raise StoreUnusable(
            f"the store {str(path)!r} has {names} names (hard links), and what SQLite keeps beside "
            "one of them is not found by another; remove all names but one, or make a copy"
        )


def examine(path: Path) -> None:
    """See that a file is a store of ours, of a version that we know, and whole; change nothing.

    Raises:
        StoreUnusable: it is not.
    """
    _look(path, lambda connection: _check(connection, path))


def look(path: Path, reading: Callable[[sqlite3.Connection], _Found]) -> _Found:
    """Read a store as it is at one moment, without changing it, whoever holds it.

    Args:
        path: the store's file.
        reading: what to do with the connection, in one transaction; the tables are of the newest
            version, if need be in a copy of the store in memory.

    Raises:
        StoreUnusable: it is not a store, is damaged, or is of a version that isn't known.
    """

    def read(connection: sqlite3.Connection) -> _Found:
        _check(connection, path)
        if _read_version(connection, path) == len(MIGRATIONS):
            return reading(connection)
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
            connection.backup(copy)
            migrate(copy, path)
            return reading(copy)

    return _look(path, read)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a store's tables to the newest version: wholly, or, if anything fails, not at all.

    Raises:
        StoreUnusable: it is of a version that isn't known.
    """
    with connection:
        # Not only when there is something to do: a file that can't be written is seen now.
        connection.execute("BEGIN IMMEDIATE")
        for statements in MIGRATIONS[_read_version(connection, path) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def damaged(path: Path, detail: str) -> StoreUnusable:
    """The error that a store is damaged.

    Args:
        path: the store's file.
        detail: what is wrong with it.
    """
    return StoreUnusable(
        f"the store {str(path)!r} is damaged: {detail}; "
        "restore it from a copy, or begin a new one in another file"
    )


def _read_version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StoreUnusable(
            f"the store {str(path)!r} is of version {version}, and this Muster knows versions up "
            f"to {len(MIGRATIONS)}; open it with the Muster that wrote it, or a newer one"
        )
    if version < 0:
        raise damaged(path, f"its version is {version}")
    return version


def _look(path: Path, reading: Callable[[sqlite3.Connection], _Found]) -> _Found:
    if not is_there(path):
        raise StoreUnusable(
            f"there is no store {str(path)!r}; a manager that is given this file makes it"
        )
    with telling(path, "read"):
        if not _wal(path).exists():
            # Nobody has it open. Reading in the usual way would leave files of SQLite's beside it.
            before = _stamp(path)
            try:
                found = _read_in_mode("ro&immutable=1", path, reading)
            except (sqlite3.Error, StoreUnusable):
                if _stamp(path) == before:
                    raise
            else:
                if _stamp(path) == before:
                    return found
            # Somebody has begun to write to it meanwhile.
        return _read_in_mode("ro", path, reading)


def _read_in_mode(mode: str, path: Path, reading: Callable[[sqlite3.Connection], _Found]) -> _Found:
    with contextlib.closing(_connect(path, mode)) as connection:
        connection.execute("BEGIN")
        return reading(connection)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """See that a file is a store of ours, of a version that we know, and whole."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    if mark != APPLICATION_ID:
        raise StoreUnusable(
            f"{str(path)!r} is a SQLite file, but not a store of Muster's; name another file"
        )
    _read_version(connection, path)
    (first_problem,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if first_problem != "ok":
        raise damaged(path, str(first_problem))


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_PATIENCE_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _wal(path: Path) -> Path:
    return Path(f"{path}-wal")


def _stamp(path: Path) -> tuple[bool, int, int, int]:
    # The file itself must not be opened: that would drop this process's locks on it.
    found = path.stat()
    return _wal(path).exists(), found.st_ino, found.st_size, found.st_mtime_ns


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _advise(fault: sqlite3.Error) -> str:
    # Python 3.10 doesn't tell SQLite's code of an error; the words have not changed for ages.
    words = str(fault)
    for part, advice in _ADVICE.items():
        if part in words:
            return advice
    return "see whether the file and its folder can be read and written"


_DAMAGED = "restore it from a copy, or begin a new one in another file"
_ADVICE = {
    "is full": "make room on its disk; what was kept before is still there",
    "I/O error": "see whether its disk is full or failing; what was kept before is still there",
    "malformed": _DAMAGED,
    "not a database": "name a store's file",
    "readonly": "make the file and its folder writable",
    "is locked": "another program writes to it; end that one",
}
