"""No field of a trace's entries is lost in a trace file, and none of a task's or worker's before.

A field that is added later is looked at, too: it is traced, or stands below with the reason.
"""

from __future__ import annotations

from typing import Any, get_args

import pytest
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.kernel.model.records import WorkerRecord
from muster.agents.kernel.trace import (
    Entry,
    RunFacts,
    SideMessage,
    TaskFacts,
    facts_of_task,
    facts_of_worker,
)
from muster.agents.trace.lines import LineWriter, read_line
from muster.messages import Task, WorkerProfile

from ..every_field import default_of, make, names_of

NOT_IN_A_FILE = {WorkerProfile: {"task_types"}}
"""What `facts_of_worker` leaves out."""

OF_A_TASK = {"id": "task_id", "timeout": "timeout_s"}
NOT_OF_A_TASK = {
    "data": "it may be large, and is nobody's business",
    "max_attempts": "the attempts are seen",
    "retry": "its attempts and waits are seen",
    "max_losses": "that it was lost too often is seen",
    "limit_key": "that it waited for a limit is seen",
    "not_before": "until when it waits is seen",
    "expires_s": "that it expired is seen",
    "run_if": "whether it ran is seen",
    "takes_output": "it is about the data",
    "on_parent_cancel": "that it was cancelled is seen",
}
NOT_OF_A_WORKER = {"task_types": "it may be long, and nothing is drawn of it"}


def test_every_kind_of_entry_is_tried_here() -> None:
    assert set(get_args(Entry)) == {Occurrence, SideMessage, RunFacts, TaskFacts, WorkerProfile}


@pytest.mark.parametrize("kind", get_args(Entry), ids=lambda kind: kind.__name__)
def test_every_field_of_an_entry_is_read_as_it_was_written(kind: type[Any]) -> None:
    left_out = {name: default_of(kind, name) for name in NOT_IN_A_FILE.get(kind, ())}
    # One of a kind that has such facts as are made here.
    given = {"what": OccurrenceKind.TASK_FAILED} if kind is Occurrence else {}
    entry = make(kind, **left_out, **given)
    again: Any = read_line(LineWriter().line_of(entry))
    for name in names_of(kind):
        assert getattr(again, name) == getattr(entry, name), f"{kind.__name__}.{name} was lost"


def test_every_field_of_a_task_is_told_in_its_facts() -> None:
    task = make(Task)
    facts = facts_of_task(task)
    for name in names_of(Task):
        if name not in NOT_OF_A_TASK:
            told = getattr(facts, OF_A_TASK.get(name, name))
            assert told == getattr(task, name), f"Task.{name} was lost"


def test_every_field_of_a_worker_is_told_in_its_facts() -> None:
    worker = WorkerRecord(make(WorkerProfile), "at Ada", "1", 0, 0.0, 0.0)
    facts = facts_of_worker(worker)
    for name in names_of(WorkerProfile):
        if name not in NOT_OF_A_WORKER:
            told = getattr(facts, name)
            assert told == getattr(worker.profile, name), f"WorkerProfile.{name} was lost"
