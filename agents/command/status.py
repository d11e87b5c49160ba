"""`muster status`: how far the run in a store is, and who is at work on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ...messages import TaskStatus
from ..kernel.model.health import Health, health_of, silence_of
from ..kernel.model.records import WorkerRecord
from .stored_run import StoredRun

Count = Annotated[int, Field(ge=0)]


class _StatusPart(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class WorkerState(_StatusPart):
    """One worker as the store knows it."""

    connected: bool
    """Whether it is connected, as far as the manager has written; to a dead manager nobody is."""

    health: Health | None
    """Whether it is healthy, late (it missed some heartbeats) or lost; None where no manager
    listens.
    """

    silent_for: Annotated[float, Field(ge=0)] | None
    """For how many seconds the manager has not heard it, as far as it has written; None where no
    manager listens.
    """

    slots: Count
    """How many tasks it runs at once."""

    running: Count
    """How many tasks are leased to it."""

    completed: Count
    """How many attempts it brought to an end, well or not."""


class RunState(_StatusPart):
    """How far a run is."""

    store: str
    """The store's file."""

    held: bool | None
    """Whether a manager holds the store; None if that can't be seen."""

    pid: int | None
    """The manager's process id, if one holds the store and it is known."""

    began_at: float | None
    """When tasks began to be handed out, in seconds since 1970, or None."""

    ended_at: float | None
    """When the run ended, in seconds since 1970, or None."""

    failure: str | None
    """Why the run could not be carried through, or None."""

    counts: dict[TaskStatus, Count]
    """How many tasks there are of each status."""

    workers: dict[str, WorkerState]
    """The workers by name, in the order of their coming."""


def state_of(run: StoredRun) -> RunState:
    """Sum up a run."""
    board = run.board
    return RunState(
        store=str(run.store),
        held=run.holder.held,
        pid=run.holder.pid,
        began_at=board.began_at,
        ended_at=board.ended_at,
        failure=board.failure,
        counts={status: board.counts[status] for status in TaskStatus},
        workers={name: _state_of(worker, run) for name, worker in board.workers.items()},
    )


def status_lines(run: StoredRun) -> Iterator[str]:
    """Tell how far a run is, line by line."""
    board = run.board
    yield f"{run.store}: {_tell_progress(run)}; {_tell_holder(run)}"
    told = [
        f"{board.counts[status]:,} {status.label.lower()}"
        for status in TaskStatus
        if board.counts[status]
    ]
    tasks = _count(sum(board.counts.values()), "task")
    yield f"{tasks}: {', '.join(told)}" if told else tasks
    for worker in board.workers.values():
        state = _state_of(worker, run)
        ended = f"{_count(state.completed, 'attempt')} ended"
        yield f"  {worker.name}: {_tell_presence(state)}, {ended}"


def _state_of(worker: WorkerRecord, run: StoredRun) -> WorkerState:
    is_listened_to = run.holder.held is True and run.board.ended_at is None
    heartbeat_s = run.board.rules.heartbeat_s
    return WorkerState(
        connected=worker.alive and run.holder.held is not False,
        health=health_of(worker, run.at, heartbeat_s) if is_listened_to else None,
        silent_for=silence_of(worker, run.at) if is_listened_to else None,
        slots=worker.slots,
        running=len(worker.running),
        completed=worker.stats.completed_tasks,
    )


def _tell_presence(state: WorkerState) -> str:
    busy = f"{state.running}/{state.slots} slots busy"
    if state.health is Health.LOST:
        return f"lost, last heard {state.silent_for:,.1f} s ago"
    if state.health is Health.LATE:
        return f"late, last heard {state.silent_for:,.1f} s ago, {busy}"
    return busy if state.connected else "not connected"


def _tell_progress(run: StoredRun) -> str:
    board = run.board
    if board.failure is not None:
        return f"could not be carried through: {board.failure}"
    if board.ended_at is not None:
        return f"ended after {board.ended_at - (board.began_at or board.ended_at):,.1f} s"
    if board.began_at is None:
        return "waits for workers" if run.holder.held else "has not begun"
    if run.holder.held is False:
        return "was interrupted"
    return f"has run for {run.at - board.began_at:,.1f} s"


def _tell_holder(run: StoredRun) -> str:
    holder = run.holder
    if holder.held is None:
        return "whether a manager holds it can't be seen"
    if not holder.held:
        return "no manager holds it"
    return "a manager holds it" + (f", process {holder.pid}" if holder.pid is not None else "")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
