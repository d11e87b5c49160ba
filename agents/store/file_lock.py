"""Who holds a store's file: one manager at a time, by locks that die with its process.

Two locks keep others away. That on `FILE.lock` is there before the store is, and after it. That
on the database itself holds also against whoever comes to it by another name, or has removed the
first one's file.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from ...messages import StoreUnusable
from ..runtime.lock_file import FileId, LockFile, find_file_id, try_to_lock

_PATIENCE_S = 0.5
"""How long a lock is waited for; whoever only looks whether it is held has it for a moment."""

_LOOK_EVERY_S = 0.05

_HELD_HERE: dict[FileId, int] = {}
"""The databases that this process holds, and by which descriptors.

To open such a file once more and close it again would drop SQLite's own locks on it.
"""


class Holder(NamedTuple):
    """Whether a manager holds a store, and which.

    Args:
        held: whether one does; None if that can't be seen.
        pid: the process id of the one that does, None if it isn't known.
    """

    held: bool | None
    pid: int | None = None


class StoreFileLock:
    """Holds a store's file for this process, as long as it lives or until `release`.

    The lock's file stays beside the store: to remove it would split those who wait for it.
    Readers need no lock.

    Args:
        path: the store's file.

    Raises:
        StoreUnusable: another manager holds it, or no lock can be made here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: FileId | None = None
        self._lock = LockFile(
            _lock_path(path), guarded=path, is_private=True, look_every_s=_LOOK_EVERY_S
        )
        lock_path = self._lock.path
        try:
            self._lock.acquire(_PATIENCE_S)
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
                f"{fault.strerror}; choose a folder in which you may write, or remove what is "
                "there in the lock's place"
            ) from None

    def take_database(self) -> None:
        """Hold the database itself too, which is there now; before SQLite opens it.

        Raises:
            StoreUnusable: another manager holds it, by another name or since its lock is gone.
        """
        database = find_file_id(self._path)
        if database in _HELD_HERE:
            raise self._held_by_another(os.getpid())
        if sys.platform == "win32" or database is None:
            # Windows lets nobody delete or replace what somebody has open.
            return
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as fault:
            raise StoreUnusable(
                f"the store {str(self._path)!r} can't be opened: {fault.strerror}; make the file "
                "readable"
            ) from None
        deadline = time.monotonic() + _PATIENCE_S
        while not try_to_lock(descriptor, is_shared=False):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise self._held_by_another(None)
            time.sleep(_LOOK_EVERY_S)
        found = os.fstat(descriptor)
        self._database = FileId(found.st_dev, found.st_ino)
        _HELD_HERE[self._database] = descriptor

    def is_lock_in_place(self) -> bool:
        """Whether the lock's file is still the one that is locked."""
        return self._lock.is_in_place()

    def release(self) -> None:
        """Let another manager hold it; once SQLite has closed the database."""
        if self._database is not None:
            with contextlib.suppress(KeyError):
                os.close(_HELD_HERE.pop(self._database))
            self._database = None
        self._lock.release()

    def _held_by_another(self, pid: int | None) -> StoreUnusable:
        who = "another manager" if pid is None else f"the manager of process {pid}"
        return StoreUnusable(
            f"the store {str(self._path)!r} is held by {who}; wait until it ends, stop it, "
            "or give this one another file"
        )


def find_holder(path: Path) -> Holder:
    """See whether a manager holds a store's file, without disturbing it.

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
    """See it by the database alone, for the lock's file may have been removed."""
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
    # Two ways to one file must not lead to two locks.
    return Path(os.path.realpath(path) + ".lock")


def _forget_all() -> None:
    # The locks are the other process's; as long as it or a copy of the descriptors lives they hold.
    for descriptor in _HELD_HERE.values():
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _HELD_HERE.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
