"""The end of questions that tasks ask people."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.questions import TaskQuestion
from ..model.records import TaskRecord


@dataclass(slots=True, eq=False)
class QuestionExpiry:
    """The timer for the end of a question.

    Args:
        record: the task that asks.
        question: the question.
    """

    record: TaskRecord
    question: TaskQuestion

    def due_at(self) -> float | None:
        """When it expires; None if it is answered, or its task is settled."""
        is_over = not self.question.is_open or self.record.status.is_final
        return None if is_over else self.question.expires_at
