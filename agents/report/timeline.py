"""The timeline of a run: its attempts as bars, one row per worker, in bounded number."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..kernel.model.records import AttemptOutcome
from .formatting import unit_of
from .model import RunReport

MAX_ROWS = 60
"""How many workers have a row: first those that were lost, then the first of the others."""

MAX_LANES = 8
"""How many simultaneous attempts of one worker have lanes; further ones share the last lane."""

MAX_BARS = 4_000
"""How many bars there are at most; if there were more, neighbours of one outcome are merged."""

_FINEST_SHARE = 1 / 2_000
"""Up to which share of the time bars are merged at first."""

_TICKS = 6


class Bar(NamedTuple):
    """One attempt, or several of one outcome that are merged.

    Args:
        lane: its lane in its row, from 0.
        began_s: when the first attempt began, in seconds since the run's start.
        ended_s: when the last attempt ended.
        outcome: how they ended; None for one that runs.
        label: which task and attempt it is; "" for several.
        attempts: how many attempts it represents.
    """

    lane: int
    began_s: float
    ended_s: float
    outcome: AttemptOutcome | None
    label: str
    attempts: int = 1


class TimelineRow(NamedTuple):
    """One worker's time.

    Args:
        worker: its name.
        joined_s: when it joined, in seconds since the run's start.
        left_s: when it was lost or left; None if it stayed.
        lanes: how many lanes it has.
        bars: its attempts.
    """

    worker: str
    joined_s: float
    left_s: float | None
    lanes: int
    bars: Sequence[Bar]


class Timeline(NamedTuple):
    """A run's time.

    Args:
        length_s: from the run's start to its end, or until now, in seconds.
        rows: one per worker.
        ticks_s: the ticks of the axis, in seconds since the run's start.
        hidden: how many workers have no row.
    """

    length_s: float
    rows: Sequence[TimelineRow]
    ticks_s: Sequence[float]
    hidden: int


def make_timeline(report: RunReport) -> Timeline:
    """Arrange a run's attempts in rows and lanes."""
    length_s = max(report.duration, 1e-3)
    bars = _bars_by_worker(report, length_s)
    shown, hidden = _choose_workers(report, bars)
    laned = {worker: _into_lanes(bars[worker]) for worker in shown}
    longest_s = 0.0
    merged = laned
    while sum(map(len, merged.values())) > MAX_BARS:
        longest_s = 2 * longest_s or length_s * _FINEST_SHARE
        merged = {worker: _merge(each, longest_s) for worker, each in laned.items()}
    rows = [
        TimelineRow(
            worker,
            *_presence(report, worker, length_s),
            1 + max((bar.lane for bar in merged[worker]), default=0),
            merged[worker],
        )
        for worker in shown
    ]
    return Timeline(length_s, rows, _ticks(length_s), hidden)


def _bars_by_worker(report: RunReport, length_s: float) -> dict[str, list[Bar]]:
    bars: defaultdict[str, list[Bar]] = defaultdict(list)
    for task in report.tasks:
        for attempt in task.history:
            if attempt.outcome is AttemptOutcome.NOT_BEGUN:
                continue
            began_s = min(max(attempt.started_at - report.started_at, 0.0), length_s)
            if attempt.ended_at is not None:
                ended_s = attempt.ended_at - report.started_at
            elif attempt.outcome is None:
                ended_s = length_s
            else:
                # An old store does not have it.
                continue
            ended_s = min(max(ended_s, began_s), length_s)
            label = f"task {task.id}, attempt {attempt.number}"
            bars[attempt.worker].append(Bar(0, began_s, ended_s, attempt.outcome, label))
    return bars


def _choose_workers(report: RunReport, bars: Iterable[str]) -> tuple[list[str], int]:
    workers = list(dict.fromkeys([*report.workers, *bars]))
    if len(workers) <= MAX_ROWS:
        return workers, 0
    lost = {name for name, worker in report.workers.items() if worker.lost}
    # Sorting is stable.
    chosen = set(sorted(workers, key=lambda name: name not in lost)[:MAX_ROWS])
    return [name for name in workers if name in chosen], len(workers) - MAX_ROWS


def _presence(report: RunReport, name: str, length_s: float) -> tuple[float, float | None]:
    worker = report.workers.get(name)
    if worker is None:
        return 0.0, None
    joined_at = report.started_at if worker.joined_at is None else worker.joined_at
    joined_s = min(max(joined_at - report.started_at, 0.0), length_s)
    if worker.left_at is None:
        return joined_s, None
    return joined_s, min(max(worker.left_at - report.started_at, joined_s), length_s)


def _into_lanes(bars: list[Bar]) -> list[Bar]:
    """Give each bar the first lane that is free when it begins."""
    free_from = [0.0]
    laned: list[Bar] = []
    for bar in sorted(bars, key=lambda bar: (bar.began_s, bar.ended_s)):
        lane = next((lane for lane, at in enumerate(free_from) if at <= bar.began_s), None)
        if lane is None:
            lane = min(len(free_from), MAX_LANES - 1)
            if lane == len(free_from):
                free_from.append(0.0)
        free_from[lane] = max(free_from[lane], bar.ended_s)
        laned.append(bar._replace(lane=lane))
    return laned


def _merge(bars: Iterable[Bar], longest_s: float) -> list[Bar]:
    """Merge bars of one lane and outcome, up to a total length."""
    merged: list[Bar] = []
    newest: dict[tuple[int, AttemptOutcome | None], int] = {}
    for bar in bars:
        key = (bar.lane, bar.outcome)
        index = newest.get(key)
        if index is not None and bar.ended_s - merged[index].began_s <= longest_s:
            before = merged[index]
            merged[index] = before._replace(
                ended_s=max(before.ended_s, bar.ended_s),
                label="",
                attempts=before.attempts + bar.attempts,
            )
        else:
            newest[key] = len(merged)
            merged.append(bar)
    return merged


def _ticks(length_s: float) -> list[float]:
    """About `_TICKS` ticks from 0 on, at round numbers of the unit that they are shown in."""
    _, unit_s, _ = unit_of(length_s)
    rough = length_s / unit_s / _TICKS
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(each * magnitude for each in (1, 2, 5, 10) if each * magnitude >= rough)
    return [number * step * unit_s for number in range(int(length_s / unit_s / step) + 1)]
