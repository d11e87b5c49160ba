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
    cells = [_HEADINGS, *map(cells_of, schedules)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADINGS))]
    for number, row in enumerate(cells):
        padded = [
            cell.ljust(width) if column < _NUMBERS_FROM else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(padded).rstrip()
        if number:
            for remark in remarks_on(schedules[number - 1]):
                yield f"  {remark}"


def _describe_cadence(schedule: ScheduleState) -> str:
    """When a schedule is due, in a few words."""
    every_s = schedule["every_s"]
    return schedule["cron"] if every_s is None else f"every {every_s:g} s"


def cells_of(schedule: ScheduleState) -> tuple[str, ...]:
    """The cells of a schedule's line, in the order of the headings."""
    name = one_line(schedule["name"])
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 1]}…"
    is_active, tz = schedule["active"], schedule["tz"]
    return (
        name,
        _describe_cadence(schedule),
        tz,
        _describe_time(schedule["next_due"], tz) if is_active else "not active",
        _describe_time(schedule["last_due"], tz),
        schedule["last_outcome"] or "-",
        f"{schedule['made']:,}",
        f"{schedule['missed']:,}",
    )


def remarks_on(schedule: ScheduleState) -> Iterator[str]:
    """What is to be told of a schedule besides."""
    if waiting := schedule["waiting"]:
        yield f"{_count(waiting)} waiting until earlier tasks are settled"
    if skipped := schedule["skipped"]:
        yield f"{_count(skipped)} skipped, since earlier tasks were not settled"
    if failed := schedule["failed"]:
        yield f"{_count(failed)} without tasks: {one_line(schedule['failure'])}"


def _count(due_times: int) -> str:
    return f"{due_times:,} due time{'' if due_times == 1 else 's'}"


def _describe_time(at: float | None, tz: str) -> str:
    """A time in a schedule's zone, such as "2026-11-30 12:05:00 CET"; "-" for none."""
    if at is None:
        return "-"
    moment = (_EPOCH + timedelta(seconds=at)).astimezone(zone_of(tz))
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z")
