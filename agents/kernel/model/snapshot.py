"""The state of a run at one moment, from which a board is restored."""

from __future__ import annotations

from dataclasses import dataclass, field

from ....messages import Payload, TaskStatus
from .records import TaskRecord, WorkerRecord


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at one moment; the board that is restored from it owns the records.

    Args:
        tasks: the tasks in the order of adding.
        workers: the workers.
        began_at: when assigning began, None if it has not.
        ended_at: when the run ended, None if it has not.
        failure: why the run failed, or None.
        ignored: the number of ignored results, by reason.
        policy: the name of its matching policy.
        expected_workers: the number of expected workers.
        roster: the names of the expected workers.
        heartbeat_s: the interval of heartbeats, in seconds; None if unknown.
        lost_after_s: the time of silence after which a worker was lost, in seconds; None if
            unknown.
        spent_on_forgotten: what the attempts of forgotten tasks have cost.
        spent_in_other_units: what was reported in other units than the run's, by unit.
        budget: what all attempts together may cost; None for no limit.
        cost_unit: the unit of costs.
        forgotten: the number of forgotten tasks, by status.
        forgotten_begins: when attempts at forgotten tasks began, for the rates that count them.
        paused_since: when the run was paused, None if it is not.
        forgotten_sums: what the attempts of forgotten tasks have cost, by type and day.
    """

    tasks: list[TaskRecord] = field(default_factory=list)
    workers: list[WorkerRecord] = field(default_factory=list)
    began_at: float | None = None
    ended_at: float | None = None
    failure: str | None = None
    ignored: dict[str, int] = field(default_factory=dict[str, int])
    policy: str = ""
    expected_workers: int = 0
    roster: tuple[str, ...] = ()
    heartbeat_s: float | None = None
    lost_after_s: float | None = None
    spent_on_forgotten: float = 0.0
    spent_in_other_units: dict[str, float] = field(default_factory=dict[str, float])
    budget: float | None = None
    cost_unit: str = "USD"
    forgotten_begins: Payload = ()
    paused_since: float | None = None
    forgotten: dict[TaskStatus, int] = field(default_factory=dict[TaskStatus, int])
    forgotten_sums: dict[str, Payload] = field(default_factory=dict[str, Payload])
