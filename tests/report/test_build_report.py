"""What a report tells of a board's run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    CancelRequested,
    Event,
    ResultReceived,
    TasksAdded,
    TimePassed,
    WorkerJoined,
    WorkerLeft,
)
from muster.agents.kernel.model.health import Health
from muster.agents.kernel.model.instructions import Instruction, SendAssignment
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.report.build import MAX_HISTORY, build_report
from muster.agents.report.model import RunReport, TaskReport, report_schema
from muster.messages import Task, TaskAssignment, TaskResult, TaskStatus, WorkerProfile

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "report.schema.json"


@dataclass
class Run:
    """A board and what it said, with a clock that tests set."""

    board: Board
    now: float = 100.0
    assigned: dict[Any, tuple[str, TaskAssignment]] = field(default_factory=dict)

    def tell(self, event: Event, at: float | None = None) -> list[Instruction]:
        """Have the board handle an event."""
        self.now = self.now if at is None else at
        said = self.board.handle(event, self.now)
        for each in said:
            if isinstance(each, SendAssignment):
                self.assigned[each.assignment.task.id] = (each.worker_id, each.assignment)
        return said

    def begin(self, *tasks: Task, workers: tuple[str, ...] = ("Ada",), **worker: Any) -> None:
        """Add tasks, let workers in and begin, all at once."""
        self.tell(TasksAdded(tasks))
        for name in workers:
            self.tell(
                WorkerJoined(name.lower(), WorkerProfile(name, **{"skill_level": 5, **worker}))
            )
        self.tell(AssigningBegun())

    def finish(self, task_id: Any, at: float | None = None, **result: Any) -> None:
        """Have the worker that has the task report its result."""
        worker_id, assignment = self.assigned[task_id]
        given = {"success": True, "execution_time": 2.0, **result}
        self.tell(
            ResultReceived(
                worker_id,
                TaskResult(
                    task_id=task_id, worker=assignment.worker, attempt=assignment.attempt, **given
                ),
            ),
            at,
        )

    def report(self, **given: Any) -> RunReport:
        """Tell the run as it stands."""
        return build_report(self.board, name="estate", now=self.now, **given)


@pytest.fixture
def run() -> Callable[..., Run]:
    """Makes a board with these rules."""
    return lambda **rules: Run(Board(Rules(**rules)))


def task(task_id: Any, **fields: Any) -> Task:
    return Task(id=task_id, description=f"task {task_id}", type="work", **fields)


def only_task(report: RunReport) -> TaskReport:
    (found,) = report.tasks
    return found


# ------------------------------------------------------------------------ the run


def test_a_run_lasts_from_the_first_assignment_to_the_last_result(run: Callable[..., Run]) -> None:
    played = run()
    played.tell(TasksAdded((task(1),)), at=50.0)
    played.tell(WorkerJoined("a", WorkerProfile("Ada", 5)), at=60.0)
    played.tell(AssigningBegun(), at=100.0)
    played.finish(1, at=104.0)
    played.now = 200.0
    report = played.report()
    assert (report.started_at, report.duration) == (100.0, 4.0)
    assert (report.name, report.policy, report.failure) == ("estate", "best_fit", None)


def test_a_run_that_goes_on_has_lasted_until_now(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1))
    played.now = 107.0
    assert played.report().duration == 7.0


def test_a_run_whose_workers_did_not_come_has_lasted_as_long_as_it_waited(
    run: Callable[..., Run],
) -> None:
    played = run(expected_workers=1, join_timeout_s=5.0)
    played.tell(TasksAdded((task(1),)), at=100.0)
    played.tell(TimePassed(), at=105.0)
    report = played.report()
    assert (report.started_at, report.duration) == (100.0, 5.0)
    assert "0 of 1 expected workers" in (report.failure or "")
    assert report.exit_code == 1


def test_when_every_task_completed_all_is_well(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1), task(2))
    played.finish(1)
    played.finish(2)
    report = played.report()
    assert (report.success_rate, report.exit_code) == (1.0, 0)
    assert report.counts[TaskStatus.COMPLETED] == 2


def test_of_no_tasks_all_have_completed(run: Callable[..., Run]) -> None:
    played = run()
    played.begin()
    report = played.report()
    assert (report.success_rate, report.exit_code, report.mean_time) == (1.0, 0, None)


def test_one_task_that_failed_makes_the_exit_code_1(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1), task(2), task(3))
    played.finish(1)
    played.finish(2)
    played.finish(3, success=False, error_message="ValueError: no")
    report = played.report()
    assert round(report.success_rate, 4) == 0.6667
    assert report.exit_code == 1


def test_one_task_that_is_not_settled_makes_the_exit_code_1(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1), task(2))
    played.finish(1)
    assert played.report().exit_code == 1


def test_the_work_is_added_up_over_the_recorded_results(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1), task(2), task(3))
    played.finish(1, execution_time=1.0)
    played.finish(2, execution_time=2.0, success=False, error_message="x: y")
    report = played.report()
    assert (report.total_time, report.mean_time) == (3.0, 1.5)


def test_errors_are_counted_by_what_stands_before_the_colon(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(*(task(number) for number in range(1, 5)), task(5, depends_on=(4,)))
    for number, message in enumerate(("KeyError: 'a'", "KeyError: 'b'", "SystemExit"), 1):
        played.finish(number, success=False, error_message=message)
    played.tell(CancelRequested(4))
    assert played.report().error_counts == {
        "KeyError": 2,
        "SystemExit": 1,
        "cancelled": 1,
        "dependency": 1,
    }


def test_an_error_that_a_retry_made_good_is_not_counted(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1, max_attempts=2))
    played.finish(1, success=False, error_message="ValueError: no")
    played.finish(1)
    report = played.report()
    assert report.error_counts == {}
    assert (only_task(report).attempts, only_task(report).error_message) == (2, None)


def test_results_that_did_not_count_and_frames_that_were_dropped_are_told(
    run: Callable[..., Run],
) -> None:
    played = run()
    played.begin(task(1), task(2))
    played.finish(1)
    played.finish(1)
    report = played.report(dropped={"pickle": 3})
    assert sum(report.ignored.values()) == 1
    assert report.dropped == {"pickle": 3}


# ------------------------------------------------------------------------ tasks


def test_a_completed_task_is_told_in_full(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1, difficulty=3, priority=2), workers=("Ada",))
    played.finish(1, at=104.0, execution_time=3.5, output={"kilos": 7})
    told = only_task(played.report())
    assert told.model_dump(exclude={"why"}) == {
        "id": 1,
        "description": "task 1",
        "type": "work",
        "difficulty": 3,
        "priority": 2,
        "status": TaskStatus.COMPLETED,
        "worker": "Ada",
        "attempts": 1,
        "success": True,
        "execution_time": 3.5,
        "waited": 0.0,
        "error_message": None,
        "error_traceback": None,
        "output": {"kilos": 7},
        "depends_on": [],
        "parent_id": None,
        "expires_s": None,
        "history": [
            {
                "number": 1,
                "worker": "Ada",
                "started_at": 100.0,
                "ended_at": 104.0,
                "outcome": AttemptOutcome.SUCCEEDED,
                "cost": 0.0,
                "quality": None,
                "is_review": False,
                "model": "",
                "tokens_in": 0,
                "tokens_out": 0,
            }
        ],
        "required_skills": {},
        "strict": False,
        "deadline": None,
        "escalate": [],
        "review": False,
        "votes": 1,
        "cost": 0.0,
        "quality": None,
        "late_s": None,
        "limit_key": None,
    }


def test_the_traceback_of_a_failure_is_reported_until_the_task_succeeds(
    run: Callable[..., Run],
) -> None:
    played = run()
    played.begin(task(1, max_attempts=2), workers=("Ada",))
    failure = {"error_message": "ValueError: cold", "error_traceback": "Traceback …"}
    played.finish(1, success=False, **failure)
    told = only_task(played.report())
    assert (told.error_message, told.error_traceback) == ("ValueError: cold", "Traceback …")
    assert "  Traceback …" in played.board.explain(1).lines(with_traceback=True)
    assert "  Traceback …" not in told.why
    played.finish(
        1,
    )
    assert only_task(played.report()).error_traceback is None


def test_a_traceback_goes_with_its_error_only(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1, max_attempts=2), workers=("Ada",))
    played.finish(1, success=False, error_message="ValueError: x", error_traceback="Traceback …")
    played.tell(CancelRequested(1))
    told = only_task(played.report())
    assert told.status is TaskStatus.CANCELLED
    assert told.error_traceback is None


def test_a_task_tells_why_it_went_where_it_went(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1))
    assert only_task(played.report()).why == played.board.explain(1).lines()


def test_a_failed_task_tells_its_error(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1))
    played.finish(1, success=False, error_message="ValueError: no")
    told = only_task(played.report())
    assert (told.success, told.error_message) == (False, "ValueError: no")


def test_a_cancelled_task_did_not_succeed_and_has_no_time(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1), workers=())
    played.tell(CancelRequested(1))
    told = only_task(played.report())
    assert (told.status, told.success) == (TaskStatus.CANCELLED, False)
    assert (told.worker, told.attempts, told.waited, told.execution_time) == ("", 0, None, None)
    assert told.error_message == "cancelled: by the user"


def test_a_task_that_is_not_settled_has_neither_succeeded_nor_failed(
    run: Callable[..., Run],
) -> None:
    played = run()
    played.begin(task(1), task(2), workers=("Ada",))
    assert [told.success for told in played.report().tasks] == [None, None]


def test_a_task_waits_from_the_runs_start_to_its_assignment(run: Callable[..., Run]) -> None:
    played = run()
    played.tell(TasksAdded((task(1, priority=1), task(2))), at=10.0)
    played.tell(WorkerJoined("a", WorkerProfile("Ada", 5)), at=99.0)
    played.tell(AssigningBegun(), at=100.0)
    played.finish(1, at=103.0)
    assert [told.waited for told in played.report().tasks] == [0.0, 3.0]


def test_a_task_added_later_waits_from_then_on(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1))
    played.tell(TasksAdded((task(2),)), at=102.0)
    played.finish(1, at=103.0)
    assert [told.waited for told in played.report().tasks] == [0.0, 1.0]


# ------------------------------------------------------------------------ workers


def test_a_worker_tells_what_it_did(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1), task(2), workers=("Ada",), specialties=frozenset({"b", "a"}), slots=2)
    played.finish(1, at=104.0, execution_time=3.0)
    played.finish(2, at=108.0, execution_time=5.0, success=False, error_message="x: y")
    told = played.report().workers["Ada"].model_dump()
    assert told == {
        "skill_level": 5,
        "specialties": ["a", "b"],
        "slots": 2,
        "completed": 2,
        "succeeded": 1,
        "success_rate": 0.5,
        "total_time": 8.0,
        "mean_time": 4.0,
        # 4 s in one slot and 8 s in the other, of 2 times 8 s.
        "busy_share": 0.75,
        "lost": False,
        "health": Health.HEALTHY,
        "silent_for": 0.0,
        "joined_at": 100.0,
        "left_at": None,
        "held_slots": [],
        "skills": {},
        "cost_per_s": 0.0,
        "cost_per_task": 0.0,
        "review_types": [],
        "cost": 0.0,
        "quality": None,
        "declined": 0,
        "rejected": 0,
        "gone_home": True,
    }


def test_a_worker_that_has_ended_nothing_has_no_rate(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1))
    told = played.report().workers["Ada"]
    assert (told.completed, told.success_rate, told.mean_time) == (0, None, None)


def test_what_is_running_counts_as_busy(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1))
    played.now = 110.0
    assert played.report().workers["Ada"].busy_share == 1.0


def test_the_wait_for_the_others_does_not_count_as_idle(run: Callable[..., Run]) -> None:
    played = run()
    played.tell(TasksAdded((task(1),)), at=10.0)
    played.tell(WorkerJoined("a", WorkerProfile("Ada", 5)), at=10.0)
    played.tell(AssigningBegun(), at=15.0)
    played.finish(1, at=17.0)
    assert played.report().workers["Ada"].busy_share == 1.0


def test_a_worker_that_left_before_the_end_is_told_as_lost(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1), task(2), workers=("Ada", "Bob"))
    worker_id, _ = played.assigned[1]
    played.tell(WorkerLeft(worker_id), at=104.0)
    played.now = 108.0
    told = played.report().workers
    lost = {name for name, worker in told.items() if worker.lost}
    assert {name.lower() for name in lost} == {worker_id}
    assert all(worker.busy_share == 1.0 for worker in told.values())


def test_a_worker_that_leaves_after_the_end_has_gone_home(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1))
    assert not played.report().workers["Ada"].gone_home
    played.finish(1, at=104.0)
    for moment in (104.0, 104.5, 1_000.0):
        told = played.report()
        assert told.has_ended
        ada = told.workers["Ada"]
        assert (ada.lost, ada.health, ada.gone_home) == (False, Health.HEALTHY, True)
        played.tell(WorkerLeft("ada"), at=moment)


def test_a_run_that_ended_is_read_from_its_store_with_its_workers_gone_home(
    run: Callable[..., Run],
) -> None:
    played = run()
    played.begin(task(1))
    played.finish(1, at=104.0)
    # So restores a worker that was connected when the store was last written.
    ada = played.board.workers["Ada"]
    ada.alive, ada.awaited_until = False, 134.0
    told = played.report().workers["Ada"]
    assert (told.health, told.gone_home, told.lost) == (Health.HEALTHY, True, False)


def test_who_was_late_or_lost_before_the_end_has_not_gone_home(run: Callable[..., Run]) -> None:
    played = run(heartbeat_s=2.0, lost_after_s=100.0)
    played.begin(task(1), workers=("Ada", "Ben", "Cid"))
    busy = next(iter(played.assigned.values()))[0]
    late, lost = (name for name in ("ada", "ben", "cid") if name != busy)
    played.tell(WorkerLeft(lost), at=103.0)
    played.finish(1, at=110.0)
    told = {name.lower(): worker for name, worker in played.report().workers.items()}
    assert (told[late].health, told[lost].health) == (Health.LATE, Health.LOST)
    assert {name for name, worker in told.items() if worker.gone_home} == {busy}


@pytest.mark.parametrize(("max_losses", "tasks_lost"), [(2, 0), (0, 1)])
def test_lost_attempts_are_told_apart_from_lost_tasks_and_lost_workers(
    run: Callable[..., Run], max_losses: int, tasks_lost: int
) -> None:
    played = run(max_losses=max_losses)
    played.begin(task(1), workers=("Ada", "Ben"))
    worker_id, _ = played.assigned[1]
    played.tell(WorkerLeft(worker_id), at=101.0)
    if not tasks_lost:
        played.finish(1, at=104.0)
    told = played.report()
    assert (told.attempts_lost, told.tasks_lost) == (1, tasks_lost)
    assert sum(worker.lost for worker in told.workers.values()) == 1


def test_missed_deadlines_are_told(run: Callable[..., Run]) -> None:
    played = run(ends_when_done=False)
    played.begin(
        task("late", deadline=5.0),
        task("punctual", deadline=50.0),
        task("running", deadline=20.0),
        task("free"),
        slots=4,
    )
    played.finish("punctual", at=102.0)
    played.finish("late", at=108.0)
    played.now = 118.0
    told = played.report()
    assert {each.id: each.late_s for each in told.tasks} == {
        "late": pytest.approx(3.0),
        "punctual": None,
        "running": None,
        "free": None,
    }
    assert told.deadlines_missed == 1
    played.now = 121.0
    assert played.report().deadlines_missed == 2


def test_a_task_that_failed_since_it_could_not_be_in_time_missed_its_deadline(
    run: Callable[..., Run],
) -> None:
    played = run(on_late="fail", ends_when_done=False)
    played.begin(task("known", priority=9), task("first", priority=9))
    played.finish("known", at=110.0, execution_time=10.0)
    played.tell(TasksAdded((task("second", deadline=5.0),)), at=111.0)
    played.tell(TimePassed(), at=112.0)
    told = {each.id: each for each in played.report().tasks}
    assert told["second"].error_message.startswith("late: it can't be completed")
    assert told["second"].late_s == 0.0
    assert played.report().deadlines_missed == 1


def test_a_worker_that_missed_heartbeats_is_late_until_it_is_lost(run: Callable[..., Run]) -> None:
    played = run(heartbeat_s=2.0, lost_after_s=10.0)
    played.begin(task(1))
    for moment, health in ((105.0, Health.HEALTHY), (105.1, Health.LATE)):
        played.now = moment
        told = played.report().workers["Ada"]
        assert (told.health, told.silent_for) == (health, pytest.approx(moment - 100.0))
    played.tell(TimePassed(), at=110.0)
    played.now = 111.0
    told = played.report().workers["Ada"]
    assert (told.health, told.left_at) == (Health.LOST, 110.0)


# ------------------------------------------------------------------------ the timeline


def test_every_attempt_is_told_with_its_worker_its_times_and_how_it_ended(
    run: Callable[..., Run],
) -> None:
    played = run()
    played.begin(task(1, max_attempts=2), workers=("Ada",))
    played.finish(1, at=103.0, success=False, error_message="ValueError: no")
    played.tell(WorkerLeft("ada"), at=105.0)
    played.tell(WorkerJoined("b", WorkerProfile("Ben", 5)), at=106.0)
    told = [attempt.model_dump() for attempt in only_task(played.report()).history]
    assert [tuple(attempt.values())[:5] for attempt in told] == [
        (1, "Ada", 100.0, 103.0, AttemptOutcome.FAILED),
        (2, "Ada", 103.0, 105.0, AttemptOutcome.LOST),
        (3, "Ben", 106.0, None, None),
    ]


def test_of_many_attempts_the_latest_are_told(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1, max_attempts=MAX_HISTORY + 5))
    for number in range(MAX_HISTORY + 4):
        played.finish(1, at=101.0 + number, success=False, error_message="ValueError: no")
    told = only_task(played.report())
    assert told.attempts == MAX_HISTORY + 5
    assert [attempt.number for attempt in told.history] == list(range(6, MAX_HISTORY + 6))


def test_success_is_told_by_difficulty(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1, difficulty=3), task(2, difficulty=5), task(3, difficulty=3), slots=3)
    played.finish(1)
    played.finish(2)
    told = played.report().by_difficulty
    assert list(told) == [3, 5]
    assert [tuple(group.model_dump().values()) for group in told.values()] == [
        (2, 1, 0.5, 0.0, None),
        (1, 1, 1.0, 0.0, None),
    ]


# ------------------------------------------------------------------------ as JSON


def test_the_schema_in_the_docs_is_current() -> None:
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == report_schema()


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(report_schema())


def test_the_schema_names_each_status_once() -> None:
    status = report_schema()["$defs"]["TaskReport"]["properties"]["status"]
    assert status["enum"] == ["pending", "in_progress", "completed", "failed", "cancelled"]


def test_a_report_as_json_is_as_the_schema_says(run: Callable[..., Run]) -> None:
    played = run(ends_when_done=False)
    played.begin(*(task(number) for number in (1, 2, "three")), task(4, depends_on=("three",)))
    played.finish(1, output={"raw": b"\x00", "rate": float("nan"), 5: (1, None)})
    played.finish(2, success=False, error_message="ValueError: no")
    played.tell(WorkerLeft("ada"), at=103.0)
    text = played.report(dropped={"garbage": 2}).model_dump_json()
    jsonschema.validate(json.loads(text), report_schema())


def test_the_schema_refuses_what_is_no_report(run: Callable[..., Run]) -> None:
    played = run()
    played.begin(task(1))
    report = json.loads(played.report().model_dump_json())
    for wrong in ({**report, "success_rate": 2}, {**report, "more": 1}, {**report, "tasks": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, report_schema())
