"""Votes: several workers run a task, and the answer of the majority counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.instructions import SendCancel
from muster.agents.kernel.model.second_opinions import answer_key, restriction_of
from muster.agents.store.memory import SharedRows
from muster.messages import Task, TaskStatus

Watched = Callable[..., Any]


def voted_on(votes: int = 3, **fields: Any) -> Task:
    return Task(id=1, description="a question", type="ask", votes=votes, **fields)


def team(watched: Watched, size: int, **rules: Any) -> Any:
    board = watched(ends_when_done=False, **rules)
    for number in range(1, size + 1):
        board.join(f"w{number}", 5)
    board.begin()
    return board


def vote(board: Any, number: int, output: Any) -> None:
    board.succeed(1, worker=f"w{number}", attempt=number, output=output)


def qualities(board: Any) -> list[float | None]:
    return [each.quality for each in board.record(1).attempts]


def workers(board: Any) -> list[str]:
    return [each.worker.name for each in board.record(1).attempts]


@pytest.mark.parametrize("votes", [3, 5])
def test_as_many_workers_run_a_task_at_once_as_it_has_votes(watched: Watched, votes: int) -> None:
    board = team(watched, votes + 1)
    board.add(voted_on(votes))
    assert workers(board) == [f"w{number}" for number in range(1, votes + 1)]
    assert board.record(1).queue_entry is None


@pytest.mark.parametrize(
    ("answers", "winner", "agreeing"),
    [
        (["a", "a", "b"], "a", [1.0, 1.0, 0.0]),
        (["b", "a", "a"], "a", [0.0, 1.0, 1.0]),
        ([{"x": 1, "y": 2.0}, {"y": 2, "x": 1}, None], {"x": 1, "y": 2.0}, [1.0, 1.0, 0.0]),
        ([None, None, None], None, [1.0, 1.0, 1.0]),
        ([[1], [1], 1], [1], [1.0, 1.0, 0.0]),
    ],
)
def test_the_majoritys_answer_completes_the_task_and_agreement_is_quality(
    watched: Watched, answers: list[Any], winner: Any, agreeing: list[float]
) -> None:
    board = team(watched, 3)
    board.add(voted_on())
    for number, answer in enumerate(answers, 1):
        assert board.status(1) is TaskStatus.IN_PROGRESS
        vote(board, number, answer)
    record = board.record(1)
    assert record.status is TaskStatus.COMPLETED
    assert record.result.output == winner
    assert record.result.quality == pytest.approx(sum(agreeing) / 3, abs=1e-6)
    assert qualities(board) == agreeing
    assert not any(each.result for each in record.attempts)


def test_three_different_answers_have_one_more_worker_vote_until_one_is_ahead(
    watched: Watched,
) -> None:
    board = team(watched, 5)
    board.add(voted_on())
    for number, answer in enumerate("abc", 1):
        vote(board, number, answer)
    assert workers(board)[3:] == ["w4"]
    vote(board, 4, "d")
    assert workers(board)[4:] == ["w5"]
    vote(board, 5, "c")
    assert board.record(1).result.output == "c"
    assert qualities(board) == [0.0, 0.0, 1.0, 0.0, 1.0]


def test_without_a_majority_the_task_fails_with_the_counts_at_the_bound(watched: Watched) -> None:
    board = team(watched, 9)
    board.add(voted_on())
    for number in range(1, 8):
        vote(board, number, number)
    record = board.record(1)
    assert record.status is TaskStatus.FAILED
    assert record.error_message == (
        "no majority: 7 votes, for 7 different answers (1, 1, 1, 1, 1, 1, 1)"
    )
    assert len(record.attempts) == 7


def test_with_too_few_workers_it_waits_with_a_reason_and_then_fails_with_the_counts(
    watched: Watched,
) -> None:
    board = team(watched, 2, unmatched_after_s=5.0)
    board.add(voted_on())
    why = "\n".join(board.board.explain(1).lines())
    assert "0 of 3 votes; voting now: w1, w2" in why
    assert "no connected worker can vote on it: all connected workers have voted" in why
    board.wait_until(6.0, hearing=["w1", "w2"])
    assert board.status(1) is TaskStatus.IN_PROGRESS
    vote(board, 1, "a")
    vote(board, 2, "b")
    assert board.status(1) is TaskStatus.PENDING
    board.wait_until(12.0, hearing=["w1", "w2"])
    assert board.record(1).error_message == (
        "nobody can vote: 2 of 3 votes, for 2 different answers (1, 1): "
        "all connected workers have voted"
    )


def test_a_third_worker_that_joins_later_decides(watched: Watched) -> None:
    board = team(watched, 2)
    board.add(voted_on())
    vote(board, 1, "a")
    vote(board, 2, "b")
    board.join("w3")
    vote(board, 3, "b")
    assert board.record(1).result.output == "b"


def test_a_majority_that_a_missing_vote_cannot_change_counts_at_once(watched: Watched) -> None:
    board = team(watched, 2)
    board.add(voted_on())
    vote(board, 1, "a")
    vote(board, 2, "a")
    assert board.record(1).result.output == "a"


def test_a_failed_attempt_is_no_vote_and_another_worker_votes(watched: Watched) -> None:
    board = team(watched, 4)
    board.add(voted_on())
    board.fail(1, worker="w2", attempt=2)
    assert workers(board)[3:] == ["w4"]
    vote(board, 1, "a")
    vote(board, 3, "a")
    assert board.status(1) is TaskStatus.IN_PROGRESS
    vote(board, 4, "a")
    assert board.record(1).result.output == "a"
    assert qualities(board) == [1.0, None, 1.0, 1.0]


def test_failures_without_end_end_at_the_bound(watched: Watched) -> None:
    board = team(watched, 2, unmatched_after_s=None)
    board.add(voted_on(max_attempts=2))
    while board.status(1) is TaskStatus.IN_PROGRESS:
        open_one = next(each for each in board.record(1).attempts if each.outcome is None)
        board.fail(1, worker=open_one.worker.name, attempt=open_one.number)
    record = board.record(1)
    assert record.status is TaskStatus.FAILED
    assert (
        record.error_message == "no majority: 0 of 3 votes; 8 attempts failed, last with: Error: no"
    )


def test_a_lost_vote_is_replaced(watched: Watched) -> None:
    board = team(watched, 4)
    board.add(voted_on())
    board.leave("w1")
    assert workers(board) == ["w1", "w2", "w3", "w4"]
    assert board.status(1) is TaskStatus.IN_PROGRESS
    assert board.record(1).failures == 0


def test_a_cancelled_task_stops_all_its_votes(watched: Watched) -> None:
    board = team(watched, 3)
    board.add(voted_on())
    vote(board, 2, "a")
    board.cancel(1)
    cancels = [each.attempt for each in board.said if isinstance(each, SendCancel)]
    assert cancels == [1, 3]


def test_dependents_wait_for_the_majority_and_get_its_answer(watched: Watched) -> None:
    board = team(watched, 3)
    board.add(voted_on(), Task(id=2, description="next", depends_on=(1,)))
    for number, answer in enumerate("aba", 1):
        assert board.status(2) is TaskStatus.PENDING
        vote(board, number, answer)
    assert board.given[-1].inputs == {1: "a"}


@pytest.mark.parametrize("votes_in", [0, 1, 2])
def test_a_vote_goes_on_after_a_restart(watched: Watched, votes_in: int) -> None:
    board = team(watched, 2)
    kept = SharedRows()
    kept.keep(changed_rows(board.board, board.said))
    said = board.add(voted_on())
    for number in range(1, votes_in + 1):
        said += board.succeed(1, worker=f"w{number}", attempt=number, output=[number])
    kept.keep(changed_rows(board.board, said))
    restored = read_board(kept.read(), board.board.rules, now=board.now)
    before, after = board.record(1), restored.tasks[1]
    assert [each.result for each in after.attempts] == [each.result for each in before.attempts]
    assert after.queue_entry is not None
    assert restriction_of(after) == restriction_of(before)
    assert after.status is before.status


@pytest.mark.parametrize(
    ("one", "other", "is_equal"),
    [
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, True),
        ((1, 2), [1, 2], True),
        (2, 2.0, True),
        (-0.0, 0, True),
        (0.1, 0.1, True),
        (1, True, False),
        (1, "1", False),
        (b"a", "a", False),
        ({}, [], False),
        ({"": []}, {}, False),
        ([{"a": 1}], {"a": 1}, False),
        (1e300, 1e300, True),
    ],
)
def test_answers_are_equal_if_their_values_are(one: Any, other: Any, is_equal: bool) -> None:
    assert (answer_key(one) == answer_key(other)) is is_equal
