"""What only SQLite files support: priorities, start times, retries and many tasks."""

from __future__ import annotations

import sqlite3
import statistics
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from muster.agents.state_file import sqlite as sqlite_task_table
from muster.messages import InvalidTask, StoreCorrupt, StoreUnusable


def test_urgent_tasks_come_first_and_equal_ones_in_order(make_sqlite: Any) -> None:
    manager = make_sqlite()
    created = {
        (priority, number): manager.create_task("brew", priority=priority)
        for number, priority in enumerate([0, 5, -1, 5, 0])
    }
    expected = [created[key] for key in sorted(created, key=lambda key: (-key[0], key[1]))]
    assert [manager.get_next_task("ada")["id"] for _ in created] == expected


def test_priorities_count_across_types_too(make_sqlite: Any) -> None:
    manager = make_sqlite()
    manager.create_task("brew", priority=1)
    pour = manager.create_task("pour", priority=2)
    manager.create_task("wash", priority=3)
    assert manager.get_next_task("ada", ["brew", "pour"])["id"] == pour


def test_a_scheduled_task_waits_for_its_time(make_sqlite: Any, clock: Any) -> None:
    manager = make_sqlite()
    in_an_hour = datetime.fromtimestamp(clock.at + 3600, tz=timezone.utc)
    later = manager.create_task("brew", not_before=in_an_hour, priority=9)
    now = manager.create_task("brew")
    assert manager.get_next_task("ada")["id"] == now
    assert manager.get_next_task("ada") is None
    clock.pass_hours(0.999)
    assert manager.get_next_task("ada") is None
    clock.pass_hours(0.001)
    assert manager.get_next_task("ada")["id"] == later


def test_a_scheduled_time_without_a_zone_is_local(make_sqlite: Any, clock: Any) -> None:
    manager = make_sqlite()
    local = datetime.fromtimestamp(clock.at + 60)  # noqa: DTZ006 - what is tested
    task_id = manager.create_task("brew", not_before=local)
    assert manager.get_next_task("ada") is None
    clock.at += 60
    assert manager.get_next_task("ada")["id"] == task_id


def test_a_failed_task_is_tried_again_until_its_attempts_are_used_up(make_sqlite: Any) -> None:
    manager, told = make_sqlite(), []
    task_id = manager.create_task("brew", max_attempts=3)
    manager.watch(lambda each: told.append(each.what.value))
    statuses = []
    for attempt in range(3):
        assert manager.get_next_task("ada")["id"] == task_id
        assert manager.complete_task(task_id, "ada", "failed", {"attempt": attempt}) is True
        statuses.append(manager.get_task(task_id)["status"])
    assert statuses == ["pending", "pending", "failed"]
    assert manager.get_task(task_id)["result_data"] == {"attempt": 2}
    assert manager.get_next_task("ada") is None
    again = ["task_assigned", "attempt_failed", "task_requeued"]
    assert told == [*again, *again, "task_assigned", "attempt_failed", "task_failed"]


def test_a_released_or_stale_task_loses_no_attempt(make_sqlite: Any, clock: Any) -> None:
    manager = make_sqlite()
    task_id = manager.create_task("brew", max_attempts=1)
    manager.get_next_task("ada")
    manager.release_task(task_id, "ada")
    manager.get_next_task("ada")
    clock.pass_hours(25)
    assert manager.get_next_task("ben")["failures"] == 0


@pytest.mark.parametrize(
    "options",
    [
        {"priority": 1},
        {"max_attempts": 2},
        {"not_before": datetime(2030, 1, 1, tzinfo=timezone.utc)},
    ],
)
def test_a_json_file_has_no_place_for_these_and_says_so(
    make: Any, make_sqlite: Any, options: dict[str, Any]
) -> None:
    manager = make()
    with pytest.raises(InvalidTask, match=r"sqlite:///NAME\.db"):
        manager.create_task("brew", **options)
    assert manager.get_status_summary()["total_tasks"] == 0
    sqlite = make_sqlite()
    (name,) = options
    assert sqlite.get_task(sqlite.create_task("brew", **options))[name]


@pytest.mark.parametrize(
    "options", [{"priority": 2**31}, {"max_attempts": 0}, {"max_attempts": 101}]
)
def test_values_out_of_range_are_refused(make_sqlite: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidTask, match=next(iter(options))):
        make_sqlite().create_task("brew", **options)


def test_a_json_file_given_as_sqlite_is_refused_untouched(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "tea.json").create_task("brew")
    before = (tmp_path / "tea.json").read_bytes()
    with pytest.raises(StoreCorrupt, match="not a valid SQLite file"):
        make(f"sqlite:///{tmp_path}/tea.json")
    assert (tmp_path / "tea.json").read_bytes() == before


def test_a_sqlite_file_of_another_program_is_refused_untouched(make: Any, tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE task (id)")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(StoreCorrupt, match="not one of a StateFileTaskManager"):
        make(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_a_newer_version_is_refused(make_sqlite: Any, tmp_path: Path) -> None:
    make_sqlite().close()
    with sqlite3.connect(tmp_path / "states" / "tea.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnusable, match="version 99"):
        make_sqlite()


def test_a_relative_name_is_one_in_the_current_folder(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make("sqlite:///tasks.db").create_task("brew")
    assert (tmp_path / "tasks.db").is_file()


def test_a_failure_within_a_change_leaves_everything_as_it_was(
    make_sqlite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = make_sqlite()
    task_id = manager.create_task("brew")

    def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(manager._file, "metadata", fail)
        with pytest.raises(RuntimeError):
            manager.get_next_task("ada")
    assert manager.get_task(task_id)["status"] == "pending"
    assert manager.get_status_summary()["status_counts"]["pending"] == 1


@pytest.mark.parametrize(
    "statement",
    [
        "_FIND",
        "_REPLACE",
        "_MAKE_READY",
        "_NEXT",
        "_NEXT_OF_TYPE",
        "_HELD_SINCE_BEFORE",
        "_HELD_BY",
        "_CHILDREN",
    ],
)
def test_nothing_looks_at_every_task(make_sqlite: Any, statement: str) -> None:
    sql = getattr(sqlite_task_table, statement)
    manager = make_sqlite()
    with manager._file.reading():
        plan = list(manager._file._query(f"EXPLAIN QUERY PLAN {sql}", *[0] * sql.count("?")))
    steps = [step for *_, step in plan]
    assert [step for step in steps if "USING INDEX" not in step] == []
    assert all(step.startswith("SEARCH") for step in steps) or "LIMIT 1" in sql


@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param(200_000, marks=pytest.mark.slow),
        pytest.param(1_000_000, marks=pytest.mark.exhaustive),
    ],
)
def test_very_many_tasks_are_taken_as_fast_as_a_thousand(
    make_sqlite: Any, tmp_path: Path, tasks: int
) -> None:
    manager = make_sqlite()
    parent = manager.create_task("root")
    manager.close()
    with sqlite3.connect(tmp_path / "states" / "tea.db") as connection:
        connection.execute("PRAGMA cache_size = -200000")
        connection.execute(
            "WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number LIMIT ?) "
            "INSERT INTO task (id, type, status, parent_id, data, priority, max_attempts, failures)"
            " SELECT 't_' || n, 'type-' || (n % 10), 'pending', iif(n % 1000 = 0, ?, NULL), '{}', "
            "n / 10 % 5, 1, 0 FROM number",
            (tasks, parent),
        )
    connection.close()
    spent: dict[str, list[float]] = {}

    def measure(name: str, call: Any) -> Any:
        began = time.thread_time()
        answer = call()
        spent.setdefault(name, []).append(time.thread_time() - began)
        return answer

    for number in range(200):
        types = [None, ["type-3"], ["type-1", "type-7"]][number % 3]
        task = measure("next", lambda types=types: manager.get_next_task("ada", types))
        assert task["priority"] == 4
        assert measure("complete", lambda task=task: manager.complete_task(task["id"], "ada"))
        measure("create", lambda number=number: manager.create_task("type-1", priority=-number))
    assert len(measure("children", lambda: manager.get_task_children(parent))) == tasks // 1000
    assert measure("summary", manager.get_status_summary)["total_tasks"] == tasks + 201
    assert manager.get_status_summary()["status_counts"]["completed"] == 200
    # To look at every task takes more processor time than each of these may.
    medians = {name: statistics.median(seconds) for name, seconds in spent.items()}
    print(medians)
    assert max(medians[name] for name in ("next", "complete", "create")) < 0.01, medians
