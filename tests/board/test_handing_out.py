"""Tasks that whoever embeds the manager hands out, and the rest, which is held back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from muster.agents.kernel.matching.policies import ByScore
from muster.agents.kernel.model.events import (
    AssigningBegun,
    CancelRequested,
    HandOut,
    RestConfirmed,
    TasksForgotten,
    TasksHandedOut,
)
from muster.agents.kernel.model.instructions import ComeToRest, EndRun
from muster.agents.kernel.model.records import WorkerRecord
from muster.messages import InvalidTask, Task, TaskStatus

Make = Callable[..., Any]


def hand_out(board: Any, *orders: HandOut | int) -> Any:
    named = tuple(each if isinstance(each, HandOut) else HandOut(each) for each in orders)
    return board.handle(TasksHandedOut(named))


def test_only_what_is_handed_out_is_assigned(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1), task(2), task(3))
    board.join("Ada", slots=3)
    hand_out(board, 2)
    assert board.places() == {2: "Ada"}
    assert board.board.held == {1, 3}
    hand_out(board, 3, 2)
    assert board.places() == {2: "Ada", 3: "Ada"}
    assert "waits until assign_tasks hands it out" in board.board.explain(1).headline


def test_what_is_left_is_handed_out_when_the_rest_is_confirmed(
    watched: Make, task: Make, only: Make
) -> None:
    board = watched()
    board.add(task(1), task(2), task(3, depends_on=(2,)))
    board.join("Ada")
    hand_out(board, 1)
    assert not only(ComeToRest, board.said)
    assert only(ComeToRest, board.succeed(1)) == [ComeToRest()]
    assert not only(ComeToRest, board.heard("Ada")), "it is told once"
    board.handle(RestConfirmed())
    assert board.places() == {2: "Ada"}
    board.succeed(2)
    assert only(EndRun, board.succeed(3)) == [EndRun()]


def test_what_has_become_of_held_tasks_does_not_matter_to_the_rest(
    watched: Make, task: Make, only: Make
) -> None:
    board = watched()
    board.add(task(1), task(2), task(3))
    board.join("Ada")
    hand_out(board, 1)
    board.handle(CancelRequested(2))
    board.succeed(1)
    board.handle(AssigningBegun())
    assert board.places() == {3: "Ada"}
    assert only(EndRun, board.succeed(3)) == [EndRun()]


def test_a_run_that_is_to_confirm_its_end_waits_for_that(
    watched: Make, task: Make, only: Make
) -> None:
    board = watched(confirms_end=True)
    board.add(task(1))
    board.join("Ada")
    board.begin()
    said = board.succeed(1)
    assert (only(ComeToRest, said), only(EndRun, said)) == ([ComeToRest()], [])
    board.add(task(2))
    assert not only(EndRun, board.handle(RestConfirmed()))
    assert only(ComeToRest, board.succeed(2)) == [ComeToRest()]
    assert only(EndRun, board.handle(RestConfirmed())) == [EndRun()]
    assert board.handle(RestConfirmed()) == []


def test_the_timeout_with_which_it_is_handed_out_is_the_tasks(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1, difficulty=5), task(2, difficulty=5))
    board.join("Ada", slots=2)
    hand_out(board, HandOut(1, timeout_s=3.0), 2)
    assert {each.task.id: each.timeout for each in board.given} == {1: 3.0, 2: 10.0}
    assert board.board.tasks[1].added.timeout is None, "the user's own task is untouched"
    board.add(task(3))
    with pytest.raises(InvalidTask, match="timeout -1"):
        hand_out(board, HandOut(3, timeout_s=-1.0))


@pytest.mark.parametrize("policy", ["best_fit", "in_order", "score"])
def test_a_task_that_is_meant_for_a_worker_goes_to_no_other(
    watched: Make, task: Make, policy: str
) -> None:
    board = watched(policy)
    board.add(task(1, difficulty=9), task(2, difficulty=9))
    board.join("Ada", skill=9)
    board.join("Ben", skill=2)
    hand_out(board, HandOut(1, worker="Ben"), HandOut(2, worker="Ben"))
    assert board.places() == {1: "Ben"}, "whatever his skill, and one after the other"
    board.succeed(1)
    assert board.places() == {2: "Ben"}
    board.succeed(2)
    board.handle(TasksForgotten((1, 2)))


def test_a_task_that_is_meant_for_nobody_who_comes_fails(watched: Make, task: Make) -> None:
    board = watched(unmatched_after_s=30)
    board.add(task(1))
    board.join("Ada")
    hand_out(board, HandOut(1, worker="Zoe"))
    board.wait_until(30, hearing=["Ada"])
    assert board.board.tasks[1].status is TaskStatus.FAILED
    assert "addressed to Zoe" in board.board.tasks[1].error_message


# ---------------------------------------------------------------------------- pairing policies


class Pairing(ByScore):
    """Pairs as a function says that takes names and ids."""

    name = "own"

    def __init__(self, choose: Callable[[list[int], list[str]], Iterable[tuple[str, int]]]) -> None:
        self.choose = choose
        self.asked = 0

    def pair(
        self, tasks: Sequence[Task], workers: Sequence[WorkerRecord]
    ) -> list[tuple[WorkerRecord, Task]]:
        self.asked += 1
        by_name = {worker.name: worker for worker in workers}
        by_id = {task.id: task for task in tasks}
        pairs = self.choose([task.id for task in tasks], list(by_name))
        return [(by_name[name], by_id[task_id]) for name, task_id in pairs]


def test_a_pairing_policy_decides_who_gets_what(watched: Make, task: Make) -> None:
    policy = Pairing(lambda ids, names: zip(reversed(names), ids, strict=False))
    board = watched(policy)
    board.add(*(task(number) for number in (1, 2, 3)))
    board.join("Ada")
    board.join("Ben")
    board.begin()
    assert board.places() == {1: "Ben", 2: "Ada"}
    board.succeed(1)
    assert board.places() == {2: "Ada", 3: "Ben"}


def test_a_worker_with_several_slots_is_paired_until_they_are_taken(
    watched: Make, task: Make
) -> None:
    board = watched(Pairing(lambda ids, names: zip(names, ids, strict=False)))
    board.add(*(task(number) for number in range(1, 6)))
    board.join("Ada", slots=3)
    board.begin()
    assert board.places() == {1: "Ada", 2: "Ada", 3: "Ada"}


def test_pairs_that_cannot_be_are_passed_over(watched: Make, task: Make) -> None:
    board = watched(Pairing(lambda ids, names: [(names[0], each) for each in ids] * 2))
    board.add(task(1), task(2, type="paint"), task(3))
    board.join("Ada", slots=2, task_types=frozenset({""}))
    board.begin()
    assert board.places() == {1: "Ada", 3: "Ada"}


def test_where_nothing_is_paired_though_all_are_free_tasks_fail_after_a_while(
    watched: Make, task: Make
) -> None:
    board = watched(Pairing(lambda _ids, _names: []), unmatched_after_s=30)
    board.add(task(1), task(2))
    board.join("Ada")
    board.begin()
    board.wait_until(29, hearing=["Ada"])
    assert board.board.counts[TaskStatus.PENDING] == 2
    board.wait_until(30, hearing=["Ada"])
    assert board.board.counts[TaskStatus.FAILED] == 2
    assert board.board.tasks[1].error_message == "nobody can: own assigns it to no worker"


def test_a_task_that_waits_for_a_worker_that_is_busy_does_not_fail(
    watched: Make, task: Make
) -> None:
    policy = Pairing(lambda ids, names: zip([n for n in names if n == "Ada"], ids, strict=False))
    board = watched(policy, unmatched_after_s=30, lost_after_s=1_000)
    board.add(task(1, timeout=500), task(2))
    board.join("Ada")
    board.join("Ben")
    board.begin()
    board.wait_until(100)
    assert board.places() == {1: "Ada"}
    board.succeed(1)
    assert board.places() == {2: "Ada"}


def test_a_pairing_policy_heeds_what_is_meant_for_one_worker(watched: Make, task: Make) -> None:
    board = watched(Pairing(lambda ids, names: zip(names, ids, strict=False)))
    board.add(task(1), task(2))
    board.join("Ada")
    board.join("Ben")
    hand_out(board, HandOut(1, worker="Ben"), HandOut(2))
    assert board.places() == {1: "Ben", 2: "Ada"}
