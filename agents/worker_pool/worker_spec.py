"""What a worker process is to be, as the process that starts it tells it on its command line."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, cast

PARENT_VARIABLE = "MUSTER_PARENT"
"""Tells a worker process who started it, since that one may be gone before it has looked."""


class WorkerSpec(NamedTuple):
    """Everything about a worker but its ticket, which does not belong into a list of processes.

    Args:
        name: unique in its workspace.
        skill_level: what it can do.
        specialties: types of task for which its skill counts 2 more.
        slots: how many tasks it runs at once.
        handlers: modules with the functions that do tasks, each as "module" or
            "module:attribute"; without, work is simulated.
        time_scale: how long a second of simulated work lasts, in seconds.
    """

    name: str
    skill_level: int
    specialties: tuple[str, ...] = ()
    slots: int = 1
    handlers: tuple[str, ...] = ()
    time_scale: float = 1.0

    def line(self) -> str:
        """The order as one argument."""
        return json.dumps(self._asdict())

    @classmethod
    def parse(cls, line: str) -> WorkerSpec:
        """Read an order that `line` made."""
        fields = cast("dict[str, Any]", json.loads(line))
        return cls(**{key: _tuple_of(value) for key, value in fields.items()})


def _tuple_of(value: object) -> Any:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value
