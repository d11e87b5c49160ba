"""What the row of a task has of its questions to people."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from ....messages import Payload
from ....messages.question import QuestionText
from ..model.questions import Question
from ..model.records import TaskRecord

_QUESTION = attrgetter(
    "number", "asked", "attempt", "asked_at", "expires_at", "answer", "answered_by", "answered_at"
)


def questions_state(record: TaskRecord) -> tuple[Payload, ...]:
    """The questions of a task as its row has them."""
    return tuple(map(_QUESTION, (record.questions or {}).values()))


def read_questions(kept: Sequence[Sequence[Payload]]) -> dict[str, Question] | None:
    """The questions that a row has, by key; None for none."""
    read: dict[str, Question] = {}
    for number, asked, *later in kept:
        text, choices, expires_s, default, key = asked
        question = QuestionText(text, tuple(choices), expires_s, default, key)
        read[key] = Question(number, question, *later)
    return read or None
