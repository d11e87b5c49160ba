"""The line that `muster worker` prints at its end counts the tasks by their final results."""

from __future__ import annotations

from typing import Any

import pytest
from muster.agents import TaskManager, rehearse, run_in_virtual_time
from muster.agents.command.worker import CountingWorker
from muster.messages import Task


def give_an_object(_: Task) -> Any:
    return object()


def give_a_number(_: Task) -> Any:
    return 7


def fail(_: Task) -> Any:
    raise ValueError("no leaf")


@pytest.mark.parametrize(
    ("handler", "summary"),
    [
        (give_a_number, "Ada: 2 tasks, 2 succeeded"),
        (fail, "Ada: 2 tasks, 0 succeeded"),
        (give_an_object, "Ada: 2 tasks, 0 succeeded"),
    ],
    ids=["successes", "failures", "outputs that can't be encoded"],
)
def test_only_attempts_whose_result_is_a_success_count_as_succeeded(
    handler: Any, summary: str
) -> None:
    worker = CountingWorker("Ada", 5, ())
    worker.task("made")(handler)
    tasks = [Task(id=n, description="Make it", type="made") for n in (1, 2)]
    run_in_virtual_time(rehearse(TaskManager(tasks, 1, quiet=True), [worker]))
    assert worker.summary() == summary


def test_successes_are_counted_although_the_history_has_dropped_them() -> None:
    worker = CountingWorker("Ada", 5, ())
    worker.task("made")(lambda _: "x" * 1_000_000)
    tasks = [Task(id=n, description="Make it", type="made") for n in range(1, 41)]
    run_in_virtual_time(rehearse(TaskManager(tasks, 1, quiet=True), [worker]))
    assert len(worker.task_history) < len(tasks)
    assert worker.summary() == "Ada: 40 tasks, 40 succeeded"
