"""The JSON state file on disk: replaced atomically, and read only when it has changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Callable, Generator
from pathlib import Path

from ...messages import StoreBusy, StoreCorrupt, StoreUnusable
from ..runtime.log import log
from .document import StateDocument, encode_empty
from .json_text import InvalidStateDocument
from .json_values import to_timestamp
from .lock import POLL_S, StateFileLock
from .open_version import OpenVersion, version_of
from .rewrite import (
    READ_FLAGS,
    copy_into,
    is_half_copied,
    keep_copy,
    make_new,
    put_in_place,
    sync_folder,
    write_all,
)

MAX_STATE_FILE_BYTES = 256 * 2**20
"""The largest size of a state file; more tasks belong in a SQLite file."""

_LOGGED_TASKS = 20
"""How many unreadable tasks are logged by name at once."""


class _NotReadable(Exception):
    """The content is not a state document; another process may be writing it right now."""

    def __init__(self, reason: str, content: bytes) -> None:
        self.reason = reason
        self.content = content
        super().__init__(reason)


class StateFile:
    """The tasks in a JSON state file, shared with other threads, processes and programs.

    A change is written to a new file, which then replaces the old one. A reader sees the old
    version or the new one, and a killed process leaves one of the two. The content stays in memory
    and is read again only when another process has changed the file. The file keeps its owner and
    mode. A task that can't be read is set aside, unchanged.

    Args:
        path: the file; it is created if it does not exist, with its folder.
        lock_timeout_s: how long to wait for other threads and processes, in seconds.
        survives_power_loss: whether each change waits for the disk.
        clock: returns the time in seconds since 1970.

    Raises:
        StoreBusy: another process held the lock for longer than the timeout.
        StoreCorrupt: it is not a state file; it is left unchanged, and a copy is kept.
        StoreUnusable: it can't be read or created.
    """

    has_schedule = False

    def __init__(
        self,
        path: Path,
        lock_timeout_s: float,
        *,
        survives_power_loss: bool,
        clock: Callable[[], float],
    ) -> None:
        # Two paths to one file must not lead to two locks.
        self._path = Path(os.path.realpath(path))
        self._new_path = Path(f"{self._path}.new")
        self._survives_power_loss = survives_power_loss
        self._clock = clock
        self._lock = StateFileLock(self._path, lock_timeout_s)
        self._loaded: StateDocument | None = None
        self._version = OpenVersion(self._path)
        self._process = os.getpid()
        self._logged: dict[str, str] = {}
        if not self._exists():
            self._create()
        with self.reading():
            pass

    def close(self) -> None:
        """Close the file; it is opened again when needed."""
        with self._lock.among_threads():
            self._unload()

    @property
    def tasks(self) -> StateDocument:
        """The tasks, as they were last read."""
        assert self._loaded is not None
        return self._loaded

    # ------------------------------------------------------------------ transactions

    @contextlib.contextmanager
    def changing(self) -> Generator[float]:
        """Exclude all other writers, and write the changes at the end."""
        with (
            self._lock.among_threads() as timeout_s,
            self._lock.among_processes(timeout_s),
            self._unloading_on_failure(),
        ):
            self._refresh_under_lock()
            self._lock_version(timeout_s)
            document = self.tasks
            document.is_changed = False
            at = self._clock()
            yield at
            if document.is_changed:
                document.replace_metadata({**document.metadata(), "last_updated": to_timestamp(at)})
                self._write(document.encode())
            self._version.unlock()

    def _lock_version(self, timeout_s: float) -> None:
        """Lock the file itself too, against writers that locked a new lock file.

        There can be some if the lock file was removed.
        """
        deadline = time.monotonic() + timeout_s
        while self._version.is_open:
            if not self._version.lock(deadline - time.monotonic(), POLL_S):
                raise self._lock.busy("another process")
            if self._version.is_current():
                return
            self._refresh_under_lock()

    @contextlib.contextmanager
    def reading(self) -> Generator[None]:
        """Read a consistent snapshot; waits for no other process."""
        with self._lock.among_threads() as timeout_s, contextlib.ExitStack() as more:
            if not OpenVersion.replaceable_while_open:
                more.enter_context(self._lock.among_processes(timeout_s))
            more.enter_context(self._unloading_on_failure())
            if OpenVersion.replaceable_while_open:
                self._refresh_without_lock(timeout_s)
            else:
                self._refresh_under_lock()
            yield

    @contextlib.contextmanager
    def _unloading_on_failure(self) -> Generator[None]:
        try:
            yield
        except BaseException:
            # The document in memory may be half changed.
            self._unload()
            raise

    # ------------------------------------------------------------------ reading

    def _exists(self) -> bool:
        with self._raising_as("read"):
            try:
                found = self._path.stat()
                return found.st_size > 0 or not stat.S_ISREG(found.st_mode)
            except FileNotFoundError:
                return False

    def _create(self) -> None:
        with self._raising_as("created"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._lock.among_threads() as timeout_s,
            self._lock.among_processes(timeout_s),
        ):
            if not self._exists():
                self._write(
                    encode_empty(to_timestamp(self._clock())), is_first=not self._path.exists()
                )

    def _refresh_without_lock(self, timeout_s: float) -> None:
        try:
            self._refresh()
        except _NotReadable as unreadable:
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(self._lock.among_processes(timeout_s))
                except StoreBusy:
                    # Another process is still writing it, and may finish.
                    raise
                except StoreUnusable:
                    # If no lock can be created here, nobody can be writing either.
                    raise self._corrupt(unreadable) from None
                self._refresh_under_lock()

    def _refresh_under_lock(self) -> None:
        try:
            self._refresh()
        except _NotReadable as unreadable:
            if not is_half_copied(unreadable.content):
                raise self._corrupt(unreadable) from None
            self._finish_copy(unreadable)
            try:
                self._refresh()
            except _NotReadable as still_unreadable:
                raise self._corrupt(still_unreadable) from None

    def _refresh(self) -> None:
        if self._process != os.getpid():
            # This process was forked: the parent process owns the locks on what it opened.
            self._process = os.getpid()
            self._version.close()
        with self._raising_as("read"):
            try:
                if self._loaded is not None and self._version.is_current():
                    return
                descriptor = os.open(self._path, READ_FLAGS)
            except FileNotFoundError:
                raise StoreUnusable(
                    f"the state file {str(self._path)!r} no longer exists; put it back, or create "
                    "a new one with a new StateFileTaskManager"
                ) from None
            try:
                found = os.fstat(descriptor)
                self._check(found)
                content = _read(descriptor, found.st_size)
                is_whole = version_of(os.fstat(descriptor)) == version_of(found)
            except BaseException:
                os.close(descriptor)
                raise
        self._version.keep(descriptor, found)
        if is_half_copied(content):
            self._unload()
            raise _NotReadable("it is being written, or its writer was killed", content)
        try:
            if self._loaded is None:
                self._loaded = StateDocument(content)
            else:
                self._loaded.refresh(content)
        except InvalidStateDocument as fault:
            self._unload()
            raise _NotReadable(str(fault), content) from None
        if not is_whole:
            self._unload()
            raise _NotReadable("it changed while it was read", content)
        self._log_unreadable()

    def _log_unreadable(self) -> None:
        set_aside = self.tasks.set_aside()
        new = [each for each in set_aside.items() if self._logged.get(each[0]) != each[1]]
        self._logged = set_aside
        for task_id, fault in new[:_LOGGED_TASKS]:
            log.warning(
                "a task can't be read; it is left unchanged and set aside",
                file=str(self._path),
                task=task_id,
                reason=fault,
            )
        if len(new) > _LOGGED_TASKS:
            log.warning(
                "more tasks can't be read", file=str(self._path), count=len(new) - _LOGGED_TASKS
            )

    def _finish_copy(self, unreadable: _NotReadable) -> None:
        """Finish a copy whose process was killed: the complete new version still exists."""
        try:
            content = self._new_path.read_bytes()
            StateDocument(content)
        except (OSError, InvalidStateDocument):
            raise self._corrupt(unreadable) from None
        with self._raising_as("written"):
            copy_into(self._path, content, syncs=self._survives_power_loss)
            self._new_path.unlink(missing_ok=True)

    def _check(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "not a file"
            raise StoreUnusable(f"the state file {str(self._path)!r} is {what}; name a file")
        if found.st_size > MAX_STATE_FILE_BYTES:
            raise StoreUnusable(
                f"the state file {str(self._path)!r} has {found.st_size:,} bytes; the "
                f"limit is {MAX_STATE_FILE_BYTES:,}; keep this many tasks in a SQLite file: "
                "state_file='sqlite:///NAME.db'"
            )

    def _corrupt(self, unreadable: _NotReadable) -> StoreCorrupt:
        digest = hashlib.sha256(unreadable.content).hexdigest()[:8]
        kept: str | None = None
        try:
            # Other processes that find it corrupt use the same copy.
            kept = str(keep_copy(self._path, digest, unreadable.content))
            copy = f"a copy is kept as {kept!r}"
        except OSError as fault:
            copy = f"no copy could be made: {fault.strerror}"
        return StoreCorrupt(
            f"{str(self._path)!r} is not a valid state file: {unreadable.reason}; it is left "
            f"unchanged, and {copy}; repair it, restore an older copy, or name another file",
            kept,
        )

    # ------------------------------------------------------------------ writing

    def _write(self, parts: tuple[bytes, ...], *, is_first: bool = False) -> None:
        size = sum(map(len, parts))
        if size > MAX_STATE_FILE_BYTES:
            raise StoreUnusable(
                f"the state file {str(self._path)!r} would have {size:,} bytes; the "
                f"limit is {MAX_STATE_FILE_BYTES:,}; keep this many tasks in a SQLite file: "
                "state_file='sqlite:///NAME.db'"
            )
        is_copied_half = False
        descriptor: int | None = None
        with self._raising_as("written"):
            try:
                descriptor, is_same_owner = make_new(self._new_path, self._path)
                for part in parts:
                    write_all(descriptor, part)
                if self._survives_power_loss:
                    os.fsync(descriptor)
                found = os.fstat(descriptor)
                if not OpenVersion.replaceable_while_open or not is_same_owner:
                    os.close(descriptor)
                    descriptor = None
                self._lock.check()
                if is_same_owner:
                    put_in_place(self._new_path, self._path, is_first=is_first)
                else:
                    if self._survives_power_loss:
                        sync_folder(self._path.parent)
                    is_copied_half = True
                    copy_into(self._path, b"".join(parts), syncs=self._survives_power_loss)
                    is_copied_half = False
                    self._new_path.unlink()
                if self._survives_power_loss:
                    sync_folder(self._path.parent)
                # Only now is the old version unlocked.
                self._version.close()
                if descriptor is not None and not is_first:
                    self._version.keep(descriptor, found)
                    descriptor = None
            except BaseException:
                if not is_copied_half:
                    with contextlib.suppress(OSError):
                        self._new_path.unlink(missing_ok=True)
                raise
            finally:
                if descriptor is not None:
                    os.close(descriptor)

    def _unload(self) -> None:
        self._loaded = None
        self._version.close()

    @contextlib.contextmanager
    def _raising_as(self, failed: str) -> Generator[None]:
        try:
            yield
        except OSError as fault:
            raise StoreUnusable(
                f"the state file {str(self._path)!r} can't be {failed}: {fault.strerror}; check "
                "the permissions and the free space; the last version that was written is kept"
            ) from None


def _read(descriptor: int, size: int) -> bytes:
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        # One byte more, to detect a file that grows while it is read.
        return file.read(size + 1) or b""
