"""Renewing a hold, cancelling, trying again, listing and purging, over both kinds of file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import (
    IllegalTransition,
    InvalidInput,
    InvalidTask,
    NotTheHolder,
    TaskStatus,
    UnknownDependency,
    UnknownTask,
)

STATUSES = ["pending", "in_progress", "completed", "failed", "cancelled"]


def task_of(manager: Any, status: str, agent: str = "ada") -> str:
    """A task that has come to a status."""
    task_id: str = manager.create_task("brew", {"for": status})
    if status == "pending":
        return task_id
    # Others that wait come first.
    held: list[str] = []
    while (task := manager.get_next_task(agent))["id"] != task_id:
        held.append(task["id"])
    for each in held:
        manager.release_task(each, agent)
    if status != "in_progress":
        assert manager.complete_task(task_id, agent, status, {"how": status})
    return task_id


def ids(tasks: list[Any]) -> list[str]:
    return [task["id"] for task in tasks]


# ------------------------------------------------------------------ renewing


def test_a_renewed_hold_lasts_on(make_either: Any, clock: Any) -> None:
    manager = make_either(task_timeout_hours=2)
    task_id = task_of(manager, "in_progress")
    for _ in range(5):
        clock.pass_hours(1.9)
        manager.renew_task(task_id, "ada")
        assert manager.get_next_task("ben") is None
    clock.pass_hours(2.1)
    assert manager.get_next_task("ben")["id"] == task_id
    with pytest.raises(NotTheHolder, match=r"'ada' can't renew its hold of a task: .*'ben'"):
        manager.renew_task(task_id, "ada")


def test_a_hold_that_is_over_is_renewed_if_nobody_has_asked_since(
    make_either: Any, clock: Any
) -> None:
    manager = make_either(task_timeout_hours=2)
    task_id = task_of(manager, "in_progress")
    clock.pass_hours(5)
    manager.renew_task(task_id, "ada")
    assert manager.get_next_task("ben") is None
    assert manager.complete_task(task_id, "ada") is True


@pytest.mark.parametrize("status", [each for each in STATUSES if each != "in_progress"])
def test_what_nobody_holds_is_not_renewed(make_either: Any, status: str) -> None:
    manager = make_either()
    task_id = task_of(manager, status)
    before = manager.get_task(task_id)
    with pytest.raises(IllegalTransition, match=f"is {status}"):
        manager.renew_task(task_id, "ada")
    assert manager.get_task(task_id) == before


# ------------------------------------------------------------------ cancelling and trying again


def test_a_waiting_task_is_cancelled_and_nobody_gets_it(make_either: Any) -> None:
    manager = make_either()
    task_id = manager.create_task("brew")
    manager.cancel_task(task_id, "no more leaves")
    cancelled = manager.get_task(task_id)
    assert cancelled["status"] == "cancelled"
    assert cancelled["completed_at"] is not None
    assert cancelled["result_data"] == {"error": "no more leaves"}
    assert manager.get_next_task("ada") is None
    without = manager.create_task("brew")
    manager.cancel_task(without)
    assert "result_data" not in manager.get_task(without)


@pytest.mark.parametrize("status", [each for each in STATUSES if each != "pending"])
def test_what_does_not_wait_is_not_cancelled(make_either: Any, status: str) -> None:
    manager = make_either()
    task_id = task_of(manager, status)
    before = manager.get_task(task_id)
    with pytest.raises(IllegalTransition, match=f"can be cancelled: .* is {status}"):
        manager.cancel_task(task_id)
    assert manager.get_task(task_id) == before


def test_a_failed_task_is_tried_again_at_its_former_place(make_either: Any) -> None:
    manager = make_either()
    task_id = task_of(manager, "failed")
    manager.create_task("brew")
    manager.retry_task(task_id)
    again = manager.get_task(task_id)
    assert (again["status"], again["completed_at"], again["locked_by"]) == ("pending", None, None)
    assert again["result_data"] == {"how": "failed"}
    assert manager.get_next_task("ben")["id"] == task_id
    assert manager.complete_task(task_id, "ben", result_data={"how": "well"}) is True
    assert manager.get_task(task_id)["result_data"] == {"how": "well"}


def test_a_task_that_is_tried_again_has_all_its_attempts(make_sqlite: Any) -> None:
    manager = make_sqlite()
    task_id = manager.create_task("brew", max_attempts=2)
    for _ in range(2):
        for _ in range(2):
            assert manager.get_next_task("ada")["id"] == task_id
            assert manager.complete_task(task_id, "ada", "failed")
        assert manager.get_task(task_id)["status"] == "failed"
        manager.retry_task(task_id)
    assert manager.get_task(task_id)["failures"] == 0


@pytest.mark.parametrize("status", [each for each in STATUSES if each != "failed"])
def test_what_has_not_failed_is_not_tried_again(make_either: Any, status: str) -> None:
    manager = make_either()
    task_id = task_of(manager, status)
    before = manager.get_task(task_id)
    with pytest.raises(IllegalTransition, match=f"can be tried again: .* is {status}"):
        manager.retry_task(task_id)
    assert manager.get_task(task_id) == before


@pytest.mark.parametrize(
    "call",
    [
        lambda manager: manager.renew_task("brew_00000000", "ada"),
        lambda manager: manager.cancel_task("brew_00000000"),
        lambda manager: manager.retry_task("brew_00000000"),
    ],
)
def test_an_unknown_task_is_told_of(make_either: Any, call: Callable[[Any], None]) -> None:
    with pytest.raises(UnknownTask, match="brew_00000000"):
        call(make_either())


# ------------------------------------------------------------------ listing


def test_tasks_are_listed_by_their_status_in_order(make_either: Any) -> None:
    manager = make_either()
    by_status = {status: [task_of(manager, status) for _ in range(3)] for status in STATUSES}
    for status in STATUSES:
        assert ids(manager.get_tasks(status)) == by_status[status]
        assert ids(manager.get_tasks(TaskStatus(status))) == by_status[status]
        assert ids(manager.get_tasks(status, limit=2)) == by_status[status][:2]
        assert manager.get_tasks(status)[0] == manager.get_task(by_status[status][0])
    in_order = [task_id for status in STATUSES for task_id in by_status[status]]
    assert ids(manager.get_tasks()) == in_order
    assert ids(manager.get_tasks(limit=4)) == in_order[:4]


def test_waiting_tasks_are_listed_whenever_they_may_start(make_sqlite: Any, clock: Any) -> None:
    from datetime import datetime, timezone

    manager = make_sqlite()
    later = datetime.fromtimestamp(clock.at + 3600, timezone.utc)
    created = [
        manager.create_task("brew", priority=number, not_before=later if number % 2 else None)
        for number in range(6)
    ]
    assert ids(manager.get_tasks("pending")) == created
    assert ids(manager.get_tasks("pending", limit=3)) == created[:3]


@pytest.mark.parametrize(
    "options",
    [{"status": "done"}, {"status": 3}]
    + [{"limit": limit} for limit in (0, -1, 1.5, True, "3", math.nan)],
)
def test_what_can_not_be_listed_is_refused(make_either: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        make_either().get_tasks(**options)


# ------------------------------------------------------------------ purging


def test_what_was_settled_long_ago_is_removed(make_either: Any, clock: Any) -> None:
    manager, other = make_either(), make_either()
    old = {status: task_of(manager, status) for status in STATUSES}
    clock.pass_hours(10)
    new = {status: task_of(manager, status, "ben") for status in STATUSES[2:]}
    clock.pass_hours(1)
    assert other.purge_tasks(5) == 3
    left = [old["pending"], old["in_progress"], *new.values()]
    for each in (manager, other):
        assert ids(each.get_tasks()) == left
        assert each.get_status_summary()["total_tasks"] == 5
        assert each.get_status_summary()["type_counts"] == {"brew": 5}
        with pytest.raises(UnknownTask):
            each.get_task(old["failed"])
    assert manager.purge_tasks(5) == 0
    assert manager.purge_tasks(0.5) == 3
    assert manager.complete_task(old["in_progress"], "ada") is True
    assert manager.get_next_task("ben")["id"] == old["pending"]


@pytest.mark.parametrize("statuses", [["failed"], [TaskStatus.COMPLETED, "cancelled"], []])
def test_only_the_statuses_that_are_named_are_removed(
    make_either: Any, clock: Any, statuses: list[Any]
) -> None:
    manager = make_either()
    settled = {status: task_of(manager, status) for status in STATUSES[2:]}
    clock.pass_hours(1)
    assert manager.purge_tasks(0.5, statuses) == len(statuses)
    left = [settled[each] for each in STATUSES[2:] if each not in statuses]
    assert ids(manager.get_tasks()) == left


def test_a_parent_stays_as_long_as_a_child_does(make_either: Any, clock: Any) -> None:
    manager = make_either()
    root = manager.create_task("root")
    child = manager.create_task("child", parent_id=root)
    grandchild = manager.create_task("grandchild", parent_id=child)
    childless = manager.create_task("childless", parent_id=root)
    for kind in ("root", "child", "childless"):
        manager.complete_task(manager.get_next_task("ada", [kind])["id"], "ada")
    clock.pass_hours(1)
    assert manager.purge_tasks(0) == 1
    assert ids(manager.get_tasks()) == [root, child, grandchild]
    assert ids(manager.get_task_children(root)) == [child]
    assert childless not in ids(manager.get_tasks())
    manager.complete_task(manager.get_next_task("ada")["id"], "ada")
    clock.pass_hours(1)
    assert manager.purge_tasks(0) == 3
    assert manager.get_tasks() == []
    assert manager.get_next_task("ada") is None


def test_what_does_not_tell_since_when_is_as_old_as_its_creation(
    make: Any, state_file: Path, clock: Any
) -> None:
    manager = make()
    document = json.loads(state_file.read_bytes())
    settled = {"type": "brew", "status": "completed"}
    document["tasks"] = {
        "of_old": {**settled, "created_at": "2001-01-01T00:00:00Z"},
        "of_no_time": settled,
        "of_now": {**settled, "created_at": "2001-01-01T00:00:00", "completed_at": "2040-01-01"},
    }
    state_file.write_text(json.dumps(document))
    assert manager.purge_tasks(1) == 1
    assert ids(manager.get_tasks()) == ["of_no_time", "of_now"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((-1,), "older_than_hours"),
        (("1",), "older_than_hours"),
        ((None,), "older_than_hours"),
        ((True,), "older_than_hours"),
        ((math.nan,), "older_than_hours"),
        ((math.inf,), "older_than_hours"),
        ((1, ["pending"]), "'pending'"),
        ((1, ["in_progress"]), "'in_progress'"),
        ((1, ["done"]), "'done'"),
        ((1, "failed"), "a list"),
    ],
)
def test_what_can_not_be_purged_is_refused(make_either: Any, arguments: Any, told: str) -> None:
    manager = make_either()
    task_of(manager, "completed")
    with pytest.raises(InvalidInput, match=told):
        manager.purge_tasks(*arguments)
    assert len(manager.get_tasks()) == 1


@pytest.mark.parametrize(
    ("call", "arguments", "fault", "told"),
    [
        ("cancel_task", (None,), UnknownTask, "no task None"),
        ("retry_task", (5,), UnknownTask, "no task 5"),
        ("renew_task", (b"brew", "Ada"), UnknownTask, "no task b'brew'"),
        ("get_task", (["brew"],), UnknownTask, "no task"),
        ("get_task_children", (5,), UnknownTask, "no task 5"),
        ("release_task", (5, "Ada"), UnknownTask, "no task 5"),
        ("create_task", ("brew", None, ["brew"]), UnknownDependency, "brew"),
        ("cancel_task", ("brew", 5), InvalidInput, "reason is 5"),
        ("get_next_task", ("Ada", [5]), InvalidInput, "type is 5"),
        ("get_next_task", ("Ada", [["brew"]]), InvalidInput, "type is"),
    ],
)
def test_what_is_of_the_wrong_type_is_refused(
    make_either: Any, call: str, arguments: tuple[Any, ...], fault: type[Exception], told: str
) -> None:
    manager = make_either()
    manager.create_task("brew")
    with pytest.raises(fault, match=told):
        getattr(manager, call)(*arguments)


@pytest.mark.parametrize("field", ["priority", "max_attempts", "not_before"])
@pytest.mark.parametrize("value", ["1", 1.5, True])
def test_a_schedule_of_the_wrong_type_is_refused(make_sqlite: Any, field: str, value: Any) -> None:
    with pytest.raises(InvalidTask, match=field):
        make_sqlite().create_task("brew", **{field: value})


def test_what_happens_is_told(make_either: Any, clock: Any) -> None:
    manager, told = make_either(), []
    held = task_of(manager, "in_progress")
    failed = task_of(manager, "failed")
    waiting = task_of(manager, "pending")
    manager.watch(told.append)
    manager.renew_task(held, "ada")
    manager.retry_task(failed)
    manager.cancel_task(waiting, "why not")
    clock.pass_hours(1)
    manager.purge_tasks(0)
    assert [(each.what, each.task_id, each.worker) for each in told] == [
        (OccurrenceKind.TASK_PROGRESSED, held, "ada"),
        (OccurrenceKind.TASK_REQUEUED, failed, ""),
        (OccurrenceKind.TASK_CANCELLED, waiting, ""),
        (OccurrenceKind.TASK_FORGOTTEN, waiting, ""),
    ]
    assert describe_facts(told[2]) == "why not"


def test_a_file_of_an_earlier_muster_is_listed_and_purged(
    make_sqlite: Any, tmp_path: Path, clock: Any
) -> None:
    import sqlite3
    from contextlib import closing

    manager = make_sqlite()
    task_of(manager, "completed")
    manager.close()
    file = tmp_path / "states" / "tea.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DROP INDEX settled")
        connection.execute("DROP TRIGGER task_removed")
    clock.pass_hours(1)
    manager = make_sqlite()
    assert len(manager.get_tasks("completed")) == 1
    assert manager.purge_tasks(0) == 1
    assert manager.get_status_summary()["total_tasks"] == 0
