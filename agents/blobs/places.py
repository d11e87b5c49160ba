"""Where a manager's blobs are: which store a place stands for, and the directory it has by itself.

A manager that was given no place makes a directory when it first needs one. Beside a store's file
it is found again after a crash; else it is one of the system's temporary ones, and whoever makes
another such directory removes those of dead managers.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from ...messages import BlobUnusable, ExtraMissing, InvalidInput
from .directory import DirectoryBlobs
from .fsspec_store import FsspecBlobs, check_url
from .store import BlobStore

LEFT_OVER_AFTER_S = 24 * 3600.0
"""How old a blob gets before it counts as left over by a run that crashed."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*://")
_PREFIX = "muster-blobs-"
_LOCK = "held.lock"


def check_place(place: str | Path) -> None:
    """See that a place can be one, as far as that can be told without going there.

    Raises:
        InvalidInput: it can't.
        ExtraMissing: it takes packages that are not installed.
    """
    if _is_remote(place):
        check_url(str(place))


def open_place(place: str | Path, *, create: bool = False) -> BlobStore:
    """Open the blob store that a path or URL stands for.

    Args:
        place: a directory, or a URL: `file:` is a directory too, any other is one of fsspec's.
        create: make the directory if it isn't there.

    Raises:
        BlobUnusable: it can't be opened.
    """
    if not _is_remote(place):
        return DirectoryBlobs(_path_of(place), create=create)
    try:
        return FsspecBlobs(str(place), create=create)
    except (InvalidInput, ExtraMissing) as fault:
        raise BlobUnusable(str(fault)) from None


def _is_remote(place: str | Path) -> bool:
    return _is_url(place) and urlsplit(str(place)).scheme != "file"


def _is_url(place: str | Path) -> bool:
    return isinstance(place, str) and _URL.match(place) is not None


def _path_of(place: str | Path) -> Path:
    if not _is_url(place):
        return Path(place)
    parts = urlsplit(str(place))
    if parts.netloc:
        raise BlobUnusable(f"{str(place)[:300]!r} names a host; write file:///PATH")
    from urllib.request import url2pathname  # noqa: PLC0415 - it loads a web client

    return Path(url2pathname(parts.path))


class OwnDirectory:
    """A directory of a manager's own, which goes when it is closed, unless it is to stay.

    Args:
        path: where it is made; None for a new one among the system's temporary files.

    Raises:
        BlobUnusable: it can't be made.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.stays = False
        self._held = contextlib.ExitStack()
        if path is not None:
            self._blobs = DirectoryBlobs(path, create=True)
            return
        try:
            _remove_left_over(Path(tempfile.gettempdir()))
            path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            from filelock import FileLock  # noqa: PLC0415 - most runs have no large data

            # It dies with the process, and so tells others whether the directory is in use.
            self._held.enter_context(FileLock(path / _LOCK, timeout=0, thread_local=False))
        except OSError as fault:
            raise BlobUnusable(
                f"no directory for blobs can be made: {fault}; name a place for them"
            ) from None
        self._blobs = DirectoryBlobs(path, create=True)

    @property
    def url(self) -> str:
        """The directory as a `file:` URL."""
        return self._blobs.url

    def write(self, name: str, content: bytes) -> None:
        """Keep a blob."""
        self._blobs.write(name, content)

    def read(self, name: str) -> bytes:
        """Give what is kept under a name."""
        return self._blobs.read(name)

    def delete(self, name: str) -> None:
        """Keep a blob no longer."""
        self._blobs.delete(name)

    def sweep(self, older_than_s: float, spared: Collection[str] = ()) -> int:
        """Delete what nobody has written for so long."""
        return self._blobs.sweep(older_than_s, spared)

    def close(self) -> None:
        """Remove the directory, unless it is to stay."""
        self._held.close()
        if self.stays:
            return
        with contextlib.suppress(BlobUnusable):
            self._blobs.sweep(-1.0)
        with contextlib.suppress(OSError):
            (self._blobs.directory / _LOCK).unlink(missing_ok=True)
            self._blobs.directory.rmdir()


def _remove_left_over(folder: Path) -> None:
    """Remove the directories of managers that died, and of this user alone."""
    from filelock import FileLock  # noqa: PLC0415 - see above

    latest = time.time() - LEFT_OVER_AFTER_S
    for path in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            is_ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            if not is_ours or path.is_symlink() or status.st_mtime > latest:
                continue
            with FileLock(path / _LOCK, timeout=0, thread_local=False):
                pass
            shutil.rmtree(path, ignore_errors=True)
