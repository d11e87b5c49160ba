"""The questions of tasks that wait for people, as a manager and its clients list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from ...messages import Payload, TaskId
from ..kernel.model.questions import TaskQuestion


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question of a task that waits for an answer.

    Args:
        task_id: the task.
        number: the number of the question within the task, from 1.
        text: the question.
        choices: the possible answers; empty for free text.
        asked_at: when it was asked, in seconds since 1970.
        expires_at: until when it can be answered, in seconds since 1970; None for no limit.
        default: the answer if it expires; None if there is none.
    """

    task_id: TaskId
    number: int
    text: str
    choices: tuple[str, ...] = ()
    asked_at: float = 0.0
    expires_at: float | None = None
    default: str | None = None

    @classmethod
    def of(cls, task_id: TaskId, question: TaskQuestion) -> OpenQuestion:
        """The question of a board."""
        asked = question.asked
        return cls(
            task_id,
            question.number,
            asked.text,
            asked.choices,
            question.asked_at,
            question.expires_at,
            asked.default,
        )

    def to_payload(self) -> dict[str, Payload]:
        """The question in plain form."""
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: Payload) -> OpenQuestion:
        """The question that `to_payload` has made plain."""
        told: dict[str, Any] = dict(cast("Mapping[str, Any]", payload))
        told["choices"] = tuple(told.get("choices", ()))
        return cls(**told)
