"""No field of a run's tasks and workers is lost in a store.

A field that is added later is looked at, too: it is kept, or stands below with the reason why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_snapshot
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.decision import Candidates, Decision
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.kernel.model.questions import TaskQuestion
from muster.agents.kernel.model.records import (
    Attempt,
    TaskRecord,
    WorkerRecord,
)
from muster.agents.kernel.model.snapshot import Snapshot
from muster.agents.kernel.model.worker_stats import WorkerStats
from muster.messages import Task, TaskResult, TaskStatus

from ..every_field import NESTED, default_of, make, names_of

NOT_KEPT: Mapping[type[Any], Mapping[str, str]] = {
    TaskRecord: {
        "progress": "progress is not kept; of what is completed it is 100",
        "note": "it comes with the progress",
        "unfinished": "counted anew",
        "named_by": "counted anew",
        "dependents": "found anew",
        "children": "found anew",
        "queue_entry": "the queue is made anew",
        "_story": "compared as the story",
        "attempts": "compared one by one",
        "declined_by": "found anew in the attempts",
        "place": "found anew, it is the parent's",
        "retry": "found anew in the task and the rules",
        "failure": "kept in the result, or until there is one as a value of its own",
    },
    Attempt: {
        "worker": "compared by its name",
        "task": "compared by its id",
        "is_prefetched": "what waited at its worker is known to that alone",
        "is_displaced": "what waits at its worker is known to that alone",
        "suspended_for": "kept of attempts that run",
        "suspended_at": "kept of attempts that run",
        "suspended_s": "kept of attempts that run",
        "left_s": "kept of attempts that run",
        "grant": "kept of attempts that run",
        "is_recalled": "it is asked for it again",
        "asked_at": "it is asked again",
        "expected_s": "estimated anew",
        "duration": "learnt anew",
        "reserved": "estimated anew",
    },
    WorkerRecord: {
        "running": "found anew in the attempts",
        "stopping": "told by the worker",
        "prefetched": "told by the worker",
        "prefetched_s": "told by the worker",
        "suspended": "told by the worker",
        "withdrawn": "told by the worker",
        "is_retiring": "decided anew",
    },
    Snapshot: {"tasks": "compared one by one", "workers": "compared one by one"},
}


def a_worker() -> WorkerRecord:
    nothing = {name: default_of(WorkerRecord, name) for name in NOT_KEPT[WorkerRecord]}
    return make(WorkerRecord, stats=make(WorkerStats), **nothing)


def a_task(worker: WorkerRecord, payload: Any) -> TaskRecord:
    pairs = (("Ada", 1), ("Ben", 2))
    candidates = make(Candidates, able=pairs, unable=pairs)
    decision = make(Decision, candidates=candidates, scored=(("Ada", 1.5),))
    nothing = {name: default_of(TaskRecord, name) for name in NOT_KEPT[TaskRecord]}
    task = make(Task, payload)
    question = make(TaskQuestion)
    record = make(
        TaskRecord,
        **nothing,
        task_id=task.id,
        task=task,
        status=TaskStatus.FAILED,
        decision=decision,
        result=make(TaskResult, payload, task_id=task.id),
        questions={question.asked.key: question},
    )
    # Changed since it was added.
    record.task = task.model_copy(update={"priority": -1, "timeout": 123.0})
    unkept = {name: default_of(Attempt, name) for name in NOT_KEPT[Attempt]}
    record.attempts.append(
        make(Attempt, **{**unkept, "number": 1, "worker": worker, "task": record})
    )
    record.add_occurrence(make(Occurrence, task_id=record.task_id, what=OccurrenceKind.TASK_FAILED))
    return record


def kept(snapshot: Snapshot) -> Snapshot:
    """A run as it is read again after all of it was written."""
    fields = {name: getattr(snapshot, name) for name in names_of(Snapshot)}
    board = SimpleNamespace(**fields, policy_name=snapshot.policy)
    board.tasks = {record.task_id: record for record in snapshot.tasks}
    board.workers = {worker.name: worker for worker in snapshot.workers}
    board.spending = SimpleNamespace(
        on_forgotten=snapshot.spent_on_forgotten,
        in_other_units=snapshot.spent_in_other_units,
        forgotten_sums=SimpleNamespace(export=lambda: snapshot.forgotten_sums),
    )
    board.pause = SimpleNamespace(since=snapshot.paused_since)
    begins = SimpleNamespace(export=lambda: snapshot.forgotten_begins)
    board.context = SimpleNamespace(forgotten_begins=begins)
    of_rules = (
        *("expected_workers", "roster", "heartbeat_s", "lost_after_s"),
        *("budget", "cost_unit"),
    )
    told = {name: getattr(snapshot, name) for name in of_rules}
    board.rules = Rules(**{name: value for name, value in told.items() if value is not None})
    said = [Occurrence(0.0, OccurrenceKind.TASK_ADDED, task_id) for task_id in board.tasks]
    return read_snapshot(changed_rows(board, said, heard=board.workers))  # type: ignore[arg-type]


def assert_kept(before: Any, after: Any) -> None:
    kind = type(before)
    assert type(after) is kind
    for name in names_of(kind):
        if name not in NOT_KEPT.get(kind, {}):
            told = f"{kind.__name__}.{name}"
            assert getattr(before, name) != default_of(kind, name), f"{told} is not tried here"
            assert getattr(after, name) == getattr(before, name), f"{told} was lost"


@pytest.fixture(params=["plain", "nested"])
def payload(request: pytest.FixtureRequest) -> Any:
    """What a row has as it is, and what has to be encoded."""
    return "leaf" if request.param == "plain" else {**NESTED, "rows": [[1, 2.5]]}


def test_every_field_of_a_worker_is_kept() -> None:
    worker = a_worker()
    (again,) = kept(Snapshot(workers=[worker])).workers
    assert_kept(worker.stats, again.stats)
    assert_kept(worker.profile, again.profile)
    again.stats = worker.stats
    assert_kept(worker, again)


def test_every_field_of_a_task_is_kept(payload: Any) -> None:
    worker = a_worker()
    record = a_task(worker, payload)
    (again,) = kept(Snapshot(tasks=[record], workers=[worker])).tasks
    assert again.task == record.task
    assert_kept(record.result, again.result)
    assert_kept(record.added, again.added)
    again.task = record.added
    record.task = record.added
    assert_kept(record, again)
    assert again.story == record.story
    (attempt,), (attempt_again,) = record.attempts, again.attempts
    assert_kept(attempt, attempt_again)
    assert (attempt_again.worker.name, attempt_again.task) == (worker.name, again)


def test_every_field_of_a_run_is_kept() -> None:
    worker = a_worker()
    snapshot = make(
        Snapshot,
        tasks=[a_task(worker, "leaf")],
        workers=[worker],
        heartbeat_s=2.0,
        lost_after_s=7.0,
        roster=("Ada", "Ben"),
        expected_workers=3,
    )
    assert_kept(snapshot, kept(snapshot))


@pytest.mark.parametrize("kind", NOT_KEPT, ids=lambda kind: kind.__name__)
def test_what_is_not_kept_is_a_field(kind: type[Any]) -> None:
    assert set(NOT_KEPT[kind]) <= {*names_of(kind), "_story"}
