"""When the assigning begins, and when the wait for workers ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import ListeningStarted
from muster.agents.kernel.model.instructions import EndRun, StartAssigning
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import InvalidInput

Make = Callable[..., Any]


def test_nothing_is_assigned_before_the_assigning_begins(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1))
    board.join("Ada")
    assert board.given == []
    board.begin()
    assert board.places() == {1: "Ada"}


def test_the_roll_is_called_when_the_last_expected_worker_comes(watched: Make, only: Make) -> None:
    board = watched(expected_workers=2)
    assert not only(StartAssigning, board.join("Ada"))
    assert only(StartAssigning, board.join("Ben")) == [StartAssigning()]


def test_the_roll_is_called_once(watched: Make, only: Make) -> None:
    board = watched(expected_workers=1)
    board.join("Ada")
    board.leave("Ada")
    board.join("Ada")
    board.join("Ben")
    assert len(only(StartAssigning, board.said)) == 1


def test_with_nobody_expected_the_first_to_come_is_enough(watched: Make, only: Make) -> None:
    assert only(StartAssigning, watched().join("Ada"))


def test_workers_that_left_before_the_roll_do_not_count(watched: Make, only: Make) -> None:
    board = watched(expected_workers=2)
    board.join("Ada")
    board.leave("Ada")
    assert not only(StartAssigning, board.join("Ben"))


def test_a_roster_waits_for_exactly_those_it_names(watched: Make, only: Make) -> None:
    board = watched(roster=("Ada", "Ben"))
    board.join("Ben")
    assert not only(StartAssigning, board.join("Somebody"))
    assert only(StartAssigning, board.join("Ada"))


def test_who_is_not_on_the_roster_works_all_the_same(watched: Make, task: Make) -> None:
    board = watched(roster=("Ada",))
    board.add(task(1))
    board.join("Somebody")
    board.begin()
    assert board.places() == {1: "Somebody"}


def test_no_roll_is_called_once_the_assigning_has_begun(watched: Make, only: Make) -> None:
    board = watched(expected_workers=1, ends_when_done=False)
    board.begin()
    assert not only(StartAssigning, board.join("Ada"))


def test_to_begin_twice_is_to_begin_once(watched: Make, whats: Make) -> None:
    board = watched(ends_when_done=False)
    board.begin()
    board.begin()
    assert whats(board.said) == [OccurrenceKind.ASSIGNING_BEGUN]
    assert board.board.began_at == 0.0


@pytest.mark.parametrize(
    ("rules", "came", "failure"),
    [
        (
            {"roster": ("Junior", "Intermediate", "Senior")},
            ["Junior", "Intermediate"],
            "2 of 3 expected workers joined within 5 s; missing: Senior",
        ),
        (
            {"expected_workers": 3},
            ["Junior", "Ada"],
            "2 of 3 expected workers joined within 5 s: Junior, Ada",
        ),
        ({"expected_workers": 3}, [], "0 of 3 expected workers joined within 5 s"),
        ({}, [], "0 of 1 expected workers joined within 5 s"),
    ],
)
def test_when_somebody_is_missing_the_run_fails_and_says_who(
    watched: Make, task: Make, only: Make, rules: dict[str, Any], came: list[str], failure: str
) -> None:
    board = watched(join_timeout_s=5, **rules)
    board.add(task(1))
    for name in came:
        board.join(name)
    assert board.board.next_timer_at() == 5
    said = board.wait_until(5, hearing=came)
    assert only(EndRun, said) == [EndRun(failure)]
    assert board.board.failure == failure
    assert board.board.ended_at == 5


def test_after_a_failed_end_assigning_does_not_start(watched: Make, task: Make, only: Make) -> None:
    board = watched(expected_workers=2, join_timeout_s=5)
    board.add(task(1))
    board.join("Ada")
    board.wait_until(6, hearing=["Ada"])
    assert board.board.start_barrier.due_at() is None
    assert not only(StartAssigning, board.join("Ben"))


def test_after_a_failed_end_nothing_is_assigned(watched: Make, task: Make) -> None:
    board = watched(expected_workers=2, join_timeout_s=5)
    board.add(task(1))
    board.join("Ada")
    board.wait_until(6, hearing=["Ada"])
    board.join("Ben")
    board.begin()
    assert board.given == []


def test_told_to_start_without_the_missing_the_roll_is_called(watched: Make, only: Make) -> None:
    board = watched(expected_workers=2, join_timeout_s=5, on_missing="start")
    board.join("Ada")
    assert only(StartAssigning, board.wait_until(5, hearing=["Ada"]))


def test_told_to_start_with_nobody_there_the_run_fails(watched: Make, only: Make) -> None:
    board = watched(expected_workers=2, join_timeout_s=5, on_missing="start")
    board.heard("Ada")
    assert only(EndRun, board.wait_until(5))


def test_the_wait_is_over_once_all_have_come(watched: Make, only: Make) -> None:
    board = watched(expected_workers=1, join_timeout_s=5)
    board.join("Ada")
    assert not only(EndRun, board.wait_until(20, hearing=["Ada"]))


def test_the_wait_counts_from_the_opening_of_discoverys(watched: Make, task: Make) -> None:
    board = watched(expected_workers=1, join_timeout_s=5)
    board.add(task(1))
    board.now = 100.0
    board.handle(ListeningStarted())
    assert board.board.next_timer_at() == 105.0
    assert not board.board.has_ended


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"expected_workers": -1}, "expected_workers is -1; it must be 0 or more"),
        ({"max_losses": -1}, "max_losses is -1"),
        ({"lost_after_s": 0}, "lost_after_s is 0; it must be above 0"),
        ({"heartbeat_s": -2}, "heartbeat_s is -2"),
        ({"time_scale": float("inf")}, "time_scale is inf"),
        ({"join_timeout_s": -1}, "join_timeout_s is -1; it must be 0 or more, or None"),
        ({"unmatched_after_s": float("nan")}, "unmatched_after_s is nan"),
        ({"on_missing": "wait"}, "on_missing is 'wait'; it must be 'fail' or 'start'"),
        ({"roster": ("Ada", "Ben", "Ada")}, "the roster names 'Ada' twice"),
    ],
)
def test_rules_out_of_range_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Rules(**fields)
