"""Reviews and votes in diagrams and on the console."""

from __future__ import annotations

import io
from typing import Any

import pytest
from muster.agents import TaskManager, TraceLog, WorkerAgent, follow, rehearse, run_in_virtual_time
from muster.agents.command.console.plain_lines import PlainLines
from muster.agents.command.console.tally import RunTally
from muster.agents.diagram.gantt import write_gantt
from muster.agents.diagram.leases import leases_of
from muster.agents.diagram.run_messages import MessageKind, messages_of
from muster.agents.diagram.sequence_of_run import tell_as_sequence
from muster.agents.kernel.trace import Trace
from muster.agents.metrics.exposition import render_metrics
from muster.messages import Task


def run(task: Task) -> tuple[TaskManager, Trace, RunTally]:
    """Ada does it badly and Ben well; Cara reviews, and votes as Ben does."""
    answers = {"Ada": 1, "Ben": 2, "Cara": 2}
    workers = [WorkerAgent(name, 5) for name in answers]
    for worker in workers:
        worker.task("add")(lambda task, answer=answers[worker.name]: answer)
    workers[2].review("add")(lambda task, result: 0.9 if result.output == 2 else 0.1)
    log, tally = TraceLog(), RunTally(1, 0.0)
    manager = TaskManager([task], list(answers), policy="in_order", quiet=True)
    render_metrics(manager)
    follow(manager, log)
    manager.watch(tally.note)
    run_in_virtual_time(rehearse(manager, workers))
    return manager, log.trace(), tally


def told(trace: Trace) -> list[tuple[str, str, dict[str, str]]]:
    shown = ("success", "grade", "review", "error")
    return [
        (
            each.kind.value,
            each.receiver.name if each.kind is MessageKind.ASSIGNMENT else each.sender.name,
            {key: each.facts[key] for key in shown if key in each.facts},
        )
        for each in messages_of(trace)
        if each.kind in (MessageKind.ASSIGNMENT, MessageKind.RESULT, MessageKind.CANCEL)
    ]


REVIEWED = Task(1, "add", type="add", review=True, max_attempts=2)
VOTED_ON = Task(1, "add", type="add", votes=3)


def test_each_review_is_an_assignment_and_a_result_and_no_result_is_told_twice() -> None:
    _, trace, _ = run(REVIEWED)
    assert told(trace) == [
        ("TaskAssignment", "Ada", {}),
        ("TaskResult", "Ada", {"success": "true"}),
        ("TaskAssignment", "Cara", {"review": "true"}),
        ("TaskResult", "Cara", {"success": "true", "grade": "0.1"}),
        ("TaskAssignment", "Ben", {}),
        ("TaskResult", "Ben", {"success": "true"}),
        ("TaskAssignment", "Cara", {"review": "true"}),
        ("TaskResult", "Cara", {"success": "true", "grade": "0.9"}),
    ]
    assert "graded" not in write_gantt(trace, 10)
    assert tell_as_sequence(trace).steps


def test_votes_are_assigned_together_and_each_has_its_result() -> None:
    _, trace, _ = run(VOTED_ON)
    assert [(kind, name) for kind, name, _ in told(trace)][:3] == [
        ("TaskAssignment", "Ada"),
        ("TaskAssignment", "Ben"),
        ("TaskAssignment", "Cara"),
    ]
    assert sorted(name for kind, name, _ in told(trace) if kind == "TaskResult") == [
        "Ada",
        "Ben",
        "Cara",
    ]


@pytest.mark.parametrize(
    ("task", "attempts"), [(REVIEWED, {1, 2, 3, 4}), (VOTED_ON, {1, 2, 3})], ids=["review", "votes"]
)
def test_every_attempt_has_one_bar_that_ends(task: Task, attempts: set[int]) -> None:
    manager, trace, tally = run(task)
    leases = leases_of(trace)
    assert {each.attempt for each in leases} == attempts
    assert len(leases) == len(attempts)
    assert {each.ending for each in leases} == {"succeeded"}
    assert (tally.succeeded, tally.failed) == (1, 0)
    assert not any(worker.running for worker in tally.workers.values())
    counted = _counted(manager)
    rejected = 1.0 if task.review else 0.0
    expected = {"succeeded": len(attempts) - rejected} | ({"rejected": 1.0} if rejected else {})
    assert {key: count for key, count in counted.items() if count} == expected


def test_the_console_tells_who_reviewed_what() -> None:
    _, _, tally = run(REVIEWED)
    lines = io.StringIO()
    PlainLines(lines).draw(tally, 1.0)
    text = lines.getvalue()
    assert "T1 run by Ada" in text
    assert "T1 reviewed by Cara" in text
    assert "attempt 1 graded 0.1" in text
    assert "rejected: by Cara: 0.1 (attempts left: 1)" in text


def _counted(manager: TaskManager) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for line in render_metrics(manager).decode().splitlines():
        if line.startswith("muster_attempt_seconds_count"):
            name, count = line.rsplit(" ", 1)
            counts[name.split('"')[1]] = float(count)
    return counts
