"""What a report tells of one worker at one type of task, or at one named skill."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from .report_part import REPORT_CONFIG, Cost, Count, Seconds, Share


class SkillCell(BaseModel):
    """What the results of one worker in one type of task, or in one named skill, have shown."""

    model_config = REPORT_CONFIG

    worker: str
    """The worker's name."""

    type: str
    """The type of task, or "", or the name of the skill."""

    is_named_skill: bool
    """Whether `type` is the name of a skill."""

    skill: float
    """The skill that its results suggest, on the scale of skill levels."""

    deviation: Annotated[float, Field(ge=0)]
    """The standard deviation of that estimate."""

    chance: Share
    """The chance of success in a task of difficulty 5, 0 to 1."""

    results: Count
    """How many results the estimate rests on."""

    pace_s: Seconds | None
    """How long a successful attempt is expected to last, in seconds; None if that is not known."""

    cost: Cost | None
    """What an attempt has cost on average, the latest ones most; None if that is not known."""

    blocked: str | None
    """Why the worker gets no task of the type but a probe now and then; None if it does."""
