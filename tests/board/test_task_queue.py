"""The waiting queue: always the most urgent first, and no larger than it must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from muster.agents.kernel.board.invariants import check_invariants
from muster.agents.kernel.matching.policy_names import find_policy
from muster.agents.kernel.model.events import (
    AssigningBegun,
    ResultReceived,
    TasksAdded,
    WorkerJoined,
)
from muster.agents.kernel.model.instructions import SendAssignment
from muster.messages import TaskResult, TaskStatus, WorkerProfile

Make = Callable[..., Any]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 10), st.integers(-3, 3)),
        st.tuples(st.just("cancel"), st.integers(0, 50), st.just(0)),
        st.tuples(st.just("reprioritise"), st.integers(0, 50), st.integers(-3, 3)),
        st.tuples(st.just("succeed"), st.just(0), st.just(0)),
    ),
    max_size=80,
)


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_whatever_is_added_cancelled_and_changed_the_most_urgent_comes_next(
    crew: Make, task: Make, steps: list[tuple[str, int, int]]
) -> None:
    board, policy = crew(Ada=10), find_policy("best_fit")
    for number, (step, value, priority) in enumerate(steps, start=1):
        waiting = [
            record for record in board.board.tasks.values() if record.status is TaskStatus.PENDING
        ]
        if step == "add":
            board.add(task(number, value, priority=priority))
        elif step == "succeed" and board.places():
            board.succeed(next(iter(board.places())))
            if waiting:
                expected = min(policy.urgency(each.task, each.sequence) for each in waiting)
                (now_running,) = (board.record(task_id) for task_id in board.places())
                urgency = policy.urgency(now_running.task, now_running.sequence)
                assert urgency == expected
        elif step == "cancel" and waiting:
            board.cancel(waiting[value % len(waiting)].task_id)
        elif step == "reprioritise" and waiting:
            board.set_priority(waiting[value % len(waiting)].task_id, priority)


def test_of_many_cancelled_tasks_nothing_stays_and_the_rest_goes_on(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(*(task(number) for number in range(1, 101)))
    for number in range(2, 90):
        board.cancel(number)
    (group,) = board.board.queue.groups.values()
    assert len(group.entries) <= 2 * group.count + 8
    board.succeed(1)
    assert board.places() == {90: "Ada"}


def test_the_next_in_line_is_found_after_the_first_was_cancelled_with_many_behind_it(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(*(task(number) for number in range(1, 41)))
    for number in range(40, 17, -1):
        board.cancel(number)
    (group,) = board.board.queue.groups.values()
    before = len(group.entries)
    board.cancel(2)
    assert len(group.entries) == 15 < before
    board.succeed(1)
    assert board.places() == {3: "Ada"}


def test_a_task_that_starves_leaves_no_traces_in_the_queue(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task("running"), task("starving", priority=-1))
    for number in range(1, 200):
        board.add(task(number, 1 + number % 5))
        board.succeed(next(iter(board.places())))
    (candidate_set,) = board.board.queue.candidate_sets.values()
    assert len(candidate_set.heads) <= 2 * len(candidate_set.groups) + 8
    assert board.status("starving") is TaskStatus.PENDING


def test_kinds_of_tasks_that_come_no_more_are_forgotten(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False).board
    board.handle(WorkerJoined("at Ada", WorkerProfile("Ada", 5)), 0.0)
    board.handle(AssigningBegun(), 0.0)
    for number in range(1, 2_501):
        said = board.handle(TasksAdded((task(number, type=f"kind {number}"),)), 0.0)
        assert any(isinstance(each, SendAssignment) for each in said)
        board.handle(
            ResultReceived("at Ada", TaskResult(task_id=number, worker="Ada", success=True)), 0.0
        )
    assert len(board.queue.groups) <= 1_001
    check_invariants(board)
