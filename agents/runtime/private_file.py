"""Who may read a file that we make, and whose it stays when another takes its place."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

PRIVATE_MODE = 0o600
"""The mode of whatever holds a run's content: only its owner may read and write it."""


def open_private(path: str | Path, flags: int) -> int:
    """Open a file as `os.open` does; a new one is for its owner alone, whatever the umask.

    A file that is there keeps the mode that its owner gave it. It fits `open(opener=…)`.

    Args:
        path: the file.
        flags: those of `os.open`.

    Returns:
        The descriptor.

    Raises:
        OSError: it can't be opened.
    """
    if not flags & os.O_CREAT:
        return os.open(path, flags)
    try:
        descriptor = os.open(path, flags | os.O_EXCL, PRIVATE_MODE)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return os.open(path, flags, PRIVATE_MODE)
    set_mode(descriptor, PRIVATE_MODE)
    return descriptor


def write_private(path: Path, content: bytes) -> None:
    """Write a file; a new one is for its owner alone, one that is there keeps its mode.

    Raises:
        OSError: it can't be written.
    """
    with open(path, "wb", opener=open_private) as file:
        file.write(content)


def take_after(descriptor: int, former: os.stat_result) -> bool:
    """Give an open file of ours the owner, the group and the mode of another, as far as allowed.

    Args:
        descriptor: the file.
        former: the file that it takes after.

    Returns:
        Whether owner and group are those of the other now.
    """
    found = os.fstat(descriptor)
    if hasattr(os, "fchown") and (found.st_uid, found.st_gid) != (former.st_uid, former.st_gid):
        try:
            os.fchown(descriptor, former.st_uid, former.st_gid)
        except OSError:
            # Only root gives a file away; to one of our own groups we may give it.
            with contextlib.suppress(OSError):
                os.fchown(descriptor, -1, former.st_gid)
        found = os.fstat(descriptor)
    has_group = found.st_gid == former.st_gid
    mode = stat.S_IMODE(former.st_mode)
    if not has_group:
        # What was for that group would be for another one.
        mode &= ~stat.S_IRWXG
    if stat.S_IMODE(found.st_mode) != mode:
        with contextlib.suppress(OSError):
            set_mode(descriptor, mode)
    return has_group and found.st_uid == former.st_uid


def set_mode(descriptor: int, mode: int) -> None:
    """Give an open file a mode, where files have one.

    Raises:
        OSError: it is not ours.
    """
    # Windows knows no such modes, and its Python no such call before 3.13.
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)
