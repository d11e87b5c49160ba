"""A file that is being downloaded, until it is whole: only then does it get its name.

Beside the destination there are meanwhile `FILE.part`, what has come so far; `FILE.part.json`,
which says of what, so that a later download can go on; and `FILE.part.lock`. Where such a name
would be too long for the file system, the end of FILE gives way to a checksum of it.
"""

from __future__ import annotations

import contextlib
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
    """What there is of a download; it belongs to one download at a time.

    Args:
        destination: where the whole file is to be.

    Raises:
        InvalidInput: another download to this destination is under way, or nothing can be
            written there.
    """

    def __init__(self, destination: Path) -> None:
        shown = str(destination)
        try:
            # As an editor would: who has a link there wants the file behind it to change.
            destination = destination.resolve()
            destination.parent.mkdir(parents=True, exist_ok=True)
            is_folder = destination.is_dir()
            longest = os.pathconf(destination.parent, "PC_NAME_MAX") if os.name == "posix" else 255
        except (OSError, RuntimeError, ValueError) as fault:
            # A ValueError tells of characters that no name can have.
            why = getattr(fault, "strerror", None) or str(fault)
            raise InvalidInput(f"nothing can be written to {shown!r}: {why}") from None
        if is_folder:
            raise InvalidInput(f"destination is {shown!r}, which is a folder; add the file's name")
        self._destination = destination
        name = _beside(destination.name, longest)
        self._part = destination.with_name(f"{name}.part")
        self._note = destination.with_name(f"{name}.part.json")
        self._lock = destination.with_name(f"{name}.part.lock")
        self._held = contextlib.ExitStack()
        try:
            self._held.enter_context(FileLock(self._lock, timeout=0, thread_local=False))
        except Timeout:
            raise InvalidInput(
                f"another download to {shown!r} is under way; wait for it, or choose "
                "another destination"
            ) from None
        except OSError as fault:
            raise InvalidInput(f"nothing can be written to {shown!r}: {fault.strerror}") from None
        self._file: BinaryIO | None = None
        self._sha256 = hashlib.sha256()
        self.size = 0
        self.validator: str | None = None
        self.whole_size: int | None = None

    @property
    def name(self) -> str:
        """The name of the whole file."""
        return self._destination.name

    @property
    def sha256(self) -> str:
        """The checksum of what has come so far, in hexadecimal digits."""
        return self._sha256.hexdigest()

    def take_up(self, url: str) -> None:
        """Go on with what an earlier download of the same address left, if there is any.

        Args:
            url: what is downloaded.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(self._note.read_text(encoding="utf-8"))
            if note["url_sha256"] != _sum_up(url) or not isinstance(note["validator"], str):
                return
            file = self._part.open("r+b")
            self._file = file
            while chunk := file.read(_READ_BYTES):
                self._sha256.update(chunk)
                self.size += len(chunk)
            self.validator = note["validator"]
            whole_size = note.get("whole_size")
            self.whole_size = whole_size if isinstance(whole_size, int) else None

    def begin(self, url: str, validator: str | None, whole_size: int | None = None) -> None:
        """Begin with an empty file.

        Args:
            url: what is downloaded.
            validator: what tells this version from others; None if nothing does, and so nobody
                can go on with it later.
            whole_size: how many bytes the whole file has; None if that is not known.
        """
        # In this order: a note never stands beside what it does not speak of.
        self._note.unlink(missing_ok=True)
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
            note = json.dumps(
                {
                    "url_sha256": _sum_up(url),
                    "validator": validator,
                    "whole_size": whole_size,
                }
            )
            self._note.write_text(note, encoding="utf-8")

    def write(self, chunk: bytes) -> None:
        """Add what came."""
        assert self._file is not None
        self._file.write(chunk)
        self._sha256.update(chunk)
        self.size += len(chunk)

    def sync(self) -> None:
        """Wait until the disk has all of it."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())

    def publish(self) -> None:
        """Give it its name, in place of whatever had it; all at once."""
        self._close()
        self._part.replace(self._destination)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Leave nothing of it."""
        self._close()
        self._note.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)

    def release(self) -> None:
        """Let another download have it; what is there stays."""
        self._close()
        # Still under the lock: whoever waits for it notices, and makes another.
        with contextlib.suppress(OSError):
            self._lock.unlink(missing_ok=True)
        self._held.close()

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            # What a full disk would not take is fetched again by whoever goes on.
            with contextlib.suppress(OSError):
                file.close()


def _beside(name: str, longest: int) -> str:
    """A name to which `.part.lock` can be added.

    Args:
        name: the whole file's.
        longest: how many bytes a name may have there.
    """
    encoded = os.fsencode(name)
    if len(encoded) + len(_LONGEST_ENDING) <= longest:
        return name
    checksum = hashlib.sha256(encoded).hexdigest()[:_CHECKSUM_CHARACTERS]
    kept = encoded[: longest - len(_LONGEST_ENDING) - len(checksum) - 1]
    # A character may have been cut in two.
    return f"{kept.decode(errors='ignore')}~{checksum}"


def _sum_up(url: str) -> str:
    # The address itself may hold a password.
    return hashlib.sha256(url.encode()).hexdigest()
