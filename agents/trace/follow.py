"""Passes the events of managers' runs on to a trace."""

from __future__ import annotations

from typing import Protocol

from ..kernel.board.state import BoardState
from ..kernel.model.occurrences import Occurrence, OccurrenceKind, Watcher
from ..kernel.trace import Entry, SideMessage, entries_of, introduce
from ..runtime.clock import now


class Sink(Protocol):
    """A destination of trace entries, such as a `TraceLog` or a `TraceFile`."""

    def note(self, entry: Entry) -> None:
        """Take an entry; must not block."""
        ...


class Traced(Protocol):
    """Something that can be followed: a `TaskManager`."""

    @property
    def name(self) -> str:
        """The manager's name."""
        ...

    @property
    def board(self) -> BoardState:
        """The state of its tasks and workers."""
        ...

    def watch(self, watcher: Watcher) -> None:
        """Call a function with each occurrence."""
        ...


def follow(manager: Traced, sink: Sink) -> None:
    """Pass a manager's run on to a sink: its state so far, and all further occurrences."""
    for entry in entries_of(manager.board, manager.name):
        sink.note(entry)
    note = sink.note

    def watch(occurrence: Occurrence) -> None:
        what = occurrence.what
        # The two most frequent kinds never introduce a task or worker.
        if what is not OccurrenceKind.TASK_ASSIGNED and what is not OccurrenceKind.TASK_COMPLETED:
            facts = introduce(occurrence, manager.board)
            if facts is not None:
                note(facts)
        note(occurrence)

    manager.watch(watch)


def add_side_message(sink: Sink, sender: str, receiver: str, text: str) -> None:
    """Add a message to a sink that was exchanged outside the run, as of now."""
    sink.note(SideMessage(now(), sender, receiver, text))
