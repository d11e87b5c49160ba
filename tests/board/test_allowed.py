"""Only workers that may come are let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.instructions import RefuseWorker, SendWelcome
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.simulation.rehearsal import rehearse
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import InvalidInput, Task

Make = Callable[..., Any]


def test_who_may_not_come_is_refused_and_never_listed(
    watched: Make, task: Make, only: Make, whats: Make
) -> None:
    board = watched(allow=("Ada", "Ben"))
    board.add(task(1))
    board.begin()
    said = board.join("Mallory")
    (refusal,) = only(RefuseWorker, said)
    assert refusal.reason == "worker 'Mallory' is not in the manager's allow list"
    assert whats(said) == [OccurrenceKind.WORKER_REFUSED]
    assert board.places() == {}
    assert only(SendWelcome, board.join("Ben"))
    assert board.places() == {1: "Ben"}


def test_without_a_list_everyone_may_come(watched: Make, only: Make) -> None:
    assert only(SendWelcome, watched().join("Mallory"))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"allow": ()}, "allow is empty"),
        (
            {"allow": ("Ada",), "roster": ("Ada", "Ben")},
            "worker 'Ben' is expected, but not in allow",
        ),
    ],
)
def test_a_list_that_lets_nobody_in_who_must_come_is_refused(
    fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        Rules(**fields)


def test_a_name_in_place_of_a_list_of_names_is_refused() -> None:
    with pytest.raises(InvalidInput, match="allow is the text 'Ada'; give a list of names"):
        TaskManager(allow="Ada")


def test_a_manager_lets_in_whom_it_was_told_to() -> None:
    manager = TaskManager([Task(id=1, description="x")], 1, allow=["Ada"], quiet=True)
    workers = [WorkerAgent("Mallory", 9), WorkerAgent("Ada", 5)]
    report = run_in_virtual_time(rehearse(manager, workers))
    assert [task.worker for task in report.tasks] == ["Ada"]
    assert set(manager.board.workers) == {"Ada"}
