"""Notices when a store's files are deleted or replaced while it is open, and saves what it holds.

SQLite goes on writing into files that nobody finds any more. What was acknowledged is in them, and
can be read as long as they are open: so it is put into a new file before the store is given up.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ...messages import StoreLost
from ..runtime.lock_file import FileId, find_file_id

_SUFFIXES = ("", "-wal", "-shm")


class StoreGuard:
    """Watches the files of an open store.

    Args:
        path: the store's file.
        connection: SQLite's, which has written to it or begun to.
        is_lock_in_place: whether the store's lock still keeps others away.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, is_lock_in_place: Callable[[], bool]
    ) -> None:
        self._path = path
        self._connection = connection
        self._is_lock_in_place = is_lock_in_place
        self._files: dict[Path, FileId] = {}
        for suffix in _SUFFIXES:
            file = Path(f"{path}{suffix}")
            file_id = find_file_id(file)
            if file_id is not None:
                self._files[file] = file_id
        self._log = Path(f"{path}-wal")
        self._log_size = 0
        self._loss: StoreLost | None = None

    def check_log(self) -> None:
        """See that nobody has cut off the end of the `-wal`; before each write, which may fill it.

        Another program may empty it in order, by a checkpoint: then all of it is in the store.

        Raises:
            StoreLost: what was written last is gone with it, now or at an earlier check.
        """
        try:
            size = self._log.stat().st_size
        except OSError:
            # It is gone, which `check` tells of.
            return
        if size < self._log_size and self._loss is None and (fault := self._find_fault()):
            self._loss = StoreLost(
                f"the store {str(self._path)!r} is lost: {str(self._log)!r} was cut off while it "
                f"was used, and what was written last with it: {fault}; restore it from a copy, "
                "or begin a new one in another file"
            )
        self._log_size = size
        if self._loss is not None:
            raise StoreLost(str(self._loss), self._loss.copy)

    def _find_fault(self) -> str | None:
        try:
            # Without what is in memory, where all still seems well.
            self._connection.execute("PRAGMA shrink_memory")
            (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as fault:
            return str(fault)
        return None if found == "ok" else str(found)

    def check(self) -> None:
        """See that all files are still there.

        Raises:
            StoreLost: one of them was deleted or replaced, now or at an earlier check.
        """
        if self._loss is None:
            for file, file_id in self._files.items():
                if find_file_id(file) != file_id:
                    break
            else:
                if self._is_lock_in_place():
                    self.check_log()
                    return
                file = Path(f"{self._path}.lock")
            self._loss = self._give_up(file)
        raise StoreLost(str(self._loss), self._loss.copy)

    def _give_up(self, lost: Path) -> StoreLost:
        how = "replaced" if os.path.lexists(lost) else "deleted"
        began = f"the store {str(self._path)!r} is lost: {str(lost)!r} was {how} while it was used"
        try:
            saved = self._save()
        except (OSError, sqlite3.Error) as fault:
            return StoreLost(
                f"{began}; what was kept could not be saved: {fault}; restore it from a copy"
            )
        if saved == self._path:
            return StoreLost(
                f"{began}; all that was kept is in the store's file; start the manager again, and "
                "let no other program touch its files",
                str(saved),
            )
        return StoreLost(
            f"{began}; all that was kept is in {str(saved)!r}; put that file in the store's place "
            "if the run is to go on, and start the manager again",
            str(saved),
        )

    def _save(self) -> Path:
        """Put what the store holds where it is found; where that is."""
        if find_file_id(self._path) == self._files[self._path]:
            # SQLite's own files beside it may be gone; what is in them goes into the store itself.
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            if not busy:
                return self._path
        fault: Exception | None = None
        for folder in (self._path.parent, Path(tempfile.gettempdir())):
            try:
                return self._copy_into(folder)
            except (OSError, sqlite3.Error) as found:
                fault = fault or found
        assert fault is not None
        raise fault

    def _copy_into(self, folder: Path) -> Path:
        # For its owner alone, under a name that nobody has, and never through a link.
        descriptor, name = tempfile.mkstemp(prefix=f"{self._path.name}.saved-", dir=folder)
        os.close(descriptor)
        copy = Path(name)
        try:
            with contextlib.closing(sqlite3.connect(copy)) as connection:
                self._connection.backup(connection)
            _sync(copy)
            if folder == self._path.parent and self._is_lock_in_place():
                # Nobody else can have begun another store here.
                return self._put_back(copy)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        return copy

    def _put_back(self, copy: Path) -> Path:
        if os.path.lexists(self._path):
            return copy
        for file in self._companions():
            # Of the file that is gone: SQLite would take them for those of the new one.
            file.unlink(missing_ok=True)
        try:
            # Unlike a rename this replaces nothing.
            os.link(copy, self._path)
        except OSError:
            return copy
        copy.unlink()
        return self._path

    def _companions(self) -> Iterator[Path]:
        for file, file_id in self._files.items():
            if file != self._path and find_file_id(file) == file_id:
                yield file


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
