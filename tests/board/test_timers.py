"""The heap of timers: it wakes in time, and does not grow with what is long over."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from muster.agents.kernel.board.timers import TimerQueue


@dataclass(eq=False)
class At:
    at: float | None

    def due_at(self) -> float | None:
        return self.at


@pytest.fixture
def timers() -> TimerQueue[At]:
    """No timers as yet."""
    return TimerQueue()


def test_the_earliest_comes_first(timers: TimerQueue[At]) -> None:
    for at in (3.0, 1.0, 2.0):
        timers.set(At(at))
    assert timers.next_at() == 1.0
    taken = [timers.take(2.0), timers.take(2.0), timers.take(2.0)]
    assert [each and each.at for each in taken] == [1.0, 2.0, None]


def test_one_that_is_not_due_is_not_watched(timers: TimerQueue[At]) -> None:
    timers.set(At(None))
    assert timers.next_at() is None


def test_one_that_vanishes_is_passed_over(timers: TimerQueue[At]) -> None:
    first, second = At(1.0), At(2.0)
    timers.set(first)
    timers.set(second)
    first.at = None
    assert timers.next_at() == 2.0
    assert timers.watched() == [second]


def test_one_that_moves_away_is_due_at_its_new_time(timers: TimerQueue[At]) -> None:
    moving = At(1.0)
    timers.set(moving)
    moving.at = 5.0
    assert timers.take(1.0) is None
    assert timers.next_at() == 5.0
    assert timers.take(5.0) is moving


def test_one_that_moves_nearer_is_due_then_if_it_is_set_again(timers: TimerQueue[At]) -> None:
    moving = At(9.0)
    timers.set(moving)
    moving.at = 2.0
    timers.set(moving)
    assert timers.next_at() == 2.0


def test_those_that_vanished_do_not_pile_up(timers: TimerQueue[At]) -> None:
    for _ in range(100_000):
        brief = At(1e9)
        timers.set(brief)
        brief.at = None
    assert len(timers) <= 1_025
