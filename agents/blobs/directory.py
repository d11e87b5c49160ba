"""Blobs in a directory, which several processes share: each is a file."""

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
# A name is never looked up through a link, and a pipe that somebody put there is not waited for.
_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class DirectoryBlobs:
    """Keeps blobs as files of a directory; see `BlobStore`.

    Args:
        directory: the directory.
        create: make it, readable by this user alone, if it is not there.

    Raises:
        BlobUnusable: it is not there, or is none, or can't be made.
    """

    def __init__(self, directory: str | Path, *, create: bool = False) -> None:
        self.directory = Path(os.path.abspath(directory))
        self._create = create
        try:
            if create:
                self.directory.mkdir(mode=_ONLY_FOR_US, parents=True, exist_ok=True)
            is_there = self.directory.is_dir()
        except OSError as fault:
            raise self._tell("can't be made", fault) from None
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
        """Keep a blob, or make it count as new if it is there."""
        check_blob_name(name)
        path = self.directory / name
        with self._telling("be written"):
            try:
                os.utime(path)
                return
            except FileNotFoundError:
                pass
            # On one file system, so that it appears at once and whole.
            if self._create:
                # Who cleans up temporary files may have taken it for forgotten.
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
        """Give what is kept under a name."""
        check_blob_name(name)
        with self._telling("be read"):
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
        """Keep a blob no longer."""
        check_blob_name(name)
        with self._telling("be deleted from"):
            (self.directory / name).unlink(missing_ok=True)

    def sweep(self, older_than_s: float, spared: Collection[str] = ()) -> int:
        """Delete what nobody has written for so long."""
        latest = time.time() - older_than_s
        swept = 0
        with self._telling("be swept"), os.scandir(self.directory) as entries:
            for entry in entries:
                is_blob = is_blob_name(entry.name)
                if entry.name in spared or not (is_blob or entry.name.endswith(_UNFINISHED)):
                    continue
                # Others may delete at the same time.
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime <= latest:
                        os.unlink(entry.path)
                        swept += is_blob
        return swept

    def close(self) -> None:
        """Let go of it."""

    @contextlib.contextmanager
    def _telling(self, doing: str) -> Generator[None]:
        try:
            yield
        except OSError as fault:
            raise self._tell(f"can't {doing}", fault) from None

    def _tell(self, what: str, fault: OSError) -> BlobUnusable:
        return BlobUnusable(
            f"the directory {str(self.directory)!r} for blobs {what}: "
            f"{fault.strerror or fault}; see that it is there, and has room"
        )


def _write_all(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
