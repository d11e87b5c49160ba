"""A lease that its worker does not hold comes back; one that is still under way does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from muster.agents.kernel.board.lease_check import MAX_ASKED
from muster.agents.kernel.board.rows import NOTHING, changed_rows
from muster.agents.kernel.model.events import ListeningStarted, TasksGivenBack
from muster.agents.kernel.model.instructions import AskAboutLeases, Instruction
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.model.records import AttemptOutcome
from muster.messages import TaskStatus

Make = Callable[..., Any]
HEARTBEAT_S = 2.0


def asked(said: Iterable[Instruction]) -> list[tuple[Any, int]]:
    return [key for each in said if isinstance(each, AskAboutLeases) for key in each.attempts]


def beat(board: Any, seconds: float, *names: str) -> list[Instruction]:
    """Let workers be heard at each heartbeat for a while; what the board says to that."""
    said: list[Instruction] = []
    end = board.now + seconds
    while board.now + HEARTBEAT_S <= end:
        at = board.now + HEARTBEAT_S
        said += board.wait_until(at, hearing=names)
    return said


def give_back(board: Any, name: str, *keys: tuple[Any, int]) -> None:
    board.handle(TasksGivenBack(f"at {name}", keys))


def test_a_lease_that_nobody_works_on_comes_back_and_the_task_goes_on_elsewhere(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="dig"))
    assert board.places() == {1: "Ada"}
    assert asked(beat(board, 4.0, "Ada", "Ben")) == [(1, 1)]
    give_back(board, "Ada", (1, 1))
    assert board.places() == {1: "Ben"}
    record = board.record(1)
    assert (record.losses, record.failures) == (1, 0)
    assert record.attempts[0].outcome is AttemptOutcome.LOST
    told = [each for each in record.story if each.what is OccurrenceKind.TASK_REQUEUED]
    assert [describe_facts(each) for each in told] == ["attempt lost: Ada does not hold it"]
    board.succeed(1)
    assert board.status(1) is TaskStatus.COMPLETED


def test_it_goes_back_to_the_same_worker_if_there_is_no_other(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig"))
    beat(board, 4.0, "Ada")
    give_back(board, "Ada", (1, 1))
    assert board.places() == {1: "Ada"}
    assert board.record(1).attempt == 2


def test_a_lease_that_is_lost_again_and_again_ends_the_task(watched: Make, task: Make) -> None:
    board = watched(max_losses=2, ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.add(task(1, type="dig"))
    for attempt in (1, 2, 3):
        assert (1, attempt) in asked(beat(board, 8.0, "Ada"))
        give_back(board, "Ada", (1, attempt))
    assert board.status(1) is TaskStatus.FAILED
    assert board.record(1).error_message == (
        "attempt lost: 3 times, last on Ada, which does not hold it; its max_losses is 2"
    )


def test_nobody_is_asked_about_what_is_new_or_done(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig"))
    assert asked(beat(board, 2.0, "Ada")) == []
    board.succeed(1)
    assert asked(beat(board, 100.0, "Ada")) == []


def test_a_long_attempt_is_asked_about_ever_more_rarely_but_never_forgotten(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig"))
    first = len(asked(beat(board, 60.0, "Ada")))
    assert 8 <= first <= 15
    beat(board, 3_600.0, "Ada")
    assert 9 <= len(asked(beat(board, 600.0, "Ada"))) <= 10


@pytest.mark.parametrize("answers", ["unasked", "of another", "of another attempt"])
def test_only_what_was_asked_about_comes_back(crew: Make, task: Make, answers: str) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="dig"))
    if answers == "unasked":
        give_back(board, "Ada", (1, 1))
    else:
        beat(board, 4.0, "Ada", "Ben")
        key = (1, 1) if answers == "of another" else (1, 2)
        give_back(board, "Ben" if answers == "of another" else "Ada", key)
    assert board.places() == {1: "Ada"}
    assert board.record(1).losses == 0


def test_a_result_that_comes_before_the_answer_counts(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig"))
    beat(board, 4.0, "Ada")
    board.succeed(1)
    give_back(board, "Ada", (1, 1))
    assert board.status(1) is TaskStatus.COMPLETED
    assert board.record(1).losses == 0


def test_a_late_success_of_a_lost_lease_still_counts(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, type="dig"))
    beat(board, 4.0, "Ada", "Ben")
    give_back(board, "Ada", (1, 1))
    board.succeed(1, worker="Ada", attempt=1)
    assert board.status(1) is TaskStatus.COMPLETED


@pytest.mark.parametrize("stop", ["cancel", "timeout"])
def test_the_slot_of_what_was_to_stop_comes_back_too(crew: Make, task: Make, stop: str) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="dig", timeout=1.0 if stop == "timeout" else None), task(2, type="dig"))
    if stop == "cancel":
        board.cancel(1)
    assert (1, 1) in asked(beat(board, 8.0, "Ada"))
    assert board.places() == {}
    give_back(board, "Ada", (1, 1))
    assert board.places() == {2: "Ada"}


def test_what_waits_at_its_worker_comes_back_too(watched: Make, task: Make) -> None:
    board = watched("in_order", ends_when_done=False, prefetch_s=8.0)
    board.join("Ada")
    board.begin()
    board.add(*(task(number, type="dig") for number in range(1, 9)))
    for number in range(1, 4):
        board.succeed(number, execution_time=0.5)
    worker = board.board.workers["Ada"]
    waiting = tuple(worker.prefetched)
    assert waiting
    beat(board, 4.0, "Ada")
    give_back(board, "Ada", *worker.running, *waiting)
    assert all(board.record(task_id).losses == 1 for task_id, _ in waiting)


def test_a_question_names_so_many_attempts_at_most_and_all_have_their_turn(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada", slots=3 * MAX_ASKED)
    board.begin()
    board.add(*(task(number, type="dig") for number in range(1, 2 * MAX_ASKED + 2)))
    said = beat(board, 10.0, "Ada")
    questions = [each.attempts for each in said if isinstance(each, AskAboutLeases)]
    assert max(map(len, questions)) == MAX_ASKED
    assert len({key for keys in questions for key in keys}) == 2 * MAX_ASKED + 1


def test_after_a_restart_what_came_back_with_its_worker_is_asked_about(
    crew: Make, task: Make
) -> None:
    from muster.agents.kernel.board.restoration import read_board
    from muster.agents.store.memory import SharedRows

    board = crew(Ada=5)
    board.add(task(1, type="dig"))
    kept = SharedRows()
    kept.keep(changed_rows(board.board, board.said))
    assert kept.read() != NOTHING
    board.now = 100.0
    board.board = read_board(kept.read(), board.board.rules, now=board.now)
    board.handle(ListeningStarted())
    board.join("Ada", call=2, holding=frozenset({(1, 1)}))
    assert (1, 1) in asked(beat(board, 4.0, "Ada"))
    give_back(board, "Ada", (1, 1))
    assert board.record(1).losses == 1
    assert board.record(1).attempt == 2


def test_an_idle_board_asks_nothing_and_sets_no_alarm(crew: Make, task: Make) -> None:
    board = crew(**{f"w{number}": 5 for number in range(8)})
    before = len(board.said)
    for number in range(8):
        board.heard(f"w{number}")
    assert board.said[before:] == []
