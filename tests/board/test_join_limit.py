"""How many workers may join, at once and in all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from muster.agents.kernel.board.join_limit import JOINS_AT_ONCE, JOINS_PER_S, WARN_EVERY_S
from muster.agents.kernel.model.config import MAX_WORKERS, Rules
from muster.agents.kernel.model.instructions import RefuseWorker, SendWelcome
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.messages import InvalidInput

Make = Callable[..., Any]


def test_more_than_so_many_are_refused_and_told_why(watched: Make, only: Make) -> None:
    board = watched(max_workers=2)
    for name in ("Ada", "Ben"):
        assert only(SendWelcome, board.join(name))
    (refusal,) = only(RefuseWorker, board.join("Cleo"))
    assert refusal.reason == (
        "2 workers are connected already, the maximum of this manager (max_workers)"
    )
    assert "Cleo" not in board.board.workers


def test_where_one_leaves_another_may_come(watched: Make, only: Make) -> None:
    board = watched(max_workers=2)
    for name in ("Ada", "Ben"):
        board.join(name)
    board.leave("Ada")
    assert only(SendWelcome, board.join("Cleo"))
    assert only(RefuseWorker, board.join("Ada", session="2"))


def test_who_is_connected_keeps_its_place_when_it_starts_or_calls_again(
    watched: Make, task: Make, only: Make
) -> None:
    board = watched(max_workers=1)
    board.add(task(1))
    board.begin()
    board.join("Ada")
    assert only(SendWelcome, board.join("Ada", call=1))
    assert only(SendWelcome, board.join("Ada", call=2, worker_id="at another place"))
    assert only(SendWelcome, board.join("Ada", session="2", call=0, worker_id="at another place"))


@given(
    comings=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from("12"), st.booleans()), max_size=40
    ),
    max_workers=st.integers(1, 4),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whoever_comes_and_goes_never_more_are_connected(
    watched: Make, comings: list[tuple[str, str, bool]], max_workers: int
) -> None:
    board = watched(max_workers=max_workers)
    for name, session, leaves in comings:
        board.leave(name) if leaves else board.join(name, session=session)
        assert sum(worker.alive for worker in board.board.workers.values()) <= max_workers


def test_of_a_flood_of_newcomers_so_many_a_second_are_answered_and_it_is_told_once(
    watched: Make,
) -> None:
    board = watched(max_workers=100_000)
    said = []
    for number in range(JOINS_AT_ONCE + 500):
        said += board.handle_join_unchecked(f"w{number}")
    assert len(board.board.workers) == JOINS_AT_ONCE
    told = [
        describe_facts(each)
        for each in said
        if isinstance(each, Occurrence) and each.what is OccurrenceKind.WORKER_REFUSED
    ]
    assert len(told) == 1
    assert told[0].startswith("too many join requests: 100 per second are answered")
    board.now += WARN_EVERY_S
    for number in range(3_000, 5_000):
        said += board.handle_join_unchecked(f"w{number}")
    assert len(board.board.workers) == JOINS_AT_ONCE + JOINS_PER_S * WARN_EVERY_S
    assert sum(isinstance(each, RefuseWorker) for each in said) == 0


def test_a_thousand_workers_that_start_together_are_all_let_in(watched: Make) -> None:
    board = watched()
    for number in range(1_000):
        board.handle_join_unchecked(f"w{number}")
    assert len(board.board.workers) == 1_000
    assert MAX_WORKERS >= 1_000


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"max_workers": 0}, "max_workers is 0; it must be 1 or more"),
        ({"max_workers": 2, "expected_workers": 3}, "not less than the 3 expected workers"),
        ({"max_workers": 1, "roster": ("Ada", "Ben")}, "not less than the 2 expected workers"),
    ],
)
def test_a_bound_that_keeps_out_who_is_waited_for_is_refused(
    fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        Rules(**fields)
