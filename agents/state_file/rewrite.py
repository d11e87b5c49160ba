"""How a new version of a state file takes the place of the old one, and whose it is then.

It is renamed into its place, where it can have the owner and the mode of the old one. Where it
can't, since only root gives files away, its content is copied into the old file. The new file
stays beside that until all of it is copied, and so whoever comes after one that was killed in
between can go on.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from ..runtime.private_file import PRIVATE_MODE, open_private, take_after

# Not every system has these: who opens a pipe would wait, and lines would end otherwise.
READ_FLAGS: int = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NEW_FLAGS: int = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_COPY_FLAGS: int = os.O_RDWR | getattr(os, "O_BINARY", 0)

_HALF_COPIED = b"!"
"""What a file begins with while it is copied into; no JSON does."""

_MAX_COPIES = 10


def is_half_copied(content: bytes) -> bool:
    """Whether a copy into the file was broken off."""
    return content.startswith(_HALF_COPIED)


def make_new(new: Path, former: Path) -> tuple[int, bool]:
    """Make a file for a new version, with the former one's owner and mode as far as allowed.

    Args:
        new: the file; what is there goes.
        former: the former version, which may not be there yet.

    Returns:
        An open descriptor, and whether it has the owner of the former one, so that it may be
        renamed into its place.

    Raises:
        OSError: it can't be made.
    """
    # Only the holder of the lock gets here, so what is left of a dead one may go.
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
    """Copy a whole new version into the former file; one that is broken off can be told.

    Args:
        former: the file.
        content: the new version, which must stand in another file until this returns.
        syncs: whether to wait until the disk has it.

    Raises:
        OSError: it can't be written, or not wholly.
    """
    descriptor = os.open(former, _COPY_FLAGS)
    try:
        size = os.fstat(descriptor).st_size
        first = os.read(descriptor, 1)
        _write_at(descriptor, 0, _HALF_COPIED, syncs=syncs)
        try:
            if hasattr(os, "posix_fallocate") and content:
                # On a full disk it is better to fail now.
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
    """Give a whole new version its name.

    Args:
        new: the version.
        path: its name.
        is_first: whether there was none before; if there is one now, it stays.

    Raises:
        OSError: it can't be.
    """
    if is_first:
        try:
            os.link(new, path)
        except FileExistsError:
            new.unlink()
            return
        except OSError:
            # Not every file system has links.
            pass
        else:
            new.unlink()
            return
    new.replace(path)


def keep_copy(path: Path, digest: str, content: bytes) -> Path:
    """Keep a copy of a file that can't be used, for its owner alone; one copy for each content.

    Args:
        path: the file.
        digest: what tells its content from others.
        content: what stands in it.

    Returns:
        The copy.

    Raises:
        OSError: none can be written.
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
                # Something else, or a link that leads to something else.
                continue
            # What one that was killed has written of it.
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
    raise FileExistsError(0, "other files stand in its place")


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it, however little the system takes at once.

    Raises:
        OSError: it can't be written.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's names.

    Raises:
        OSError: it fails.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_at(descriptor: int, place: int, content: bytes, *, syncs: bool) -> None:
    os.lseek(descriptor, place, os.SEEK_SET)
    write_all(descriptor, content)
    if syncs:
        os.fsync(descriptor)


def _read_plain(path: Path, size: int) -> bytes | None:
    """What stands in a file, with one byte more at most; None if it is no file."""
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
