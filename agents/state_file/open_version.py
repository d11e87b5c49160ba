"""Keeps the current version of a state file open, detects when it was replaced, and locks it."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, NamedTuple

from ..runtime.lock_file import lock_within, unlock


class FileVersion(NamedTuple):
    """Identifies one version of a file, as long as that version is open.

    Args:
        device: the number of its device.
        inode: its inode there.
        modified_ns: when it was last modified, in nanoseconds since 1970.
        size: its size in bytes.
    """

    device: int
    inode: int
    modified_ns: int
    size: int


class OpenVersion:
    """The version of a file that was last read or written.

    It is kept open so that no later version gets its inode.

    Args:
        path: the file.
    """

    replaceable_while_open: ClassVar[bool] = os.name != "nt"
    """Whether an open file can be replaced. On Windows it can't, so none is kept open there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: FileVersion | None = None
        self._descriptor: int | None = None
        self._close_descriptor: Callable[[], object] = _do_nothing
        self._is_locked = False

    @property
    def is_open(self) -> bool:
        """Whether a version is open."""
        return self._descriptor is not None

    def is_current(self) -> bool:
        """Whether the file is still the version that is open.

        Raises:
            OSError: the file can't be examined.
        """
        return version_of(self._path.stat()) == self._version

    def keep(self, descriptor: int, found: os.stat_result) -> None:
        """Replace the open version by another one.

        Args:
            descriptor: the open file; it is closed with this version, or at once on Windows.
            found: its `os.fstat`.
        """
        self.close()
        if self.replaceable_while_open:
            self._version = version_of(found)
            self._descriptor = descriptor
            self._close_descriptor = weakref.finalize(self, os.close, descriptor)
        else:
            os.close(descriptor)

    def lock(self, timeout_s: float, poll_s: float) -> bool:
        """Lock the version itself, which excludes processes that use another lock file.

        Args:
            timeout_s: how long to wait for the lock, in seconds.
            poll_s: how often to try, in seconds.

        Returns:
            Whether it is locked.
        """
        assert self._descriptor is not None
        self._is_locked = lock_within(
            self._descriptor, deadline=time.monotonic() + timeout_s, poll_s=poll_s
        )
        return self._is_locked

    def unlock(self) -> None:
        """Release the lock, if the version is locked."""
        if self._is_locked and self._descriptor is not None:
            unlock(self._descriptor)
        self._is_locked = False

    def close(self) -> None:
        """Unlock and close the version, if one is open."""
        self.unlock()
        self._descriptor = None
        self._version = None
        self._close_descriptor()
        self._close_descriptor = _do_nothing


def version_of(found: os.stat_result) -> FileVersion:
    """The version that an `os.stat` found."""
    return FileVersion(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _do_nothing() -> None:
    pass
