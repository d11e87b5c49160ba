"""Opens the blob store of a path or URL, or makes a directory of the manager's own.

A manager without a configured blob store makes a directory when it first needs one. If there is a
durable store, the directory is beside its file and found again after a crash. Otherwise it is a
temporary directory; making one removes those of managers that have crashed.
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
from ..nats.address import NatsAddress, is_nats_url
from ..nats.names import check_name
from .directory import DirectoryBlobs
from .fsspec_store import FsspecBlobs, check_url
from .store import BlobStore

LEFT_OVER_AFTER_S = 24 * 3600.0
"""The age at which a blob counts as left over by a run that crashed."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*://")
_PREFIX = "muster-blobs-"
_LOCK = "held.lock"


def check_place(place: str | Path) -> None:
    """Check a path or URL as far as that is possible without connecting.

    Raises:
        InvalidInput: it can't be a blob store.
        BlobUnusable: it is a file, or a URL that can't be used.
        ExtraMissing: it needs packages that are not installed.
    """
    if is_nats_url(place):
        check_name(NatsAddress.parse(str(place), may_name=True).name, "a bucket of blobs")
    elif _is_remote(place):
        check_url(str(place))
    elif (path := _path_of(place)).exists() and not path.is_dir():
        raise BlobUnusable(f"blobs is {str(path)!r}, which is not a directory; name a directory")


def open_place(place: str | Path, *, create: bool = False) -> BlobStore:
    """Open the blob store at a path or URL.

    Args:
        place: a directory, or a URL: `file:` is a directory too, `nats:` and `tls:` an object
            store of JetStream, and fsspec opens any other.
        create: make the directory if it does not exist.

    Raises:
        BlobUnusable: it can't be opened.
    """
    if not _is_remote(place):
        return DirectoryBlobs(_path_of(place), create=create)
    try:
        if is_nats_url(place):
            from .nats_store import NatsBlobs  # noqa: PLC0415 - only this needs the extra

            return NatsBlobs(str(place), create=create)
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
    """A manager's own directory, which is removed when it is closed, unless it is to stay.

    Args:
        path: the directory; None for a new temporary one.

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

            # The lock is released when the process dies, so it tells whether the directory is used.
            self._held.enter_context(FileLock(path / _LOCK, timeout=0, thread_local=False))
        except OSError as fault:
            raise BlobUnusable(
                f"no directory for blobs can be made: {fault}; pass one as `blobs`"
            ) from None
        self._blobs = DirectoryBlobs(path, create=True)

    @property
    def url(self) -> str:
        """The directory as a `file:` URL."""
        return self._blobs.url

    def write(self, name: str, content: bytes) -> None:
        """Write a blob."""
        self._blobs.write(name, content)

    def read(self, name: str) -> bytes:
        """Read a blob."""
        return self._blobs.read(name)

    def delete(self, name: str) -> None:
        """Delete a blob."""
        self._blobs.delete(name)

    def sweep(self, older_than_s: float, spared: Collection[str] = ()) -> int:
        """Delete blobs that have not been written for some time."""
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
    """Remove this user's directories of managers that have crashed."""
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
