"""The lock of a state file, which excludes other threads and other processes."""

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

POLL_S = 0.002
"""How often a held lock is tried again, in seconds; locks are held for milliseconds."""


class StateFileLock:
    """Excludes all other threads and processes that would change a state file.

    It locks a separate file, `FILE.lock`, since the state file itself is replaced at each change.
    The lock file is never removed: waiting processes would then lock different files. The operating
    system releases the lock of a process that dies. The lock file has the owner and mode of the
    state file.

    Args:
        path: the state file.
        timeout_s: how long to wait for the lock, in seconds.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self.reset()
        _ALL.add(self)

    def reset(self) -> None:
        """Become an unlocked lock; called in a forked process."""
        self._threads = threading.Lock()
        self._lock = LockFile(Path(f"{self._path}.lock"), guarded=self._path, look_every_s=POLL_S)

    @contextmanager
    def among_threads(self) -> Generator[float]:
        """Exclude the other threads of this process.

        Yields:
            How many seconds of the timeout are left.

        Raises:
            StoreBusy: another thread held the lock for longer than the timeout.
        """
        began = time.monotonic()
        if not self._threads.acquire(timeout=self._timeout_s):
            raise self.busy(f"another thread of this process ({os.getpid()})")
        try:
            yield max(0.0, self._timeout_s - (time.monotonic() - began))
        finally:
            self._threads.release()

    @contextmanager
    def among_processes(self, timeout_s: float) -> Generator[None]:
        """Exclude other processes; call it within `among_threads`.

        Args:
            timeout_s: how long to wait, in seconds.

        Raises:
            StoreBusy: another process held the lock for longer than the timeout.
            StoreUnusable: the lock file can't be created.
        """
        try:
            self._lock.acquire(timeout_s)
        except Timeout:
            pid = self._lock.find_holder()
            raise self.busy("another process" if pid is None else f"process {pid}") from None
        except OSError as fault:
            raise StoreUnusable(
                f"the state file {str(self._path)!r} can't be locked by "
                f"{str(self._lock.path)!r}: {fault.strerror}; choose a folder in which you may "
                "write, and remove whatever is at the path of the lock file"
            ) from None
        try:
            yield
        finally:
            self._lock.release()

    def check(self) -> None:
        """Check that the lock that is held still excludes other processes.

        Raises:
            StoreBusy: its file was deleted or replaced, so another process may have locked the new
                one.
        """
        if not self._lock.is_in_place():
            raise StoreBusy(
                f"the lock file {str(self._lock.path)!r} was deleted or replaced while it was "
                "locked, and another process may be changing the state file; nothing was changed: "
                "try again, and do not remove the lock file"
            )

    def busy(self, holder: str) -> StoreBusy:
        """Make the error for a lock that was not released within the timeout.

        Args:
            holder: the thread or process that holds it.
        """
        return StoreBusy(
            f"the state file {str(self._path)!r} is locked by {holder}, which did not release it "
            f"within {self._timeout_s:g} s; try again, raise lock_timeout, or end that process"
        )


_ALL: weakref.WeakSet[StateFileLock] = weakref.WeakSet()


def _reset_all() -> None:
    # Threads of the parent process hold these locks; in this process nobody would release them.
    for lock in list(_ALL):
        lock.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
