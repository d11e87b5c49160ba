"""Time in which the manager could take in nothing is held against nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.model.events import ListeningInterrupted, TimePassed
from muster.messages import TaskStatus

Make = Callable[..., Any]


def interrupt(board: Any, seconds: float, *, is_told: bool = True) -> None:
    board.now += seconds
    if is_told:
        board.handle(ListeningInterrupted(seconds))
    board.handle(TimePassed())


@pytest.mark.parametrize("is_told", [True, False])
def test_no_worker_is_lost_for_a_silence_that_was_the_managers_own(
    crew: Make, task: Make, is_told: bool
) -> None:
    board = crew(Ada=5, Ben=5)
    board.wait_until(4.0, hearing=["Ada", "Ben"])
    interrupt(board, 30.0, is_told=is_told)
    assert [each.alive for each in board.board.workers.values()] == [is_told, is_told]


def test_a_silence_beyond_that_still_counts(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    interrupt(board, 30.0)
    board.wait_until(board.now + 9.9)
    assert board.board.workers["Ada"].alive
    board.wait_until(board.now + 0.2)
    assert not board.board.workers["Ada"].alive


def test_no_attempt_times_out_while_its_result_waits_to_be_read(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig", timeout=5.0), task(2, type="dig"))
    interrupt(board, 30.0)
    assert board.status(1) is TaskStatus.IN_PROGRESS
    board.succeed(1)
    assert board.status(1) is TaskStatus.COMPLETED


def test_a_name_is_not_given_away_while_its_bearer_could_not_be_heard(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.join("Ada", worker_id="another", session="2")
    interrupt(board, 30.0)
    board.heard("Ada")
    assert board.board.workers["Ada"].session == "1"


def test_whoever_is_awaited_back_has_as_long_as_before(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig"))
    worker = board.board.workers["Ada"]
    board.board.membership.expect_back(worker)
    interrupt(board, 30.0)
    assert worker.may_have_leases
    board.join("Ada", call=2, holding=frozenset({(1, 1)}))
    assert board.places() == {1: "Ada"}
