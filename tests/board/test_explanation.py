"""Why a task stands where it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.decision import MAX_NAMED
from muster.agents.kernel.model.events import StopRequested
from muster.messages import UnknownTask

Make = Callable[..., Any]


@pytest.fixture
def told() -> Callable[[Any, Any], list[str]]:
    """The lines that explain a task."""
    return lambda board, task_id: board.board.explain(task_id).lines()


def test_an_assignment_tells_who_was_considered_and_why_each_was_passed_over(
    watched: Make, task: Make, told: Make
) -> None:
    board = watched(ends_when_done=False)
    board.join("Junior", 3)
    board.join("Busy", 4, slots=1)
    board.join("Intermediate", 6)
    board.join("Senior", 9)
    board.join("Painter", 10, task_types=frozenset({"walls", "doors"}))
    board.begin()
    board.add(task(1, 4))
    board.add(task(2, 4))
    assert told(board, 2) == [
        "task 2 is in progress: attempt 1 at Intermediate",
        (
            "  Intermediate: chosen with score -6.00, the highest (10 for a specialist, minus "
            "skill level, minus share of slots in use)"
        ),
        "  Senior: score -9.00, below -6.00",
        "  Busy: busy 1/1 slots",
        "  Junior: skill 3 is below difficulty 4",
        "  Painter: does no simulated work; has handlers for: doors, walls",
    ]


def test_the_explanation_is_of_the_time_of_the_decision(crew: Make, task: Make, told: Make) -> None:
    board = crew(Ada=5, Ben=6)
    board.add(task(1))
    before = told(board, 1)
    board.join("Cleo", 1)
    board.leave("Ben")
    assert told(board, 1) == before


def test_equal_scores_are_told_apart_by_order(crew: Make, task: Make, told: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1))
    assert told(board, 1)[2] == "  Ben: score -5.00, the same, but later in order"


def test_a_retry_tells_at_whom_it_failed(crew: Make, task: Make, told: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, max_attempts=2))
    board.fail(1)
    assert told(board, 1) == [
        "task 1 is in progress: attempt 2 at Ben",
        (
            "  Ben: chosen with score 5.00, the highest: the most skilled first "
            "since it had failed before"
        ),
        "  Ada: failed attempt 1",
    ]


def test_a_settled_task_tells_how_it_ended(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1), task(2), task(3), task(4, depends_on=(3,)), task(5))
    board.succeed(1)
    board.fail(2, error_message="ValueError: no such column")
    board.cancel(3)
    board.cancel(5)
    headlines = {n: board.board.explain(n).headline for n in board.board.tasks}
    assert headlines == {
        1: "is completed: attempt 1 at Ada",
        2: "failed: attempt 1 at Ada: ValueError: no such column",
        3: "is cancelled: by the user",
        4: "is cancelled: dependency: task 3 cancelled",
        5: "is cancelled: by the user",
    }


def test_at_most_eight_are_named_the_chosen_first_and_the_rest_counted(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False)
    for number in range(20):
        board.join(f"w{number}", 20 - number)
    board.begin()
    board.add(task(1))
    explanation = board.board.explain(1)
    assert explanation.considered[0].worker == "w19"
    assert len(explanation.considered) == MAX_NAMED
    assert explanation.others == 12
    assert explanation.lines()[-1] == "  and 12 more"


def test_the_chosen_is_named_even_if_all_before_it_are_busy(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False)
    for number in range(20):
        board.join(f"w{number}", 5)
    board.begin()
    board.add(*(task(number) for number in range(1, 21)))
    explanation = board.board.explain(20)
    assert [each.worker for each in explanation.considered] == ["w19", *(f"w{n}" for n in range(7))]


# ---------------------------------------------------------------- while it waits


def test_a_task_waits_for_what_it_depends_on(crew: Make, task: Make, told: Make) -> None:
    board = crew(Ada=5)
    board.add(task(3), task(4), task(5, depends_on=(3, 4)))
    assert told(board, 5) == ["task 5 waits for task 3 (in progress), task 4 (pending)"]


def test_a_task_waits_for_many_and_names_some(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(*(task(n) for n in range(1, 21)), task(99, depends_on=tuple(range(1, 21))))
    assert board.board.explain(99).headline.endswith("task 8 (pending) and 12 more")


def test_a_task_waits_for_the_workers_yet_expected(watched: Make, task: Make, told: Make) -> None:
    board = watched(roster=("Ada", "Ben"))
    board.add(task(1))
    board.join("Ada")
    assert told(board, 1) == [
        (
            "task 1 waits for the assigning to begin: 1 of 2 expected workers have joined; "
            "missing: Ben"
        ),
        "  Ada: free",
    ]


def test_a_task_waits_for_whoever_embeds_the_manager(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1))
    board.join("Ada")
    assert board.board.explain(1).headline == "waits for the assigning to begin"


def test_a_task_waits_for_any_worker(crew: Make, task: Make, told: Make) -> None:
    board = crew()
    board.add(task(1))
    assert told(board, 1) == ["task 1 waits for a worker: none is connected"]


def test_a_task_waits_for_a_free_slot(crew: Make, task: Make, told: Make) -> None:
    board = crew(Ada=5, Ben=2)
    board.add(task(1, 5), task(2, 4))
    assert told(board, 2) == [
        "task 2 waits for a free slot: all workers that can run it are busy",
        "  Ada: busy 1/1 slots",
        "  Ben: skill 2 is below difficulty 4",
    ]


def test_a_retry_waits_for_another_worker(crew: Make, task: Make, told: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, max_attempts=2), task(2))
    board.fail(1)
    assert told(board, 1) == [
        (
            "task 1 waits for a free slot: all workers that can run it are busy "
            "(its last failure: Error: no)"
        ),
        "  Ben: busy 1/1 slots",
        "  Ada: failed attempt 1",
    ]


def test_a_task_waits_for_somebody_who_can(crew: Make, task: Make, told: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, 9))
    board.wait_until(10, hearing=["Ada"])
    assert told(board, 1) == [
        (
            "task 1 waits: no connected worker can run it: needs skill 9; the best, Ada, has 5; "
            "it fails in 20.0 s"
        ),
        "  Ada: skill 5 is below difficulty 9",
    ]


def test_a_task_waits_for_ever_for_somebody_who_can(watched: Make, task: Make) -> None:
    board = watched(unmatched_after_s=None)
    board.add(task(1, 9))
    board.join("Ada")
    board.begin()
    headline = board.board.explain(1).headline
    assert headline.endswith("can run it: needs skill 9; the best, Ada, has 5")


def test_a_task_of_a_run_that_failed_tells_why_it_was_never_assigned(
    watched: Make, task: Make
) -> None:
    board = watched(roster=("Ada",), join_timeout_s=5)
    board.add(task(1))
    board.wait_until(5)
    told = "was never assigned: 0 of 1 expected workers joined within 5 s; missing: Ada"
    assert board.board.explain(1).headline == told


def test_a_task_of_a_run_that_was_stopped_tells_that_it_waits_no_more(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1), task(2))
    board.handle(StopRequested())
    assert board.board.explain(2).headline == "waits no more: the run was stopped"


def test_a_task_that_nobody_could_do_tells_so_for_good(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, 9))
    board.wait_until(40, hearing=["Ada"])
    told = "failed: nobody can: needs skill 9; the best, Ada, has 5"
    assert board.board.explain(1).headline == told


def test_an_unknown_task_cannot_be_explained(watched: Make) -> None:
    with pytest.raises(UnknownTask, match="no task has the id 1"):
        watched().board.explain(1)
