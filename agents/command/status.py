"""`muster status`: summarizes the run in a store, its progress and its workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ...messages import TaskStatus
from ..kernel.matching.budget import Budget
from ..kernel.model.health import Health, health_of, silence_of
from ..kernel.model.records import WorkerRecord
from ..report.formatting import format_cost
from ..store.managers import ManagerEntry
from .stored_run import StoredRun

Count = Annotated[int, Field(ge=0)]
Cost = Annotated[float, Field(ge=0)]


class _StatusPart(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class WorkerState(_StatusPart):
    """The state of one worker in the store."""

    connected: bool
    """Whether it is connected, as of the manager's last write; False if no manager holds the store.
    """

    health: Health | None
    """Healthy, late (it missed heartbeats) or lost; None if no manager is running."""

    silent_for: Annotated[float, Field(ge=0)] | None
    """Seconds since the last heartbeat, as of the manager's last write; None if no manager is
    running.
    """

    slots: Count
    """How many tasks it runs at once."""

    running: Count
    """How many tasks are leased to it."""

    completed: Count
    """How many of its attempts have ended, with success or not."""

    cost: Cost
    """What its attempts have cost, in the run's unit."""


class RunManager(_StatusPart):
    """One of the managers that share the store."""

    host: str
    """The name of its machine; "" if it is unknown."""

    pid: int | None
    """Its process id there, if known."""

    leads: bool
    """Whether it leads the run; otherwise it stands by."""

    since: float
    """Since when it leads or stands by, in seconds since 1970; 0 if that is unknown."""

    page: str
    """The URL of its live page; "" if it has none."""


class RunState(_StatusPart):
    """The progress of a run."""

    store: str
    """The path or URL of the store."""

    held: bool | None
    """Whether a manager holds the store; None if that is unknown."""

    pid: int | None
    """The process id of the manager that holds the store, if known."""

    began_at: float | None
    """When the first tasks were assigned, in seconds since 1970, or None."""

    ended_at: float | None
    """When the run ended, in seconds since 1970, or None."""

    failure: str | None
    """Why the run failed as a whole, or None."""

    counts: dict[TaskStatus, Count]
    """The number of tasks of each status."""

    cost: Cost
    """What all attempts have cost."""

    cost_unit: str
    """The unit of costs."""

    budget: Cost | None
    """What all attempts together may cost; None for no limit."""

    budget_left: Cost | None
    """What is left of the budget; None without one."""

    workers: dict[str, WorkerState]
    """The workers by name, in the order in which they joined."""

    managers: tuple[RunManager, ...] = ()
    """The managers that share the store: the one that leads, then those that stand by."""


def state_of(run: StoredRun) -> RunState:
    """Summarize a run as a model."""
    board = run.board
    return RunState(
        store=run.place_name,
        held=run.holder.held,
        pid=run.holder.pid,
        began_at=board.began_at,
        ended_at=board.ended_at,
        failure=board.failure,
        counts={status: board.counts[status] for status in TaskStatus},
        cost=board.budget.spent,
        cost_unit=board.budget.unit,
        budget=board.budget.limit,
        budget_left=board.budget.unspent,
        workers={name: _state_of(worker, run) for name, worker in board.workers.items()},
        managers=tuple(RunManager.model_validate(each.to_payload()) for each in run.managers),
    )


def status_lines(run: StoredRun) -> Iterator[str]:
    """Summarize a run as lines of text."""
    board = run.board
    yield f"{run.place_name}: {_describe_progress(run)}; {_describe_holder(run)}"
    yield describe_counts(board.counts)
    unit = board.budget.unit
    if board.budget.spent or board.budget.limit is not None:
        yield f"cost: {_describe_budget(board.budget)}"
        if board.budget.is_committed and board.counts[TaskStatus.PENDING]:
            yield "tasks that only workers with costs can run wait: nothing of the budget is left"
    if len(run.managers) > 1 or any(each.since for each in run.managers):
        yield from manager_entry_lines(run.managers)
    for worker in board.workers.values():
        state = _state_of(worker, run)
        ended = f"{_count(state.completed, 'attempt')} ended"
        if state.cost:
            ended += f", {format_cost(state.cost, unit)}"
        yield f"  {worker.name}: {_describe_connection(state)}, {ended}"


def describe_counts(counts: Mapping[TaskStatus, int]) -> str:
    """How many tasks there are of each status, in words."""
    parts = [f"{counts[each]:,} {each.label.lower()}" for each in TaskStatus if counts[each]]
    tasks = _count(sum(counts.values()), "task")
    return f"{tasks}: {', '.join(parts)}" if parts else tasks


def manager_entry_lines(managers: Iterable[ManagerEntry]) -> Iterator[str]:
    """The managers that share a store as lines of text."""
    for each in managers:
        yield f"{'leads' if each.leads else 'stands by'}: {each.describe()}"


def _state_of(worker: WorkerRecord, run: StoredRun) -> WorkerState:
    is_managed = run.holder.held is True and run.board.ended_at is None
    heartbeat_s = run.board.rules.heartbeat_s
    return WorkerState(
        connected=worker.alive and run.holder.held is not False,
        health=health_of(worker, run.at, heartbeat_s) if is_managed else None,
        silent_for=silence_of(worker, run.at) if is_managed else None,
        slots=worker.slots,
        running=len(worker.running),
        completed=worker.stats.completed_tasks,
        cost=worker.stats.cost,
    )


def _describe_connection(state: WorkerState) -> str:
    busy = f"{state.running}/{state.slots} slots busy"
    if state.health is Health.LOST:
        return f"lost, last heartbeat {state.silent_for:,.1f} s ago"
    if state.health is Health.LATE:
        return f"late, last heartbeat {state.silent_for:,.1f} s ago, {busy}"
    return busy if state.connected else "not connected"


def _describe_budget(budget: Budget) -> str:
    spent = format_cost(budget.spent, budget.unit)
    if budget.limit is None:
        return spent
    return f"{spent} of a budget of {format_cost(budget.limit)}, {format_cost(budget.unspent)} left"


def _describe_progress(run: StoredRun) -> str:
    board = run.board
    if board.failure is not None:
        return f"failed: {board.failure}"
    if board.ended_at is not None:
        return f"ended after {board.ended_at - (board.began_at or board.ended_at):,.1f} s"
    if board.began_at is None:
        return "waiting for workers" if run.holder.held else "not started"
    if run.holder.held is False:
        return "interrupted"
    return f"running for {run.at - board.began_at:,.1f} s"


def _describe_holder(run: StoredRun) -> str:
    holder = run.holder
    if holder.held is None:
        return "unknown whether a manager holds the store"
    if not holder.held:
        return "no manager holds the store"
    process = f", process {holder.pid}" if holder.pid is not None else ""
    process += f" on {holder.host}" if holder.host else ""
    return f"a manager holds the store{process}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
