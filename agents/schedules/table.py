"""Shows schedules as a table: a line for each, and a line for what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

from ..runtime.terminal_text import one_line
from .listing import ScheduleState
from .terms import zone_of

_HEADINGS = ("name", "due", "zone", "next due", "last due", "last outcome", "made", "missed")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LONGEST_NAME = 40
_NUMBERS_FROM = 6


def schedule_lines(schedules: Sequence[ScheduleState]) -> Iterator[str]:
    """Lay out schedules as lines of text."""
    if not schedules:
        yield "there are no schedules"
        return
    cells = [_HEADINGS, *map(_cells, schedules)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADINGS))]
    for number, row in enumerate(cells):
        padded = [
            cell.ljust(width) if column < _NUMBERS_FROM else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(padded).rstrip()
        if number:
            for remark in _remarks(schedules[number - 1]):
                yield f"  {remark}"


def describe_cadence(schedule: ScheduleState) -> str:
    """When a schedule is due, in a few words."""
    every_s = schedule["every_s"]
    return schedule["cron"] if every_s is None else f"every {every_s:g} s"


def _cells(schedule: ScheduleState) -> tuple[str, ...]:
    name = one_line(schedule["name"])
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 1]}…"
    is_active, tz = schedule["active"], schedule["tz"]
    return (
        name,
        describe_cadence(schedule),
        tz,
        _describe_time(schedule["next_due"], tz) if is_active else "not active",
        _describe_time(schedule["last_due"], tz),
        schedule["last_outcome"] or "-",
        f"{schedule['made']:,}",
        f"{schedule['missed']:,}",
    )


def _remarks(schedule: ScheduleState) -> Iterator[str]:
    if schedule["waiting"]:
        yield f"{schedule['waiting']:,} due times wait until earlier tasks are settled"
    if schedule["skipped"]:
        yield f"{schedule['skipped']:,} due times skipped, since earlier tasks were not settled"
    if schedule["failed"]:
        yield f"{schedule['failed']:,} due times without tasks: {one_line(schedule['failure'])}"


def _describe_time(at: float | None, tz: str) -> str:
    """A time in a schedule's zone, such as "2026-11-30 12:05:00 CET"; "-" for none."""
    if at is None:
        return "-"
    moment = (_EPOCH + timedelta(seconds=at)).astimezone(zone_of(tz))
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z")
