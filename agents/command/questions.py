"""`muster questions` and `muster answer`: what tasks ask people, and the answers."""

from __future__ import annotations

import getpass
from collections.abc import Sequence

from ..submission.questions import OpenQuestion


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
