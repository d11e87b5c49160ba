"""Whoever wonders where a slot has gone is told what holds it, since when, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.held_slots import held_slots
from muster.agents.kernel.model.events import TasksGivenBack
from muster.agents.kernel.model.instructions import SendCancel
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.live.api_views import view_worker
from muster.agents.live.page_state import PageState
from muster.agents.report.build import build_report
from muster.agents.report.html.page import render_html
from muster.agents.report.markdown import render_markdown
from muster.agents.report.text import render_text
from muster.messages import TaskStatus

Make = Callable[..., Any]

HOLDS = {
    "cancel": "it was cancelled",
    "timeout": "it timed out",
}


def hold(board: Any, task: Make, how: str) -> None:
    """Let Ada hold a slot for task 7 from 10 s on, and another task wait for it."""
    board.add(task(7, type="dig", timeout=10.0 if how == "timeout" else None))
    board.wait_until(10.0, hearing=["Ada"])
    if how == "cancel":
        board.cancel(7)
    board.add(task(8, type="dig"))


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_it_is_told_wherever_somebody_may_look(crew: Make, task: Make, how: str) -> None:
    board = crew(Ada=5)
    hold(board, task, how)
    board.wait_until(75.0, hearing=["Ada"])
    told = f"task 7 (attempt 1) still holds a slot, 65 s after {HOLDS[how]}"
    assert f"  Ada: {told}" in board.board.explain(7).lines()
    waiting = board.board.explain(8).lines()
    assert f"  Ada: busy 1/1 slots; {told}" in waiting
    worker = board.board.workers["Ada"]
    view = view_worker(board.board, worker, board.now).model_dump()
    assert view["held_slots"] == [{"task_id": 7, "attempt": 1, "since": 10.0, "reason": HOLDS[how]}]
    page = PageState("M", 0.0)
    assert page.head(board.board, board.now)["workers"][0]["held"] == [["7", 10_000, HOLDS[how]]]
    report = build_report(board.board, name="M", now=board.now)
    assert report.held_slots == [f"worker 'Ada': {told}"]
    assert f"worker 'Ada': {told}" in render_text(report)
    assert "still holds a slot" in render_markdown(report)
    assert "still holds a slot" in render_html(report)


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_it_is_told_soon_and_then_once_a_minute(crew: Make, task: Make, how: str) -> None:
    board = crew(Ada=5)
    hold(board, task, how)
    board.wait_until(200.0, hearing=["Ada"])
    told = [each for each in board.said if getattr(each, "what", None) is OccurrenceKind.SLOT_HELD]
    assert [(each.at, each.worker, each.task_id, each.attempt) for each in told] == [
        (15.0 + 60.0 * minute, "Ada", 7, 1) for minute in range(4)
    ]
    assert [each.what for each in board.board.story(7)].count(OccurrenceKind.SLOT_HELD) == 1


@pytest.mark.parametrize("end", ["result", "given back", "lost", "started anew"])
def test_once_the_slot_is_back_nothing_is_told_any_more(crew: Make, task: Make, end: str) -> None:

    board = crew(Ada=5)
    hold(board, task, "cancel")
    board.wait_until(20.0, hearing=["Ada"])
    match end:
        case "result":
            board.fail(7)
        case "given back":
            board.handle(TasksGivenBack("at Ada", ((7, 1),)))
        case "lost":
            board.leave("Ada")
        case _:
            board.join("Ada", session="2")
    before = len(board.said)
    board.wait_until(300.0, hearing=["Ada"])
    later = [
        each
        for each in board.said[before:]
        if getattr(each, "what", None) is OccurrenceKind.SLOT_HELD
    ]
    assert later == []
    assert held_slots(board.board.workers["Ada"], board.board.tasks) == []
    assert not any("holds" in line for line in board.board.explain(7).lines())


def test_a_stop_that_is_heeded_is_not_worth_a_word(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    hold(board, task, "cancel")
    board.wait_until(14.0, hearing=["Ada"])
    board.fail(7)
    board.wait_until(100.0, hearing=["Ada"])
    assert not [
        each for each in board.said if getattr(each, "what", None) is OccurrenceKind.SLOT_HELD
    ]


@pytest.mark.parametrize("ended", ["timed out", "cancelled", "lost"])
def test_a_worker_that_was_lost_for_a_while_comes_back_with_its_slots_taken(
    crew: Make, task: Make, only: Make, ended: str
) -> None:
    """Its loop was blocked, say, and all that it had was given up."""
    board = crew(Ada=5)
    board.add(task(7, type="dig", timeout=5.0 if ended == "timed out" else None))
    board.wait_until(6.0, hearing=["Ada"])
    if ended == "cancelled":
        board.cancel(7)
    board.wait_until(30.0)
    assert not board.board.workers["Ada"].alive
    board.add(task(8, type="dig"))
    said = board.join("Ada", call=2, holding=frozenset({(7, 1)}))
    assert board.board.workers["Ada"].taken == 1
    assert board.status(8) is TaskStatus.PENDING
    assert len(only(SendCancel, said)) == (ended != "lost")
    if ended == "lost":
        board.succeed(7, worker="Ada", attempt=1)
        assert board.status(7) is TaskStatus.COMPLETED
    else:
        board.fail(7, worker="Ada", attempt=1)
    assert board.places() == {8: "Ada"}


def test_who_claims_what_another_was_to_stop_holds_no_slot_for_it(
    crew: Make, task: Make, only: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(7, type="dig"))
    board.cancel(7)
    said = board.join("Ben", holding=frozenset({(7, 1)}))
    assert only(SendCancel, said) == []
    assert board.board.workers["Ben"].taken == 0
    assert board.board.workers["Ada"].taken == 1
    # Nor does it free the slot of the other.
    board.handle(TasksGivenBack("at Ben", ((7, 1),)))
    assert board.board.workers["Ada"].taken == 1


@pytest.mark.parametrize(
    ("timeout", "elsewhere", "told_at"),
    [(60.0, False, 60.0), (28.0, False, 35.0), (None, True, 35.0), (None, False, None)],
    ids=["in time", "in its absence", "settled elsewhere", "neither"],
)
def test_what_a_returned_worker_still_does_is_stopped_once_it_is_of_no_use(
    crew: Make, task: Make, only: Make, timeout: float | None, elsewhere: bool, told_at: float
) -> None:
    """A handler that is stuck would hold the slot for ever."""
    board = crew(Ada=5, Ben=5)
    board.add(task(7, type="dig", timeout=timeout))
    ben = ["Ben"]
    board.wait_until(30.0, hearing=ben)
    assert not board.board.workers["Ada"].alive
    said = board.join("Ada", call=2, holding=frozenset({(7, 1)}))
    assert only(SendCancel, said) == []
    if elsewhere:
        board.succeed(7, worker="Ben", attempt=2)
    both = ["Ada", "Ben"]
    if told_at is None:
        assert _stops_of_ada(board.wait_until(400.0, hearing=both)) == []
        return
    assert _stops_of_ada(board.wait_until(told_at - 0.5, hearing=both)) == []
    assert _stops_of_ada(board.wait_until(told_at + 0.5, hearing=both)) == [(7, 1)]
    board.fail(7, worker="Ada", attempt=1)
    assert board.board.workers["Ada"].taken == 0


def _stops_of_ada(said: Any) -> list[tuple[Any, int]]:
    return [
        (each.task_id, each.attempt)
        for each in said
        if isinstance(each, SendCancel) and each.worker_id == "at Ada"
    ]
