"""`muster status --join`: summarizes a running manager, its tasks, workers and schedules."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...messages import Payload
from ..client.client import Client
from ..manager.manager_state import ManagerState
from ..schedules.listing import ScheduleState
from ..schedules.table import schedule_lines
from ..store.managers import ManagerEntry
from ..submission.questions import OpenQuestion
from .questions import question_lines
from .status import describe_counts, manager_entry_lines


class ManagerStatus(NamedTuple):
    """What a running manager has told.

    Args:
        state: its tasks, and what they wait for.
        workers: its workers.
        questions: what its tasks ask people.
        schedules: its schedules.
        managers: those that share its store, the one that leads first; empty without a store.
    """

    state: ManagerState
    workers: list[dict[str, Payload]]
    questions: list[OpenQuestion]
    schedules: list[ScheduleState]
    managers: Sequence[ManagerEntry] = ()


async def ask_for_status(client: Client) -> ManagerStatus:
    """Ask the manager of a connected client."""
    return ManagerStatus(
        await client.state(),
        await client.workers(),
        await client.questions(),
        await client.schedules(),
        await client.managers(),
    )


def status_as_json(status: ManagerStatus) -> str:
    """What a manager has told, as JSON."""
    return json.dumps(
        {
            **status.state,
            "workers": status.workers,
            "questions": [each.to_payload() for each in status.questions],
            "schedules": status.schedules,
            "managers": [each.to_payload() for each in status.managers],
        },
        indent=2,
    )


def manager_lines(status: ManagerStatus) -> Iterator[str]:
    """What a manager has told, as lines of text."""
    state = status.state
    paused = ", paused" if state["paused"] else ""
    yield f"{state['manager']}{paused}: {describe_counts(state['counts'])}"
    yield from (f"  {line}" for line in manager_entry_lines(status.managers))
    waits = [f"{count:,} {kind}" for kind, count in state["waiting"].items() if count]
    if waits:
        yield f"  pending: {', '.join(waits)}"
    if state["limits"]:
        yield f"  {state['limits']}"
    yield from (f"  {reason}" for reason in state["reasons"])
    if status.workers:
        yield "workers:"
    for worker in status.workers:
        yield f"  {worker['name']}: {_describe_worker(worker)}"
    if status.questions:
        yield "questions:"
        yield from (f"  {line}" for line in question_lines(status.questions))
    if status.schedules:
        yield "schedules:"
        yield from (f"  {line}" for line in schedule_lines(status.schedules))


def _describe_worker(worker: dict[str, Payload]) -> str:
    if not worker["connected"]:
        return f"not connected, {worker['completed']:,} attempts ended"
    draining = ", draining" if worker["draining"] else ""
    busy = f"{worker['running']}/{worker['slots']} slots busy"
    return f"{busy}{draining}, {worker['completed']:,} attempts ended"
