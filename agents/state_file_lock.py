"""The lock of a state file: one thread of one process at a time, for a moment."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Generator
from pathlib import Path

from filelock import FileLock, Timeout

from ..messages import StoreBusy, StoreUnusable

_NAME_CHARACTERS = 20

_LOOK_EVERY_S = 0.002
"""How often a lock that is held is tried again; it is held for milliseconds."""


class StateFileLock:
    """Keeps all other threads and processes from changing a state file.

    The lock is on a file of its own beside it, `FILE.lock`, which stays there: the state file
    itself is replaced at each change, and to remove the lock's file would split those who wait.
    The system takes it back from a process that dies.

    Args:
        path: the state file.
        timeout_s: how long to wait for the lock, in seconds.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._lock_path = Path(f"{path}.lock")
        self.begin_anew()
        _ALL.add(self)

    def begin_anew(self) -> None:
        """Be as one that nobody has; called in a process that was forked from another."""
        self._threads = threading.Lock()
        # One thread at a time has it, whichever.
        self._lock = FileLock(self._lock_path, poll_interval=_LOOK_EVERY_S, thread_local=False)

    @contextlib.contextmanager
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

    @contextlib.contextmanager
    def among_processes(self, patience_s: float) -> Generator[None]:
        """Keep the other processes away; only for whoever keeps the other threads away.

        Args:
            patience_s: how long to wait, in seconds.

        Raises:
            StoreBusy: they did not make way in time.
            StoreUnusable: no lock can be made here.
        """
        self._lock.timeout = patience_s
        held = contextlib.ExitStack()
        try:
            held.enter_context(self._lock)
        except Timeout:
            raise self.busy(self._find_holder()) from None
        except OSError as fault:
            raise StoreUnusable(
                f"the state file {str(self._path)!r} can't be locked by "
                f"{str(self._lock_path)!r}: {fault.strerror}; choose a folder in which you may "
                "write"
            ) from None
        with held:
            with contextlib.suppress(OSError):
                # Only for people; where it can't be written, the lock holds all the same.
                self._leave_name()
            yield

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

    def _leave_name(self) -> None:
        name = f"{os.getpid():<{_NAME_CHARACTERS - 1}}\n".encode("ascii")
        # Written over and not made anew: a file that was emptied is flushed to disk when closed.
        with self._lock_path.open("r+b", buffering=0) as file:
            if file.read(_NAME_CHARACTERS) != name:
                file.seek(0)
                file.write(name)

    def _find_holder(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            return f"process {int(self._lock_path.read_text(encoding='ascii'))}"
        return "another process"


_ALL: weakref.WeakSet[StateFileLock] = weakref.WeakSet()


def _begin_all_anew() -> None:
    # What threads of the other process have is theirs: here nobody would ever give it back.
    for lock in list(_ALL):
        lock.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all_anew)
