"""What a question to a person may be, and what an answer to it may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

from .errors import InvalidInput
from .wording import show

MAX_QUESTION_CHARACTERS = 2_000
"""The longest text of a question."""

MAX_CHOICES = 50
"""How many choices a question may have."""

MAX_CHOICE_CHARACTERS = 200
"""The longest choice."""

MAX_ANSWER_CHARACTERS = 10_000
"""The longest answer in free text."""

MAX_KEY_CHARACTERS = 2_200
"""The longest key of a question."""


class QuestionText(NamedTuple):
    """What a handler asks a person.

    Args:
        text: the question.
        choices: the possible answers; empty for free text.
        expires_s: for how long it may be answered, in seconds; None for no limit.
        default: the answer if it expires; None if there is none, so that it fails then.
        key: names the question within its task: an attempt that begins again and asks the same
            question gets the answer that was given.
    """

    text: str
    choices: tuple[str, ...] = ()
    expires_s: float | None = None
    default: str | None = None
    key: str = ""


def check_question(
    text: object, choices: object, expires_s: object, default: object, key: object
) -> QuestionText:
    """Check what a handler asks.

    Raises:
        InvalidInput: it can't be asked like that; the message says what is right.
    """
    text = _text(text, "the question", MAX_QUESTION_CHARACTERS)
    checked = () if choices is None else _choices(choices)
    if expires_s is not None and not (
        isinstance(expires_s, int | float)
        and not isinstance(expires_s, bool)
        and expires_s > 0
        and math.isfinite(expires_s)
    ):
        raise InvalidInput(
            f"expires_s is {show(expires_s)}; it must be a finite number of seconds above 0, or "
            "None for no limit"
        )
    if default is not None:
        default = _text(default, "the default answer", MAX_ANSWER_CHARACTERS)
        if expires_s is None:
            raise InvalidInput(
                f"the default answer is {show(default)}, but the question never expires; give "
                "expires_s, or leave out the default"
            )
        if checked and default not in checked:
            raise InvalidInput(f"the default answer is no choice: {_no_choice(default, checked)}")
    key = text if key is None else _text(key, "the key of the question", MAX_KEY_CHARACTERS)
    limit_s = None if expires_s is None else float(expires_s)
    return QuestionText(text, checked, limit_s, default, key)


def check_answer(answer: object, choices: Sequence[str]) -> str:
    """Check what a person answers.

    Raises:
        InvalidInput: it is no text, or none of the choices; the message lists those.
    """
    answer = _text(answer, "the answer", MAX_ANSWER_CHARACTERS)
    if choices and answer not in choices:
        raise InvalidInput(_no_choice(answer, choices))
    return answer


def _no_choice(answer: str, choices: Sequence[str]) -> str:
    return f"{show(answer)} is none of the choices: {', '.join(map(repr, choices))}"


def _choices(choices: object) -> tuple[str, ...]:
    if isinstance(choices, str) or not isinstance(choices, Sequence):
        raise InvalidInput(
            f"choices is {show(choices)}; it must be a list of texts, or None for free text"
        )
    given = cast("Sequence[object]", choices)
    if not given:
        raise InvalidInput("choices is empty; give 1 or more, or None for an answer in free text")
    if len(given) > MAX_CHOICES:
        raise InvalidInput(f"there are {len(given):,} choices; {MAX_CHOICES} are possible")
    checked = tuple(_text(each, "a choice", MAX_CHOICE_CHARACTERS) for each in given)
    for each in checked:
        if checked.count(each) > 1:
            raise InvalidInput(f"the choice {show(each)} occurs twice; each must differ")
    return checked


def _text(value: object, name: str, longest: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"{name} is {show(value)}; it must be text that is not blank")
    if len(value) > longest:
        raise InvalidInput(f"{name} has {len(value):,} characters; {longest:,} are possible")
    return value.strip()
