"""Trace files: a thread writes them line by line during the run; and they are read again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ...messages import InvalidInput, InvalidTrace
from ..kernel.model.occurrences import Occurrence
from ..kernel.trace import MAX_ENTRIES, Entry, RunFacts, Trace, TraceLog
from ..runtime.log import log
from ..runtime.private_file import open_private
from .lines import MAX_LINE_CHARACTERS, VERSION, LineWriter, line_of_dropped, read_line

MAX_WAITING = 500_000
"""How many entries may wait for a slow disk; more are counted, and are missing in the file."""

WRITE_EVERY_S = 0.2
PAUSE_PER_WRITING = 40
"""After each write the thread pauses for this multiple of the CPU time that the write took, so that
it takes at most a fortieth of the run's time, unless too many entries wait.
"""

_BATCH = 2_000
_CLOSE_TIMEOUT_S = 10.0


class TraceFile:
    """Writes a trace; entries are passed to a thread, so that the run does not wait for the disk.

    If the file can't be written any more, a warning is logged, and the run continues without it.

    Args:
        path: the file; an existing one is replaced, a new one is readable by its owner only.
        max_waiting: how many entries may wait to be written.

    Raises:
        InvalidInput: it can't be written.
    """

    def __init__(self, path: str | Path, max_waiting: int = MAX_WAITING) -> None:
        self.path = Path(path)
        try:
            self._file = open(  # noqa: SIM115 - it stays open during the run
                self.path, "w", encoding="utf-8", opener=open_private
            )
        except OSError as fault:
            raise InvalidInput(
                f"the trace can't be written to {str(path)!r}: {fault.strerror}"
            ) from None
        self._max_waiting = max_waiting
        # Appending and removing are atomic in Python, so that no lock is needed.
        self._waiting: deque[Entry] = deque()
        self._dropped: Counter[str] = Counter()
        self._writer = LineWriter()
        self._is_closed = threading.Event()
        self._is_broken = False
        self._thread = threading.Thread(target=self._run, name="muster-trace", daemon=True)
        self._thread.start()

    def note(self, entry: Entry) -> None:
        """Take an entry; it is in the file a moment later."""
        waiting = self._waiting
        if len(waiting) < self._max_waiting:
            waiting.append(entry)
        elif isinstance(entry, Occurrence):
            self._dropped[entry.what.value] += 1

    def close(self) -> None:
        """Write what waits and close the file; later entries are not written."""
        self._is_closed.set()
        self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while not self._is_closed.wait(WRITE_EVERY_S):
            self._guard(self._write)
        self._guard(self._write)
        self._guard(self._write_dropped)
        # Closing tries again to write what a full disk has not accepted.
        with contextlib.suppress(OSError):
            self._file.close()

    def _guard(self, write: Callable[[], None]) -> None:
        try:
            if not self._is_broken:
                write()
        except OSError as fault:
            self._is_broken = True
            log.warning(
                "the trace can't be written any more", file=str(self.path), reason=fault.strerror
            )
        if self._is_broken:
            self._waiting.clear()

    def _write(self) -> None:
        waiting, line_of = self._waiting, self._writer.line_of
        while waiting:
            began = time.thread_time()
            lines = [line_of(waiting.popleft()) for _ in range(min(len(waiting), _BATCH))]
            lines.append("")
            self._file.write("\n".join(lines))
            if len(waiting) < self._max_waiting // 2:
                self._is_closed.wait(PAUSE_PER_WRITING * (time.thread_time() - began))
        self._file.flush()

    def _write_dropped(self) -> None:
        if self._dropped:
            self._file.write(line_of_dropped(self._dropped) + "\n")


class TraceRead(NamedTuple):
    """The content of a trace file.

    Args:
        trace: the trace.
        warnings: warnings for the user, such as that the file is incomplete.
    """

    trace: Trace
    warnings: tuple[str, ...] = ()


def read_trace_file(path: str | Path, max_entries: int = MAX_ENTRIES) -> TraceRead:
    """Read a trace from its file.

    A file that ends in the middle of a line, since its process was killed, is read up to there.

    Args:
        path: the file.
        max_entries: how many occurrences to keep; see `TraceLog`.

    Raises:
        InvalidTrace: it can't be read, is not a trace, or is damaged; names the line.
    """
    log_ = TraceLog(max_entries)
    warnings: list[str] = []
    number = 0
    try:
        with Path(path).open("rb") as file:
            while raw := file.readline(MAX_LINE_CHARACTERS + 1):
                number += 1
                if not raw.endswith(b"\n") and len(raw) <= MAX_LINE_CHARACTERS:
                    warnings.append(
                        f"{path}:{number}: the trace is cut off in the middle of this line; "
                        "it was read up to here"
                    )
                    if number == 1:
                        # Even the header is incomplete.
                        raise InvalidTrace(f"{path}:1: {_NO_TRACE}")
                    break
                _add_line(raw, number, path, log_)
    except OSError as fault:
        raise InvalidTrace(f"the trace {str(path)!r} can't be read: {fault.strerror}") from None
    if not number:
        raise InvalidTrace(f"{path}:1: the file is empty; {_NO_TRACE}")
    trace = log_.trace()
    if trace.dropped:
        missing = sum(trace.dropped.values())
        warnings.append(f"{path}: {missing:,} occurrences are missing from the middle of the trace")
    return TraceRead(trace, tuple(warnings))


_NO_TRACE = f'it is not a trace: its first line must be {{"muster_trace":{VERSION},"manager":…}}'


def _add_line(raw: bytes, number: int, path: str | Path, log_: TraceLog) -> None:
    try:
        entry = read_line(raw.decode("utf-8"))
    except UnicodeDecodeError as fault:
        problem = f"it is not UTF-8 text: {fault.reason} at byte {fault.start}"
    except InvalidTrace as fault:
        problem = str(fault)
    else:
        if (number == 1) is isinstance(entry, RunFacts):
            if isinstance(entry, Mapping):
                log_.count_dropped(entry)
            else:
                log_.note(entry)
            return
        problem = "" if number == 1 else "another trace begins here; a file must contain one run"
    if number == 1:
        problem = f"{problem}; {_NO_TRACE}" if problem else _NO_TRACE
    raise InvalidTrace(f"{path}:{number}: {problem}")
