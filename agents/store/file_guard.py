"""Detects that files of an open store were deleted or replaced, and saves its rows.

SQLite continues to write to deleted files. They contain rows that were acknowledged, and can be
read while they are open, so the rows are saved in a new file before the store fails.
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
        connection: SQLite's connection, after its first write.
        is_lock_in_place: returns whether the store's lock still excludes other managers.
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
        self._wal = Path(f"{path}-wal")
        self._wal_size = 0
        self._loss: StoreLost | None = None

    def check_wal(self) -> None:
        """Check that the `-wal` was not truncated; call it before each write, which may extend it.

        Another program may empty it legitimately, by a checkpoint: then the store has its content.

        Raises:
            StoreLost: the last writes were lost with it, now or at an earlier check.
        """
        try:
            size = self._wal.stat().st_size
        except OSError:
            # It was deleted, which `check` reports.
            return
        if size < self._wal_size and self._loss is None and (fault := self._find_fault()):
            self._loss = StoreLost(
                f"the store {str(self._path)!r} is lost: {str(self._wal)!r} was truncated while it "
                f"was in use, which lost the last writes: {fault}; restore the store from a copy, "
                "or create a new one in another file"
            )
        self._wal_size = size
        if self._loss is not None:
            raise StoreLost(str(self._loss), self._loss.copy)

    def _find_fault(self) -> str | None:
        try:
            # Without the cached pages, which are still intact.
            self._connection.execute("PRAGMA shrink_memory")
            (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as fault:
            return str(fault)
        return None if found == "ok" else str(found)

    def check(self) -> None:
        """Check that all files still exist.

        Raises:
            StoreLost: a file was deleted or replaced, now or at an earlier check.
        """
        if self._loss is None:
            for file, file_id in self._files.items():
                if find_file_id(file) != file_id:
                    break
            else:
                if self._is_lock_in_place():
                    self.check_wal()
                    return
                file = Path(f"{self._path}.lock")
            self._loss = self._save_rows(file)
        raise StoreLost(str(self._loss), self._loss.copy)

    def _save_rows(self, lost: Path) -> StoreLost:
        how = "replaced" if os.path.lexists(lost) else "deleted"
        cause = f"the store {str(self._path)!r} is lost: {str(lost)!r} was {how} while in use"
        try:
            saved = self._save()
        except (OSError, sqlite3.Error) as fault:
            return StoreLost(
                f"{cause}; its rows could not be saved: {fault}; restore the store from a copy"
            )
        if saved == self._path:
            return StoreLost(
                f"{cause}; all rows are in the store's file; start the manager again, and keep "
                "other programs from its files",
                str(saved),
            )
        return StoreLost(
            f"{cause}; all rows are in {str(saved)!r}; to resume the run, rename that file to the "
            "store's name and start the manager again",
            str(saved),
        )

    def _save(self) -> Path:
        """Save the rows in a file that can be found, and return its path."""
        if find_file_id(self._path) == self._files[self._path]:
            # Only SQLite's files beside it were deleted; copy their content into the store itself.
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
        # Readable by its owner only, under an unused name, and never through a link.
        descriptor, name = tempfile.mkstemp(prefix=f"{self._path.name}.saved-", dir=folder)
        os.close(descriptor)
        copy = Path(name)
        try:
            with contextlib.closing(sqlite3.connect(copy)) as connection:
                self._connection.backup(connection)
            _sync(copy)
            if folder == self._path.parent and self._is_lock_in_place():
                # No other manager can have created another store here.
                return self._put_back(copy)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        return copy

    def _put_back(self, copy: Path) -> Path:
        if os.path.lexists(self._path):
            return copy
        for file in self._companions():
            # They belong to the deleted file; SQLite would use them for the new one.
            file.unlink(missing_ok=True)
        try:
            # Unlike a rename, this never replaces a file.
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
