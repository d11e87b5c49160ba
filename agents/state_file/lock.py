"""The lock of a state file: one thread of one process at a time, for a moment."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from ...messages import StoreBusy, StoreUnusable
from ..runtime.lock_file import LockFile

_LOOK_EVERY_S = 0.002
"""How often a lock that is held is tried again; it is held for milliseconds."""


class StateFileLock:
    """Keeps all other threads and processes from changing a state file.

    The lock is on a file of its own beside it, `FILE.lock`, which stays there: the state file
    itself is replaced at each change, and to remove the lock's file would split those who wait.
    The system takes it back from a process that dies. It has the owner and mode of the state file.

    Args:
        path: the state file.
        timeout_s: how long to wait for the lock, in seconds.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self.begin_anew()
        _ALL.add(self)

    def begin_anew(self) -> None:
        """Be as one that nobody has; called in a process that was forked from another."""
        self._threads = threading.Lock()
        self._lock = LockFile(
            Path(f"{self._path}.lock"), guarded=self._path, look_every_s=_LOOK_EVERY_S
        )

    @contextmanager
    def among_threads(self) -> Generator[float]:
        """Keep the other threads of this process away.

        Yields:
            How many seconds of the timeout are left.

        Raises:
            StoreBusy: they did not make way in time.
        """
        began = time.monotonic()
        if not self._threads.acquire(timeout=self._timeout_s):
            raise self.busy(f"another thread of this process ({os.getpid()})")
        try:
            yield max(0.0, self._timeout_s - (time.monotonic() - began))
        finally:
            self._threads.release()

    @contextmanager
    def among_processes(self, patience_s: float) -> Generator[None]:
        """Keep the other processes away; only for whoever keeps the other threads away.

        Args:
            patience_s: how long to wait, in seconds.

        Raises:
            StoreBusy: they did not make way in time.
            StoreUnusable: no lock can be made here.
        """
        try:
            self._lock.acquire(patience_s)
        except Timeout:
            pid = self._lock.find_holder()
            raise self.busy("another process" if pid is None else f"process {pid}") from None
        except OSError as fault:
            raise StoreUnusable(
                f"the state file {str(self._path)!r} can't be locked by "
                f"{str(self._lock.path)!r}: {fault.strerror}; choose a folder in which you may "
                "write, and remove what is there in the lock's place"
            ) from None
        try:
            yield
        finally:
            self._lock.release()

    def check(self) -> None:
        """See that the lock still keeps the others away; for whoever has it.

        Raises:
            StoreBusy: its file was deleted or replaced, so that another may have locked the new.
        """
        if not self._lock.is_in_place():
            raise StoreBusy(
                f"the lock {str(self._lock.path)!r} was deleted or replaced while it was held, so "
                "that another may be changing the state file; nothing was changed: try again, and "
                "let nobody remove that file"
            )

    def busy(self, holder: str) -> StoreBusy:
        """The error that it was not to be had in time.

        Args:
            holder: who has it.
        """
        return StoreBusy(
            f"the state file {str(self._path)!r} is locked by {holder}, which did not make way "
            f"within {self._timeout_s:g} s; try again, wait longer (lock_timeout), or end what "
            "holds it"
        )


_ALL: weakref.WeakSet[StateFileLock] = weakref.WeakSet()


def _begin_all_anew() -> None:
    # What threads of the other process have is theirs: here nobody would ever give it back.
    for lock in list(_ALL):
        lock.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all_anew)
