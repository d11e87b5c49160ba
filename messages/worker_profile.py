"""What a worker says of itself, in one place.

It stands, as it is or with more beside it, in the worker's `Hello`, in what the board knows of the
worker, in the rows of stores, in traces, and in the orders for worker processes. So a new attribute
is a field here; `WorkerAgent` has an attribute of the same name, and takes it as an argument.
"""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field
from typing_extensions import Self

from .record import Record
from .work import Name

MAX_SLOTS = 10_000
MAX_SKILL = 1_000


class WorkerProfile(Record):
    """What a worker says of itself.

    Args:
        name: the worker's name, unique in its workspace.
        skill_level: what it can do, 0 or more; tasks have difficulties from 1 to 10.
        specialties: types of task for which its skill counts 2 more.
        slots: how many tasks it runs at once.
        task_types: types of task it has handlers for, or None if it takes any (simulated work).
    """

    model_config = ConfigDict(extra="forbid")

    name: Name
    skill_level: int = Field(default=1, ge=0, le=MAX_SKILL)
    specialties: tuple[str, ...] = Field(default=(), max_length=1_000)
    slots: int = Field(default=1, ge=1, le=MAX_SLOTS)
    task_types: tuple[str, ...] | None = Field(default=None, max_length=1_000)

    @classmethod
    def of(cls, teller: object, **known: Any) -> Self:
        """Take the fields from whatever has attributes of the same names.

        Args:
            teller: such as a `Hello` or a worker.
            known: fields that are not taken from there.

        Raises:
            AttributeError: it lacks one.
            pydantic.ValidationError: a field breaks its rule.
        """
        fields = {name: getattr(teller, name) for name in cls.model_fields if name not in known}
        return cls(**fields, **known)

    def added(self, *known: str) -> dict[str, Any]:
        """Its fields but for some, as far as they differ from their defaults.

        Formats that are older than a field go on as they are while nobody uses it.

        Args:
            known: the names of those that are not asked for.
        """
        return {
            name: getattr(self, name)
            for name, field in WorkerProfile.model_fields.items()
            if name not in known and getattr(self, name) != field.default
        }
