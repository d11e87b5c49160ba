"""Draws a run as a Gantt chart: the attempts of each worker over time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

from ...messages import InvalidInput
from ..kernel.trace import Trace
from .escaping import escape
from .leases import Lease, leases_of
from .run_messages import name_of, plain_name

_INDENT = "    "
_NO_NAME = "a run"
_WORDS = re.compile(
    r"(?:click|call|href|section|title|gantt|dateformat|axisformat|tickinterval|includes|excludes|"
    r"todaymarker|inclusiveenddates|topaxis|weekday|weekend|acctitle|accdescr)\b",
    re.IGNORECASE,
)
_LONGEST_IN_MINUTES_S = 3600.0
# Times are relative to the start of the run, and have no time zone.
_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TAGS = {"succeeded": "done, ", "running": "active, ", "not begun": "", "declined": ""}
_FAILED_TAG = "crit, "
_UNMARKED = frozenset({"succeeded", "running"})


def write_gantt(trace: Trace, max_bars: int) -> str:
    """Write a `gantt` of a run: a section for each worker, a bar for each attempt at a task.

    Attempts that failed, timed out, were cancelled or lost are marked as critical.

    Args:
        trace: the run.
        max_bars: how many bars are drawn, 1 or more; if there are more attempts, one bar stands for
            those in the middle of each worker's time.

    Raises:
        InvalidInput: `max_bars` is below 1.
    """
    if max_bars < 1:
        raise InvalidInput(f"max_bars is {max_bars}; it must be 1 or more")
    leases = leases_of(trace)
    began_at = leases[0].began_at if leases else 0.0
    lasted_s = max((lease.ended_at for lease in leases), default=began_at) - began_at
    by_worker: dict[str, list[Lease]] = {name: [] for name in trace.workers}
    for lease in leases:
        by_worker.setdefault(lease.worker, []).append(lease)
    lines = [
        "gantt",
        f"{_INDENT}title {_one_line(trace.manager) or _NO_NAME}",
        f"{_INDENT}dateFormat YYYY-MM-DD HH:mm:ss.SSS",
        f"{_INDENT}axisFormat {'%H:%M:%S' if lasted_s >= _LONGEST_IN_MINUTES_S else '%M:%S.%L'}",
    ]
    busy = [name for name, had in by_worker.items() if had]
    # Each worker has at least one bar.
    for name in busy[:max_bars]:
        each = max(max_bars // min(len(busy), max_bars), 1)
        lines.append(f"{_INDENT}section {_one_line(plain_name(name))}")
        lines += [f"{_INDENT}{bar}" for bar in _bars(by_worker[name], each, began_at)]
    if len(busy) > max_bars:
        lines.append(f"{_INDENT}section … {len(busy) - max_bars:,} more workers")
        left = [lease for name in busy[max_bars:] for lease in by_worker[name]]
        lines += [f"{_INDENT}{bar}" for bar in _bars(left, 1, began_at)]
    if not busy:
        lines += [f"{_INDENT}section {_one_line(trace.manager) or _NO_NAME}"]
        lines += [f"{_INDENT}nothing was assigned :milestone, {_moment(0.0)}, 0s"]
    return "\n".join(lines) + "\n"


def _bars(leases: Sequence[Lease], most: int, began_at: float) -> Iterator[str]:
    if len(leases) <= most:
        yield from (_bar(lease, began_at) for lease in leases)
        return
    first = (most - 1 + 1) // 2
    last = most - 1 - first
    hidden = leases[first : len(leases) - last]
    yield from (_bar(lease, began_at) for lease in leases[:first])
    begin = min(lease.began_at for lease in hidden) - began_at
    end = max(lease.ended_at for lease in hidden) - began_at
    yield f"… {len(hidden):,} more :{_span(begin, end)}"
    yield from (_bar(lease, began_at) for lease in leases[len(leases) - last :])


def _bar(lease: Lease, began_at: float) -> str:
    again = f" (attempt {lease.attempt})" if lease.attempt > 1 else ""
    ending = "" if lease.ending in _UNMARKED else f" {lease.ending}"
    name = _one_line(name_of(lease.task_id) + again + ending)
    span = _span(lease.began_at - began_at, lease.ended_at - began_at)
    return f"{name} :{_TAGS.get(lease.ending, _FAILED_TAG)}{span}"


def _span(begin_s: float, end_s: float) -> str:
    # A bar without duration would be invisible.
    return f"{_moment(begin_s)}, {_moment(max(end_s, begin_s + 0.001))}"


def _moment(since_s: float) -> str:
    moment = _BEGINNING + timedelta(milliseconds=round(max(since_s, 0.0) * 1000))
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def _one_line(text: str) -> str:
    # In a chart a colon ends the name of a bar, and a keyword may begin a line.
    shown = escape(" ".join(text.split())).replace(":", "#58;")
    return f"#{ord(shown[0])};{shown[1:]}" if shown[:1].isalpha() and _WORDS.match(shown) else shown
