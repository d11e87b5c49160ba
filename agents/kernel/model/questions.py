"""The questions that tasks ask people, with their answers."""

from __future__ import annotations

from dataclasses import dataclass

from ....messages.question import QuestionText


@dataclass(slots=True)
class TaskQuestion:
    """A question of a task.

    Args:
        number: its number within the task, from 1.
        asked: what was asked.
        attempt: the attempt that asked it last.
        asked_at: when it was asked, in seconds.
        expires_at: until when it may be answered, in seconds; None for no limit.
        answer: the answer; None as long as there is none.
        answered_by: who answered; "" if it expired and has a default.
        answered_at: when it was answered or expired; None while it is open.
    """

    number: int
    asked: QuestionText
    attempt: int
    asked_at: float
    expires_at: float | None = None
    answer: str | None = None
    answered_by: str = ""
    answered_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.answered_at is None

    @property
    def has_expired(self) -> bool:
        """Whether it got no answer in time, and has no default."""
        return self.answered_at is not None and self.answer is None
