"""What the parts of a board share: its rules, the time, and the instructions so far."""

from __future__ import annotations

from ..model.config import Rules
from ..model.instructions import Instruction
from ..model.occurrences import Facts, Occurrence, OccurrenceKind
from ..model.records import TaskRecord


class BoardContext:
    """What the parts of a board share.

    Args:
        rules: the rules that the board goes by; the board's only copy of them.
    """

    __slots__ = ("instructions", "now", "rules")

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.now = 0.0
        """The time of the event that is being handled, or was last, in seconds."""
        self.instructions: list[Instruction] = []
        """What the board has said so far about the event that is being handled."""

    def note(
        self, what: OccurrenceKind, worker: str = "", facts: Facts | str | None = None
    ) -> None:
        """Take note of something about the run or a worker."""
        self.instructions.append(Occurrence(self.now, what, None, 0, worker, facts))

    def note_task(
        self,
        what: OccurrenceKind,
        record: TaskRecord,
        attempt: int = 0,
        worker: str = "",
        facts: Facts | str | None = None,
    ) -> None:
        """Take note of something about a task, also in its story."""
        occurrence = Occurrence(self.now, what, record.task_id, attempt, worker, facts)
        record.add_occurrence(occurrence)
        self.instructions.append(occurrence)
