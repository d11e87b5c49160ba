"""A worker that is drained gets no more tasks, finishes those it has, and then leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.events import (
    DrainEnded,
    DrainRequested,
    TasksGivenBack,
    WorkerHeard,
    WorkerLeft,
)
from muster.agents.kernel.model.instructions import RetireWorker, SendRecall
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.records import AttemptOutcome
from muster.messages import TaskStatus, UnknownName

Make = Callable[..., Any]


def test_a_drained_worker_finishes_its_task_and_leaves(
    watched: Make, task: Make, only: Make
) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.add(task(1), task(2))
    said = board.handle(DrainRequested("Ada"))
    assert only(RetireWorker, said) == []
    said = board.succeed(1)
    assert [each.worker_id for each in only(RetireWorker, said)] == ["at Ada"]
    assert [each.task.id for each in board.given] == [1], "a drained worker got another task"


def test_an_idle_worker_that_is_drained_leaves_at_once(watched: Make, only: Make) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    assert len(only(RetireWorker, board.handle(DrainRequested("Ada")))) == 1


def test_a_drained_worker_may_stay_and_get_tasks_again(
    watched: Make, task: Make, only: Make
) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    said = board.handle(DrainRequested("Ada", leaves=False))
    board.add(task(1))
    assert only(RetireWorker, said) == [] == board.given
    board.handle(DrainEnded("Ada"))
    assert [each.task.id for each in board.given] == [1]


def test_what_a_drained_worker_has_not_begun_is_recalled_and_is_no_attempt(
    watched: Make, task: Make, only: Make
) -> None:
    board = watched(ends_when_done=False, prefetch_s=5.0)
    board.join("Ada")
    board.begin()
    # Two that teach the board how short such tasks are.
    board.add(task(1, type="short"))
    board.succeed(1, execution_time=0.01)
    board.add(task(2, type="short"), task(3, type="short"))
    said = board.handle(DrainRequested("Ada"))
    assert [each.attempts for each in only(SendRecall, said)] == [((3, 1),)]
    board.handle(TasksGivenBack("at Ada", ((3, 1),)))
    record = board.board.tasks[3]
    assert record.status is TaskStatus.PENDING
    assert record.attempts[0].outcome is AttemptOutcome.NOT_BEGUN
    assert record.losses == 0 == record.failures


def test_a_worker_that_says_that_it_leaves_gives_back_what_reaches_it_then(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada", slots=2)
    board.join("Bob")
    board.begin()
    board.add(task(1), task(2))
    board.handle(WorkerHeard("at Ada", is_draining=True))
    mine = [(each.task.id, each.attempt) for each in board.given if each.worker == "Ada"]
    board.succeed(next(each.task.id for each in board.given if each.worker == "Bob"))
    board.handle(TasksGivenBack("at Ada", tuple(mine)))
    (task_id, _), *_ = mine
    first, second = board.board.tasks[task_id].attempts
    assert first.outcome is AttemptOutcome.NOT_BEGUN
    assert second.worker.name == "Bob"


def test_what_a_worker_gives_back_as_it_leaves_is_no_loss(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False, max_losses=0)
    board.join("Ada")
    board.begin()
    board.add(task(1))
    board.handle(WorkerHeard("at Ada", is_draining=True))
    board.handle(WorkerLeft("at Ada", "stopped", is_orderly=True))
    board.join("Bob")
    record = board.board.tasks[1]
    assert [each.outcome for each in record.attempts] == [AttemptOutcome.RETURNED, None]
    assert record.losses == 0 == record.failures
    told = [describe_facts(each) for each in record.story]
    assert "given back by Ada, which left" in told
    board.succeed(1)
    assert record.status is TaskStatus.COMPLETED


def test_a_worker_that_starts_anew_is_not_drained_any_more(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.handle(DrainRequested("Ada", leaves=False))
    board.leave("Ada")
    board.join("Ada", session="2")
    board.add(task(1))
    assert [each.worker for each in board.given] == ["Ada"]


@pytest.mark.parametrize("event", [DrainRequested("Aad"), DrainEnded("Aad")])
def test_an_unknown_worker_is_refused_with_the_names_that_are_known(
    watched: Make, event: DrainRequested | DrainEnded
) -> None:
    board = watched()
    board.join("Ada")
    board.join("Bob")
    with pytest.raises(UnknownName, match=r"'Aad'.*did you mean 'Ada'.*Ada, Bob|'Aad'.*Ada"):
        board.handle(event)
