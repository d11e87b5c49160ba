"""Attempts, their deadlines, and cancels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.events import TimePassed
from muster.agents.kernel.model.instructions import SendAssignment, SendCancel
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind, ProgressFacts
from muster.agents.kernel.model.records import MAX_STORY
from muster.messages import IllegalTransition, InvalidTask, PriorityTask, TaskStatus, UnknownTask

Make = Callable[..., Any]


def test_an_assignment_tells_all_that_the_worker_must_know(watched: Make, task: Make) -> None:
    board = watched()
    board.now = 7.9
    first = task(1, 3)
    board.add(first)
    board.join("Ada")
    (given,) = [each for each in board.begin() if isinstance(each, SendAssignment)]
    assert given.worker_id == "at Ada"
    assert given.assignment.task is first
    assert given.assignment.assigned_at == 7
    assert given.assignment.timeout == 6.0
    assert given.assignment.attempt == 1
    assert given.assignment.worker == "Ada"
    assert given.assignment.inputs == {}


@pytest.mark.parametrize(
    ("fields", "scale", "timeout", "deadline"),
    [
        ({"difficulty": 4}, 1.0, 8.0, 8.0),
        ({"difficulty": 4}, 2.0, 8.0, 16.0),
        ({"difficulty": 10}, 0.6, 20.0, 12.0),
        ({"difficulty": 10}, 0.01, 20.0, 10.0),
        # Up to ten seconds are not shortened: a busy machine takes its time at any scale.
        ({"difficulty": 4}, 0.01, 8.0, 8.0),
        ({"difficulty": 4, "timeout": 3}, 0.1, 3.0, 0.3),
        ({"difficulty": 4, "type": "real"}, 1.0, None, None),
        ({"difficulty": 4, "type": "real", "timeout": 3}, 2.0, 3.0, 6.0),
    ],
)
def test_an_attempt_may_take_as_long_as_task_difficulty_and_scale_say(
    watched: Make,
    task: Make,
    fields: dict[str, Any],
    scale: float,
    timeout: float | None,
    deadline: float | None,
) -> None:
    board = watched(time_scale=scale)
    board.add(task(1, **fields))
    board.join("Ada", 10)
    board.begin()
    assert board.given[0].timeout == timeout
    assert board.record(1).deadline == pytest.approx(deadline)


def test_an_attempt_that_takes_too_long_is_stopped_and_the_task_fails(
    crew: Make, task: Make, only: Make, whats: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1, timeout=4))
    assert board.board.next_timer_at() == 4
    said = board.wait_until(4)
    assert only(SendCancel, said) == [SendCancel("at Ada", 1, 1, "timed out: after 4 s")]
    assert whats(said) == [OccurrenceKind.ATTEMPT_TIMED_OUT, OccurrenceKind.TASK_FAILED]
    result = board.record(1).result
    assert (result.success, result.error_message) == (False, "timed out: after 4 s")
    assert (result.worker, result.execution_time, result.attempt) == ("Ada", 4.0, 1)


def test_a_timeout_tells_the_seconds_of_the_story(watched: Make, task: Make) -> None:
    board = watched(time_scale=0.1)
    board.add(task(1, timeout=10))
    board.join("Ada")
    board.begin()
    board.wait_until(1)
    assert board.record(1).error_message == "timed out: after 10 s"


def test_a_timeout_counts_in_the_workers_statistics(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, timeout=4))
    board.wait_until(4)
    stats = board.board.workers["Ada"].stats
    assert (stats.completed_tasks, stats.successful_tasks, stats.success_rate) == (1, 0, 0.0)


def test_a_result_that_is_read_before_the_alarm_counts(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, timeout=4))
    board.now = 4.0
    board.succeed(1)
    board.handle(TimePassed())
    assert board.status(1) is TaskStatus.COMPLETED


def test_the_slot_of_a_stopped_attempt_stays_taken_until_the_worker_reports(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1, timeout=4), task(2, type="real"))
    board.wait_until(5, hearing=["Ada"])
    assert board.places() == {}
    board.fail(1, error_message="timed out: after 4 s")
    assert board.places() == {2: "Ada"}
    assert board.board.ignored == {}


def test_the_slot_of_a_stopped_attempt_is_free_when_its_worker_returns(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1, timeout=4), task(2, type="real"))
    board.wait_until(5)
    board.leave("Ada")
    board.join("Ada")
    assert board.places() == {2: "Ada"}


def test_a_waiting_task_is_cancelled_at_once(watched: Make, task: Make, only: Make) -> None:
    board = watched()
    board.add(task(1))
    said = board.cancel(1, "not needed")
    assert board.status(1) is TaskStatus.CANCELLED
    assert board.record(1).error_message == "cancelled: not needed"
    assert board.record(1).result is None
    assert not only(SendCancel, said)


def test_a_running_task_is_cancelled_at_once_and_its_worker_told(
    crew: Make, task: Make, only: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1), task(2))
    said = board.cancel(1)
    assert only(SendCancel, said) == [SendCancel("at Ada", 1, 1, "cancelled: by the user")]
    assert board.status(1) is TaskStatus.CANCELLED
    assert board.places() == {}
    board.fail(1, error_message="cancelled: by the user")
    assert board.places() == {2: "Ada"}


def test_a_settled_task_cannot_be_cancelled_and_the_error_tells_its_story(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1))
    board.succeed(1)
    story = "task_added; .* task_assigned 1 by Ada; .* task_completed 1 by Ada"
    with pytest.raises(IllegalTransition, match=f"task 1 is completed.*{story}"):
        board.cancel(1)


def test_an_unknown_task_cannot_be_cancelled(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task("7"))
    with pytest.raises(UnknownTask, match="no task has the id 7; there is one with the id '7'"):
        board.cancel(7)


@pytest.mark.parametrize("task_id", ["8", 8, "eight", "9" * 5000])
def test_the_story_of_an_unknown_task_cannot_be_told(watched: Make, task_id: Any) -> None:
    with pytest.raises(UnknownTask, match=r"no task has the id '?[8e9]"):
        watched().board.story(task_id)


def test_a_waiting_task_with_a_higher_priority_comes_sooner(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1), task(2), task(3))
    board.set_priority(3, 5)
    board.succeed(1)
    assert board.places() == {3: "Ada"}
    assert board.record(3).task.priority == 5


def test_a_waiting_task_with_a_lower_priority_comes_later(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1), task(2), task(3))
    board.set_priority(2, -1)
    board.succeed(1)
    assert board.places() == {3: "Ada"}


def test_the_users_own_task_keeps_the_priority_it_had(watched: Make, task: Make) -> None:
    board = watched()
    mine = task(1, priority=3)
    board.add(mine)
    board.set_priority(1, 8)
    assert mine.priority == 3


def test_a_priority_against_the_tasks_own_rules_is_refused(watched: Make) -> None:
    board = watched()
    board.add(PriorityTask(id=1, description="urgent", priority=2))
    with pytest.raises(InvalidTask, match="task 1 can't have the priority 0"):
        board.set_priority(1, 0)
    assert board.record(1).task.priority == 2


def test_the_priority_of_a_task_that_waits_no_more_cannot_be_changed(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1))
    with pytest.raises(IllegalTransition, match="task 1 is in_progress; only the priority"):
        board.set_priority(1, 5)


def test_the_priority_of_an_unknown_task_cannot_be_changed(watched: Make) -> None:
    with pytest.raises(UnknownTask, match="no task has the id 1"):
        watched().set_priority(1, 5)


def test_the_priority_of_a_task_that_waits_for_others_can_be_changed(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1), task(2, depends_on=(1,)), task(3))
    board.set_priority(2, 5)
    board.succeed(1)
    assert board.places() == {2: "Ada"}


def test_progress_is_kept_and_told(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1))
    (told,) = board.progress(1, 40, note="line 4")
    assert (told.what, describe_facts(told)) == (OccurrenceKind.TASK_PROGRESSED, "40 %: line 4")
    assert (board.record(1).progress, board.record(1).note) == (40, "line 4")


def test_progress_of_anything_but_the_running_attempt_is_passed_over(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, max_attempts=3), task(2))
    assert board.progress(1, 40, attempt=2) == []
    assert board.progress(1, 40, worker="Ben") == []
    board.succeed(1)
    assert board.progress(1, 40) == []
    assert board.record(1).progress == 100


def test_a_chatty_worker_does_not_push_out_the_story(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1))
    for percent in range(100):
        board.progress(1, percent)
    assert board.happened(1) == [
        OccurrenceKind.TASK_ADDED,
        OccurrenceKind.TASK_ASSIGNED,
        OccurrenceKind.TASK_PROGRESSED,
    ]
    assert board.record(1).story[-1].facts == ProgressFacts(99)
    assert board.record(1).forgotten == 99


def test_a_long_story_loses_its_beginning_and_says_so(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, max_attempts=100), task(2))
    for _ in range(100):
        board.fail(1)
    assert len(board.record(1).story) == MAX_STORY
    with pytest.raises(IllegalTransition, match=r"\d+ earlier occurrences dropped; "):
        board.cancel(1)


def test_what_is_said_and_what_stands_in_the_story_are_one_thing(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    said = board.add(task(1))
    assert board.record(1).story[0] is said[0]
