"""What a worker process is to be, as the process that starts it tells it on its command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from ...messages import WorkerProfile

PARENT_VARIABLE = "MUSTER_PARENT"
"""Tells a worker process who started it, since that one may be gone before it has looked."""


class WorkerSpec(NamedTuple):
    """Everything about a worker but its ticket, which does not belong into a list of processes.

    Args:
        profile: what the worker is to say of itself; its types of task are those of its handlers.
        handlers: modules with the functions that do tasks, each as "module" or
            "module:attribute"; without, work is simulated.
        time_scale: how long a second of simulated work lasts, in seconds.
    """

    profile: WorkerProfile
    handlers: tuple[str, ...] = ()
    time_scale: float = 1.0

    def line(self) -> str:
        """The order as one argument."""
        return json.dumps({**self._asdict(), "profile": self.profile.model_dump()})

    @classmethod
    def parse(cls, line: str) -> WorkerSpec:
        """Read an order that `line` made."""
        # A process that is to load messages in its own way imports this file before.
        from ...messages import WorkerProfile  # noqa: PLC0415

        fields = cast("dict[str, Any]", json.loads(line))
        profile = WorkerProfile.model_validate(fields.pop("profile"))
        return cls(profile, tuple(fields.pop("handlers")), **fields)

    def worker_arguments(self) -> dict[str, Any]:
        """The arguments of a `WorkerAgent` that the profile tells."""
        return self.profile.model_dump(exclude={"task_types"})
