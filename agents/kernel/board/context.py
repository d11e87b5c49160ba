"""The state that the parts of a board share: configuration, time, and instructions so far."""

from __future__ import annotations

from ..matching.task_queue import TaskQueue
from ..model.config import Rules
from ..model.instructions import Instruction
from ..model.named_tuples import make_named
from ..model.occurrences import Facts, Occurrence, OccurrenceKind
from ..model.records import TaskRecord
from .forgotten_begins import ForgottenBegins


class BoardContext:
    """The state that the parts of a board share.

    Args:
        rules: the board's configuration; the parts have no copy of it.
        queue: the task queue, which matches connected workers with tasks.
    """

    __slots__ = ("forgotten_begins", "instructions", "now", "queue", "rules")

    def __init__(self, rules: Rules, queue: TaskQueue) -> None:
        self.rules = rules
        self.queue = queue
        self.now = 0.0
        """The time of the current or last event, in seconds."""
        self.instructions: list[Instruction] = []
        """The instructions that resulted from the current event so far."""
        self.forgotten_begins = ForgottenBegins()
        """When attempts at forgotten tasks began, for the rates that count them."""

    def note(
        self, what: OccurrenceKind, worker: str = "", facts: Facts | str | None = None
    ) -> None:
        """Record an occurrence of the run or a worker."""
        self.instructions.append(Occurrence(self.now, what, None, 0, worker, facts))

    def note_task(
        self,
        what: OccurrenceKind,
        record: TaskRecord,
        attempt: int = 0,
        worker: str = "",
        facts: Facts | str | None = None,
    ) -> None:
        """Record an occurrence of a task, also in its story."""
        fields = (self.now, what, record.task_id, attempt, worker, facts)
        occurrence = make_named(Occurrence, fields)
        record.add_occurrence(occurrence)
        self.instructions.append(occurrence)
