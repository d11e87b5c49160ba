"""The spec of a worker process, and the request to the fork server for one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from ...messages import WorkerProfile

PARENT_VARIABLE = "MUSTER_PARENT"
"""Tells a worker process which process started it, since that one may end before the worker can
ask the system."""


class WorkerSpec(NamedTuple):
    """Everything about a worker but its ticket, which must not appear in a list of processes.

    Args:
        profile: what the worker tells about itself; its task types are those of its handlers.
        handlers: modules with the functions that perform tasks, each as "module" or
            "module:attribute"; without any, work is simulated.
        time_scale: how long one second of simulated work takes, in seconds.
        grace_s: for how long running tasks may go on after SIGTERM, in seconds.
    """

    profile: WorkerProfile
    handlers: tuple[str, ...] = ()
    time_scale: float = 1.0
    grace_s: float = 30.0

    def line(self) -> str:
        """The spec as one argument."""
        return json.dumps({**self._asdict(), "profile": self.profile.model_dump()})

    @classmethod
    def parse(cls, line: str) -> WorkerSpec:
        """Read a spec that `line` made."""
        # Imported here, since this module is imported before messages are loaded in a special way.
        from ...messages import WorkerProfile  # noqa: PLC0415

        fields = cast("dict[str, Any]", json.loads(line))
        profile = WorkerProfile.model_validate(fields.pop("profile"))
        return cls(profile, tuple(fields.pop("handlers")), **fields)

    def worker_arguments(self) -> dict[str, Any]:
        """The arguments of `WorkerAgent` that are in the profile."""
        from ...messages.worker_profile import FOLLOW_FROM_HANDLERS  # noqa: PLC0415 - as above

        return self.profile.model_dump(exclude=set(FOLLOW_FROM_HANDLERS))


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
