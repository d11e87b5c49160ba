"""Workers come with the work, and do not flutter with it."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.scaling import Bounds, Scaler, ScalingLoad
from muster.messages import InvalidInput

COOL_DOWN_S = 30.0
TARGET = 0.7

works = st.lists(st.integers(0, 40), min_size=1, max_size=200)
bounds = st.tuples(st.integers(0, 4), st.integers(1, 12)).filter(lambda each: each[0] <= each[1])


def counts_of(work: list[int], ends: Bounds, slots: int = 1) -> list[int]:
    """How many workers there are at each look, one a second, if all do as they are told."""
    scaler, workers, counts = Scaler(ends, TARGET, COOL_DOWN_S), 0, []
    for at, tasks in enumerate(work):
        workers += scaler.advise(ScalingLoad(tasks, workers * slots), workers, 0, float(at))
        counts.append(workers)
    return counts


def turns_of(counts: list[int]) -> int:
    """How often the number went down."""
    return sum(later < earlier for earlier, later in pairwise(counts))


@given(work=works, ends=bounds, slots=st.integers(1, 4))
def test_there_are_never_too_few_and_never_too_many(
    work: list[int], ends: tuple[int, int], slots: int
) -> None:
    minimum, maximum = ends
    counts = counts_of(work, Bounds(minimum, maximum), slots)
    assert min(counts) >= min(minimum, counts[0])
    assert max(counts) <= maximum
    assert counts[0] >= minimum


@given(period=st.lists(st.integers(0, 40), min_size=1, max_size=30), ends=bounds)
def test_work_that_comes_again_within_the_cool_down_finds_its_workers_still_there(
    period: list[int], ends: tuple[int, int]
) -> None:
    # Whatever the load does within a cool-down, round the target or not.
    counts = counts_of(period * math.ceil(600 / len(period)), Bounds(*ends))
    assert len(set(counts[100:])) == 1
    assert turns_of(counts) == 0


@given(needed=st.integers(2, 40), noise=st.lists(st.sampled_from([-1, 0, 1]), min_size=50))
def test_a_load_around_the_target_makes_nobody_come_and_go(needed: int, noise: list[int]) -> None:
    at_target = [math.floor(needed * TARGET) + each for each in noise]
    counts = counts_of([max(each, 1) for each in at_target], Bounds(0, 100))
    assert turns_of(counts) == 0
    assert counts == sorted(counts)


@given(work=works, ends=bounds)
def test_nobody_goes_within_the_cool_down_after_somebody_came_or_was_needed(
    work: list[int], ends: tuple[int, int]
) -> None:
    counts = counts_of(work, Bounds(*ends))
    for at in range(1, len(counts)):
        if counts[at] < counts[at - 1]:
            begin = max(at - int(COOL_DOWN_S), 0)
            recent = counts[begin:at]
            assert recent == sorted(recent, reverse=True), "somebody came"
            assert max(work[begin : at + 1]) <= TARGET * counts[at], "somebody was needed"


@given(work=works, ends=bounds, slots=st.integers(1, 4))
def test_without_work_it_comes_down_to_the_minimum(
    work: list[int], ends: tuple[int, int], slots: int
) -> None:
    counts = counts_of([*work, *[0] * 60], Bounds(*ends), slots)
    assert counts[-1] == ends[0]


def test_a_burst_makes_them_twice_as_many_at_each_look_up_to_the_maximum() -> None:
    assert counts_of([0, 0, 100, 100, 100, 100], Bounds(1, 7)) == [1, 1, 2, 4, 7, 7]


def test_no_more_come_than_the_work_needs() -> None:
    assert counts_of([0, 0, 4, 4, 4], Bounds(4, 20)) == [4, 4, 6, 6, 6]


def test_while_some_are_on_their_way_no_more_are_wanted_but_for_the_minimum() -> None:
    scaler = Scaler(Bounds(2, 8), TARGET, COOL_DOWN_S)
    assert scaler.advise(ScalingLoad(50, 0), 0, 0, 0.0) == 2
    assert scaler.advise(ScalingLoad(50, 1), 2, 1, 1.0) == 0
    assert scaler.advise(ScalingLoad(50, 1), 1, 1, 2.0) == 1
    assert scaler.advise(ScalingLoad(50, 2), 2, 0, 3.0) == 2


def test_they_go_one_at_a_look_once_the_cool_down_is_over() -> None:
    counts = counts_of([8, 8, 8, 8, 8, 8, *[0] * 40], Bounds(1, 5))
    assert counts[5] == 5
    # The last look with work was the sixth.
    assert counts[35:41] == [5, 4, 3, 2, 1, 1]


def test_slots_of_those_who_came_by_themselves_count() -> None:
    scaler = Scaler(Bounds(0, 8), TARGET, 0.0)
    assert scaler.advise(ScalingLoad(6, 10), 0, 0, 0.0) == 0
    assert scaler.advise(ScalingLoad(6, 10), 2, 0, 1.0) == 0
    assert scaler.advise(ScalingLoad(2, 10), 2, 0, 2.0) == -1


@pytest.mark.parametrize("cool_down_s", [-1.0, math.nan, math.inf])
def test_a_cool_down_that_makes_no_sense_is_refused(cool_down_s: float) -> None:
    with pytest.raises(InvalidInput, match="cool_down_s is"):
        Scaler(Bounds(0, 1), TARGET, cool_down_s)
