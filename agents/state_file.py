"""A state file on disk: whole at every instant, read only when it has changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import weakref
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..messages import StoreCorrupt, StoreUnusable
from .state_document import NotAStateDocument, StateDocument, begin
from .state_file_lock import StateFileLock
from .task_table import Entry, Tallies
from .timestamps import to_timestamp

MAX_STATE_FILE_BYTES = 256 * 2**20
"""How large a state file may be; what is larger belongs into a SQLite file."""

# Windows does not let a file be replaced that anybody has open.
_MAY_BE_REPLACED_WHILE_OPEN = os.name != "nt"

# Not every system has these: who opens a pipe would wait, and lines would end otherwise.
_READS_AT_ONCE: int = getattr(os, "O_NONBLOCK", 0)
_IN_BYTES: int = getattr(os, "O_BINARY", 0)


class _Version(NamedTuple):
    """Tells one version of the file from another, as long as the former is kept open."""

    device: int
    inode: int
    modified_ns: int
    size: int


class StateFile:
    """The tasks in a JSON state file, shared with other threads, processes and programs.

    A change goes into a new file beside it, which then takes its place: whoever reads sees the
    former version or the next, never half of one, and whoever dies leaves one of the two. What was
    read or written stays in memory, and is read again only when another has changed the file.

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
        self._let_go: Callable[[], object] = _do_nothing
        self._is_changed = False
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
            self._refresh()
            self._is_changed = False
            at = self._clock()
            yield at
            if self._is_changed:
                document = self._document
                document.replace_metadata({**document.metadata(), "last_updated": to_timestamp(at)})
                self._write(document.encode())

    @contextlib.contextmanager
    def reading(self) -> Generator[None]:
        """See everything as it was at one moment; waits for no other process."""
        with self._lock.among_threads() as patience_s, contextlib.ExitStack() as more:
            if not _MAY_BE_REPLACED_WHILE_OPEN:
                more.enter_context(self._lock.among_processes(patience_s))
            more.enter_context(self._forgetting_on_failure())
            self._refresh()
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
        """A task, as a copy; None if there is none of this id."""
        return self._document.find(task_id)

    def add(self, task_id: str, entry: Entry) -> None:
        """Add a task of a new id."""
        self._is_changed = True
        self._document.add(task_id, entry)

    def replace(self, task_id: str, entry: Entry) -> None:
        """Put a changed task in its place."""
        self._is_changed = True
        self._document.replace(task_id, entry)

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

    def children(self, parent_id: str) -> list[str]:
        """The ids of the tasks that belong to another, in order."""
        return self._document.children(parent_id)

    def tallies(self) -> Tallies:
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
                self._write(begin(to_timestamp(self._clock())))

    def _refresh(self) -> None:
        with self._telling("read"):
            try:
                if self._known is not None and _version_of(self._path.stat()) == self._version:
                    return
                descriptor = os.open(self._path, os.O_RDONLY | _READS_AT_ONCE | _IN_BYTES)
            except FileNotFoundError:
                raise StoreUnusable(
                    f"the state file {str(self._path)!r} is gone; put it back, or begin a new one "
                    "with a new StateFileTaskManager"
                ) from None
            try:
                found = os.fstat(descriptor)
                self._check(found)
                content = _read(descriptor, found.st_size)
            except BaseException:
                os.close(descriptor)
                raise
        self._keep_open(descriptor, found)
        try:
            if self._known is None:
                self._known = StateDocument(content)
            else:
                self._known.refresh(content)
        except NotAStateDocument as fault:
            raise self._corrupt(str(fault), content) from None

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

    def _corrupt(self, reason: str, content: bytes) -> StoreCorrupt:
        digest = hashlib.sha256(content).hexdigest()[:8]
        copy = Path(f"{self._path}.corrupt-{digest}")
        kept: str | None = str(copy)
        try:
            # Whoever else finds it corrupt keeps the same copy.
            if not copy.exists() or copy.stat().st_size != len(content):
                copy.write_bytes(content)
            told = f"a copy is kept as {str(copy)!r}"
        except OSError as fault:
            kept = None
            told = f"no copy could be kept: {fault.strerror}"
        return StoreCorrupt(
            f"{str(self._path)!r} is not a state file that can be used: {reason}; it is left as it "
            f"was, and {told}; mend it, put back an older copy, or name another file",
            kept,
        )

    # ------------------------------------------------------------------ writing

    def _write(self, parts: tuple[bytes, ...]) -> None:
        size = sum(map(len, parts))
        if size > MAX_STATE_FILE_BYTES:
            raise StoreUnusable(
                f"the state file {str(self._path)!r} would have {size:,} bytes, and may "
                f"have {MAX_STATE_FILE_BYTES:,}; keep so many tasks in a SQLite file: "
                "state_file='sqlite:///NAME.db'"
            )
        with self._telling("written"):
            try:
                # Only the holder of the lock gets here, so what is left of a dead one may go.
                self._next.unlink(missing_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _IN_BYTES
                descriptor = os.open(self._next, flags, 0o666)
                try:
                    self._keep_mode(descriptor)
                    with open(descriptor, "wb", buffering=0, closefd=False) as file:
                        for part in parts:
                            _write_all(file.write, part)
                    if self._survives_power_loss:
                        os.fsync(descriptor)
                    found = os.fstat(descriptor)
                except BaseException:
                    os.close(descriptor)
                    raise
                self._keep_open(descriptor, found)
                self._next.replace(self._path)
                if self._survives_power_loss:
                    _sync_folder(self._path.parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._next.unlink(missing_ok=True)
                raise

    def _keep_mode(self, descriptor: int) -> None:
        # Whoever could read the file before can still do so, and nobody else.
        with contextlib.suppress(FileNotFoundError, AttributeError):
            os.fchmod(descriptor, stat.S_IMODE(self._path.stat().st_mode))

    # ------------------------------------------------------------------ what is known

    def _keep_open(self, descriptor: int, found: os.stat_result) -> None:
        """Keep a version of the file open, so that no later one gets its inode."""
        self._let_go()
        self._let_go = _do_nothing
        if _MAY_BE_REPLACED_WHILE_OPEN:
            self._version = _version_of(found)
            self._let_go = weakref.finalize(self, os.close, descriptor)
        else:
            self._version = None
            os.close(descriptor)

    def _forget(self) -> None:
        self._known = None
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


def _write_all(write: Callable[[memoryview], int | None], content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[write(rest) or 0 :]


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _do_nothing() -> None:
    pass
