"""`muster questions` and `muster answer`: what tasks ask people, and the answers."""

from __future__ import annotations

import getpass
from collections.abc import Sequence

from ...messages import TaskId
from ..client.client import Client
from ..submission.questions import OpenQuestion


async def ask_for_questions(client: Client) -> list[OpenQuestion]:
    """Ask a running manager what its tasks ask people.

    Args:
        client: a client that is not connected yet.
    """
    async with client:
        return await client.questions()


async def give_answer(
    client: Client, task_ids: Sequence[TaskId], answer: str, by: str | None, question: int | None
) -> None:
    """Answer the question of a task.

    Args:
        client: a client that is not connected yet.
        task_ids: the possible ids of the task; the first that the manager knows counts.
        answer: the answer.
        by: who answers; None for the user of this process.
        question: the number of the question, if the task asks several.

    Raises:
        UnknownTask: the manager has no such task.
        IllegalTransition: it asks nothing now, or it is too late.
        InvalidInput: the answer is no choice, or the question must be named.
    """
    who = by or f"{user_name()}, with muster answer"
    async with client:
        task_id = await client.find(task_ids)
        await client.answer(task_id, answer, by=who, question=question)


def user_name() -> str:
    """The name of the user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "somebody"


def question_lines(questions: Sequence[OpenQuestion]) -> list[str]:
    """The questions as lines of text, each with how to answer it."""
    if not questions:
        return ["no task asks anything"]
    lines: list[str] = []
    several = [each.task_id for each in questions]
    for each in questions:
        which = f" --question {each.number}" if several.count(each.task_id) > 1 else ""
        answers = " | ".join(each.choices) if each.choices else "TEXT"
        lines.append(f"{each.task_id}: {each.text}")
        lines.append(f"    muster answer {each.task_id} {answers}{which}")
    return lines
