"""A line of waiting tasks: whatever comes and goes, the most urgent is the first."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.matching.ready_queue import QueueEntry, ReadyQueue


def place(urgency: int, stamp: int) -> QueueEntry:
    return QueueEntry((urgency,), stamp, stamp, 0.0, cast("Any", None), cast("Any", None))


@given(st.lists(st.one_of(st.integers(-5, 5), st.none()), max_size=60))
def test_the_first_is_always_the_most_urgent(steps: list[int | None]) -> None:
    line, waiting = ReadyQueue(), list[QueueEntry]()
    for stamp, urgency in enumerate(steps):
        if urgency is not None:
            waiting.append(place(urgency, stamp))
            line.push(waiting[-1])
        elif waiting:
            line.pop()
            waiting.remove(min(waiting))
        assert line.first is min(waiting, default=None)
        assert sorted(line) == sorted(waiting)
        assert len(line) == len(waiting)


def test_a_line_goes_on_from_those_that_wait_in_order() -> None:
    line = ReadyQueue([place(1, 1), place(3, 2)])
    line.push(place(2, 3))
    taken: list[int] = []
    while line.first is not None:
        taken.append(int(line.first.urgency[0]))
        line.pop()
    assert taken == [1, 2, 3]
