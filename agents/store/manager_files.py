"""Names the managers of a SQLite store in small files beside it.

Each manager locks its file while it runs. So the file of one that died is recognized, and removed
by whoever reads it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

from ..runtime.lock_file import try_to_lock
from ..runtime.private_file import replace_file, write_private
from .file_lock import find_holder
from .managers import ManagerEntry, in_order

_MAX_BYTES = 10_000
_REQUEST = "handover"

_OPEN: set[int] = set()
"""The descriptors that lock the files of this process."""


class ManagerFiles:
    """The managers of one SQLite store.

    Args:
        store: the store's file, which need not exist yet.
    """

    def __init__(self, store: Path) -> None:
        self._store = Path(os.path.realpath(store))
        self._folder = Path(f"{self._store}.managers")
        self._file = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}.json"
        self._descriptor: int | None = None

    def announce(self, entry: ManagerEntry) -> None:
        """Name this manager; see `ManagerList`.

        Raises:
            OSError: its file can't be written.
        """
        # Under a name that nobody reads, until it is complete and locked.
        draft = self._folder / f".{self._file.name}"
        content = json.dumps(entry.to_payload()).encode()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        try:
            write_private(draft, content)
        except FileNotFoundError:
            # The last other manager has removed the folder meanwhile.
            self._folder.mkdir(mode=0o700, exist_ok=True)
            write_private(draft, content)
        descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
        _OPEN.add(descriptor)
        try_to_lock(descriptor)
        os.replace(draft, self._file)
        self._unlock()
        self._descriptor = descriptor

    def withdraw(self) -> None:
        """Name this manager no more."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            self._file.unlink()
        self._unlock()
        with contextlib.suppress(OSError):
            # It is empty now if this was the last one.
            self._folder.rmdir()

    def read(self) -> list[ManagerEntry]:
        """The managers that live; see `ManagerList`."""
        found = [entry for file in self._files() if (entry := _read(file)) is not None]
        holder = find_holder(self._store)
        # A manager that has just died, or has just lost the store, may still be named.
        found = [
            each for each in found if not each.leads or (holder.held and each.pid == holder.pid)
        ]
        if holder.held and not any(each.leads for each in found):
            found = [each for each in found if each.pid != holder.pid]
            found.append(ManagerEntry("", holder.pid, leads=True))
        return in_order(found)

    def is_led(self) -> bool:
        """Whether a manager has the store."""
        return find_holder(self._store).held is True

    def request_handover(self, leader: ManagerEntry) -> None:
        """Ask one manager to hand the run over; see `ManagerList`.

        Raises:
            OSError: the request can't be written.
        """
        replace_file(self._folder / _REQUEST, json.dumps(leader.to_payload()).encode())

    def find_handover_request(self) -> ManagerEntry | None:
        """The manager that is asked to hand the run over, if one is."""
        try:
            with (self._folder / _REQUEST).open("rb") as file:
                return _parse(file.read(_MAX_BYTES))
        except OSError:
            return None

    def forget_handover_request(self) -> None:
        """Take the request back, if there is one."""
        with contextlib.suppress(OSError):
            (self._folder / _REQUEST).unlink()

    def _files(self) -> list[Path]:
        try:
            return [each for each in self._folder.iterdir() if each.name[0] != "."]
        except OSError:
            return []

    def _unlock(self) -> None:
        if self._descriptor is not None:
            if self._descriptor in _OPEN:
                _OPEN.remove(self._descriptor)
                os.close(self._descriptor)
            self._descriptor = None


def _read(file: Path) -> ManagerEntry | None:
    """Read the file of a manager, and remove it if the manager has died."""
    if file.suffix != ".json":
        return None
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if descriptor not in _OPEN and try_to_lock(descriptor, is_shared=True):
            if os.name == "nt":
                # There are no such locks, so it is not known whether the manager has died.
                return _parse(os.read(descriptor, _MAX_BYTES))
            file.unlink()
            return None
        return _parse(os.read(descriptor, _MAX_BYTES))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _parse(content: bytes) -> ManagerEntry | None:
    try:
        return ManagerEntry.from_payload(json.loads(content))
    except (ValueError, RecursionError):
        return None


def _forget_all() -> None:
    # The parent process is the manager; a child must not hold its lock longer.
    for descriptor in _OPEN:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _OPEN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
