"""What is told of each schedule: to programs, clients, commands and the live page."""

from __future__ import annotations

from typing_extensions import TypedDict

from ..kernel.board.state import BoardState
from ..kernel.model.schedules import ScheduleRecord
from .terms import due_times_of


class ScheduleState(TypedDict):
    """One schedule.

    Keys:
        name: its name.
        cron: its cron expression, or "".
        every_s: its interval in seconds, or None.
        tz: its time zone.
        missed_policy: what becomes of missed due times.
        overlap: what happens while earlier tasks are not settled.
        active: whether a running manager makes its tasks.
        next_due: its next due time, in seconds since 1970, or None.
        last_due: its latest due time that has tasks, in seconds since 1970, or None.
        last_tasks: the ids of these tasks.
        last_outcome: "completed", "failed" or "cancelled", "open", or "" if it has made none.
        made: how many due times have tasks.
        missed: how many due times were missed and passed over, at least.
        skipped: how many were passed over because earlier tasks were not settled.
        failed: for how many no tasks could be made.
        waiting: how many wait until earlier tasks are settled.
        failure: why no tasks could be made the last time, or "".
    """

    name: str
    cron: str
    every_s: float | None
    tz: str
    missed_policy: str
    overlap: str
    active: bool
    next_due: float | None
    last_due: float | None
    last_tasks: list[str]
    last_outcome: str
    made: int
    missed: int
    skipped: int
    failed: int
    waiting: int
    failure: str


def list_schedules(board: BoardState, now: float) -> list[ScheduleState]:
    """The schedules of a board in the order of their names.

    Args:
        board: the board, of a running manager or of a store.
        now: the time of the wall clock, in seconds since 1970.
    """
    by_name = board.schedules.by_name
    return [_state_of(board, by_name[name], now) for name in sorted(by_name)]


def _state_of(board: BoardState, record: ScheduleRecord, now: float) -> ScheduleState:
    terms = record.terms
    is_open = bool(board.schedules.unsettled_tasks(record))
    next_due = record.next_due
    if next_due is None:
        # That of a store is not known; what it has missed is due when a manager resumes it.
        next_due = due_times_of(record)(max(record.through, now))
    return ScheduleState(
        name=record.name,
        cron=terms.cron,
        every_s=terms.every_s,
        tz=terms.tz,
        missed_policy=terms.missed,
        overlap=terms.overlap,
        active=record.is_active,
        next_due=next_due,
        last_due=record.last_due,
        last_tasks=[str(each) for each in record.last_tasks],
        last_outcome="open" if is_open else record.last_outcome,
        made=record.made,
        missed=record.missed,
        skipped=record.skipped,
        failed=record.failed,
        waiting=record.waiting,
        failure=record.failure,
    )
