"""The owner and mode of files that Muster creates or replaces."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

PRIVATE_MODE = 0o600
"""The mode of files with a run's content: only the owner may read and write them."""


def open_private(path: str | Path, flags: int) -> int:
    """Open a file as `os.open` does; a new file is for its owner alone, whatever the umask.

    An existing file keeps its mode. The function can be used as `open(opener=…)`.

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
    """Write a file; a new one is for its owner alone, an existing one keeps its mode.

    Raises:
        OSError: it can't be written.
    """
    with open(path, "wb", opener=open_private) as file:
        file.write(content)


def replace_file(path: str | Path, content: bytes) -> None:
    """Replace a file atomically: whoever reads it finds all of the old content, or of the new.

    A new file is for its owner alone; an existing one keeps its mode, and its owner as far as
    permitted. A link stays, and the file that it names is replaced.

    Raises:
        OSError: it can't be written; an existing file is unchanged.
    """
    # Through links first, so that the new file is on the same disk as the old one.
    target = Path(os.path.realpath(path))
    # It has an unused name and mode 0600.
    descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(descriptor, "wb") as file:
            with contextlib.suppress(FileNotFoundError):
                take_after(descriptor, target.stat())
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(draft, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def take_after(descriptor: int, former: os.stat_result) -> bool:
    """Give an open file the owner, group and mode of another, as far as permitted.

    Args:
        descriptor: the file.
        former: the status of the other file.

    Returns:
        Whether owner and group are now those of the other file.
    """
    found = os.fstat(descriptor)
    if hasattr(os, "fchown") and (found.st_uid, found.st_gid) != (former.st_uid, former.st_gid):
        try:
            os.fchown(descriptor, former.st_uid, former.st_gid)
        except OSError:
            # Only root may change the owner; a group of this user is permitted.
            with contextlib.suppress(OSError):
                os.fchown(descriptor, -1, former.st_gid)
        found = os.fstat(descriptor)
    has_group = found.st_gid == former.st_gid
    mode = stat.S_IMODE(former.st_mode)
    if not has_group:
        # Permissions for that group would apply to another one.
        mode &= ~stat.S_IRWXG
    if stat.S_IMODE(found.st_mode) != mode:
        with contextlib.suppress(OSError):
            set_mode(descriptor, mode)
    return has_group and found.st_uid == former.st_uid


def set_mode(descriptor: int, mode: int) -> None:
    """Set the mode of an open file, where files have one.

    Raises:
        OSError: this user does not own it.
    """
    # Windows has no such modes, and its Python has no such call before 3.13.
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)
