"""Locks a store's file for one manager at a time; the locks end with its process.

There are two locks. The lock on `FILE.lock` exists before the store is created and after it is
closed. The lock on the database itself also excludes a manager that opens it by another path, or
after somebody removed the lock file.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from ...messages import StoreBusy, StoreUnusable
from ..runtime.lock_file import FileId, LockFile, find_file_id, lock_within, try_to_lock

_TIMEOUT_S = 0.5
"""How long to wait for a lock: a process that checks whether it is held takes it for a moment."""

_POLL_S = 0.05

_HELD_HERE: dict[FileId, int] = {}
"""The databases that this process holds, with the descriptors that lock them.

Opening and closing such a file again would release SQLite's own locks on it.
"""


class Holder(NamedTuple):
    """Whether a manager holds a store, and which process it is.

    Args:
        held: whether a manager holds it; None if that can't be determined.
        pid: the process id of that manager; None if it is unknown.
        host: the name of its machine; "" if it is this one.
    """

    held: bool | None
    pid: int | None = None
    host: str = ""


class StoreFileLock:
    """Holds a store's file for this process, until it ends or until `release`.

    The lock file is never removed: waiting processes would then lock different files. Readers need
    no lock.

    Args:
        path: the store's file.

    Raises:
        StoreBusy: another manager holds it.
        StoreUnusable: the lock file can't be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: FileId | None = None
        self._lock = LockFile(_lock_path(path), guarded=path, is_private=True, look_every_s=_POLL_S)
        lock_path = self._lock.path
        try:
            self._lock.acquire(_TIMEOUT_S)
        except Timeout:
            if os.path.lexists(lock_path):
                raise self._held_by_another(self._lock.find_holder()) from None
            raise StoreUnusable(
                f"the store {str(path)!r} can't be locked: {str(lock_path)!r} can't be created; "
                "choose a folder in which files can be written"
            ) from None
        except OSError as fault:
            raise StoreUnusable(
                f"the store {str(path)!r} can't be locked by {str(lock_path)!r}: "
                f"{fault.strerror}; choose a folder in which you may write, or remove whatever is "
                "at the path of the lock file"
            ) from None

    def take_database(self) -> None:
        """Lock the database itself too, once it exists and before SQLite opens it.

        Raises:
            StoreBusy: another manager holds it, by another path or after its lock file was removed.
            StoreUnusable: it can't be opened.
        """
        database = find_file_id(self._path)
        if database in _HELD_HERE:
            raise self._held_by_another(os.getpid())
        if sys.platform == "win32" or database is None:
            # On Windows an open file can't be deleted or replaced.
            return
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as fault:
            raise StoreUnusable(
                f"the store {str(self._path)!r} can't be opened: {fault.strerror}; make the file "
                "readable"
            ) from None
        if not lock_within(descriptor, deadline=time.monotonic() + _TIMEOUT_S, poll_s=_POLL_S):
            os.close(descriptor)
            raise self._held_by_another(None)
        found = os.fstat(descriptor)
        self._database = FileId(found.st_dev, found.st_ino)
        _HELD_HERE[self._database] = descriptor

    def is_lock_in_place(self) -> bool:
        """Whether the lock file is still the file that is locked."""
        return self._lock.is_in_place()

    def release(self) -> None:
        """Let another manager hold the store; call it after SQLite has closed the database."""
        if self._database is not None:
            with contextlib.suppress(KeyError):
                os.close(_HELD_HERE.pop(self._database))
            self._database = None
        self._lock.release()

    def _held_by_another(self, pid: int | None) -> StoreBusy:
        holder = "another manager" if pid is None else f"the manager of process {pid}"
        return StoreBusy(
            f"the store {str(self._path)!r} is held by {holder}; wait until it ends, stop it, "
            "or give this manager another file"
        )


def find_holder(path: Path) -> Holder:
    """Find out whether a manager holds a store's file, without disturbing it.

    Args:
        path: the store's file.
    """
    path = Path(os.path.realpath(path))
    lock = LockFile(_lock_path(path), guarded=path, is_private=True)
    if lock.path.exists():
        try:
            with FileLock(lock.path, timeout=0, thread_local=False):
                pass
        except Timeout:
            return Holder(held=True, pid=lock.find_holder())
        except OSError:
            return Holder(held=None)
    return _find_holder_of_database(path)


def _find_holder_of_database(path: Path) -> Holder:
    """Find it out by the database alone, since the lock file may have been removed."""
    database = find_file_id(path)
    if database is None:
        return Holder(held=False)
    if database in _HELD_HERE:
        return Holder(held=True, pid=os.getpid())
    if sys.platform == "win32":
        return Holder(held=False)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return Holder(held=None)
    try:
        return Holder(held=not try_to_lock(descriptor, is_shared=True))
    finally:
        os.close(descriptor)


def _lock_path(path: Path) -> Path:
    # Two paths to one file must not lead to two locks.
    return Path(os.path.realpath(path) + ".lock")


def _forget_all() -> None:
    # The parent process owns the locks. They hold while it or a copy of a descriptor exists.
    for descriptor in _HELD_HERE.values():
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _HELD_HERE.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
