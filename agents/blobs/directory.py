"""A blob store in a directory that several processes share: each blob is a file."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Collection, Generator
from pathlib import Path

from ...messages import BlobMissing, BlobUnusable
from ..kernel.security.blob_seal import check_blob_name, is_blob_name
from .store import MAX_BLOB_BYTES

_UNFINISHED = ".unfinished"
_ONLY_FOR_US = 0o700
_FILE_MODE = 0o600
# Do not follow links, and do not block on a named pipe that somebody has put there.
_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class DirectoryBlobs:
    """Stores blobs as files of a directory; see `BlobStore`.

    Args:
        directory: the directory.
        create: make it, readable by this user alone, if it does not exist.

    Raises:
        BlobUnusable: it does not exist, is no directory, or can't be made.
    """

    def __init__(self, directory: str | Path, *, create: bool = False) -> None:
        self.directory = Path(os.path.abspath(directory))
        self._create = create
        try:
            if create:
                self.directory.mkdir(mode=_ONLY_FOR_US, parents=True, exist_ok=True)
            is_there = self.directory.is_dir()
        except OSError as fault:
            raise self._unusable("can't be made", fault) from None
        if not is_there:
            raise BlobUnusable(
                f"there is no directory {str(self.directory)!r} for blobs here; "
                "name one that manager and worker can both write"
            )

    @property
    def url(self) -> str:
        """The directory as a `file:` URL."""
        return self.directory.as_uri()

    def write(self, name: str, content: bytes) -> None:
        """Write a blob, or update its time if it exists."""
        check_blob_name(name)
        path = self.directory / name
        with self._translating_errors("be written"):
            try:
                os.utime(path)
                return
            except FileNotFoundError:
                pass
            # In the same directory, so that renaming it is atomic.
            if self._create:
                # A cleaner of temporary files may have removed it.
                self.directory.mkdir(mode=_ONLY_FOR_US, parents=True, exist_ok=True)
            unfinished = self.directory / f"{name}.{secrets.token_hex(8)}{_UNFINISHED}"
            try:
                file = os.open(unfinished, _WRITE_FLAGS, _FILE_MODE)
                with open(file, "wb", buffering=0) as stream:
                    _write_all(stream.fileno(), content)
                os.replace(unfinished, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    unfinished.unlink()
                raise

    def read(self, name: str) -> bytes:
        """Read a blob."""
        check_blob_name(name)
        with self._translating_errors("be read"):
            try:
                file = os.open(self.directory / name, _READ_FLAGS)
            except FileNotFoundError:
                raise BlobMissing(
                    f"the blob {name[:12]}… is not in {str(self.directory)!r}; it was deleted, or "
                    "this is another machine's directory"
                ) from None
            with open(file, "rb", buffering=0) as stream:
                status = os.fstat(file)
                if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BLOB_BYTES:
                    raise BlobUnusable(
                        f"the blob {name[:12]}… in {str(self.directory)!r} is no file of at most "
                        f"{MAX_BLOB_BYTES:,} bytes"
                    )
                return stream.readall()

    def delete(self, name: str) -> None:
        """Delete a blob."""
        check_blob_name(name)
        with self._translating_errors("be deleted from"):
            (self.directory / name).unlink(missing_ok=True)

    def sweep(self, older_than_s: float, spared: Collection[str] = ()) -> int:
        """Delete blobs that have not been written for some time."""
        latest = time.time() - older_than_s
        swept = 0
        with self._translating_errors("be swept"), os.scandir(self.directory) as entries:
            for entry in entries:
                is_blob = is_blob_name(entry.name)
                if entry.name in spared or not (is_blob or entry.name.endswith(_UNFINISHED)):
                    continue
                # Other processes may delete at the same time.
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime <= latest:
                        os.unlink(entry.path)
                        swept += is_blob
        return swept

    def close(self) -> None:
        """Close the store; there is nothing to do."""

    @contextlib.contextmanager
    def _translating_errors(self, doing: str) -> Generator[None]:
        try:
            yield
        except OSError as fault:
            raise self._unusable(f"can't {doing}", fault) from None

    def _unusable(self, what: str, fault: OSError) -> BlobUnusable:
        return BlobUnusable(
            f"the directory {str(self.directory)!r} for blobs {what}: "
            f"{fault.strerror or fault}; check that it exists and has free space"
        )


def _write_all(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
