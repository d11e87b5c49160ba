"""A board that takes over from another, by the rows that a store has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.invariants import check_invariants
from muster.agents.kernel.board.restoration import read_board, restore_into
from muster.agents.kernel.board.rows import Rows, changed_rows
from muster.agents.kernel.matching.policy_names import find_policy
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    CancelRequested,
    Event,
    ListeningStarted,
    PriorityChanged,
    ResultReceived,
    TasksAdded,
    TimePassed,
)
from muster.agents.kernel.model.instructions import (
    EndRun,
    Instruction,
    SendAssignment,
    SendCancel,
    SendWelcome,
)
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.store.memory import SharedRows
from muster.messages import (
    DecodeError,
    DifferentTask,
    DuplicateTask,
    Task,
    TaskResult,
    TaskStatus,
)

from .conftest import joined

MakeTask = Callable[..., Task]


class Managed:
    """One run, and the boards that manage it one after the other."""

    def __init__(self, **rules: Any) -> None:
        self.rules = Rules(**{"expected_workers": 1, **rules})
        self.kept = SharedRows()
        self.board = Board(self.rules)
        self.now = 0.0
        self.said: list[Instruction] = []

    def happens(self, event: Event) -> list[Instruction]:
        said = self.board.handle(event, self.now)
        check_invariants(self.board)
        self.kept.keep(changed_rows(self.board, said))
        self.said += said
        return said

    def join(self, name: str = "Ada", **fields: Any) -> list[Instruction]:
        fields = {"worker_id": f"at {name}", "session": f"{name} 1", "slots": 2, **fields}
        return self.happens(joined(name=name, skill_level=9, **fields))

    def succeed(
        self, task_id: int, worker: str = "Ada", worker_id: str = "", **fields: Any
    ) -> list[Instruction]:
        attempt = self.board.tasks[task_id].attempt
        fields = {"attempt": attempt, "output": task_id * 10, **fields}
        result = TaskResult(task_id=task_id, worker=worker, success=True, **fields)
        return self.happens(ResultReceived(worker_id or f"at {worker}", result))

    def restart(self, *again: Task, policy: str | None = None) -> list[Instruction]:
        chosen = None if policy is None else find_policy(policy)
        self.board = read_board(self.kept.read(), self.rules, chosen, now=self.now)
        check_invariants(self.board)
        assert self.happens(TasksAdded(again)) == []
        return self.happens(ListeningStarted())

    def status(self, task_id: int) -> TaskStatus:
        return self.board.tasks[task_id].status


def under_way(*tasks: Task, **rules: Any) -> Managed:
    """A run in which Ada has the first two tasks."""
    run = Managed(**rules)
    run.happens(TasksAdded(tasks))
    run.join()
    run.happens(AssigningBegun())
    return run


def assigned(said: list[Instruction]) -> list[tuple[Any, int, str]]:
    return [
        (each.assignment.task.id, each.assignment.attempt, each.assignment.worker)
        for each in said
        if isinstance(each, SendAssignment)
    ]


def told(said: list[Instruction]) -> list[OccurrenceKind]:
    return [each.what for each in said if isinstance(each, Occurrence)]


def test_completed_tasks_stay_completed_with_their_results(task: MakeTask) -> None:
    run = under_way(task(1), task(2), task(3))
    run.succeed(1)
    said = run.restart(task(1), task(2), task(3))
    assert told(said) == [OccurrenceKind.RUN_RESUMED]
    assert assigned(said) == []
    assert run.status(1) is TaskStatus.COMPLETED
    assert [result.output for result in run.board.results] == [10]


def test_a_worker_that_comes_back_goes_on_with_what_it_holds(task: MakeTask) -> None:
    run = under_way(task(1), task(2))
    run.restart()
    run.now = 5.0
    said = run.join(worker_id="elsewhere", call=2, holding=frozenset({(1, 1), (2, 1)}))
    assert SendWelcome("elsewhere", "Ada", "Ada 1", 2) in said
    assert assigned(said) == []
    assert OccurrenceKind.WORKER_RETURNED in told(said)
    run.succeed(1, worker_id="elsewhere")
    run.succeed(2, worker_id="elsewhere")
    assert run.board.has_ended
    assert [record.attempt for record in run.board.tasks.values()] == [1, 1]


def test_what_never_reached_a_worker_is_given_out_again(task: MakeTask) -> None:
    run = under_way(task(1), task(2))
    run.restart()
    said = run.join(call=2, holding=frozenset({(1, 1)}))
    assert assigned(said) == [(2, 2, "Ada")]


def test_a_worker_that_was_started_anew_has_lost_what_it_held(task: MakeTask) -> None:
    run = under_way(task(1), task(2))
    run.restart()
    said = run.join(session="Ada 2")
    assert sorted(assigned(said)) == [(1, 2, "Ada"), (2, 2, "Ada")]
    assert OccurrenceKind.WORKER_LOST in told(said)


def test_tasks_of_a_worker_that_stays_away_go_to_others_after_a_while(task: MakeTask) -> None:
    run = under_way(task(1), task(2), lost_after_s=10.0)
    run.restart()
    run.join("Ben")
    run.now = 19.0
    assert assigned(run.join("Ben")) == []
    run.now = run.board.next_timer_at() or 0.0
    assert run.now == 20.0
    assert sorted(assigned(run.happens(TimePassed()))) == [(1, 2, "Ben"), (2, 2, "Ben")]


def test_waiting_tasks_go_to_whoever_comes_first_without_another_roll_call(task: MakeTask) -> None:
    run = under_way(task(1), task(2), task(3))
    said = run.restart()
    assert told(said) == [OccurrenceKind.RUN_RESUMED]
    assert assigned(run.join("Ben")) == [(3, 1, "Ben")]


def test_a_run_that_had_not_begun_waits_for_its_workers_as_before(task: MakeTask) -> None:
    run = Managed(expected_workers=2)
    run.happens(TasksAdded((task(1),)))
    run.join("Ada")
    run.restart()
    assert run.board.began_at is None
    run.join("Ada", call=2)
    assert not run.board.start_barrier.is_over
    run.join("Ben")
    assert run.board.start_barrier.is_over


def test_a_run_in_which_all_is_settled_ends_at_once(task: MakeTask) -> None:
    run = under_way(task(1), task(2))
    run.succeed(1)
    run.succeed(2)
    said = run.restart(task(1), task(2))
    assert EndRun(None) in said
    assert OccurrenceKind.TASK_COMPLETED not in told(said)


def test_new_tasks_go_on_with_a_run_that_had_ended(task: MakeTask) -> None:
    run = under_way(task(1))
    run.succeed(1)
    run.board = read_board(run.kept.read(), run.rules, now=run.now)
    run.happens(TasksAdded((task(1), task(2, depends_on=(1,)))))
    run.happens(ListeningStarted())
    assert not run.board.has_ended
    said = run.join("Ben")
    assert [each.assignment.inputs for each in said if isinstance(each, SendAssignment)] == [
        {1: 10}
    ]


def test_another_task_under_a_known_id_is_an_error_that_shows_both(task: MakeTask) -> None:
    run = under_way(task(1, 3), task(2))
    run.board = read_board(run.kept.read(), run.rules, now=run.now)
    with pytest.raises(DuplicateTask, match="difficulty is 3 there and 5 now"):
        run.happens(TasksAdded((task(3), task(1, 5))))
    assert list(run.board.tasks) == [1, 2]
    # The same ones are no other tasks, however often they are given.
    for _ in range(2):
        run.happens(TasksAdded((task(1, 3), task(2))))
    assert list(run.board.tasks) == [1, 2]


def test_a_changed_priority_is_kept_and_is_no_difference(task: MakeTask) -> None:
    run = under_way(task(1), task(2), task(3))
    run.happens(PriorityChanged(3, 7))
    run.restart(task(1), task(2), task(3))
    assert run.board.tasks[3].task.priority == 7


def test_a_cancel_that_may_not_have_arrived_is_repeated(task: MakeTask) -> None:
    run = under_way(task(1), task(2))
    run.happens(CancelRequested(1, "not needed"))
    run.restart()
    said = run.join(call=2, holding=frozenset({(1, 1), (2, 1)}))
    assert [(each.task_id, each.attempt) for each in said if isinstance(each, SendCancel)] == [
        (1, 1)
    ]


def test_a_task_can_be_cancelled_whose_worker_is_away(task: MakeTask) -> None:
    run = under_way(task(1), task(2))
    run.restart()
    said = run.happens(CancelRequested(1, "not needed"))
    assert [each for each in said if isinstance(each, SendCancel)] == []
    said = run.join(call=2, holding=frozenset({(1, 1), (2, 1)}))
    assert [each.task_id for each in said if isinstance(each, SendCancel)] == [1]


def test_nobody_times_out_over_the_managers_absence(task: MakeTask) -> None:
    run = under_way(task(1, type="paint", timeout=3.0), lost_after_s=10.0)
    run.now = 60.0
    run.restart()
    run.happens(TimePassed())
    assert run.status(1) is TaskStatus.IN_PROGRESS
    run.join(call=2, holding=frozenset({(1, 1)}))
    run.succeed(1)
    assert run.status(1) is TaskStatus.COMPLETED


@pytest.mark.parametrize(
    ("back_at", "times_out_at"),
    [
        # It goes on as if nothing had happened.
        (1.0, 30.0),
        (27.0, 30.0),
        # What the worker has finished meanwhile arrives within a heartbeat.
        (29.5, 31.5),
        (35.0, 37.0),
    ],
)
def test_a_timeout_goes_on_from_the_attempts_begin_when_the_worker_is_back(
    task: MakeTask, back_at: float, times_out_at: float
) -> None:
    run = under_way(task(1, type="paint", timeout=30.0), lost_after_s=50.0, heartbeat_s=2.0)
    run.now = 0.5
    run.restart()
    run.now = back_at
    run.happens(TimePassed())
    assert run.status(1) is TaskStatus.IN_PROGRESS
    run.join(call=2, holding=frozenset({(1, 1)}))
    assert run.board.tasks[1].deadline == times_out_at
    run.now = times_out_at
    run.happens(TimePassed())
    assert run.board.tasks[1].error_message == "timed out: after 30 s"


def test_a_timeout_is_not_extended_by_one_restart_after_another(task: MakeTask) -> None:
    run = under_way(task(1, type="paint", timeout=30.0), lost_after_s=50.0)
    for call in (2, 3, 4):
        run.now += 1.0
        run.restart()
        run.join(call=call, holding=frozenset({(1, 1)}))
    assert run.board.tasks[1].deadline == 30.0


def test_an_attempt_of_a_worker_that_does_not_return_is_lost_not_timed_out(
    task: MakeTask,
) -> None:
    run = under_way(task(1, type="paint", timeout=3.0), lost_after_s=10.0)
    run.now = 1.0
    run.restart()
    run.now = 1.0 + run.board.rules.return_within_s
    run.happens(TimePassed())
    assert run.status(1) is TaskStatus.PENDING
    assert run.board.tasks[1].losses == 1


def test_why_a_task_went_where_it_went_can_be_told_of_a_kept_run(task: MakeTask) -> None:
    run = under_way(task(1), task(2), task(3))
    before = [run.board.explain(number).lines() for number in (1, 2, 3)]
    kept = read_board(run.kept.read(), run.rules, now=run.now)
    assert [kept.explain(number).lines() for number in (1, 2)] == before[:2]
    assert kept.explain(3).lines()[0] == (
        "task 3 waits for a free slot: all workers that can run it are busy"
    )


def test_an_old_word_of_a_worker_that_has_dialled_again_is_ignored(task: MakeTask) -> None:
    run = under_way(task(1), task(2))
    run.join(worker_id="elsewhere", call=2, holding=frozenset({(1, 1), (2, 1)}))
    assert run.join(call=1) == []
    assert run.board.workers["Ada"].worker_id == "elsewhere"


def test_a_worker_that_dials_again_keeps_its_leases_under_the_same_manager(task: MakeTask) -> None:
    run = under_way(task(1), task(2))
    said = run.join(worker_id="elsewhere", call=2, holding=frozenset({(1, 1)}))
    # Two slots: one is still taken by the first task.
    assert assigned(said) == [(2, 2, "Ada")]
    run.succeed(1, worker_id="elsewhere")
    assert run.board.tasks[1].attempt == 1


def test_a_row_that_cannot_be_read_is_named(task: MakeTask) -> None:
    run = under_way(task(1), task(2))
    rows = run.kept.read()
    broken = rows.tasks[1]._replace(state=b"\x93\x01\x02\x03")
    with pytest.raises(DecodeError, match="task 2"):
        read_board(Rows(rows.run, (rows.tasks[0], broken), rows.workers), now=0.0)


def test_a_kept_run_tells_by_which_policy_and_for_whom_it_waits(task: MakeTask) -> None:
    run = Managed(expected_workers=2, roster=("Ada", "Ben"))
    run.board = Board(run.rules, find_policy("in_order"))
    run.happens(TasksAdded((task(1),)))
    run.join("Ben")
    kept = read_board(run.kept.read(), now=run.now)
    assert kept.policy_name == "in_order"
    assert "1 of 2 expected workers have joined; missing: Ada" in kept.explain(1).lines()[0]


def test_a_run_goes_on_by_the_policy_it_had(task: MakeTask) -> None:
    run = Managed(expected_workers=1)
    run.board = Board(run.rules, find_policy("in_order"))
    run.happens(TasksAdded((task(1, 1), task(2, 9))))
    run.restart()
    assert run.board.policy_name == "in_order"
    run.join(slots=1)
    # The best fit would hand out the harder one first.
    assert assigned(run.happens(AssigningBegun())) == [(1, 1, "Ada")]


def test_a_policy_given_on_resume_takes_the_place_of_the_one_before(task: MakeTask) -> None:
    run = Managed(expected_workers=1)
    run.happens(TasksAdded((task(1, 1), task(2, 9))))
    run.restart(policy="in_order")
    assert run.board.policy_name == "in_order"
    run.join(slots=1)
    assert assigned(run.happens(AssigningBegun())) == [(1, 1, "Ada")]


def test_a_newcomer_after_a_restart_comes_after_all_who_were_there_before(task: MakeTask) -> None:
    run = Managed(expected_workers=3)
    run.happens(TasksAdded((task(1),)))
    run.join("Ada")
    run.join("Ben")
    run.restart()
    run.join("Cleo")
    assert [(each.name, each.order) for each in run.board.workers.values()] == [
        ("Ada", 0),
        ("Ben", 1),
        ("Cleo", 2),
    ]


def test_an_attempt_that_waited_ahead_when_it_was_kept_times_out_all_the_same(
    task: MakeTask,
) -> None:
    run = Managed(prefetch_s=1.0, lost_after_s=10.0)
    run.happens(TasksAdded(tuple(task(n, type="sing", timeout=30.0) for n in (1, 2, 3))))
    run.join(slots=1)
    run.happens(AssigningBegun())
    run.succeed(1, execution_time=0.1)
    assert list(run.board.workers["Ada"].prefetched) == [(3, 1)]
    # It gets the slot, of which no row tells.
    run.succeed(2, execution_time=0.1)
    run.now = 5.0
    run.restart()
    run.join(slots=1, call=2, holding=frozenset({(3, 1)}))
    assert run.board.tasks[3].deadline == 35.0


# ------------------------------------------------------------------ on a board with tasks


def _with_tasks(run: Managed, *tasks: Task) -> Board:
    board = Board(run.rules)
    board.handle(TasksAdded(tasks), run.now)
    return board


def test_a_board_with_tasks_resumes_a_run_and_adds_those_that_it_lacks(task: MakeTask) -> None:
    run = Managed()
    run.happens(TasksAdded((task(1), task(2))))
    run.join()
    run.happens(AssigningBegun())
    run.succeed(1)
    board = _with_tasks(run, task(2), task(3, depends_on=[2]))
    lacking = restore_into(board, run.kept.read(), run.now)
    check_invariants(board)
    assert [each.task_id for each in lacking if isinstance(each, Occurrence)] == [3]
    assert {each: record.status.value for each, record in board.tasks.items()} == {
        1: "completed",
        2: "in_progress",
        3: "pending",
    }
    assert board.is_suspended
    board.handle(ListeningStarted(), run.now)
    check_invariants(board)


def test_where_there_is_no_run_yet_a_board_keeps_what_it_has(task: MakeTask) -> None:
    run = Managed()
    board = _with_tasks(run, task(1), task(2))
    board.handle(CancelRequested(1), run.now)
    lacking = restore_into(board, Rows(), run.now)
    run.kept.keep(changed_rows(board, lacking))
    restored = read_board(run.kept.read(), run.rules, now=run.now)
    assert [record.status for record in restored.tasks.values()] == [
        TaskStatus.CANCELLED,
        TaskStatus.PENDING,
    ]


def test_a_board_with_another_task_of_the_same_id_stays_as_it_was(task: MakeTask) -> None:
    run = Managed()
    run.happens(TasksAdded((task(1), task(2))))
    board = _with_tasks(run, task(5), task(2, difficulty=9))
    with pytest.raises(DifferentTask):
        restore_into(board, run.kept.read(), run.now)
    assert list(board.tasks) == [5, 2]
    assert not board.is_suspended
    check_invariants(board)
