"""Who holds a store's file: one manager at a time, by a lock that dies with its process."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from ..messages import StoreUnusable

_PATIENCE_S = 0.5
"""How long a lock is waited for; whoever only looks whether it is held has it for a moment."""


class Holder(NamedTuple):
    """Whether a manager holds a store, and which.

    Args:
        held: whether one does; None if that can't be seen.
        pid: the process id of the one that does, None if it isn't known.
    """

    held: bool | None
    pid: int | None = None


class StoreHold:
    """Holds a store's file for this process, as long as it lives or until `release`.

    The lock is on a file of its own beside the store, which stays there: to remove it would split
    those who wait for it. Readers need no lock.

    Args:
        path: the store's file.

    Raises:
        StoreUnusable: another manager holds it, or no lock can be made here.
    """

    def __init__(self, path: Path) -> None:
        lock_path = _lock_path(path)
        # Whoever closes a store may do so in another thread than the one that opened it.
        lock = FileLock(lock_path, timeout=_PATIENCE_S, thread_local=False)
        self._held = contextlib.ExitStack()
        try:
            self._held.enter_context(lock)
        except Timeout:
            if lock_path.exists():
                raise StoreUnusable(_tell_held(path)) from None
            raise StoreUnusable(
                f"the store {str(path)!r} can't be locked: {str(lock_path)!r} can't be created; "
                "choose a folder in which files can be written"
            ) from None
        except OSError as fault:
            raise StoreUnusable(
                f"the store {str(path)!r} can't be locked by {str(lock_path)!r}: "
                f"{fault.strerror}; choose a folder in which you may write"
            ) from None
        with contextlib.suppress(OSError):
            # Only for people; where it can't be written, the lock holds all the same.
            lock_path.write_text(f"{os.getpid()}\n", encoding="ascii")

    def release(self) -> None:
        """Let another manager hold it."""
        self._held.close()


def find_holder(path: Path) -> Holder:
    """See whether a manager holds a store's file, without disturbing it.

    Args:
        path: the store's file.
    """
    lock_path = _lock_path(path)
    if not lock_path.exists():
        return Holder(held=False)
    try:
        with FileLock(lock_path, timeout=0, thread_local=False):
            return Holder(held=False)
    except Timeout:
        return Holder(held=True, pid=_read_pid(lock_path))
    except OSError:
        return Holder(held=None)


def _lock_path(path: Path) -> Path:
    # Two ways to one file must not lead to two locks.
    return Path(os.path.realpath(path) + ".lock")


def _read_pid(lock_path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(lock_path.read_text(encoding="ascii"))
    return None


def _tell_held(path: Path) -> str:
    pid = _read_pid(_lock_path(path))
    who = "another manager" if pid is None else f"the manager of process {pid}"
    return (
        f"the store {str(path)!r} is held by {who}; wait until it ends, stop it, "
        "or give this one another file"
    )
