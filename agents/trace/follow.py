"""Follows managers, and hands what happens in their runs to whatever keeps a trace."""

from __future__ import annotations

from typing import Protocol

from ..kernel.board.state import BoardState
from ..kernel.model.occurrences import Occurrence, OccurrenceKind, Watcher
from ..kernel.trace import Entry, SideMessage, entries_of, introduce
from ..runtime.clock import now


class Sink(Protocol):
    """What keeps a trace, such as a `TraceLog` or a `TraceFile`."""

    def note(self, entry: Entry) -> None:
        """Take in an entry; must not wait."""
        ...


class Traced(Protocol):
    """What can be followed: a `TaskManager`."""

    @property
    def name(self) -> str:
        """The manager's name."""
        ...

    @property
    def board(self) -> BoardState:
        """What it knows."""
        ...

    def watch(self, watcher: Watcher) -> None:
        """Have a function called with each occurrence."""
        ...


def follow(manager: Traced, sink: Sink) -> None:
    """Hand a manager's run to a sink: what it knows of it already, and what happens from now on."""
    for entry in entries_of(manager.board, manager.name):
        sink.note(entry)
    note = sink.note

    def watch(occurrence: Occurrence) -> None:
        what = occurrence.what
        # The two most frequent introduce nobody.
        if what is not OccurrenceKind.TASK_ASSIGNED and what is not OccurrenceKind.TASK_COMPLETED:
            facts = introduce(occurrence, manager.board)
            if facts is not None:
                note(facts)
        note(occurrence)

    manager.watch(watch)


def tell_aside(sink: Sink, sender: str, receiver: str, text: str) -> None:
    """Hand a sink what passed beside the run, now."""
    sink.note(SideMessage(now(), sender, receiver, text))
