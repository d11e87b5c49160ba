"""Follows managers, and hands what happens in their runs to whatever keeps a trace."""

from __future__ import annotations

from typing import Protocol

from .clock import now
from .kernel.board_state import BoardState
from .kernel.events import Occurrence, What
from .kernel.trace import Aside, Entry, entries_of, introduce
from .manager_shell import Watcher


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
        if what is not What.TASK_ASSIGNED and what is not What.TASK_COMPLETED:
            facts = introduce(occurrence, manager.board)
            if facts is not None:
                note(facts)
        note(occurrence)

    manager.watch(watch)


def tell_aside(sink: Sink, sender: str, receiver: str, text: str) -> None:
    """Hand a sink what passed beside the run, now."""
    sink.note(Aside(now(), sender, receiver, text))
