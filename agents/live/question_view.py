"""The questions that tasks ask people, as the HTTP API and the page show them."""

from __future__ import annotations

import json
from itertools import islice
from typing import cast

from pydantic import Field, JsonValue

from ...messages import TaskId
from ...messages.question import MAX_ANSWER_CHARACTERS
from ..kernel.board.state import BoardState
from ..kernel.model.questions import TaskQuestion
from ..kernel.model.records import TaskRecord
from .api_models import ApiModel
from .task_addresses import write_task_id

MAX_SHOWN = 20
"""How many questions the page shows: of the tasks that asked first."""


class QuestionView(ApiModel):
    """A question that waits for an answer."""

    task_id: TaskId
    """The task that asks."""

    question: int
    """The number of the question within the task, from 1."""

    text: str
    """What it asks."""

    choices: list[str]
    """The possible answers; empty for any text."""

    asked_at: float
    """When it was asked, in seconds since 1970."""

    expires_at: float | None
    """Until when it can be answered, in seconds since 1970; null for no limit."""

    default: str | None
    """The answer if it expires; null if there is none."""


class AnswerOrder(ApiModel):
    """An answer to the question of a task."""

    answer: str = Field(min_length=1, max_length=MAX_ANSWER_CHARACTERS)
    """One of the choices, or any text if the question has none."""

    question: int | None = None
    """The number of the question, if the task asks several at once."""

    by: str = Field(default="by the API", min_length=1, max_length=200)
    """Who answers; the task's story contains it."""


def view_question(record: TaskRecord, question: TaskQuestion) -> QuestionView:
    """A question as the API shows it."""
    asked = question.asked
    return QuestionView(
        task_id=record.task_id,
        question=question.number,
        text=asked.text,
        choices=list(asked.choices),
        asked_at=question.asked_at,
        expires_at=question.expires_at,
        default=asked.default,
    )


def page_questions(board: BoardState) -> JsonValue:
    """The open questions as the page gets them, and how many more there are.

    Choices are JSON, as ids are, so that the page answers with exactly the choice.
    """
    found = iter(board.questions.open())
    shown = [
        [
            write_task_id(record.task_id),
            question.number,
            question.asked.text,
            [json.dumps(choice) for choice in question.asked.choices],
        ]
        for record, question in islice(found, MAX_SHOWN)
    ]
    return {"shown": cast("list[JsonValue]", shown), "more": sum(1 for _ in found)}
