"""How a run's attempts become rows, lanes and bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.report.model import AttemptReport, RunReport, TaskReport
from muster.agents.report.timeline import MAX_BARS, MAX_LANES, MAX_ROWS, make_timeline

Make = Callable[..., Any]
START = 1_000.0


@pytest.fixture
def timed(task_report: Make) -> Callable[..., TaskReport]:
    """Makes a task whose only attempt lasted from one second of the run to another."""

    def make(
        task_id: int,
        began_s: float,
        ended_s: float | None,
        outcome: AttemptOutcome | None = AttemptOutcome.SUCCEEDED,
        worker: str = "Ada",
    ) -> TaskReport:
        ended_at = None if ended_s is None else START + ended_s
        attempt = AttemptReport(
            number=1,
            worker=worker,
            started_at=START + began_s,
            ended_at=ended_at,
            outcome=outcome,
        )
        return task_report(task_id, worker=worker, history=[attempt])

    return make


def test_each_worker_has_a_row_of_its_attempts(
    run_report: Make, timed: Make, worker_report: Make
) -> None:
    tasks = [timed(1, 0, 2), timed(2, 2, 3, AttemptOutcome.FAILED), timed(3, 1, 4, worker="Ben")]
    workers = {"Ada": worker_report(), "Ben": worker_report(joined_at=START + 1)}
    timeline = make_timeline(run_report(tasks, duration=4.0, workers=workers))
    assert timeline.length_s == 4.0
    assert [(row.worker, row.joined_s, row.left_s, row.lanes) for row in timeline.rows] == [
        ("Ada", 0.0, None, 1),
        ("Ben", 1.0, None, 1),
    ]
    assert [tuple(bar) for bar in timeline.rows[0].bars] == [
        (0, 0.0, 2.0, AttemptOutcome.SUCCEEDED, "task 1, attempt 1", 1),
        (0, 2.0, 3.0, AttemptOutcome.FAILED, "task 2, attempt 1", 1),
    ]


def test_attempts_at_one_time_lie_in_lanes_of_their_own(run_report: Make, timed: Make) -> None:
    tasks = [timed(1, 0, 3), timed(2, 1, 2), timed(3, 2, 4)]
    (row,) = make_timeline(run_report(tasks)).rows
    assert [bar.lane for bar in row.bars] == [0, 1, 1]
    assert row.lanes == 2


def test_there_are_only_so_many_lanes(run_report: Make, timed: Make) -> None:
    (row,) = make_timeline(run_report([timed(number, 0, 4) for number in range(1, 50)])).rows
    assert row.lanes == MAX_LANES
    assert len(row.bars) == 49


def test_what_still_runs_reaches_to_now(run_report: Make, timed: Make) -> None:
    (row,) = make_timeline(run_report([timed(1, 1, None, None)], duration=9.0)).rows
    assert (row.bars[0].ended_s, row.bars[0].outcome) == (9.0, None)


def test_what_never_began_is_not_drawn(run_report: Make, timed: Make) -> None:
    tasks = [timed(1, 0, 1, AttemptOutcome.NOT_BEGUN), timed(2, 0, 1)]
    (row,) = make_timeline(run_report(tasks)).rows
    assert [bar.label for bar in row.bars] == ["task 2, attempt 1"]


def test_an_attempt_of_which_nobody_knows_the_end_is_not_drawn(
    run_report: Make, timed: Make, worker_report: Make
) -> None:
    report = run_report([timed(1, 1, None, AttemptOutcome.LOST)], workers={"Ada": worker_report()})
    assert make_timeline(report).rows[0].bars == []


def test_a_lost_worker_is_there_until_it_was_lost(run_report: Make, worker_report: Make) -> None:
    worker = worker_report(lost=True, joined_at=START - 5, left_at=START + 3)
    (row,) = make_timeline(run_report([], duration=8.0, workers={"Ada": worker})).rows
    assert (row.joined_s, row.left_s) == (0.0, 3.0)


def test_of_many_workers_those_that_were_lost_have_a_row(
    run_report: Make, worker_report: Make
) -> None:
    workers = {f"W{number}": worker_report() for number in range(MAX_ROWS + 39)}
    workers["Zoe"] = worker_report(lost=True, left_at=START + 1)
    timeline = make_timeline(run_report([], workers=workers))
    assert len(timeline.rows) == MAX_ROWS
    assert timeline.rows[-1].worker == "Zoe"
    assert timeline.hidden == 40


def test_short_neighbours_become_one_bar_but_no_failure_is_lost(
    run_report: Make, timed: Make
) -> None:
    count = 3 * MAX_BARS
    tasks = [
        timed(n, n, n + 1, AttemptOutcome.FAILED if n % 1_000 == 0 else AttemptOutcome.SUCCEEDED)
        for n in range(1, count + 1)
    ]
    timeline = make_timeline(run_report(tasks, duration=count + 1.0))
    bars = timeline.rows[0].bars
    assert len(bars) <= MAX_BARS
    assert sum(bar.attempts for bar in bars) == count
    assert sum(bar.outcome is AttemptOutcome.FAILED for bar in bars) == count // 1_000
    # They are no longer than can hardly be told apart.
    assert max(bar.ended_s - bar.began_s for bar in bars) <= count / 500


def test_long_bars_stay_what_they_are_among_many_short_ones(run_report: Make, timed: Make) -> None:
    tasks = [timed(n, n / 10, (n + 1) / 10) for n in range(1, MAX_BARS + 500)]
    tasks.append(timed(9_999, 500.0, 900.0, worker="Ben"))
    rows = make_timeline(run_report(tasks, duration=1_000.0)).rows
    assert [bar.label for bar in rows[1].bars] == ["task 9999, attempt 1"]


@pytest.mark.parametrize(
    ("duration", "ticks"),
    [
        (0.05, [0.0, 0.01, 0.02, 0.03, 0.04, 0.05]),
        (8.0, [0, 2, 4, 6, 8]),
        (100.0, [0, 20, 40, 60, 80, 100]),
        (1_200.0, [0, 300, 600, 900, 1_200]),
        (36_000.0, [0, 7_200, 14_400, 21_600, 28_800, 36_000]),
    ],
)
def test_the_axis_has_round_moments(run_report: Make, duration: float, ticks: list[float]) -> None:
    assert make_timeline(run_report([], duration=duration)).ticks_s == pytest.approx(ticks)


def test_a_run_of_no_length_can_be_laid_out(run_report: Make, timed: Make) -> None:
    report: RunReport = run_report([timed(1, 0, 0)], duration=0.0)
    assert len(make_timeline(report).rows[0].bars) == 1
