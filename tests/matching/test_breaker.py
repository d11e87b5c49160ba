"""Breakers: a worker that keeps failing in one way is probed, not fed."""

from __future__ import annotations

import pytest
from muster.agents.kernel.matching.scorecards.breaker import FIRST_PAUSE_S, Breaker
from muster.agents.kernel.matching.scorecards.scorecards import Scorecards
from muster.agents.kernel.model.records import AttemptOutcome, TaskRecord

from .conftest import attempt, learned, task, worker

HOLE = worker("hole", 7)
BOB = worker("Bob", 7)


def fall_into(scorecards: Scorecards, difficulty: int, **facts) -> int:
    """How many tasks a worker gets that fails each in 0.1 s, until it is blocked."""
    for count in range(40):
        if scorecards.is_blocked(HOLE, "t", count * 0.1):
            return count
        failure = attempt(
            HOLE, task(difficulty), success=False, duration_s=0.1, at=count * 0.1, **facts
        )
        learned(failure, scorecards=scorecards)
    return 40


@pytest.mark.parametrize("difficulty", [1, 3, 5, 7, 9, 10])
@pytest.mark.parametrize("others_results", [0, 5])
def test_a_black_hole_gets_four_tasks_at_most(difficulty, others_results):
    scorecards = learned(*[attempt(BOB, task(difficulty), duration_s=2.0)] * others_results)
    assert 3 <= fall_into(scorecards, difficulty) <= 4


def test_a_refused_connection_blocks_though_it_is_nobodys_skill():
    scorecards = Scorecards()
    before = scorecards.chance(HOLE, task())
    got = fall_into(scorecards, 5, error_kind="ConnectionRefusedError", counts_as_skill=False)
    assert got == 3
    assert scorecards.chance(HOLE, task()) == before
    assert "ConnectionRefusedError, 3 times in a row" in str(scorecards.is_blocked(HOLE, "t", 0.0))


def test_failures_of_different_kinds_do_not_add_up():
    scorecards = Scorecards()
    for number in range(6):
        failure = attempt(HOLE, task(), False, error_kind=f"error {number}", counts_as_skill=False)
        learned(failure, scorecards=scorecards)
    assert scorecards.is_blocked(HOLE, "t", 0.0) is None


def test_a_weak_worker_that_fails_hard_tasks_is_not_blocked():
    weak = worker("weak", 1)
    results = [attempt(weak, task(1))] + [attempt(weak, task(9), False)] * 40
    assert learned(*results).is_blocked(weak, "t", 0.0) is None


@pytest.mark.parametrize(("results", "expected"), [(0, 5), (50, 5), (6_000, 12)])
def test_a_worker_with_many_results_must_fail_more_often_in_a_row(results, expected):
    # With thousands of results, five such failures in a row come by chance now and then.
    breaker, count = Breaker(), 0
    while not breaker.is_open:
        breaker.note_failure("ValueError", 0.75, 0.0, results)
        count += 1
    assert count == expected


def test_another_type_is_not_blocked():
    scorecards = Scorecards()
    fall_into(scorecards, 5)
    assert scorecards.is_blocked(HOLE, "t", 1.0)
    assert scorecards.is_blocked(HOLE, "u", 1.0) is None


def test_after_a_pause_one_probe_runs_at_a_time():
    scorecards = Scorecards()
    fall_into(scorecards, 5)
    due = scorecards.workers["hole"].types["t"].breaker.probes_from
    assert due is not None
    assert scorecards.is_blocked(HOLE, "t", due - 0.1)
    assert scorecards.is_blocked(HOLE, "t", due) is None
    assert scorecards.is_on_probation("hole", "t")
    busy = worker("hole", 7)
    busy.profile = HOLE.profile
    busy.running[2, 1] = TaskRecord(2, task(), 1, 0.0)
    assert scorecards.is_blocked(busy, "t", due) == (
        "broken for 't': ValueError, 3 times in a row; a probe is running"
    )


def test_a_failed_probe_makes_the_next_pause_longer():
    scorecards = Scorecards()
    fall_into(scorecards, 5)
    due = scorecards.workers["hole"].types["t"].breaker.probes_from
    assert due is not None
    learned(attempt(HOLE, task(), False, at=due + 1), scorecards=scorecards)
    next_due = scorecards.workers["hole"].types["t"].breaker.probes_from
    assert next_due is not None
    assert next_due - due - 1 > 2 * FIRST_PAUSE_S


def test_successful_probes_close_it_and_two_failures_open_it_again():
    scorecards = Scorecards()
    fall_into(scorecards, 5)
    due = scorecards.workers["hole"].types["t"].breaker.probes_from
    assert due is not None
    known = scorecards.version("hole", "t")
    learned(*[attempt(HOLE, task(1), at=due + n) for n in range(3)], scorecards=scorecards)
    assert scorecards.version("hole", "t") > known
    assert not scorecards.is_on_probation("hole", "t")
    unlucky = attempt(HOLE, task(1), False, at=due + 9, counts_as_skill=False)
    learned(unlucky, scorecards=scorecards)
    assert scorecards.is_blocked(HOLE, "t", due + 9) is None
    learned(unlucky, scorecards=scorecards)
    assert scorecards.is_blocked(HOLE, "t", due + 9)


def test_lost_and_cancelled_attempts_open_nothing():
    scorecards = Scorecards()
    for outcome in (AttemptOutcome.LOST, AttemptOutcome.CANCELLED, AttemptOutcome.DECLINED) * 5:
        learned(
            attempt(HOLE, task(), False, outcome=outcome, counts_as_skill=False),
            scorecards=scorecards,
        )
    assert scorecards.is_blocked(HOLE, "t", 0.0) is None


def test_few_failures_of_a_worker_that_has_long_succeeded_do_not_block_it():
    scorecards = Scorecards()
    for number in range(300):
        learned(attempt(BOB, task(), number % 7 != 0, at=number), scorecards=scorecards)
    for number in range(3):
        learned(attempt(BOB, task(), False, at=300.0 + number), scorecards=scorecards)
    assert scorecards.is_blocked(BOB, "t", 303.0) is None
    for number in range(3, 12):
        learned(attempt(BOB, task(), False, at=300.0 + number), scorecards=scorecards)
    assert scorecards.is_blocked(BOB, "t", 312.0)
