"""What pages are told: all of it once, then what has changed, and never more than is bounded."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents.kernel.model.events import (
    DrainEnded,
    DrainRequested,
    PauseEnded,
    PauseRequested,
    RetryRequested,
    StopRequested,
    TimePassed,
    WorkerHeard,
    WorkerLeft,
)
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.live import page_state, task_rows, worker_rows
from muster.agents.live.states import run_state
from muster.messages import Task

Make = Callable[..., Any]
PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = range(5)


def statuses(rows: list[list[Any]]) -> dict[int, int]:
    return {row[0]: row[1] for row in rows}


def test_a_new_page_is_told_every_task_whole(desk: Make) -> None:
    here = desk()
    here.add(7, "7", "weigh the leaf")
    here.open()
    told = here.page.rows(here.board, here.page.listed(here.board))
    assert told["added"] == [
        ["7", "task 7", 1, "", [0, PENDING, 0]],
        ['"7"', "task 7", 1, "", [1, PENDING, 0]],
        ['"weigh the leaf"', "task weigh the leaf", 1, "", [2, PENDING, 0]],
    ]


def test_a_row_tells_who_had_the_task_and_from_when_to_when(desk: Make) -> None:
    here = desk()
    here.add(1, priority=3)
    here.join("Ada")
    here.open()
    here.now += 2
    here.begin()
    here.now += 0.5
    here.end_attempt(1)
    order = here.board.workers["Ada"].order
    assert here.change()["rows"] == [[0, COMPLETED, 1, order, 2000, 2500, 3, 0]]


def test_what_failed_says_why_and_waits_again_without_running_on(desk: Make) -> None:
    here = desk()
    here.add(1, max_attempts=2)
    here.join("Ada")
    here.begin()
    here.open()
    here.handle(WorkerLeft("at Ada"))
    here.now += 1
    row = here.change()["rows"][0]
    assert (row[1], row[2], row[5]) == (PENDING, 1, 0)
    here.join("Ben")
    here.end_attempt(1, success=False)
    here.end_attempt(1, success=False)
    assert here.change()["rows"][0][-2:] == ["ValueError: too wet", "ValueError"]
    assert here.board.tasks[1].status.value == "failed"


def test_a_task_that_changes_often_is_told_once_in_a_change(desk: Make) -> None:
    here = desk()
    here.add(*range(1, 101))
    here.join("Ada", slots=100)
    here.open()
    here.begin()
    for number in range(1, 101):
        here.end_attempt(number)
    change = here.change()
    assert statuses(change["rows"]) == dict.fromkeys(range(100), COMPLETED)
    assert change["counts"]["completed"] == 100


def test_where_nothing_happened_only_the_time_is_told(desk: Make) -> None:
    here = desk()
    here.add(1)
    here.open()
    here.now += 1
    assert here.change() == {"at": 1000}


def test_a_task_that_is_added_is_told_whole_and_then_by_its_row(desk: Make) -> None:
    here = desk()
    here.open()
    here.add("new")
    assert here.change()["added"] == [['"new"', "task new", 1, "", [0, PENDING, 0]]]
    here.cancel("new")
    change = here.change()
    assert "added" not in change
    assert statuses(change["rows"]) == {0: CANCELLED}


def test_a_change_carries_a_bounded_number_of_rows_and_the_next_the_others(
    desk: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_state, "MAX_ROWS_PER_CHANGE", 10)
    here = desk()
    here.open()
    here.add(*range(1, 26))
    sizes = []
    while here.page.has_unsent_rows:
        sizes.append(len(here.change()["added"]))
    assert sizes == [10, 10, 5]


def test_nothing_gathers_while_no_page_is_open(desk: Make) -> None:
    here = desk()
    here.add(*range(1, 1001))
    assert not here.page.has_unsent_rows
    here.open()
    here.cancel(1)
    here.page.end()
    assert not here.page.has_unsent_rows


def test_of_very_many_tasks_the_last_are_listed_and_all_counted(
    desk: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_rows, "MAX_LISTED", 10)
    here = desk()
    here.add(*range(1, 26))
    here.open()
    assert here.page.listed(here.board) == list(range(16, 26))
    head = here.page.head(here.board, here.now)
    assert (head["listed_from"], head["counts"]["pending"]) == (15, 25)
    here.cancel(3)
    here.cancel(20)
    assert statuses(here.change()["rows"]) == {19: CANCELLED}


def test_a_forgotten_task_is_told_by_its_id(desk: Make) -> None:
    here = desk()
    here.add(1, "1")
    here.open()
    here.cancel("1")
    here.forget("1")
    assert here.change()["forgotten"] == ['"1"']


def test_a_worker_is_late_lost_or_resting(desk: Make) -> None:
    here = desk(heartbeat_s=2.0, lost_after_s=10.0, quarantine_after=1)
    for name in ("Ada", "Ben", "Chitra"):
        here.join(name)
    here.add(1)
    here.begin()
    here.end_attempt(1, success=False)
    failed = here.board.tasks[1].worker
    here.now += 6
    here.handle(WorkerHeard(f"at {failed}"))
    late, lost = sorted({"Ada", "Ben", "Chitra"} - {failed})
    here.handle(WorkerLeft(f"at {lost}"))
    told = here.page.head(here.board, here.now)["workers"]
    assert {worker["name"]: worker["state"] for worker in told} == {
        failed: "resting",
        late: "late",
        lost: "lost",
    }


def test_of_very_many_workers_some_are_shown_and_the_others_counted(
    desk: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_rows, "MAX_WORKERS", 3)
    here = desk()
    for number in range(5):
        here.join(f"worker{number}")
    here.handle(WorkerLeft("at worker0"))
    head = here.page.head(here.board, here.now)
    assert [worker["name"] for worker in head["workers"]] == ["worker1", "worker2", "worker3"]
    assert head["hidden_workers"] == 2


def test_a_run_waits_runs_rests_and_is_stopped(desk: Make) -> None:
    here = desk(expected_workers=1)
    here.add(1)
    states = [run_state(here.board)]
    here.join("Ada")
    here.begin()
    states.append(run_state(here.board))
    here.end_attempt(1)
    states.append(run_state(here.board))
    here.add(2)
    here.handle(StopRequested())
    states.append(run_state(here.board))
    assert states == ["waiting", "running", "idle", "stopped"]


def test_a_paused_run_and_a_draining_worker_are_told(desk: Make) -> None:
    here = desk()
    here.add(1)
    here.join("Ada")
    here.begin()
    here.open()
    here.handle(PauseRequested())
    here.handle(DrainRequested("Ada", leaves=False))
    told = here.change()
    assert told["run"]["state"] == "paused"
    assert [worker["state"] for worker in told["workers"]] == ["draining"]
    here.handle(PauseEnded())
    here.handle(DrainEnded("Ada"))
    told = here.change()
    assert told["run"]["state"] == "running"
    assert [worker["state"] for worker in told["workers"]] == ["healthy"]


@pytest.mark.parametrize("kind", OccurrenceKind)
def test_every_kind_of_occurrence_has_words_on_the_page(kind: OccurrenceKind) -> None:
    assets = Path(page_state.__file__).parent / "assets"
    words = "".join((assets / name).read_text("utf-8") for name in ("summary.js", "details.js"))
    # The page drops a forgotten task.
    assert f"{kind.value}: " in words or kind is OccurrenceKind.TASK_FORGOTTEN


def test_a_run_is_finished_or_has_failed(desk: Make) -> None:
    finished = desk(ends_when_done=True)
    finished.add(1)
    finished.join("Ada")
    finished.begin()
    finished.end_attempt(1)
    assert run_state(finished.board) == "finished"
    failed = desk(expected_workers=2, join_timeout_s=1.0)
    failed.join("Ada")
    failed.now += 2
    failed.handle(TimePassed())
    assert run_state(failed.board) == "failed"


@pytest.mark.parametrize("seed", range(10))
def test_who_has_followed_every_change_knows_what_a_new_page_is_told(desk: Make, seed: int) -> None:
    chance = random.Random(seed)
    here = desk()
    here.join("Ada", slots=3)
    here.join("Ben", slots=2)
    here.add(*range(1, 6), max_attempts=2)
    here.open()
    here.begin()
    known = _read(here.page.rows(here.board, here.page.listed(here.board)), {})
    for step in range(200):
        here.now += 0.1
        _stir(here, chance, step)
        if chance.random() < 0.3:
            known = _read(here.change(), known)
    known = _read(here.change(), known)
    assert known == _read(here.page.rows(here.board, here.page.listed(here.board)), {})
    assert json.loads(json.dumps(here.page.head(here.board, here.now)))["title"] == "estate"


def _stir(here: Any, chance: random.Random, step: int) -> None:
    running = [key for worker in here.board.workers.values() for key in worker.running]
    settled = [record.task_id for record in here.board.tasks.values() if record.status.is_final]
    match chance.randrange(5):
        case 0:
            here.add(f"more {step}", max_attempts=chance.randint(1, 2))
        case 1 | 2 if running:
            here.end_attempt(chance.choice(running)[0], success=chance.random() < 0.7)
        case 3 if running:
            here.cancel(chance.choice(running)[0])
        case 4 if settled and not here.board.workers["Ada"].stopping:
            _forget_if_allowed(here, chance.choice(settled))
        case _:
            pass


def _forget_if_allowed(here: Any, task_id: Any) -> None:
    attempts = here.board.tasks[task_id].attempts
    if not any((task_id, each.number) in each.worker.stopping for each in attempts):
        here.forget(task_id)


def _read(change: dict[str, Any], known: dict[int, Any]) -> dict[int, Any]:
    """What a page that knew so much knows then; as the page itself does it."""
    rows = dict(known)
    for *fixed, row in change.get("added", ()):
        rows[row[0]] = (fixed, row)
    for row in change.get("rows", ()):
        rows[row[0]] = (rows[row[0]][0], row)
    gone = set(change.get("forgotten", ()))
    return {number: kept for number, kept in rows.items() if kept[0][0] not in gone}


def test_a_task_of_a_long_description_is_told_shortened(desk: Make) -> None:
    here = desk()
    here.handle(page_state_task("x" * 10_000))
    row = here.page.rows(here.board, [1])["added"][0]
    assert len(row[1]) == 160


def page_state_task(description: str) -> Any:
    from muster.agents.kernel.model.events import TasksAdded

    return TasksAdded((Task(id=1, description=description),))


def test_what_waits_at_a_worker_for_a_slot_has_not_begun(desk: Make) -> None:
    here = desk(prefetch_s=5.0)
    here.add(*range(1, 12))
    here.join("Ada")
    here.begin()
    # Ada is quick, so she is given more than she has slots for.
    for number in range(1, 6):
        here.now += 0.01
        here.end_attempt(number)
    here.open()
    (ada,) = here.page.head(here.board, here.now)["workers"]
    assert (ada["taken"], ada["slots"], ada["ahead"]) == (
        1,
        1,
        len(here.board.workers["Ada"].prefetched),
    )
    assert ada["ahead"] > 0
    rows = here.page.rows(here.board, here.page.listed(here.board))["added"]
    begun = [row[-1][0] for row in rows if row[-1][1] == RUNNING and row[-1][4] is not None]
    assert len(begun) == 1


def test_after_the_end_workers_have_gone_home_unless_they_were_lost_before(desk: Make) -> None:
    here = desk(heartbeat_s=2.0)
    for name in ("Ada", "Ben", "Chitra"):
        here.join(name)
    here.begin()
    here.handle(WorkerLeft("at Ben", "crashed"))
    here.now += 1
    here.handle(StopRequested())
    here.handle(WorkerLeft("at Ada"))
    # Nobody is heard any more.
    here.now += 60
    told = here.page.head(here.board, here.now)["workers"]
    assert {worker["name"]: worker["state"] for worker in told} == {
        "Ada": "gone home",
        "Ben": "lost",
        "Chitra": "gone home",
    }


def test_waiting_tasks_are_told_apart_and_a_stuck_run_has_its_reason(desk: Make) -> None:
    here = desk(unmatched_after_s=None)
    here.add(1, 2, difficulty=9)
    here.add(3, 4)
    here.add(5, depends_on=(1,))
    here.join("Ada", skill=5)
    here.begin()
    here.open()
    waiting = here.page.head(here.board, here.now)["waiting"]
    assert waiting["kinds"] == {"waiting": 1, "blocked": 1, "nobody can": 2}
    ((kind, text),) = waiting["texts"]
    assert (kind, text) == ("nobody can", here.board.explain(1).headline)
    assert here.page.head(here.board, here.now)["wait_numbers"] == [[0, 1]]
    # Somebody still works.
    assert waiting["stuck"] == ""
    here.end_attempt(3)
    here.end_attempt(4)
    here.now += 2
    waiting = here.change()["waiting"]
    lack = "2 waiting for a worker with skill 9; the best connected has 5"
    assert waiting["stuck"] == f"{lack}; 1 waiting for these"
    here.handle(WorkerLeft("at Ada"))
    here.now += 2
    assert here.change()["waiting"]["stuck"].startswith("2 waiting for a worker; none is connected")


def test_a_row_names_the_tasks_that_it_waits_for_by_their_numbers(desk: Make) -> None:
    here = desk()
    here.add("a", "b")
    here.add("c", depends_on=("b", "a"))
    rows = here.page.rows(here.board, ["c"])["added"]
    assert rows == [['"c"', "task c", 1, "", [2, PENDING, 0], [1, 0]]]


def test_a_row_has_the_kind_of_the_error_and_the_cost(desk: Make) -> None:
    here = desk()
    here.add(1)
    here.join("Ada")
    here.board.workers["Ada"].cost_per_task = 0.25
    here.open()
    here.begin()
    here.end_attempt(1, success=False)
    assert here.change()["rows"][0][8:] == ["ValueError: too wet", "ValueError", 0.25]


def test_a_task_that_is_tried_again_is_told_without_its_error(desk: Make) -> None:
    here = desk()
    here.add(1)
    here.join("Ada")
    here.begin()
    here.end_attempt(1, success=False)
    here.open()
    here.handle(RetryRequested((1,), "on the live page"))
    change = here.change()
    assert change["rows"][0][1:3] == [RUNNING, 2]
    assert len(change["rows"][0]) == 6
    assert (change["counts"]["failed"], change["counts"]["in_progress"]) == (0, 1)
