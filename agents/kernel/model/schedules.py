"""Schedules: what the board remembers of each one, and which due times are to be made now."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Literal, NamedTuple, TypeAlias

from ....messages import TaskId

NextDue: TypeAlias = Callable[[float], float | None]
"""Returns the first due time after a time, in seconds since 1970; None if there is none."""

Missed: TypeAlias = Literal["all", "latest", "skip"]
"""What becomes of missed due times."""

Overlap: TypeAlias = Literal["queue", "allow", "skip", "cancel"]
"""What happens at a due time while tasks of an earlier one are not settled."""

MAX_CAUGHT_UP = 1_000
"""How many due times of one schedule may wait to be made; older ones are passed over."""

MISSED_AFTER_S = 10.0
"""A due time counts as missed if nobody noticed it within this many seconds."""

_FIRST_SPAN_S = 3600.0
_SPAN_FACTOR = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SCHEDULED_ID = re.compile(r"(.+)@(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?\+00:00)(#\d+)?")


class ScheduleTerms(NamedTuple):
    """When a schedule is due, and what happens when it is late.

    Args:
        cron: the cron expression, or "".
        every_s: the interval in seconds, or None.
        tz: the name of the time zone.
        missed: what becomes of missed due times.
        overlap: what happens while earlier tasks are not settled.
    """

    cron: str = ""
    every_s: float | None = None
    tz: str = "UTC"
    missed: Missed = "all"
    overlap: Overlap = "queue"

    @property
    def cadence(self) -> tuple[str, float | None, str]:
        """What the due times depend on."""
        return self.cron, self.every_s, self.tz


@dataclass(slots=True)
class ScheduleRecord:
    """The state of one schedule.

    Args:
        name: its name.
        terms: when it is due.
        anchor: the time from which an interval is counted, in seconds since 1970.
        through: up to which time all due times have been made or passed over; never falls.
        last_due: the latest due time for which tasks were made.
        last_tasks: these tasks.
        made: how many due times were made.
        missed: how many were passed over because nobody noticed them in time, or too many waited.
        skipped: how many were passed over because earlier tasks were not settled.
        failed: how many have no tasks because making them failed.
        failure: why making tasks failed the last time, or "".
        last_outcome: how the tasks of `last_due` ended, or "" if they have not.
        is_active: whether this manager has declared it.
        next_due: its next due time, if it is active and has one.
        waiting: how many due times wait until earlier tasks are settled.
    """

    name: str
    terms: ScheduleTerms
    anchor: float
    through: float
    last_due: float | None = None
    last_tasks: tuple[TaskId, ...] = ()
    made: int = 0
    missed: int = 0
    skipped: int = 0
    failed: int = 0
    failure: str = ""
    last_outcome: str = ""
    is_active: bool = field(default=False, compare=False)
    next_due: float | None = field(default=None, compare=False)
    waiting: int = field(default=0, compare=False)


class DueTimes(NamedTuple):
    """The due times of a span of time.

    Args:
        to_make: those that are to be made, the earliest first.
        missed: how many others there are, at least.
        through: up to which time all due times are in this.
        next_due: the next one, which is in the future; None if there is none.
    """

    to_make: tuple[float, ...]
    missed: int
    through: float
    next_due: float | None


def find_due(next_due: NextDue, through: float, now: float, missed: Missed) -> DueTimes:
    """Find the due times that are to be made now.

    Args:
        next_due: computes the due times.
        through: up to which time they have been found before.
        now: the time of the wall clock, which may have been set back or forward.
        missed: what becomes of missed ones.
    """
    latest, others, following = _find_latest(next_due, through, now)
    if not latest:
        return DueTimes((), 0, through, following)
    to_make = tuple(latest)
    if missed == "latest" or (missed == "skip" and now - latest[-1] <= MISSED_AFTER_S):
        to_make = to_make[-1:]
    elif missed == "skip":
        to_make = ()
    return DueTimes(to_make, others + len(latest) - len(to_make), latest[-1], following)


def _find_latest(
    next_due: NextDue, through: float, now: float
) -> tuple[deque[float], int, float | None]:
    """The latest due times up to now, how many others there are at least, and the next one."""
    span_s = _FIRST_SPAN_S
    while True:
        # After a long time there may be millions, so look back no further than needed.
        start = max(through, now - span_s)
        latest: deque[float] = deque(maxlen=MAX_CAUGHT_UP)
        count = 0
        due = next_due(start)
        while due is not None and due <= now:
            latest.append(due)
            count += 1
            due = next_due(due)
        if count > MAX_CAUGHT_UP or start <= through:
            return latest, count - len(latest), due
        span_s *= _SPAN_FACTOR


def next_of_interval(anchor: float, every_s: float, after: float) -> float:
    """The first time after another one that is a whole number of intervals after the anchor.

    Args:
        anchor: the anchor in seconds.
        every_s: the interval in seconds.
        after: the other time, in seconds.
    """
    count = max(int((after - anchor) // every_s), 0)
    while (due := round(anchor + count * every_s, 3)) <= after or count == 0:
        count += 1
    return due


def scheduled_id(name: str, due: float, number: int = 0) -> str:
    """The id of a task that a schedule makes for a due time: the same each time it is computed.

    Args:
        name: the schedule's name.
        due: the due time, in seconds since 1970.
        number: its place among the tasks of this due time, from 0.
    """
    return f"{name}@{format_due(due)}" + (f"#{number + 1}" if number else "")


def parse_scheduled_id(task_id: TaskId) -> tuple[str, str] | None:
    """The schedule's name and the due time that a task's id consists of; None for other ids."""
    found = _SCHEDULED_ID.fullmatch(task_id) if isinstance(task_id, str) else None
    return None if found is None else (found[1], found[2])


def format_due(due: float) -> str:
    """A due time in UTC, such as "2026-11-30T12:05:00+00:00"."""
    # Added to 1970, since the operating system's own conversion has narrower limits.
    at = _EPOCH + timedelta(milliseconds=round(due * 1000))
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds")
