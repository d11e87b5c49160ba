"""A lock between processes, on a file of its own, that notices when somebody removes the file.

The system takes the lock back from a process that dies. It belongs to the file and not to the
file's name: where the file is deleted or replaced while it is locked, others lock the new one. So
whoever gets the lock sees whether the file still bears the name, and whoever holds it can look
again.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from .private_file import PRIVATE_MODE, set_mode, take_after

_NAME_CHARACTERS = 20
_FEWEST_TRIES = 5
"""How often a lock is tried at least whose file is replaced at that very moment."""


class FileId(NamedTuple):
    """Tells one file from another, whatever they are called.

    Args:
        device: the number of its device.
        inode: its number there.
    """

    device: int
    inode: int


def find_file_id(path: Path | str) -> FileId | None:
    """Which file bears a name now; None if there is none, or it can't be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return FileId(found.st_dev, found.st_ino)


class LockFile:
    """A lock that one process at a time has, with the holder's process id in its file.

    The file stays when the lock is given back: to remove it would split those who wait. It has
    the owner and mode of the file that it guards, so that whoever may write that one can lock it.

    Args:
        path: the lock's file, which is made if it isn't there; never looked up through a link.
        guarded: the file that it guards.
        is_private: whether the lock's file is for its owner alone while there is no guarded one;
            else the umask says whose it is.
        look_every_s: how often a lock that another has is tried again, in seconds.
    """

    def __init__(
        self, path: Path, *, guarded: Path, is_private: bool = False, look_every_s: float = 0.05
    ) -> None:
        self.path = path
        self._guarded = guarded
        self._is_private = is_private
        self._locked: FileId | None = None
        # Whichever thread has it: it may be given back by another.
        self._lock = FileLock(
            path, poll_interval=look_every_s, thread_local=False, on_acquired=self._take_over
        )

    def acquire(self, timeout_s: float) -> None:
        """Have the lock, until `release`.

        Args:
            timeout_s: how long to wait for it, in seconds.

        Raises:
            Timeout: another process has it.
            OSError: it can't be made or locked here.
        """
        deadline = time.monotonic() + timeout_s
        for attempt in range(1_000_000):
            self._lock.acquire(  # pyright: ignore[reportUnknownMemberType]
                timeout=max(0.0, deadline - time.monotonic())
            )
            if self.is_in_place():
                return
            # It was deleted or replaced before it was locked: others lock another file.
            self._lock.release()
            if attempt >= _FEWEST_TRIES and time.monotonic() >= deadline:
                break
        raise Timeout(str(self.path))

    def release(self) -> None:
        """Give it back."""
        self._locked = None
        self._lock.release()

    def is_in_place(self) -> bool:
        """Whether the locked file still bears its name, so that nobody else has the lock."""
        return self._locked is not None and find_file_id(self.path) == self._locked

    def find_holder(self) -> int | None:
        """The process id of whoever had the lock last, as far as it is known."""
        with contextlib.suppress(OSError, ValueError):
            return int(self.path.read_text(encoding="ascii"))
        return None

    def _take_over(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        self._locked = FileId(found.st_dev, found.st_ino)
        # What follows is for others; where it is not to be had, the lock holds all the same.
        with contextlib.suppress(OSError):
            try:
                take_after(descriptor, self._guarded.stat())
            except FileNotFoundError:
                if self._is_private and not found.st_size:
                    set_mode(descriptor, PRIVATE_MODE)
        with contextlib.suppress(OSError):
            name = f"{os.getpid():<{_NAME_CHARACTERS - 1}}\n".encode("ascii")
            # Written over and not emptied: a file that was emptied is flushed to disk when closed.
            if os.read(descriptor, _NAME_CHARACTERS) != name:
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, name)


if sys.platform == "win32":

    def try_to_lock(descriptor: int, *, is_shared: bool = False) -> bool:
        """Lock an open file itself, if nobody else has it locked; on Windows nothing is done.

        There nobody can delete or replace a file that somebody has open.

        Args:
            descriptor: the file.
            is_shared: whether others may lock it so too.

        Returns:
            Whether it is locked.
        """
        del descriptor, is_shared
        return True

    def unlock(descriptor: int) -> None:
        """Give the lock on an open file back."""
        del descriptor

else:
    import fcntl

    def try_to_lock(descriptor: int, *, is_shared: bool = False) -> bool:
        """Lock an open file itself, if nobody else has it locked.

        Args:
            descriptor: the file.
            is_shared: whether others may lock it so too.

        Returns:
            Whether it is locked; also where there are no such locks.
        """
        how = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # What is left then is the lock on a file of its own.
            return True
        return True

    def unlock(descriptor: int) -> None:
        """Give the lock on an open file back."""
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def lock_within(descriptor: int, *, deadline: float, poll_s: float) -> bool:
    """Lock an open file itself, and wait while another process holds its lock.

    Args:
        descriptor: the file.
        deadline: how long to wait, as a time of `time.monotonic`; the lock is tried at least once.
        poll_s: how often to try, in seconds.

    Returns:
        Whether it is locked.
    """
    while not try_to_lock(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll_s)
    return True
