"""A lock between processes, on a file of its own, that detects when the file is removed.

The operating system releases the lock of a process that dies. The lock belongs to the file, not to
its name: if the file is deleted or replaced while it is locked, other processes lock the new one.
So a process checks after locking that the file still has the name, and its holder can check again.
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
"""The minimum number of attempts if the file is replaced while it is being locked."""


class FileId(NamedTuple):
    """Identifies a file, whatever its name.

    Args:
        device: the number of its device.
        inode: its number there.
    """

    device: int
    inode: int


def find_file_id(path: Path | str) -> FileId | None:
    """The file that has a name now; None if there is none, or it can't be examined."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return FileId(found.st_dev, found.st_ino)


class LockFile:
    """A lock for one process at a time, with the holder's process id in its file.

    The file stays when the lock is released: removing it could give the lock to two processes. It
    has the owner and mode of the file that it guards, so that whoever may write that file can lock
    it.

    Args:
        path: the lock's file, which is created if necessary; links are not followed.
        guarded: the file that it guards.
        is_private: whether only its owner may access the lock's file while there is no guarded
            file; otherwise the umask applies.
        look_every_s: the interval between attempts while another process holds the lock, in
            seconds.
    """

    def __init__(
        self, path: Path, *, guarded: Path, is_private: bool = False, look_every_s: float = 0.05
    ) -> None:
        self.path = path
        self._guarded = guarded
        self._is_private = is_private
        self._locked: FileId | None = None
        # Not bound to a thread: another thread may release it.
        self._lock = FileLock(
            path, poll_interval=look_every_s, thread_local=False, on_acquired=self._take_over
        )

    def acquire(self, timeout_s: float) -> None:
        """Acquire the lock.

        Args:
            timeout_s: how long to wait for it, in seconds.

        Raises:
            Timeout: another process holds it.
            OSError: it can't be created or locked here.
        """
        deadline = time.monotonic() + timeout_s
        for attempt in range(1_000_000):
            self._lock.acquire(  # pyright: ignore[reportUnknownMemberType]
                timeout=max(0.0, deadline - time.monotonic())
            )
            if self.is_in_place():
                return
            # It was deleted or replaced before it was locked: other processes lock another file.
            self._lock.release()
            if attempt >= _FEWEST_TRIES and time.monotonic() >= deadline:
                break
        raise Timeout(str(self.path))

    def release(self) -> None:
        """Release the lock."""
        self._locked = None
        self._lock.release()

    def is_in_place(self) -> bool:
        """Whether the locked file still has its name, so that no other process has the lock."""
        return self._locked is not None and find_file_id(self.path) == self._locked

    def find_holder(self) -> int | None:
        """The process id of the last holder, if known."""
        with contextlib.suppress(OSError, ValueError):
            return int(self.path.read_text(encoding="ascii"))
        return None

    def _take_over(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        self._locked = FileId(found.st_dev, found.st_ino)
        # What follows is for other processes; if it fails, the lock is still valid.
        with contextlib.suppress(OSError):
            try:
                take_after(descriptor, self._guarded.stat())
            except FileNotFoundError:
                if self._is_private and not found.st_size:
                    set_mode(descriptor, PRIVATE_MODE)
        with contextlib.suppress(OSError):
            name = f"{os.getpid():<{_NAME_CHARACTERS - 1}}\n".encode("ascii")
            # Overwritten, not truncated: a truncated file is flushed to disk when it is closed.
            if os.read(descriptor, _NAME_CHARACTERS) != name:
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, name)


if sys.platform == "win32":

    def try_to_lock(descriptor: int, *, is_shared: bool = False) -> bool:
        """Lock an open file itself, unless another process has locked it; does nothing on Windows.

        On Windows nobody can delete or replace an open file.

        Args:
            descriptor: the file.
            is_shared: whether other processes may lock it in the same way.

        Returns:
            Whether it is locked.
        """
        del descriptor, is_shared
        return True

    def unlock(descriptor: int) -> None:
        """Release the lock on an open file."""
        del descriptor

else:
    import fcntl

    def try_to_lock(descriptor: int, *, is_shared: bool = False) -> bool:
        """Lock an open file itself, unless another process has locked it.

        Args:
            descriptor: the file.
            is_shared: whether other processes may lock it in the same way.

        Returns:
            Whether it is locked; also True where there are no such locks.
        """
        how = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # There are no such locks here; the lock on a file of its own remains.
            return True
        return True

    def unlock(descriptor: int) -> None:
        """Release the lock on an open file."""
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
