"""`muster status`, `report` and `why` on a store, with and without a manager that holds it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.agents import RunReport
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.rows import Rows, changed_rows
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    Event,
    ResultReceived,
    StopRequested,
    TasksAdded,
    WorkerJoined,
    WorkerLeft,
)
from muster.agents.store.sqlite import SqliteStore
from muster.messages import Task, TaskResult, WorkerProfile

Invoke = Callable[..., Any]

BEGAN_AT = 1_000.0


class Managed:
    """A board whose rows are written to a store, as a manager does."""

    def __init__(self, path: Path, **rules: Any) -> None:
        self.store = SqliteStore(path)
        self.board = Board(Rules(ends_when_done=False, **rules))
        self.now = BEGAN_AT

    def happens(self, *events: Event) -> None:
        for event in events:
            said = self.board.handle(event, self.now)
            self.store.write(changed_rows(self.board, said))
            self.now += 1.0


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Managed]:
    """Task 1 is done by Ada, "1a" is at Ada, 2 waits for it; Ben can do nothing."""
    made = Managed(tmp_path / "run.db")
    tasks = (
        Task(id=1, description="One", difficulty=3),
        Task(id="1a", description="Two", difficulty=3),
        Task(id=2, description="Three", depends_on=("1a",)),
    )
    made.happens(
        TasksAdded(tasks),
        AssigningBegun(),
        WorkerJoined("at Ben", WorkerProfile("Ben", skill_level=1, slots=2), session="1"),
        WorkerJoined("at Ada", WorkerProfile("Ada", skill_level=5), session="1"),
    )
    done = TaskResult(task_id=1, worker="Ada", attempt=1, success=True, execution_time=0.5)
    made.happens(ResultReceived("at Ada", done))
    yield made
    made.store.close()


@pytest.fixture
def at_once(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the store be read right after what was last written."""
    monkeypatch.setattr("muster.agents.command.stored_run.now", lambda: managed.now)


@pytest.mark.usefixtures("at_once")
def test_status_tells_how_far_a_run_is_while_its_manager_runs(
    invoke: Invoke, managed: Managed
) -> None:
    ended = invoke("status", "--store", "run.db")
    assert ended.code == 0
    first, *others = ended.out.splitlines()
    assert first == f"run.db: running for 4.0 s; a manager holds the store, process {os.getpid()}"
    assert others == [
        "3 tasks: 1 pending, 1 in progress, 1 completed",
        "  Ben: 0/2 slots busy, 0 attempts ended",
        "  Ada: 1/1 slots busy, 1 attempt ended",
    ]


def test_status_of_a_run_whose_manager_is_gone(invoke: Invoke, managed: Managed) -> None:
    managed.store.close()
    assert invoke("status", "--store", "run.db").out.splitlines() == [
        "run.db: interrupted; no manager holds the store",
        "3 tasks: 1 pending, 1 in progress, 1 completed",
        "  Ben: not connected, 0 attempts ended",
        "  Ada: not connected, 1 attempt ended",
    ]


def test_status_tells_costs_and_the_budget_of_the_run_that_it_reads(
    invoke: Invoke, tmp_path: Path
) -> None:
    made = Managed(tmp_path / "run.db", budget=2.0, cost_unit="EUR")
    made.happens(
        TasksAdded(tuple(Task(id=each, description="x", difficulty=3) for each in (1, 2))),
        AssigningBegun(),
        WorkerJoined("at Ada", WorkerProfile("Ada", 5, cost_per_task=1.5), session="1"),
        ResultReceived("at Ada", TaskResult(task_id=1, worker="Ada", attempt=1, success=True)),
        ResultReceived("at Ada", TaskResult(task_id=2, worker="Ada", attempt=1, success=True)),
        TasksAdded((Task(id=3, description="x", difficulty=3),)),
    )
    made.store.close()
    assert invoke("status", "--store", "run.db").out.splitlines()[1:] == [
        "3 tasks: 1 pending, 2 completed",
        "cost: 3 EUR of a budget of 2, 0 left",
        "tasks that only workers with costs can run wait: nothing of the budget is left",
        "  Ada: not connected, 2 attempts ended, 3 EUR",
    ]
    told = json.loads(invoke("status", "--store", "run.db", "--json").out)
    assert (told["cost"], told["cost_unit"], told["budget"], told["budget_left"]) == (
        *(3.0, "EUR", 2.0, 0.0),
    )
    assert told["workers"]["Ada"]["cost"] == 3.0
    report = json.loads(invoke("report", "--store", "run.db", "--json").out)
    assert (report["cost"], report["cost_unit"], report["budget"]) == (3.0, "EUR", 2.0)


@pytest.mark.usefixtures("at_once")
def test_status_tells_who_is_late_and_who_is_lost(invoke: Invoke, managed: Managed) -> None:
    managed.happens(WorkerLeft("at Ben"))
    managed.now += 4.0
    assert invoke("status", "--store", "run.db").out.splitlines()[2:] == [
        "  Ben: lost, last heartbeat 8.0 s ago, 0 attempts ended",
        "  Ada: late, last heartbeat 6.0 s ago, 1/1 slots busy, 1 attempt ended",
    ]


def test_status_goes_by_the_heartbeat_of_the_run_that_it_reads(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    managed = Managed(tmp_path / "run.db", heartbeat_s=10.0, lost_after_s=40.0)
    managed.happens(
        TasksAdded(()), AssigningBegun(), WorkerJoined("at Ada", WorkerProfile("Ada"), session="1")
    )
    for silent_s, health in ((25.0, "healthy"), (26.0, "late")):
        monkeypatch.setattr(
            "muster.agents.command.stored_run.now", lambda at=managed.now + silent_s: at - 1.0
        )
        told = json.loads(invoke("status", "--store", "run.db", "--json").out)["workers"]["Ada"]
        assert (told["health"], told["silent_for"]) == (health, silent_s)
    managed.store.close()


@pytest.mark.usefixtures("at_once")
def test_status_as_json(invoke: Invoke, managed: Managed) -> None:
    ended = invoke("status", "--store", "run.db", "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == {
        "store": "run.db",
        "held": True,
        "pid": os.getpid(),
        "began_at": BEGAN_AT + 1,
        "ended_at": None,
        "failure": None,
        "counts": {
            "pending": 1,
            "in_progress": 1,
            "completed": 1,
            "failed": 0,
            "cancelled": 0,
        },
        "workers": {
            "Ben": {
                "connected": True,
                "health": "healthy",
                "silent_for": 3.0,
                "slots": 2,
                "running": 0,
                "completed": 0,
                "cost": 0.0,
            },
            "Ada": {
                "connected": True,
                "health": "healthy",
                "silent_for": 1.0,
                "slots": 1,
                "running": 1,
                "completed": 1,
                "cost": 0.0,
            },
        },
        "cost": 0.0,
        "cost_unit": "USD",
        "budget": None,
        "budget_left": None,
        "managers": [{"host": "", "pid": os.getpid(), "leads": True, "since": 0.0, "page": ""}],
    }


def test_status_of_a_run_that_ended(invoke: Invoke, managed: Managed) -> None:
    managed.happens(StopRequested("enough"))
    managed.store.close()
    told = invoke("status", "--store", "run.db").out.splitlines()
    assert told[0] == "run.db: ended after 4.0 s; no manager holds the store"


def test_status_of_a_store_with_nothing_in_it(invoke: Invoke) -> None:
    store = SqliteStore("run.db")
    told = invoke("status", "--store", "run.db").out
    holder = f"a manager holds the store, process {os.getpid()}"
    assert told == f"run.db: waiting for workers; {holder}\n0 tasks\n"
    store.close()
    told = invoke("status", "--store", "run.db").out
    assert told == "run.db: not started; no manager holds the store\n0 tasks\n"


def test_the_report_of_an_interrupted_run_ends_with_what_last_happened(
    invoke: Invoke, managed: Managed
) -> None:
    managed.store.close()
    ended = invoke("report", "--store", "run.db", "--json", "--out", "report.json")
    assert ended.code == 0
    report = RunReport.model_validate_json(ended.out)
    assert RunReport.model_validate_json(Path("report.json").read_bytes()) == report
    assert report.name == "run.db"
    assert report.started_at == BEGAN_AT + 1
    assert report.duration == 3.0
    assert [(task.id, task.status.value, task.worker) for task in report.tasks] == [
        (1, "completed", "Ada"),
        ("1a", "in_progress", "Ada"),
        (2, "pending", ""),
    ]


def test_the_report_of_a_run_that_goes_on_ends_now(invoke: Invoke, managed: Managed) -> None:
    ended = invoke("report", "--store", "run.db", "--json")
    assert RunReport.model_validate_json(ended.out).duration > 1_000_000_000


def test_the_report_is_text_for_people(invoke: Invoke, managed: Managed) -> None:
    ended = invoke("report", "--store", "run.db")
    assert ended.code == 0
    assert "run.db: 1 of 3 tasks succeeded" in ended.out


def test_a_report_that_cannot_be_written_is_told_first(invoke: Invoke, managed: Managed) -> None:
    ended = invoke("report", "--store", "run.db", "--out", "missing/report.json")
    assert (ended.code, ended.out) == (2, "")
    assert "there is no folder 'missing'" in ended.err


@pytest.mark.parametrize(
    ("task", "why"),
    [("1", "is completed: attempt 1 at Ada"), ("1a", "is in progress: attempt 1 at Ada")],
)
def test_a_store_tells_why_a_task_stands_where_it_stands(
    invoke: Invoke, managed: Managed, task: str, why: str
) -> None:
    ended = invoke("why", task, "--store", "run.db")
    assert ended.code == 0
    assert ended.out.splitlines()[0] == f"task {task} {why}"
    assert ended.out.splitlines() == managed.board.explain(1 if task == "1" else task).lines()


def test_a_store_tells_what_a_task_waits_for(invoke: Invoke, managed: Managed) -> None:
    ended = invoke("why", "2", "--store", "run.db")
    assert ended.out == "task 2 waits for task 1a (in progress)\n"


def test_a_task_that_the_store_does_not_know_is_named(invoke: Invoke, managed: Managed) -> None:
    ended = invoke("why", "7", "--store", "run.db")
    assert (ended.code, ended.err) == (2, "muster: the run in 'run.db' has no task 7\n")


@pytest.mark.parametrize("command", [("status",), ("report",), ("why", "1")])
def test_a_store_that_is_not_there_is_named_and_not_made(
    invoke: Invoke, command: tuple[str, ...]
) -> None:
    ended = invoke(*command, "--store", "run.db")
    assert ended.code == 2
    assert ended.err.startswith("muster: there is no store ")
    assert list(Path.cwd().iterdir()) == []


def test_a_task_of_a_class_that_is_not_known_here_is_named(
    invoke: Invoke, managed: Managed
) -> None:
    rows = managed.store.load()
    managed.store.write(Rows(tasks=(rows.tasks[0]._replace(definition=b"\x90"),)))
    ended = invoke("status", "--store", "run.db")
    assert ended.code == 2
    assert ended.err.startswith("muster: the store 'run.db' has rows that can't be decoded: task 1")


def test_reading_leaves_nothing_behind(invoke: Invoke, managed: Managed) -> None:
    managed.store.close()
    before = Path("run.db").read_bytes()
    invoke("status", "--store", "run.db")
    invoke("why", "1", "--store", "run.db")
    assert Path("run.db").read_bytes() == before
    assert {each.name for each in Path.cwd().iterdir()} == {"run.db", "run.db.lock"}


HOSTILE_NAME = "Eve\x1b]52;c;cm0=\x07\x9b2J\u202e\nmuster: all is well"


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("status", "--json"),
        ("why", HOSTILE_NAME.replace("Eve", "task")),
        ("report",),
        ("report", "--json"),
        ("diagram",),
        ("diagram", "--as", "gantt"),
    ],
)
def test_hostile_names_in_a_store_reach_the_terminal_escaped(
    invoke: Invoke, managed: Managed, command: tuple[str, ...]
) -> None:
    task_id = HOSTILE_NAME.replace("Eve", "task")
    managed.happens(
        TasksAdded((Task(id=task_id, description=HOSTILE_NAME, difficulty=9),)),
        WorkerJoined("at Eve", WorkerProfile(HOSTILE_NAME, skill_level=9), session="1"),
    )
    fault = TaskResult(
        task_id=task_id, worker=HOSTILE_NAME, success=False, error_message=HOSTILE_NAME
    )
    managed.happens(ResultReceived("at Eve", fault))
    managed.store.close()
    ended = invoke(*command, "--store", "run.db")
    assert ended.code == 0
    shown = ended.out.split("\n")
    assert all(line.isprintable() for line in shown)
    assert not any(line.startswith("muster:") for line in shown)
