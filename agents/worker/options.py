"""The arguments of `WorkerAgent` that are passed on by keyword, and their checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from ...messages import InvalidInput
from ...messages.task import MAX_SKILL
from ...messages.wording import show
from ..execution.handler_executor import ExecutorSource
from ..execution.handlers import Handlers
from ..kernel.model.config import check_is_number
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.ports import is_ipv4
from ..security.ticket import Ticket
from ..transport.ceylon_api import PeerMode

ROLE = "worker"
"""The role under which Ceylon announces a worker."""


class WorkerOptions(TypedDict, total=False):
    """What a `WorkerAgent` takes besides name, skill and specialties."""

    workspace_id: str
    admin_peer: str
    mode: PeerMode
    role: str
    skills: Mapping[str, float] | None
    cost_per_s: float
    cost_per_task: float
    slots: int
    handlers: Handlers | None
    executor: ExecutorSource | None
    kill_after_s: float | None
    time_scale: float
    port: int
    host: str
    ticket: Ticket | str | Path | None
    secret: WorkspaceSecret | str | None
    insecure: bool
    nats_creds: str | Path | None
    tls_ca: str | Path | None
    send_tracebacks: bool


def check_kind(name: str, mode: PeerMode, role: str, host: str) -> None:
    """Check that mode and role are those of a worker, and that it can dial the host.

    Raises:
        InvalidInput: one is not.
    """
    if not is_ipv4(host):
        raise InvalidInput(
            f"worker {name!r}: host is {host!r}; it must be an IPv4 address such as 127.0.0.1"
        )
    if mode != PeerMode.CLIENT:
        raise InvalidInput(
            f"worker {name!r}: mode is {mode!r}; a worker is a client, so leave it out or pass "
            "PeerMode.CLIENT"
        )
    if role != ROLE:
        raise InvalidInput(
            f"worker {name!r}: role is {role!r}; a worker's role is {ROLE!r}, so leave it out"
        )


def check_abilities(name: str, skill_level: int | None, slots: int, time_scale: float) -> int:
    """Check the arguments that say what a worker can do, and return its skill level.

    Raises:
        InvalidInput: one is missing or out of range.
    """
    if not isinstance(name, str) or not name.strip():  # pyright: ignore[reportUnnecessaryIsInstance] - users'
        raise InvalidInput(f"a worker needs a name that is not blank, not {name!r}")
    if skill_level is None:
        raise InvalidInput(
            f"worker {name!r} has no skill_level; pass it to WorkerAgent.__init__, or set "
            "self.skill_level before you call that"
        )
    for argument, value in (
        ("skill_level", skill_level),
        ("slots", slots),
        ("time_scale", time_scale),
    ):
        _check_is_number(name, argument, value)
    if skill_level < 0:
        raise InvalidInput(f"worker {name!r}: skill_level is {skill_level!r}; it must be 0 or more")
    if slots < 1:
        raise InvalidInput(f"worker {name!r}: slots is {slots!r}; it must be 1 or more")
    if not time_scale >= 0:
        raise InvalidInput(f"worker {name!r}: time_scale is {time_scale!r}; it must be 0 or more")
    return skill_level


def check_types(name: str, specialties: object, handlers: object) -> None:
    """Check the arguments that say which tasks a worker can do.

    Raises:
        InvalidInput: one is of another kind.
    """
    if isinstance(specialties, str):
        raise InvalidInput(
            f"worker {name!r}: specialties is the text {specialties!r}; give a list of task types"
        )
    if not isinstance(handlers, Handlers | None):
        raise InvalidInput(
            f"worker {name!r}: handlers is {show(handlers)}; give a Handlers, such as "
            "Handlers.of(an_object)"
        )


def check_costs(
    name: str, cost_per_s: float, cost_per_task: float, skills: Mapping[str, float]
) -> None:
    """Check the costs and the named skills of a worker.

    Raises:
        InvalidInput: one is out of range.
    """
    for argument, cost in (("cost_per_s", cost_per_s), ("cost_per_task", cost_per_task)):
        _check_is_number(name, argument, cost)
        if not (cost >= 0 and math.isfinite(cost)):
            raise InvalidInput(f"worker {name!r}: {argument} is {cost!r}; it must be 0 or more")
    for skill, level in skills.items():
        _check_is_number(name, f"skill {skill!r}", level)
        if not skill.strip() or not 0 <= level <= MAX_SKILL:
            raise InvalidInput(
                f"worker {name!r}: skill {skill!r} has the level {level!r}; give a name that is "
                f"not blank, and a level from 0 to {MAX_SKILL:,}"
            )


def _check_is_number(name: str, argument: str, value: object) -> None:
    check_is_number(f"worker {name!r}: {argument}", value)
