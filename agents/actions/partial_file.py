"""A file during its download, which gets its final name only when it is complete.

Until then, three files are next to the destination: `FILE.part` has the received bytes,
`FILE.part.json` identifies the download so that a later one can resume it, and `FILE.part.lock` is
the lock. If such a name is too long for the file system, a checksum replaces the end of FILE.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from ...messages import InvalidInput

_READ_BYTES = 1 << 20
_LONGEST_ENDING = ".part.json"
_CHECKSUM_CHARACTERS = 16


class PartialFile:
    """The received part of a file; only one download at a time may hold it.

    Args:
        destination: the path of the complete file.

    Raises:
        InvalidInput: another download to this destination is running, or the destination is not
            writable.
    """

    def __init__(self, destination: Path) -> None:
        shown = str(destination)
        try:
            # A symbolic link stays, and its target changes, as in an editor.
            destination = _resolve(destination)
            destination.parent.mkdir(parents=True, exist_ok=True)
            is_folder = destination.is_dir()
            longest = os.pathconf(destination.parent, "PC_NAME_MAX") if os.name == "posix" else 255
        except (OSError, RuntimeError, ValueError) as fault:
            # A ValueError occurs for characters that are invalid in a file name.
            why = getattr(fault, "strerror", None) or str(fault)
            raise InvalidInput(f"can't write to {shown!r}: {why}") from None
        if is_folder:
            raise InvalidInput(f"destination is {shown!r}, which is a folder; add a file name")
        self._destination = destination
        name = _base_name(destination.name, longest)
        self._part = destination.with_name(f"{name}.part")
        self._metadata = destination.with_name(f"{name}.part.json")
        self._lock = destination.with_name(f"{name}.part.lock")
        self._held = contextlib.ExitStack()
        try:
            self._held.enter_context(FileLock(self._lock, timeout=0, thread_local=False))
        except Timeout:
            raise InvalidInput(
                f"another download to {shown!r} is running; wait for it, or choose another "
                "destination"
            ) from None
        except OSError as fault:
            raise InvalidInput(f"can't write to {shown!r}: {fault.strerror}") from None
        self._file: BinaryIO | None = None
        self._sha256 = hashlib.sha256()
        self.size = 0
        self.validator: str | None = None
        self.whole_size: int | None = None

    @property
    def name(self) -> str:
        """The name of the complete file."""
        return self._destination.name

    @property
    def sha256(self) -> str:
        """The checksum of the received bytes, in hexadecimal digits."""
        return self._sha256.hexdigest()

    def resume(self, url: str) -> None:
        """Continue an earlier download of the same URL, if it left a part.

        Args:
            url: the URL of the download.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            metadata = json.loads(self._metadata.read_text(encoding="utf-8"))
            if metadata["url_sha256"] != _hash(url) or not isinstance(metadata["validator"], str):
                return
            file = self._part.open("r+b")
            self._file = file
            while chunk := file.read(_READ_BYTES):
                self._sha256.update(chunk)
                self.size += len(chunk)
            self.validator = metadata["validator"]
            whole_size = metadata.get("whole_size")
            self.whole_size = whole_size if isinstance(whole_size, int) else None

    def restart(self, url: str, validator: str | None, whole_size: int | None = None) -> None:
        """Start with an empty file.

        Args:
            url: the URL of the download.
            validator: the strong validator of this version; None if there is none, so that the
                download can't be resumed.
            whole_size: the size of the complete file in bytes; None if it is unknown.
        """
        # First, so that the metadata never describes another part.
        self._metadata.unlink(missing_ok=True)
        if self._file is None:
            self._file = self._part.open("w+b")
        else:
            self._file.seek(0)
            self._file.truncate()
        self._sha256 = hashlib.sha256()
        self.size = 0
        self.validator = validator
        self.whole_size = whole_size
        if validator is not None:
            metadata = json.dumps(
                {
                    "url_sha256": _hash(url),
                    "validator": validator,
                    "whole_size": whole_size,
                }
            )
            self._metadata.write_text(metadata, encoding="utf-8")

    def write(self, chunk: bytes) -> None:
        """Append received bytes."""
        assert self._file is not None
        self._file.write(chunk)
        self._sha256.update(chunk)
        self.size += len(chunk)

    def sync(self) -> None:
        """Flush the file to disk."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())

    def publish(self) -> None:
        """Rename the part to the destination, atomically; an existing file is replaced."""
        self._close()
        self._part.replace(self._destination)
        self._metadata.unlink(missing_ok=True)

    def discard(self) -> None:
        """Delete the part and its metadata."""
        self._close()
        self._metadata.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)

    def release(self) -> None:
        """Release the lock; the files stay."""
        self._close()
        # While the lock is still held: a process that waits for it creates a new file.
        with contextlib.suppress(OSError):
            self._lock.unlink(missing_ok=True)
        self._held.close()

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            # If the disk is full, the lost bytes are downloaded again when the download resumes.
            with contextlib.suppress(OSError):
                file.close()


def _resolve(destination: Path) -> Path:
    resolved = destination.resolve()
    if resolved.is_symlink():
        # From Python 3.13 on, links in a circle are resolved to one of them.
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return resolved


def _base_name(name: str, longest: int) -> str:
    """A name that is short enough for the suffixes such as `.part.lock`.

    Args:
        name: the name of the complete file.
        longest: the maximum length of a file name in bytes.
    """
    encoded = os.fsencode(name)
    if len(encoded) + len(_LONGEST_ENDING) <= longest:
        return name
    checksum = hashlib.sha256(encoded).hexdigest()[:_CHECKSUM_CHARACTERS]
    kept = encoded[: longest - len(_LONGEST_ENDING) - len(checksum) - 1]
    # The cut may have split a character.
    return f"{kept.decode(errors='ignore')}~{checksum}"


def _hash(url: str) -> str:
    # Not the URL itself, which may contain a password.
    return hashlib.sha256(url.encode()).hexdigest()
