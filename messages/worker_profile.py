"""The attributes by which a worker describes itself: name, skill, slots and so on.

They are part of the worker's `Hello`, of the board, of store rows, of traces, and of the
specification of worker processes. To add an attribute, add a field here; `WorkerAgent` has an
attribute and an argument of the same name.
"""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field
from typing_extensions import Self

from .record import Record
from .task import MAX_SKILL, SkillLevels
from .work import Name

MAX_SLOTS = 10_000

FOLLOW_FROM_HANDLERS = frozenset({"task_types", "review_types", "at_most_once_types"})
"""The fields that are no arguments of `WorkerAgent`, because they follow from its handlers."""


class WorkerProfile(Record):
    """The attributes of a worker.

    Args:
        name: the worker's name, unique in its workspace.
        skill_level: its skill, 0 or more; tasks have a difficulty of 1 to 10.
        specialties: the task types for which its skill counts 2 more.
        slots: how many tasks it runs at once.
        task_types: the task types that it has handlers for; None if it takes any type.
        skills: its named skills with their levels, 0 to 1,000.
        cost_per_s: what a second of its work costs, in the manager's unit of cost, 0 or more.
        cost_per_task: what each attempt costs besides, 0 or more.
        review_types: the task types whose results it reviews.
        at_most_once_types: the task types of which an attempt that was begun and lost is not
            followed by another, because it may have acted.
    """

    model_config = ConfigDict(extra="forbid")

    name: Name
    skill_level: int = Field(default=1, ge=0, le=MAX_SKILL)
    specialties: tuple[str, ...] = Field(default=(), max_length=1_000)
    slots: int = Field(default=1, ge=1, le=MAX_SLOTS)
    task_types: tuple[str, ...] | None = Field(default=None, max_length=1_000)
    skills: SkillLevels = Field(default_factory=dict)
    cost_per_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    cost_per_task: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    review_types: tuple[str, ...] = Field(default=(), max_length=1_000)
    at_most_once_types: tuple[str, ...] = Field(default=(), max_length=1_000)

    @classmethod
    def of(cls, teller: object, **known: Any) -> Self:
        """Take the fields from whatever has attributes of the same names.

        Args:
            teller: such as a `Hello` or a worker.
            known: fields that are not taken from there.

        Raises:
            AttributeError: `teller` lacks a field.
            pydantic.ValidationError: a field is invalid.
        """
        fields = {name: getattr(teller, name) for name in cls.model_fields if name not in known}
        return cls(**fields, **known)

    def added(self, *known: str) -> dict[str, Any]:
        """The fields that differ from their defaults, except the given ones.

        Formats older than a field stay unchanged while the field has its default.

        Args:
            known: the names of the fields to leave out.
        """
        return {
            name: getattr(self, name)
            for name, field in WorkerProfile.model_fields.items()
            if name not in known
            and getattr(self, name) != field.get_default(call_default_factory=True)
        }
