"""A task with a ladder goes one step on with each failed attempt, under every policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.matching.policy_names import POLICIES
from muster.messages import Task, TaskStatus
from pydantic import ValidationError

Make = Callable[..., Any]


@pytest.fixture
def team(watched: Make) -> Make:
    """Makes a board with workers, each with its fields, under a policy."""

    def make(policy: str = "in_order", /, **workers: dict[str, Any]) -> Any:
        board = watched(policy, ends_when_done=False, unmatched_after_s=30.0)
        for name, fields in workers.items():
            board.join(name, **fields)
        board.begin()
        return board

    return make


SMALL, LARGE = {"skill": 3}, {"skill": 9}
LADDER = ("small", "large")


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_each_failed_attempt_goes_one_step_on(team: Make, task: Make, policy: str) -> None:
    board = team(policy, large=LARGE, small=SMALL, other={"skill": 10})
    board.add(task(1, escalate=LADDER, max_attempts=4))
    for _ in range(4):
        told = board.board.explain(1)
        assert len({each.worker for each in told.considered}) + told.others == 3
        board.fail(1)
    assert [name for _, name in board.handed_out()] == ["small", "large", "large", "large"]
    assert board.status(1) is TaskStatus.FAILED


def test_there_is_an_attempt_for_each_step(team: Make, task: Make) -> None:
    board = team("in_order", a=SMALL, b=SMALL, c=SMALL)
    board.add(task(1, escalate=("a", "b", "c")))
    board.fail(1)
    board.fail(1)
    board.succeed(1)
    assert [name for _, name in board.handed_out()] == ["a", "b", "c"]
    assert board.status(1) is TaskStatus.COMPLETED


def test_a_step_is_a_name_or_a_skill_or_a_specialty(team: Make, task: Make) -> None:
    board = team(
        "in_order",
        Other={},
        Ada={"skills": {"vision": 7.0}},
        Ben={"specialties": frozenset({"law"})},
        Cid={},
    )
    board.add(task(1, escalate=("vision", "law", "Cid")))
    board.fail(1)
    board.fail(1)
    assert [name for _, name in board.handed_out()] == ["Ada", "Ben", "Cid"]


def lose(board: Any) -> None:
    board.leave("small")
    board.join("small", session="2", **TINY)


def decline(board: Any) -> None:
    board.report(1, success=False, declined=True, error_message="not me")


TINY = {"skill": 3, "specialties": frozenset({"tiny"})}


@pytest.mark.parametrize("end", [lose, decline])
def test_a_lost_or_declined_attempt_does_not_go_on(
    team: Make, task: Make, end: Callable[[Any], None]
) -> None:
    board = team("in_order", small=TINY, large=LARGE)
    board.add(task(1, escalate=("tiny", "large")))
    assert board.places() == {1: "small"}
    board.join("little", **TINY)
    end(board)
    assert board.places() == {1: "little"}


def test_a_step_that_all_decline_is_over(team: Make, task: Make) -> None:
    board = team("in_order", small=SMALL, large=LARGE)
    board.add(task(1, escalate=LADDER))
    decline(board)
    assert board.places() == {1: "large"}
    decline(board)
    assert board.record(1).error_message == "declined: small: not me; large: not me"


def test_a_step_without_a_worker_is_skipped_if_a_later_one_has_one(team: Make, task: Make) -> None:
    board = team("in_order", large=LARGE, other={})
    board.add(task(1, escalate=LADDER))
    assert board.places() == {1: "large"}


def test_a_step_whose_workers_cannot_run_it_is_skipped(team: Make, task: Make) -> None:
    board = team("best_fit", small=SMALL, large=LARGE)
    board.add(task(1, 8, escalate=LADDER))
    assert board.places() == {1: "large"}


def test_it_waits_for_its_step_with_a_reason_and_then_fails(team: Make, task: Make) -> None:
    board = team("in_order", small=SMALL, other={})
    board.add(task(1, escalate=LADDER))
    board.fail(1)
    reason = "no worker that can run it is on step 2 of the ladder small > large, which is 'large'"
    headline = board.board.explain(1).headline
    assert headline.startswith(f"waits: no connected worker can run it: {reason}; it fails in 30.0")
    told = "is not on step 2 of the ladder small > large, which is 'large'"
    assert told in [each.verdict for each in board.board.explain(1).considered]
    board.wait_until(30.0, hearing=["small", "other"])
    assert board.record(1).error_message == f"nobody can: {reason}"


def test_it_goes_to_its_step_as_soon_as_a_worker_joins(team: Make, task: Make) -> None:
    board = team("in_order", small=SMALL, other={})
    board.add(task(1, escalate=LADDER))
    board.fail(1)
    assert not board.places()
    board.join("large")
    assert board.places() == {1: "large"}


@pytest.mark.parametrize("step", ["", "  ", 7, None])
def test_a_step_that_names_nobody_is_refused(step: object) -> None:
    with pytest.raises(ValidationError, match="escalate"):
        Task(id=1, description="any", escalate=["small", step])


def test_an_empty_ladder_is_none(team: Make, task: Make) -> None:
    board = team("in_order", other={})
    board.add(task(1, escalate=[]))
    assert board.places() == {1: "other"}


# ------------------------------------------------------------------ strict skills


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_a_strict_task_goes_only_to_who_has_the_skills(team: Make, task: Make, policy: str) -> None:
    board = team(
        policy,
        Weak={"skills": {"vision": 4.0, "text": 9.0}},
        None_={"skill": 10},
        Ada={"skill": 2, "skills": {"vision": 7.0}},
    )
    board.add(task(1, required_skills={"vision": 7}, strict=True, max_attempts=3))
    for _ in range(3):
        assert board.places() == {1: "Ada"}
        board.fail(1)


def test_the_wish_of_a_task_that_is_not_strict_bars_nobody(team: Make, task: Make) -> None:
    board = team("in_order", Weak={"skills": {"vision": 4.0}})
    board.add(task(1, required_skills={"vision": 7}))
    assert board.places() == {1: "Weak"}


def test_tasks_with_other_terms_do_not_share_candidates(team: Make, task: Make) -> None:
    board = team("in_order", Weak={"skills": {"vision": 4.0}}, Ada={"skills": {"vision": 7.0}})
    board.add(
        task(1, required_skills={"vision": 7}, strict=True),
        task(2, required_skills={"vision": 4}, strict=True),
    )
    assert board.places() == {1: "Ada", 2: "Weak"}


def test_it_says_which_skill_is_missing_and_fails(team: Make, task: Make) -> None:
    board = team("in_order", Weak={"skills": {"vision": 4.0}}, Other={})
    board.add(task(1, required_skills={"vision": 7}, strict=True))
    verdicts = {each.worker: each.verdict for each in board.board.explain(1).considered}
    assert verdicts == {"Weak": "needs vision 7; has 4", "Other": "needs vision 7; has none"}
    board.wait_until(30.0, hearing=["Weak", "Other"])
    error = "nobody can: Weak needs vision 7; has 4, and 1 more lack a skill"
    assert board.record(1).error_message == error
