"""A state file on disk: whole at every instant, read only when it has changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
import weakref
from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...messages import StoreBusy, StoreCorrupt, StoreUnusable, TaskStatus
from ..runtime.lock_file import try_to_lock, unlock
from ..runtime.log import log
from .document import NotAStateDocument, StateDocument, begin
from .lock import StateFileLock
from .rewrite import (
    READ_FLAGS,
    copy_into,
    is_half_copied,
    keep_copy,
    make_new,
    put_in_place,
    sync_folder,
)
from .rewrite import write_all as _write_all
from .table import Entry, StatusCounts
from .timestamps import to_timestamp

MAX_STATE_FILE_BYTES = 256 * 2**20
"""How large a state file may be; what is larger belongs into a SQLite file."""

# Windows does not let a file be replaced that anybody has open.
_MAY_BE_REPLACED_WHILE_OPEN = os.name != "nt"

_LOOK_EVERY_S = 0.002
"""How often a file that is locked is tried again; it is locked for milliseconds."""

_LOGGED_TASKS = 20
"""How many tasks that can't be read are named in the log at once."""


class _Version(NamedTuple):
    """Tells one version of the file from another, as long as the former is kept open."""

    device: int
    inode: int
    modified_ns: int
    size: int


class _Unfit(Exception):
    """What was read is no state document; perhaps another is just writing it."""

    def __init__(self, reason: str, content: bytes) -> None:
        self.reason = reason
        self.content = content
        super().__init__(reason)


class StateFile:
    """The tasks in a JSON state file, shared with other threads, processes and programs.

    A change goes into a new file beside it, which then takes its place: whoever reads sees the
    former version or the next, never half of one, and whoever dies leaves one of the two. What was
    read or written stays in memory, and is read again only when another has changed the file.
    The file keeps its owner and mode. A task that can't be read is set aside, as it stands.

    Args:
        path: the file, which is made if it isn't there, with its folder.
        lock_timeout_s: how long to wait for other threads and processes, in seconds.
        survives_power_loss: whether each change waits for the disk.
        clock: tells the time in seconds since 1970.

    Raises:
        StoreBusy: another process did not make way in time.
        StoreCorrupt: it is not a state file; it is left as it was, and a copy is kept.
        StoreUnusable: it can't be read or made.
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
        # Two ways to one file must not lead to two locks.
        self._path = Path(os.path.realpath(path))
        self._next = Path(f"{self._path}.new")
        self._survives_power_loss = survives_power_loss
        self._clock = clock
        self._lock = StateFileLock(self._path, lock_timeout_s)
        self._known: StateDocument | None = None
        self._version: _Version | None = None
        self._descriptor: int | None = None
        self._let_go: Callable[[], object] = _do_nothing
        self._is_version_locked = False
        self._process = os.getpid()
        self._is_changed = False
        self._logged: dict[str, str] = {}
        if not self._is_there():
            self._begin()
        with self.reading():
            pass

    def close(self) -> None:
        """Give back what is open; it opens again when needed."""
        with self._lock.among_threads():
            self._forget()

    # ------------------------------------------------------------------ one at a time

    @contextlib.contextmanager
    def changing(self) -> Generator[float]:
        """Keep all others from changing anything, and write what was changed at the end."""
        with (
            self._lock.among_threads() as patience_s,
            self._lock.among_processes(patience_s),
            self._forgetting_on_failure(),
        ):
            self._refresh_under_lock()
            self._lock_version(patience_s)
            self._is_changed = False
            at = self._clock()
            yield at
            if self._is_changed:
                document = self._document
                document.replace_metadata({**document.metadata(), "last_updated": to_timestamp(at)})
                self._write(document.encode())
            self._unlock_version()

    def _lock_version(self, patience_s: float) -> None:
        """Lock the file itself too, against those who got in since the lock's file was removed."""
        deadline = time.monotonic() + patience_s
        while self._descriptor is not None:
            while not try_to_lock(self._descriptor):
                if time.monotonic() >= deadline:
                    raise self._lock.busy("another process")
                time.sleep(_LOOK_EVERY_S)
            self._is_version_locked = True
            if _version_of(self._path.stat()) == self._version:
                return
            self._refresh_under_lock()

    def _unlock_version(self) -> None:
        if self._is_version_locked and self._descriptor is not None:
            unlock(self._descriptor)
        self._is_version_locked = False

    @contextlib.contextmanager
    def reading(self) -> Generator[None]:
        """See everything as it was at one moment; waits for no other process."""
        with self._lock.among_threads() as patience_s, contextlib.ExitStack() as more:
            if not _MAY_BE_REPLACED_WHILE_OPEN:
                more.enter_context(self._lock.among_processes(patience_s))
            more.enter_context(self._forgetting_on_failure())
            if _MAY_BE_REPLACED_WHILE_OPEN:
                self._refresh_without_lock(patience_s)
            else:
                self._refresh_under_lock()
            yield

    @contextlib.contextmanager
    def _forgetting_on_failure(self) -> Generator[None]:
        try:
            yield
        except BaseException:
            # What is in memory may be half changed.
            self._forget()
            raise

    # ------------------------------------------------------------------ tasks

    @property
    def _document(self) -> StateDocument:
        assert self._known is not None
        return self._known

    def find(self, task_id: str) -> Entry | None:
        """A task, as a copy; None if there is none of this id.

        Raises:
            UnreadableTask: it can't be read.
        """
        return self._document.find(task_id)

    def add(self, task_id: str, entry: Entry) -> None:
        """Add a task of a new id."""
        self._is_changed = True
        self._document.add(task_id, entry)

    def replace(self, task_id: str, entry: Entry) -> None:
        """Put a changed task in its place."""
        self._is_changed = True
        self._document.replace(task_id, entry)

    def remove(self, task_ids: Collection[str]) -> None:
        """Take tasks out, for good."""
        self._is_changed = True
        self._document.remove(task_ids)

    def next_pending(self, task_types: Sequence[str] | None, now: float) -> str | None:
        """The id of the first pending task of these types, or None."""
        del now  # Nothing is scheduled here.
        return self._document.next_pending(task_types)

    def held_since_before(self, moment: float) -> list[str]:
        """The ids of the tasks in progress that were locked before a moment, in order."""
        return self._document.held_since_before(moment)

    def held_by(self, agent_id: str) -> list[str]:
        """The ids of the tasks in progress that an agent holds, in order."""
        return self._document.held_by(agent_id)

    def with_status(self, status: TaskStatus | None, limit: int | None) -> list[str]:
        """The ids of the first tasks of one status, or of all that can be read, in order."""
        return self._document.with_status(status, limit)

    def settled_before(self, moment: float, statuses: Collection[TaskStatus]) -> list[str]:
        """The ids of the tasks of some statuses that have been so since before a moment."""
        return self._document.settled_before(moment, statuses)

    def families(self) -> list[tuple[str, str]]:
        """The ids of all tasks that belong to another, each with that one's."""
        return self._document.families()

    def set_aside(self) -> dict[str, str]:
        """The tasks that can't be read: by their ids, why."""
        return self._document.set_aside()

    def children(self, parent_id: str) -> list[str]:
        """The ids of the tasks that belong to another, in order."""
        return self._document.children(parent_id)

    def tallies(self) -> StatusCounts:
        """How many tasks there are, by status and by type."""
        return self._document.tallies()

    def metadata(self) -> Entry:
        """What is noted of the whole, as a copy."""
        return self._document.metadata()

    def replace_metadata(self, metadata: Entry) -> None:
        """Note other things of the whole."""
        self._is_changed = True
        self._document.replace_metadata(metadata)

    # ------------------------------------------------------------------ reading

    def _is_there(self) -> bool:
        with self._telling("read"):
            try:
                found = self._path.stat()
                return found.st_size > 0 or not stat.S_ISREG(found.st_mode)
            except FileNotFoundError:
                return False

    def _begin(self) -> None:
        with self._telling("made"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._lock.among_threads() as patience_s,
            self._lock.among_processes(patience_s),
        ):
            if not self._is_there():
                self._write(begin(to_timestamp(self._clock())), is_first=not self._path.exists())

    def _refresh_without_lock(self, patience_s: float) -> None:
        try:
            self._refresh()
        except _Unfit as unfit:
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(self._lock.among_processes(patience_s))
                except StoreBusy:
                    # Whoever writes it has not finished, and may well do so.
                    raise
                except StoreUnusable:
                    # Where nothing can be locked, nothing can be written either.
                    raise self._corrupt(unfit) from None
                self._refresh_under_lock()

    def _refresh_under_lock(self) -> None:
        try:
            self._refresh()
        except _Unfit as unfit:
            if not is_half_copied(unfit.content):
                raise self._corrupt(unfit) from None
            self._finish_copy(unfit)
            try:
                self._refresh()
            except _Unfit as still_unfit:
                raise self._corrupt(still_unfit) from None

    def _refresh(self) -> None:
        if self._process != os.getpid():
            # What was opened before this process was forked from another is the other's to lock.
            self._process = os.getpid()
            self._forget_version()
        with self._telling("read"):
            try:
                if self._known is not None and _version_of(self._path.stat()) == self._version:
                    return
                descriptor = os.open(self._path, READ_FLAGS)
            except FileNotFoundError:
                raise StoreUnusable(
                    f"the state file {str(self._path)!r} is gone; put it back, or begin a new one "
                    "with a new StateFileTaskManager"
                ) from None
            try:
                found = os.fstat(descriptor)
                self._check(found)
                content = _read(descriptor, found.st_size)
                is_whole = _version_of(os.fstat(descriptor)) == _version_of(found)
            except BaseException:
                os.close(descriptor)
                raise
        self._keep_open(descriptor, found)
        if is_half_copied(content):
            self._forget()
            raise _Unfit("it is being written, or its writer was killed", content)
        try:
            if self._known is None:
                self._known = StateDocument(content)
            else:
                self._known.refresh(content)
        except NotAStateDocument as fault:
            self._forget()
            raise _Unfit(str(fault), content) from None
        if not is_whole:
            self._forget()
            raise _Unfit("it was changed while it was read", content)
        self._log_unreadable()

    def _log_unreadable(self) -> None:
        set_aside = self._document.set_aside()
        new = [each for each in set_aside.items() if self._logged.get(each[0]) != each[1]]
        self._logged = set_aside
        for task_id, fault in new[:_LOGGED_TASKS]:
            log.warning(
                "a task can't be read; it stays as it is, and all others go on",
                file=str(self._path),
                task=task_id,
                reason=fault,
            )
        if len(new) > _LOGGED_TASKS:
            log.warning(
                "more tasks can't be read", file=str(self._path), count=len(new) - _LOGGED_TASKS
            )

    def _finish_copy(self, unfit: _Unfit) -> None:
        """Do what one that was killed had begun: its new version is still there, and whole."""
        try:
            content = self._next.read_bytes()
            StateDocument(content)
        except (OSError, NotAStateDocument):
            raise self._corrupt(unfit) from None
        with self._telling("written"):
            copy_into(self._path, content, syncs=self._survives_power_loss)
            self._next.unlink(missing_ok=True)

    def _check(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "not a file"
            raise StoreUnusable(f"the state file {str(self._path)!r} is {what}; name a file")
        if found.st_size > MAX_STATE_FILE_BYTES:
            raise StoreUnusable(
                f"the state file {str(self._path)!r} has {found.st_size:,} bytes, and may have "
                f"{MAX_STATE_FILE_BYTES:,}; keep so many tasks in a SQLite file: "
                "state_file='sqlite:///NAME.db'"
            )

    def _corrupt(self, unfit: _Unfit) -> StoreCorrupt:
        digest = hashlib.sha256(unfit.content).hexdigest()[:8]
        kept: str | None = None
        try:
            # Whoever else finds it corrupt keeps the same copy.
            kept = str(keep_copy(self._path, digest, unfit.content))
            told = f"a copy is kept as {kept!r}"
        except OSError as fault:
            told = f"no copy could be kept: {fault.strerror}"
        return StoreCorrupt(
            f"{str(self._path)!r} is not a state file that can be used: {unfit.reason}; it is left "
            f"as it was, and {told}; mend it, put back an older copy, or name another file",
            kept,
        )

    # ------------------------------------------------------------------ writing

    def _write(self, parts: tuple[bytes, ...], *, is_first: bool = False) -> None:
        size = sum(map(len, parts))
        if size > MAX_STATE_FILE_BYTES:
            raise StoreUnusable(
                f"the state file {str(self._path)!r} would have {size:,} bytes, and may "
                f"have {MAX_STATE_FILE_BYTES:,}; keep so many tasks in a SQLite file: "
                "state_file='sqlite:///NAME.db'"
            )
        is_copied_half = False
        descriptor: int | None = None
        with self._telling("written"):
            try:
                descriptor, is_same_owner = make_new(self._next, self._path)
                for part in parts:
                    _write_all(descriptor, part)
                if self._survives_power_loss:
                    os.fsync(descriptor)
                found = os.fstat(descriptor)
                if not _MAY_BE_REPLACED_WHILE_OPEN or not is_same_owner:
                    os.close(descriptor)
                    descriptor = None
                self._lock.check()
                if is_same_owner:
                    put_in_place(self._next, self._path, is_first=is_first)
                else:
                    if self._survives_power_loss:
                        sync_folder(self._path.parent)
                    is_copied_half = True
                    copy_into(self._path, b"".join(parts), syncs=self._survives_power_loss)
                    is_copied_half = False
                    self._next.unlink()
                if self._survives_power_loss:
                    sync_folder(self._path.parent)
                # Only now is the former version unlocked.
                self._forget_version()
                if descriptor is not None and not is_first:
                    self._keep_open(descriptor, found)
                    descriptor = None
            except BaseException:
                if not is_copied_half:
                    with contextlib.suppress(OSError):
                        self._next.unlink(missing_ok=True)
                raise
            finally:
                if descriptor is not None:
                    os.close(descriptor)

    # ------------------------------------------------------------------ what is known

    def _keep_open(self, descriptor: int, found: os.stat_result) -> None:
        """Keep a version of the file open, so that no later one gets its inode."""
        self._forget_version()
        if _MAY_BE_REPLACED_WHILE_OPEN:
            self._version = _version_of(found)
            self._descriptor = descriptor
            self._let_go = weakref.finalize(self, os.close, descriptor)
        else:
            os.close(descriptor)

    def _forget(self) -> None:
        self._known = None
        self._forget_version()

    def _forget_version(self) -> None:
        self._unlock_version()
        self._descriptor = None
        self._version = None
        self._let_go()
        self._let_go = _do_nothing

    @contextlib.contextmanager
    def _telling(self, doing: str) -> Generator[None]:
        try:
            yield
        except OSError as fault:
            raise StoreUnusable(
                f"the state file {str(self._path)!r} can't be {doing}: {fault.strerror}; see "
                "whether you may read and write there and the disk has room; what was kept before "
                "is still there"
            ) from None


def _version_of(found: os.stat_result) -> _Version:
    return _Version(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _read(descriptor: int, size: int) -> bytes:
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        # One more, to see whether it grows while it is read: then it is not whole anyway.
        return file.read(size + 1) or b""


def _do_nothing() -> None:
    pass
