"""Replaces a state file by its new version, and keeps its owner and mode.

The new version is renamed over the old one if it can have the same owner and mode. Otherwise, since
only root can change the owner of a file, its content is copied into the old file. The new file
stays until the copy is complete, so that another process can finish the copy of a killed one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from ..runtime.private_file import PRIVATE_MODE, open_private, take_after

# O_NONBLOCK: opening a pipe must not block. O_BINARY: line ends must not change. Not every system
# has these flags.
READ_FLAGS: int = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NEW_FLAGS: int = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_COPY_FLAGS: int = os.O_RDWR | getattr(os, "O_BINARY", 0)

_HALF_COPIED = b"!"
"""The first byte of a file while content is copied into it; no JSON begins with it."""

_MAX_COPIES = 10


def is_half_copied(content: bytes) -> bool:
    """Whether a copy into the file is incomplete."""
    return content.startswith(_HALF_COPIED)


def make_new(new: Path, former: Path) -> tuple[int, bool]:
    """Create the file of a new version, with the owner and mode of the old one if permitted.

    Args:
        new: the path of the file; a file that exists there is removed.
        former: the path of the old version, which may not exist yet.

    Returns:
        An open descriptor, and whether the file has the owner of the old one, so that it may be
        renamed over it.

    Raises:
        OSError: the file can't be created.
    """
    # Only the holder of the lock gets here, so the file of a killed process may be removed.
    new.unlink(missing_ok=True)
    try:
        found = former.stat()
    except FileNotFoundError:
        found = None
    descriptor = os.open(new, _NEW_FLAGS, 0o666 if found is None else PRIVATE_MODE)
    try:
        return descriptor, found is None or take_after(descriptor, found)
    except BaseException:
        os.close(descriptor)
        raise


def copy_into(former: Path, content: bytes, *, syncs: bool) -> None:
    """Copy a new version into the old file, so that an incomplete copy can be detected.

    Args:
        former: the file.
        content: the new version; another file must keep it until this returns.
        syncs: whether to wait until the disk has it.

    Raises:
        OSError: it can't be written, or only in part.
    """
    descriptor = os.open(former, _COPY_FLAGS)
    try:
        size = os.fstat(descriptor).st_size
        first = os.read(descriptor, 1)
        _write_at(descriptor, 0, _HALF_COPIED, syncs=syncs)
        try:
            if hasattr(os, "posix_fallocate") and content:
                # On a full disk, fail before anything is overwritten.
                os.posix_fallocate(descriptor, 0, len(content))
        except OSError:
            os.ftruncate(descriptor, size)
            _write_at(descriptor, 0, first, syncs=syncs)
            raise
        _write_at(descriptor, 1, content[1:], syncs=False)
        os.ftruncate(descriptor, len(content))
        if syncs:
            os.fsync(descriptor)
        _write_at(descriptor, 0, content[:1], syncs=syncs)
    finally:
        os.close(descriptor)


def put_in_place(new: Path, path: Path, *, is_first: bool) -> None:
    """Rename a complete new version to its final name.

    Args:
        new: the path of the new version.
        path: the final path.
        is_first: whether no file existed; if one exists now, it is kept.

    Raises:
        OSError: it can't be renamed.
    """
    if is_first:
        try:
            os.link(new, path)
        except FileExistsError:
            new.unlink()
            return
        except OSError:
            # Not every file system has hard links.
            pass
        else:
            new.unlink()
            return
    new.replace(path)


def keep_copy(path: Path, digest: str, content: bytes) -> Path:
    """Keep a copy of an invalid file, readable by its owner only; one copy for each content.

    Args:
        path: the file.
        digest: a digest of its content, for the name of the copy.
        content: its content.

    Returns:
        The path of the copy.

    Raises:
        OSError: no copy can be written.
    """
    for number in range(_MAX_COPIES):
        copy = Path(f"{path}.corrupt-{digest}" + (f"-{number}" if number else ""))
        try:
            descriptor = open_private(copy, _NEW_FLAGS)
        except FileExistsError:
            found = _read_plain(copy, len(content))
            if found == content:
                return copy
            if found is None or not content.startswith(found):
                # Another file, or a link to one.
                continue
            # An incomplete copy of a killed process.
            copy.unlink()
            descriptor = open_private(copy, _NEW_FLAGS)
        try:
            write_all(descriptor, content)
        except BaseException:
            with contextlib.suppress(OSError):
                copy.unlink()
            raise
        finally:
            os.close(descriptor)
        return copy
    raise FileExistsError(0, "other files have its name")


def write_all(descriptor: int, content: bytes) -> None:
    """Write all content, also if the system takes only a part of it at once.

    Raises:
        OSError: it can't be written.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names of the files in a folder.

    Raises:
        OSError: the folder can't be synchronized.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_at(descriptor: int, offset: int, content: bytes, *, syncs: bool) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    write_all(descriptor, content)
    if syncs:
        os.fsync(descriptor)


def _read_plain(path: Path, size: int) -> bytes | None:
    """The content of a file, at most one byte longer than `size`; None if it is not a file."""
    try:
        descriptor = os.open(path, READ_FLAGS | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            return file.read(size + 1)
    finally:
        os.close(descriptor)
