"""How workers come, fall silent, leave, return, and dispute a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muster.agents.kernel.board.context import BoardContext
from muster.agents.kernel.board.worker_registry import MAX_CHALLENGES, MAX_LOST_KEPT, WorkerRegistry
from muster.agents.kernel.matching.policies import BestFit
from muster.agents.kernel.matching.task_queue import TaskQueue
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import WorkerHeard, WorkerJoined, WorkerLeft
from muster.agents.kernel.model.instructions import (
    DropWorker,
    RefuseWorker,
    SendAssignment,
    SendWelcome,
)
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import TaskStatus, WorkerProfile

Make = Callable[..., Any]


def test_a_worker_that_asks_is_welcomed(watched: Make, only: Make) -> None:
    said = watched().join("Ada", session="7")
    assert only(SendWelcome, said) == [SendWelcome("at Ada", "Ada", "7")]


def test_a_worker_that_asks_again_is_welcomed_again_and_joins_once(
    watched: Make, only: Make, whats: Make
) -> None:
    board = watched()
    board.join("Ada")
    said = board.join("Ada")
    assert only(SendWelcome, said)
    assert whats(board.said).count(OccurrenceKind.WORKER_JOINED) == 1


def test_a_worker_started_anew_at_its_old_address_has_lost_what_it_ran(
    crew: Make, task: Make, only: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1))
    said = board.join("Ada", session="2")
    assert only(DropWorker, said) == [DropWorker("at Ada")]
    assert only(SendWelcome, said) == [SendWelcome("at Ada", "Ada", "2")]
    assert [each.assignment.attempt for each in only(SendAssignment, said)] == [2]
    assert board.record(1).losses == 1


def test_a_silent_worker_is_lost_after_its_time(crew: Make, whats: Make, only: Make) -> None:
    board = crew(Ada=5)
    board.wait_until(9.9)
    assert board.board.workers["Ada"].alive
    said = board.wait_until(10)
    assert whats(said) == [OccurrenceKind.WORKER_LOST]
    assert only(DropWorker, said) == [DropWorker("at Ada")]
    assert board.board.workers["Ada"].lost_at == 10


def test_a_worker_that_is_heard_is_not_lost(crew: Make, whats: Make) -> None:
    board = crew(Ada=5)
    for second in (6, 12, 18):
        board.wait_until(second)
        board.heard("Ada")
    assert whats(board.wait_until(27.9)) == []
    assert whats(board.wait_until(28)) == [OccurrenceKind.WORKER_LOST]


def test_results_and_progress_are_signs_of_life(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="real"))
    board.wait_until(6)
    board.progress(1, 50)
    board.wait_until(12)
    board.succeed(1)
    board.wait_until(21)
    assert board.board.workers["Ada"].alive


def test_what_a_lost_worker_ran_goes_to_others_as_the_next_attempt(
    crew: Make, task: Make, only: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="real"))
    board.now = 5.0
    board.join("Ben", 5)
    (given,) = only(SendAssignment, board.wait_until(10))
    assert (given.worker_id, given.assignment.attempt) == ("at Ben", 2)


def test_a_loss_does_not_count_against_the_attempts(crew: Make, task: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1, max_attempts=1))
    board.leave("Ada")
    assert board.places() == {1: "Ben"}
    assert (board.record(1).failures, board.record(1).losses) == (0, 1)


def test_a_task_whose_workers_are_lost_too_often_fails(watched: Make, task: Make) -> None:
    board = watched(max_losses=2)
    board.add(task(1))
    board.join("Ada")
    board.begin()
    for _ in range(3):
        assert board.places() == {1: "Ada"}
        board.leave("Ada")
        board.join("Ada")
    assert board.status(1) is TaskStatus.FAILED
    assert board.record(1).error_message == "worker lost: 3 times, last on Ada; its max_losses is 2"
    assert board.record(1).result.worker == "Ada"


def test_a_worker_that_says_goodbye_is_gone_at_once(crew: Make, task: Make, whats: Make) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1))
    said = board.leave("Ada", "going home")
    assert whats(said)[0] is OccurrenceKind.WORKER_LOST
    assert describe_facts(said[0]) == "going home"
    assert board.places() == {1: "Ben"}


def test_a_lost_worker_that_is_heard_must_ask_anew(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.leave("Ada")
    assert board.heard("Ada") == []
    board.add(task(1))
    assert board.places() == {}
    board.join("Ada")
    assert board.places() == {1: "Ada"}


def test_a_worker_keeps_its_statistics_and_its_place_when_it_returns(
    crew: Make, task: Make
) -> None:
    board = crew(Ada=5, Ben=5)
    board.add(task(1))
    board.succeed(1, execution_time=2.0)
    board.leave("Ada")
    board.join("Ada", worker_id="elsewhere", session="2")
    ada = board.board.workers["Ada"]
    assert (ada.worker_id, ada.stats.completed_tasks, ada.stats.total_time) == ("elsewhere", 1, 2.0)
    assert list(board.board.workers) == ["Ada", "Ben"]


def test_a_lost_worker_that_returns_may_have_changed(crew: Make, task: Make) -> None:
    board = crew(Ada=3)
    board.add(task(1, 8))
    board.leave("Ada")
    board.join("Ada", 9)
    assert board.places() == {1: "Ada"}


def test_strangers_disturb_nothing(watched: Make) -> None:
    board = watched()
    assert board.handle(WorkerHeard("nobody")) == []
    assert board.handle(WorkerLeft("nobody")) == []


def test_a_worker_is_busy_for_as_long_as_its_leases_last(crew: Make, task: Make) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="real"), task(2, type="real"))
    board.wait_until(3, hearing=["Ada"])
    board.succeed(1)
    board.wait_until(5, hearing=["Ada"])
    board.leave("Ada")
    assert board.board.workers["Ada"].stats.busy_time == 5.0


# ---------------------------------------------------------------- two of one name


def test_a_newcomer_whose_name_is_taken_gets_no_answer_at_once(watched: Make) -> None:
    board = watched()
    board.join("Ada")
    assert board.join("Ada", worker_id="second") == []


def test_a_newcomer_is_refused_once_the_other_is_heard(watched: Make, only: Make) -> None:
    board = watched()
    board.join("Ada")
    board.now = 1.0
    board.join("Ada", worker_id="second", session="s")
    board.now = 1.5
    (refused,) = only(RefuseWorker, board.heard("Ada"))
    reason = "a worker named 'Ada' is already connected; choose another name"
    assert refused == RefuseWorker("second", "s", reason)
    assert board.board.workers["Ada"].worker_id == "at Ada"


def test_a_refused_newcomer_leaves_no_alarm_behind(watched: Make) -> None:
    board = watched(heartbeat_s=1)
    board.join("Ada")
    board.join("Ada", worker_id="second")
    board.heard("Ada")
    board.wait_until(9)
    assert board.board.workers["Ada"].alive


def test_a_newcomer_takes_the_place_of_one_that_stays_silent(
    crew: Make, task: Make, only: Make, whats: Make
) -> None:
    board = crew(Ada=5)
    board.add(task(1, type="real"))
    board.now = 1.0
    board.join("Ada", worker_id="second", session="2")
    assert board.board.next_timer_at() == 1.0 + 2.5 * 2
    said = board.wait_until(6)
    assert whats(said)[0] is OccurrenceKind.WORKER_LOST
    assert only(DropWorker, said) == [DropWorker("at Ada")]
    assert only(SendWelcome, said) == [SendWelcome("second", "Ada", "2")]
    assert [each.worker_id for each in only(SendAssignment, said)] == ["second"]


def test_a_newcomer_waits_no_longer_than_until_the_other_is_lost(watched: Make) -> None:
    board = watched(heartbeat_s=8, lost_after_s=10)
    board.join("Ada")
    board.now = 4.0
    board.join("Ada", worker_id="second")
    board.wait_until(10)
    assert board.board.workers["Ada"].worker_id == "second"


def test_asking_again_does_not_prolong_the_wait_and_the_newest_session_counts(
    watched: Make, only: Make
) -> None:
    board = watched()
    board.join("Ada")
    for at in (1.0, 2.0, 3.0):
        board.now = at
        board.join("Ada", worker_id="second", session=str(at))
    said = board.wait_until(6)
    assert only(SendWelcome, said) == [SendWelcome("second", "Ada", "3.0")]


def test_when_the_other_leaves_the_newcomer_is_let_in_at_once(watched: Make, only: Make) -> None:
    board = watched()
    board.join("Ada")
    board.join("Ada", worker_id="second")
    assert only(SendWelcome, board.leave("Ada")) == [SendWelcome("second", "Ada", "1")]


def test_a_newcomer_that_goes_away_takes_nobodys_place(watched: Make) -> None:
    board = watched()
    board.join("Ada")
    board.join("Ada", worker_id="second")
    board.handle(WorkerLeft("second"))
    board.wait_until(9)
    assert board.board.workers["Ada"].worker_id == "at Ada"


def test_a_third_of_one_name_waits_until_the_second_is_decided(watched: Make, only: Make) -> None:
    board = watched()
    board.join("Ada")
    board.join("Ada", worker_id="second")
    board.join("Ada", worker_id="third")
    assert [each.worker_id for each in only(RefuseWorker, board.heard("Ada"))] == ["second"]


# ---------------------------------------------------------------- bounds


def test_no_more_newcomers_wait_than_may(watched: Make) -> None:
    board = watched()
    for number in range(MAX_CHALLENGES + 5):
        board.board.handle(_hello(f"w{number}", f"at {number}"), 0.0)
    for number in range(MAX_CHALLENGES + 5):
        board.board.handle(_hello(f"w{number}", f"second {number}"), 0.0)
    assert len(board.board.worker_registry.challenges) == MAX_CHALLENGES


def test_only_the_latest_lost_workers_are_remembered() -> None:
    workers = WorkerRegistry(BoardContext(Rules(), TaskQueue(BestFit(), None)))
    for number in range(MAX_LOST_KEPT + 5):
        worker, _ = workers.connect(_hello(f"w{number}", f"at {number}"), 0.0)
        workers.lose(worker, 1.0)
    assert len(workers.by_name) == MAX_LOST_KEPT
    assert workers.find("at 4") is None
    assert workers.find("at 5") is workers.by_name["w5"]


def test_a_worker_that_has_returned_is_not_forgotten_among_the_lost() -> None:
    workers = WorkerRegistry(BoardContext(Rules(), TaskQueue(BestFit(), None)))
    returned, _ = workers.connect(_hello("returned", "at first"), 0.0)
    workers.lose(returned, 1.0)
    workers.connect(_hello("returned", "at last"), 2.0)
    for number in range(MAX_LOST_KEPT):
        worker, _ = workers.connect(_hello(f"w{number}", f"at {number}"), 3.0)
        workers.lose(worker, 4.0)
    assert workers.by_name["returned"] is returned


def _hello(name: str, worker_id: str) -> WorkerJoined:
    return WorkerJoined(worker_id, WorkerProfile(name))


def test_a_worker_that_comes_and_goes_leaves_few_timers(watched: Make) -> None:
    board = watched()
    for _ in range(50):
        board.join("Ada")
        board.now += 1.0
        board.leave("Ada")
    board.board.next_timer_at()
    assert len(board.board.timers.watched()) <= 1
