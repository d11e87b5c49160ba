"""Which agent may do what to a task, in JSON and SQLite files."""

from __future__ import annotations

import math
import threading
from itertools import pairwise
from typing import Any

import pytest
from muster.agents import StateFileTaskManager
from muster.agents.kernel.board.transitions import TRANSITIONS
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

FINAL = ["completed", "failed", "cancelled"]


def test_tasks_come_in_the_order_of_their_creation(make_either: Any) -> None:
    manager = make_either()
    created = [manager.create_task("brew", {"cup": cup}) for cup in range(5)]
    assert [manager.get_next_task("ada")["id"] for _ in range(5)] == created
    assert manager.get_next_task("ada") is None


def test_only_tasks_of_the_named_types_are_taken(make_either: Any) -> None:
    manager = make_either()
    manager.create_task("brew")
    pour, wash = manager.create_task("pour"), manager.create_task("wash")
    assert manager.get_next_task("ada", ["wash", "pour"])["id"] == pour
    assert manager.get_next_task("ada", ["wash", "pour"])["id"] == wash
    assert manager.get_next_task("ada", ["wash", "pour", "never heard of"]) is None


def test_a_taken_task_tells_who_holds_it_since_when(make_either: Any, clock: Any) -> None:
    manager = make_either()
    manager.create_task("brew")
    clock.pass_hours(1)
    task = manager.get_next_task("ada")
    assert (task["status"], task["locked_by"]) == ("in_progress", "ada")
    assert task["locked_at"] > task["created_at"]
    assert manager.get_task(task["id"]) == task
    assert manager.get_held_tasks("ada") == [task]
    assert manager.get_held_tasks("ben") == []


@pytest.mark.parametrize("status", FINAL)
def test_the_holder_brings_a_task_to_an_end(make_either: Any, status: str) -> None:
    manager = make_either()
    manager.create_task("brew")
    task = manager.get_next_task("ada")
    assert manager.complete_task(task["id"], "ada", status, {"cups": [1, 2.5, None]}) is True
    done = manager.get_task(task["id"])
    assert done["status"] == status
    assert done["completed_at"] is not None
    assert done["locked_by"] is None
    assert done["locked_at"] is None
    assert done["result_data"] == {"cups": [1, 2.5, None]}


def test_nobody_but_the_holder_completes_a_task(make_either: Any) -> None:
    manager = make_either()
    task_id = manager.create_task("brew")
    assert manager.complete_task(task_id, "ada") is False
    manager.get_next_task("ada")
    held = manager.get_task(task_id)
    assert manager.complete_task(task_id, "ben", result_data={"cup": 1}) is False
    assert manager.get_task(task_id) == held
    assert manager.complete_task("brew_00000000", "ada") is False


@pytest.mark.parametrize("status", FINAL)
def test_a_settled_task_never_changes_again(make_either: Any, status: str) -> None:
    manager = make_either()
    manager.create_task("brew")
    task = manager.get_next_task("ada")
    manager.complete_task(task["id"], "ada", status)
    done = manager.get_task(task["id"])
    assert manager.complete_task(task["id"], "ada") is False
    with pytest.raises(IllegalTransition, match=f"is {status}"):
        manager.release_task(task["id"], "ada")
    assert manager.get_task(task["id"]) == done


def test_releasing_tells_what_is_wrong(make_either: Any) -> None:
    manager = make_either()
    task_id = manager.create_task("brew")
    with pytest.raises(IllegalTransition, match=f"{task_id}.* is pending"):
        manager.release_task(task_id, "ada")
    manager.get_next_task("ada")
    with pytest.raises(NotTheHolder, match="is in_progress, held by 'ada' since 20"):
        manager.release_task(task_id, "ben")
    with pytest.raises(UnknownTask, match="brew_00000000"):
        manager.release_task("brew_00000000", "ada")


def test_a_released_task_comes_at_its_former_place(make_either: Any) -> None:
    manager = make_either()
    first, _ = manager.create_task("brew"), manager.create_task("brew")
    manager.get_next_task("ada")
    manager.release_task(first, "ada")
    assert manager.get_next_task("ben")["id"] == first
    assert manager.complete_task(first, "ada") is False


def test_a_task_held_for_too_long_is_given_to_another(make_either: Any, clock: Any) -> None:
    manager = make_either(task_timeout_hours=2)
    task_id = manager.create_task("brew")
    manager.get_next_task("ada")
    clock.pass_hours(2)
    assert manager.get_next_task("ben") is None
    clock.pass_hours(0.001)
    assert manager.get_next_task("ben")["id"] == task_id
    assert manager.complete_task(task_id, "ada") is False
    assert manager.complete_task(task_id, "ben") is True


def test_who_is_late_but_was_not_replaced_still_completes(make_either: Any, clock: Any) -> None:
    manager = make_either(task_timeout_hours=2)
    task_id = manager.create_task("brew")
    manager.get_next_task("ada")
    clock.pass_hours(5)
    assert manager.complete_task(task_id, "ada") is True


def test_stale_tasks_are_released_though_none_of_them_fits_who_asks(
    make_either: Any, clock: Any
) -> None:
    manager = make_either()
    task_id = manager.create_task("brew")
    manager.get_next_task("ada")
    clock.pass_hours(25)
    assert manager.get_next_task("ben", ["pour"]) is None
    assert manager.get_task(task_id)["status"] == "pending"


def test_what_happens_is_told_in_the_boards_words(make_either: Any, clock: Any) -> None:
    manager, told = make_either(), []
    manager.watch(told.append)
    task_id = manager.create_task("brew")
    manager.get_next_task("ada")
    manager.release_task(task_id, "ada")
    manager.get_next_task("ada")
    clock.pass_hours(25)
    manager.get_next_task("ben")
    manager.complete_task(task_id, "ada")
    manager.complete_task(task_id, "ben")
    assert [(each.what, each.worker) for each in told] == [
        (OccurrenceKind.TASK_ADDED, ""),
        (OccurrenceKind.TASK_ASSIGNED, "ada"),
        (OccurrenceKind.TASK_REQUEUED, "ada"),
        (OccurrenceKind.TASK_ASSIGNED, "ada"),
        (OccurrenceKind.TASK_REQUEUED, "ada"),
        (OccurrenceKind.TASK_ASSIGNED, "ben"),
        (OccurrenceKind.RESULT_IGNORED, "ada"),
        (OccurrenceKind.TASK_COMPLETED, "ben"),
    ]
    assert {each.task_id for each in told} == {task_id}
    assert told[-1].at == clock.at
    assert "held for too long: by ada" in describe_facts(told[4])


def test_a_watcher_that_raises_changes_nothing(make_either: Any) -> None:
    manager, told = make_either(), []

    def raising(occurrence: object) -> None:
        raise RuntimeError

    manager.watch(raising)
    manager.watch(told.append)
    task_id = manager.create_task("brew")
    assert manager.get_task(task_id)["status"] == "pending"
    assert len(told) == 1


def test_whatever_is_done_follows_the_one_table(make_either: Any, clock: Any) -> None:
    manager = make_either()
    legal = {(before.value, after.value) for (before, _), after in TRANSITIONS.items()}
    task_id = manager.create_task("brew")
    seen = [manager.get_task(task_id)["status"]]
    for do in (
        lambda: manager.get_next_task("ada"),
        lambda: manager.release_task(task_id, "ada"),
        lambda: manager.get_next_task("ada"),
        lambda: clock.pass_hours(30),
        lambda: manager.get_next_task("ben"),
        lambda: manager.complete_task(task_id, "ben", TaskStatus.CANCELLED),
    ):
        do()
        seen.append(manager.get_task(task_id)["status"])
    changes = {(old, new) for old, new in pairwise(seen) if old != new}
    assert changes == {
        ("pending", "in_progress"),
        ("in_progress", "pending"),
        ("in_progress", "cancelled"),
    }
    assert changes <= legal


def test_what_is_returned_is_a_copy(make_either: Any) -> None:
    manager = make_either()
    task_id = manager.create_task("brew", {"cups": [1]})
    manager.get_task(task_id)["data"]["cups"].append(2)
    manager.workflow_metadata["a"] = 1
    assert manager.get_task(task_id)["data"] == {"cups": [1]}
    assert "a" not in manager.workflow_metadata


def test_two_managers_of_one_file_see_the_same(make_either: Any) -> None:
    one, other = make_either(), make_either()
    task_id = one.create_task("brew", {"é": "\ud800 ☕"})
    assert other.get_next_task("ada")["data"] == {"é": "\ud800 ☕"}
    assert one.get_next_task("ben") is None
    assert other.complete_task(task_id, "ada") is True
    assert one.get_status_summary() == other.get_status_summary()
    one.update_workflow_metadata({"kettle": 1})
    assert other.workflow_metadata["kettle"] == 1


def test_threads_of_one_manager_take_each_task_once(make_either: Any) -> None:
    manager = make_either(lock_timeout=180)
    created = {manager.create_task("brew") for _ in range(40)}
    taken: list[str] = []

    def work(name: str) -> None:
        while task := manager.get_next_task(name):
            taken.append(task["id"])
            assert manager.complete_task(task["id"], name)

    threads = [threading.Thread(target=work, args=(f"agent-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 40
    assert set(taken) == created
    assert manager.get_status_summary()["status_counts"]["completed"] == 40


def test_ids_that_are_taken_are_not_given_again(
    make_either: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["00000001", "00000001", "00000002"])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(drawn))
    manager = make_either()
    assert manager.create_task("brew") == "brew_00000001"
    assert manager.create_task("brew") == "brew_00000002"


# ------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"a": {1, 2}}, r"data\['a'\].*set"),
        ({"a": [1, b"x"]}, r"data\['a'\]\[1\].*bytes"),
        ({"a": math.nan}, "nan"),
        ({"a": {2: 3}}, "key 2"),
        ({"a": 2**20_000}, "integer"),
        ("text", "data is str"),
        ([1], "data is list"),
    ],
)
def test_data_that_json_cannot_carry_is_refused(make_either: Any, data: Any, told: str) -> None:
    manager = make_either()
    with pytest.raises(InvalidTask, match=told):
        manager.create_task("brew", data)
    assert manager.get_status_summary()["total_tasks"] == 0
    manager.create_task("brew")
    task = manager.get_next_task("ada")
    with pytest.raises(InvalidInput):
        manager.complete_task(task["id"], "ada", result_data=data)
    with pytest.raises(InvalidInput):
        manager.update_workflow_metadata(data)
    assert manager.get_task(task["id"])["status"] == "in_progress"


def test_data_that_holds_itself_is_refused(make: Any) -> None:
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    with pytest.raises(InvalidTask, match="contains itself"):
        make().create_task("brew", loop)


@pytest.mark.parametrize("task_type", ["", "  ", None, 7, "x" * 192, "\ud800"])
def test_a_bad_type_is_refused(make_either: Any, task_type: Any) -> None:
    with pytest.raises(InvalidTask, match="task_type"):
        make_either().create_task(task_type)


def test_an_unknown_parent_is_refused(make_either: Any) -> None:
    manager = make_either()
    with pytest.raises(UnknownDependency, match="brew_00000000"):
        manager.create_task("pour", parent_id="brew_00000000")
    assert manager.get_status_summary()["total_tasks"] == 0


def test_unknown_tasks_are_told_of(make_either: Any) -> None:
    manager = make_either()
    with pytest.raises(UnknownTask, match="brew_00000000"):
        manager.get_task("brew_00000000")
    with pytest.raises(UnknownTask, match="brew_00000000"):
        manager.get_task_children("brew_00000000")
    with pytest.raises(UnknownTask, match="ud800"):
        manager.get_task("\ud800")


@pytest.mark.parametrize("status", ["pending", TaskStatus.IN_PROGRESS, "done", None, 3])
def test_a_task_cannot_be_completed_as_something_else(make_either: Any, status: Any) -> None:
    manager = make_either()
    manager.create_task("brew")
    task = manager.get_next_task("ada")
    with pytest.raises(InvalidInput, match="completed, failed, cancelled"):
        manager.complete_task(task["id"], "ada", status)


@pytest.mark.parametrize("agent_id", ["", " ", None, 7, "\ud800"])
def test_an_agent_without_a_name_is_refused(make_either: Any, agent_id: Any) -> None:
    manager = make_either()
    manager.create_task("brew")
    with pytest.raises(InvalidInput, match="agent_id"):
        manager.get_next_task(agent_id)


def test_a_filter_is_a_list_that_names_something(make_either: Any) -> None:
    manager = make_either()
    with pytest.raises(InvalidInput, match="list"):
        manager.get_next_task("ada", "brew")
    with pytest.raises(InvalidInput, match="leave it out"):
        manager.get_next_task("ada", [])


def test_the_managers_own_metadata_is_not_overwritten(make_either: Any) -> None:
    with pytest.raises(InvalidInput, match="last_updated"):
        make_either().update_workflow_metadata({"last_updated": "never"})


@pytest.mark.parametrize(
    "options",
    [
        {"lock_timeout": -1},
        {"lock_timeout": "5"},
        {"lock_timeout": math.inf},
        {"task_timeout_hours": 0},
        {"task_timeout_hours": math.nan},
        {"task_timeout_hours": "24"},
    ],
)
def test_times_out_of_range_are_refused(make_either: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        make_either(**options)


def test_a_state_file_that_is_no_path_is_refused() -> None:
    state_file: Any = None
    with pytest.raises(InvalidInput, match="state_file is None; it must be a path"):
        StateFileTaskManager(state_file)
