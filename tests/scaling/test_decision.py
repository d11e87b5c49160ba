"""When there should be more workers, and when fewer."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    RetirementRequested,
    TasksAdded,
    WorkerJoined,
)
from muster.agents.kernel.scaling import Bounds, Step, decide, measure_workload
from muster.messages import InvalidInput, Task, WorkerProfile

WIDE = Bounds(0, 1_000)


@pytest.mark.parametrize(
    ("load", "step"),
    [
        (0.0, Step.SHRINK),
        (0.34, Step.SHRINK),
        (0.35, Step.STAY),
        (0.7, Step.STAY),
        (0.71, Step.GROW),
        (math.inf, Step.GROW),
    ],
)
def test_above_the_target_it_grows_and_below_half_of_it_it_shrinks(load: float, step: Step) -> None:
    assert decide(load, 5, WIDE, 0.7) is step


@given(
    work=st.integers(0, 500),
    workers=st.integers(1, 100),
    slots=st.integers(1, 8),
    target=st.floats(0.05, 1.0),
)
def test_neither_step_calls_for_the_other(
    work: int, workers: int, slots: int, target: float
) -> None:
    def step(count: int) -> Step:
        load = work / (count * slots) if count else (math.inf if work else 0.0)
        return decide(load, count, WIDE, target)

    match step(workers):
        case Step.GROW:
            assert step(workers + 1) is not Step.SHRINK
        case Step.SHRINK if workers > 1 or work == 0:
            assert step(workers - 1) is not Step.GROW
        case _:
            pass


@given(
    load=st.floats(0, allow_nan=False),
    workers=st.integers(0, 20),
    ends=st.tuples(st.integers(0, 10), st.integers(1, 10)).filter(lambda each: each[0] <= each[1]),
)
def test_the_number_goes_into_the_bounds_and_stays_there(
    load: float, workers: int, ends: tuple[int, int]
) -> None:
    bounds = Bounds(*ends)
    for _ in range(30):
        step = decide(load, workers, bounds, 0.7)
        workers += {Step.GROW: 1, Step.SHRINK: -1, Step.STAY: 0}[step]
    assert bounds.minimum <= workers <= bounds.maximum


@pytest.mark.parametrize(("minimum", "maximum"), [(-1, 3), (0, 0), (3, 2)])
def test_bounds_that_make_no_sense_are_refused(minimum: int, maximum: int) -> None:
    with pytest.raises(InvalidInput):
        Bounds(minimum, maximum)


@pytest.mark.parametrize(
    ("load", "target"), [(-0.1, 0.7), (math.nan, 0.7), (0.5, 0.0), (0.5, math.inf)]
)
def test_loads_that_make_no_sense_are_refused(load: float, target: float) -> None:
    with pytest.raises(InvalidInput):
        decide(load, 1, WIDE, target)


def board(*slots: int, **rules: Any) -> Board:
    made = Board(Rules(ends_when_done=False, **rules))
    for number, count in enumerate(slots):
        made.handle(
            WorkerJoined(f"at {number}", WorkerProfile(f"w{number}", 5, slots=count), session="1"),
            0.0,
        )
    made.handle(AssigningBegun(), 0.0)
    return made


def add(to: Board, count: int, **fields: Any) -> None:
    tasks = (Task(task_id=len(to.tasks) + n, **fields) for n in range(1, count + 1))
    to.handle(TasksAdded(tuple(tasks)), 0.0)


def test_the_load_is_the_work_for_each_slot() -> None:
    made = board(2, 2)
    assert measure_workload(made).load == 0.0
    add(made, 3)
    assert measure_workload(made).load == 0.75
    add(made, 5)
    assert measure_workload(made).load == 2.0


def test_work_that_nobody_is_there_for_is_an_infinite_load() -> None:
    made = board()
    assert measure_workload(made).load == 0.0
    add(made, 1)
    assert measure_workload(made).load == math.inf


def test_what_waits_for_other_tasks_is_no_load_yet() -> None:
    made = board(1)
    add(made, 1)
    add(made, 1, depends_on=(1,))
    assert measure_workload(made).load == 1.0


def test_a_worker_that_retires_has_no_slots() -> None:
    made = board(1, 1)
    made.handle(RetirementRequested("w1"), 0.0)
    add(made, 1)
    assert measure_workload(made).load == 1.0
