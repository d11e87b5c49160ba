"""The spec of a worker process, and the request to the fork server for one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

PARENT_VARIABLE = "MUSTER_PARENT"
"""Tells a worker process which process started it, since that one may end before the worker can
ask the system."""


class WorkerSpec(NamedTuple):
    """Everything about a worker but its ticket, which must not appear in a list of processes.

    Args:
        name: unique in its workspace.
        skill_level: compared with the difficulty of tasks.
        specialties: task types for which its skill counts 2 more.
        slots: how many tasks it runs at once.
        handlers: modules with the functions that perform tasks, each as "module" or
            "module:attribute"; without any, work is simulated.
        time_scale: how long one second of simulated work takes, in seconds.
    """

    name: str
    skill_level: int
    specialties: tuple[str, ...] = ()
    slots: int = 1
    handlers: tuple[str, ...] = ()
    time_scale: float = 1.0

    def line(self) -> str:
        """The spec as one argument."""
        return json.dumps(self._asdict())

    @classmethod
    def parse(cls, line: str) -> WorkerSpec:
        """Read a spec that `line` made."""
        fields = cast("dict[str, Any]", json.loads(line))
        return cls(**{key: _tuple_of(value) for key, value in fields.items()})


class ForkRequest(NamedTuple):
    """What the fork server is asked for.

    Args:
        spec: the worker to fork.
        environment: its whole environment.
    """

    spec: WorkerSpec
    environment: Mapping[str, str]

    def line(self) -> bytes:
        """The request as one line."""
        fields = {"spec": self.spec.line(), "environment": dict(self.environment)}
        return f"{json.dumps(fields)}\n".encode()

    @classmethod
    def parse(cls, line: bytes) -> ForkRequest:
        """Read a request that `line` made."""
        fields = cast("dict[str, Any]", json.loads(line))
        return cls(WorkerSpec.parse(fields["spec"]), fields["environment"])


def _tuple_of(value: object) -> Any:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value
