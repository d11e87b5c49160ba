"""Limits count what begins and what is in progress; keys take turns by their weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from muster.agents.kernel.board.invariants import check_invariants
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.board.stuck_tasks import find_stuck_tasks
from muster.agents.kernel.matching.limited_tasks import count_startable, describe_held_back
from muster.agents.kernel.model.events import (
    AssigningBegun,
    LimitsChanged,
    ListeningStarted,
    ResultReceived,
    ResumptionReported,
    SuspensionReported,
    TasksAdded,
    TasksForgotten,
    TasksGivenBack,
)
from muster.agents.kernel.model.instructions import SendAssignment, SendGrant
from muster.agents.store.memory import SharedRows
from muster.messages import (
    AttemptResumed,
    AttemptSuspended,
    Limit,
    Task,
    TaskResult,
    TaskStatus,
)
from muster.messages.work import LimitGrant

from .conftest import WatchedBoard, joined

POLICIES = ["adaptive", "best_fit", "in_order", "score"]
MINUTE = Limit("mail", rate=3, per_s=60.0)


def limited(*limits: Limit, slots: int = 10, policy: str = "best_fit", **rules: Any) -> Any:
    board = WatchedBoard(policy, ends_when_done=False, limits=limits, **rules)
    board.join("Ada", slots=slots)
    board.begin()
    return board


def mails(*task_ids: int, **fields: Any) -> list[Task]:
    return [Task(id=each, type="mail", **fields) for each in task_ids]


def running(board: Any) -> list[Any]:
    return sorted(board.places())


# ---------------------------------------------------------------------- what is counted


@pytest.mark.parametrize("policy", POLICIES)
def test_no_more_tasks_begin_in_a_period_than_its_rate(policy: str) -> None:
    board = limited(MINUTE, policy=policy)
    board.add(*mails(*range(1, 9)), Task(id=100, type="other"))
    assert running(board) == [1, 2, 3, 100]
    for task_id in (1, 2, 3):
        board.succeed(task_id)
    board.wait_until(59.9, hearing=["Ada"])
    assert running(board) == [100]
    board.wait_until(60.0, hearing=["Ada"])
    assert running(board) == [4, 5, 6, 100]


def test_with_a_burst_of_one_tasks_begin_evenly() -> None:
    board = limited(Limit(rate=4, per_s=2.0, burst=1))
    board.add(*mails(*range(1, 8)))
    begun = {}
    for tenths in range(31):
        board.wait_until(tenths / 10, hearing=["Ada"])
        for task_id in running(board):
            begun.setdefault(task_id, board.now)
    assert begun == {1: 0.0, 2: 0.5, 3: 1.0, 4: 1.5, 5: 2.0, 6: 2.5, 7: 3.0}


@pytest.mark.parametrize("policy", POLICIES)
def test_no_more_tasks_of_a_key_are_in_progress_than_its_limit(policy: str) -> None:
    limits = [Limit(each_key=True, concurrent=1), Limit(key="a", concurrent=2)]
    board = limited(*limits, policy=policy)
    keys = ["a"] * 4 + ["b"] * 3 + [None] * 2
    board.add(*(Task(id=n, type="mail", limit_key=key) for n, key in enumerate(keys, 1)))
    assert running(board) == [1, 2, 5, 8, 9]
    board.succeed(5)
    assert running(board) == [1, 2, 6, 8, 9]


def test_a_retry_counts_as_one_more_begin_and_so_do_votes() -> None:
    board = limited(MINUTE)
    board.add(*mails(1, max_attempts=3), *mails(2))
    board.fail(1)
    assert board.record(1).attempt == 2
    board.fail(1)
    assert (board.record(1).attempt, board.status(1)) == (2, TaskStatus.PENDING)
    board = limited(MINUTE)
    for name in ("Bob", "Cleo", "Dan", "Eve"):
        board.join(name)
    board.add(*mails(1, votes=5))
    assert board.record(1).attempt == 3


def test_an_attempt_that_was_told_to_stop_counts_until_its_worker_confirms() -> None:
    board = limited(Limit("mail", concurrent=1))
    board.add(*mails(1, 2))
    board.cancel(1)
    assert running(board) == []
    board.report(1, success=False, error_message="stopped", worker="Ada", attempt=1)
    assert running(board) == [2]


def test_the_attempts_of_a_lost_worker_count_until_their_leases_end() -> None:
    board = limited(Limit("mail", concurrent=1))
    board.add(*mails(1, 2))
    board.leave("Ada")
    board.join("Bob")
    assert board.places() == {1: "Bob"}


def test_limited_tasks_are_never_sent_ahead_of_a_free_slot() -> None:
    board = WatchedBoard(
        ends_when_done=False, prefetch_s=5.0, limits=(Limit("mail", concurrent=9),)
    )
    board.join("Ada")
    board.begin()
    board.add(*(Task(id=n, type="free") for n in range(1, 20)))
    for n in range(1, 8):
        board.succeed(n, execution_time=0.001)
    assert board.board.workers["Ada"].prefetched
    board.add(*mails(*range(101, 120), priority=1))
    for n in range(101, 110):
        held = [task_id for task_id, _ in board.board.workers["Ada"].prefetched]
        assert all(task_id < 100 for task_id in held)
        if n in board.places():
            board.succeed(n, execution_time=0.001)
        else:
            board.succeed(next(iter(board.board.workers["Ada"].running))[0], execution_time=0.001)


def test_tasks_that_no_limit_concerns_pass_those_that_wait() -> None:
    board = limited(Limit("mail", concurrent=1), slots=2)
    board.add(*mails(1, 2, 3, priority=9), Task(id=4, type="other"))
    assert running(board) == [1, 4]


# ---------------------------------------------------------------------- changed and restored


def test_limits_can_be_changed_and_count_what_has_begun() -> None:
    board = limited()
    board.add(*mails(*range(1, 5)))
    board.succeed(1)
    board.now = 10.0
    board.handle(LimitsChanged((MINUTE, Limit(concurrent=4))))
    board.add(*mails(5))
    assert running(board) == [2, 3, 4]
    board.handle(LimitsChanged((Limit(concurrent=5),)))
    assert running(board) == [2, 3, 4, 5]
    board.handle(LimitsChanged(()))
    board.add(*mails(*range(6, 9)))
    assert running(board) == [2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("forgets", [False, True])
def test_a_restart_passes_no_limit(forgets: bool) -> None:
    board = limited(MINUTE, Limit("call", concurrent=1))
    kept = SharedRows()
    keep(kept, board, board.said)
    board.now = 20.0
    keep(kept, board, board.add(*mails(*range(1, 7)), *(Task(id=n, type="call") for n in (11, 12))))
    for task_id in (1, 2, 3):
        keep(kept, board, board.succeed(task_id))
    if forgets:
        keep(kept, board, board.handle(TasksForgotten((1, 2, 3))))
    again = WatchedBoard()
    again.board = read_board(kept.read(), board.board.rules, now=30.0)
    again.now = 30.0
    again.handle(ListeningStarted())
    again.handle(joined("at Ada", "1", 2, name="Ada", slots=10, holding=frozenset({(11, 1)})))
    assert running(again) == [11]
    again.wait_until(79.9, hearing=["Ada"])
    assert running(again) == [11]
    again.wait_until(80.0, hearing=["Ada"])
    assert running(again) == [4, 5, 6, 11]


def test_what_was_cancelled_counts_after_a_restart_until_its_worker_is_back() -> None:
    board = limited(Limit("mail", concurrent=1))
    kept = SharedRows()
    keep(kept, board, board.said)
    keep(kept, board, board.add(*mails(1, 2)))
    keep(kept, board, board.cancel(1))
    again = WatchedBoard()
    again.board = read_board(kept.read(), board.board.rules, now=1.0)
    again.now = 1.0
    again.handle(ListeningStarted())
    again.join("Bob")
    assert running(again) == []
    again.handle(joined("at Ada 2", "1", 2, name="Ada", slots=10))
    assert running(again) == [2]


def keep(kept: SharedRows, board: Any, said: Sequence[Any]) -> None:
    kept.keep(changed_rows(board.board, said))


# ---------------------------------------------------------------------- told


def test_what_waits_for_a_limit_says_so() -> None:
    board = limited(MINUTE, Limit(each_key=True, concurrent=1))
    board.add(*mails(*range(1, 6), limit_key="a"), Task(id=9, type="other", limit_key="b"))
    assert board.board.explain(2).headline == ("waits for its limit: 1 of 1 tasks of a in progress")
    assert "its key a takes turns" not in board.board.explain(2).remarks
    assert describe_held_back(board.board.queue, 0.0) == (
        "4 wait for a limit: 1 of 1 tasks of a in progress"
    )
    for task_id in (1, 2, 3):
        board.succeed(task_id)
    assert board.board.explain(4).headline == (
        "waits for its limit: 3 mail tasks a minute, next in 60.0 s"
    )
    # None of them could begin, however many workers there were.
    assert count_startable(board.board.queue, 0.0) == 0


# ---------------------------------------------------------------------- turns


@pytest.mark.parametrize("policy", POLICIES)
def test_a_key_with_many_tasks_does_not_delay_the_few_of_another(policy: str) -> None:
    board = WatchedBoard(policy, ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.add(
        *(Task(id=n, type="mail", limit_key="big", difficulty=1 + n % 3) for n in range(1, 60))
    )
    board.add(*(Task(id=n, type="call", limit_key="small") for n in range(101, 106)))
    board.add(*(Task(id=n, type="mail") for n in range(201, 206)))
    done: list[Any] = []
    while len(done) < 18:
        (task_id,) = running(board)
        done.append(task_id)
        board.succeed(task_id, execution_time=1.0)
    assert {101, 102, 103, 104, 105, 201, 202, 203, 204, 205} <= set(done)


def test_priority_comes_before_turns() -> None:
    board = limited(slots=1)
    board.add(*mails(1, limit_key="a"))
    board.add(*mails(*range(2, 6), limit_key="a", priority=1), *mails(6, 7, limit_key="b"))
    order = []
    for _ in range(7):
        (task_id,) = running(board)
        order.append(task_id)
        board.succeed(task_id)
    assert order == [1, 2, 3, 4, 5, 6, 7]


def test_a_cancelled_backlog_costs_its_key_no_turns() -> None:
    board = limited(slots=1)
    board.add(*mails(*range(1, 50), limit_key="a"), *mails(*range(101, 150), limit_key="b"))
    for task_id in range(2, 50):
        board.cancel(task_id)
    board.add(*mails(50, limit_key="a"))
    order = []
    for _ in range(4):
        (task_id,) = running(board)
        order.append(task_id)
        board.succeed(task_id)
    assert 50 in order


WEIGHTS = [0.25, 0.5, 1.0, 1.0, 2.0, 3.0, 7.5]


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    weights=st.lists(st.sampled_from(WEIGHTS), min_size=2, max_size=4),
    slots=st.integers(1, 3),
    data=st.data(),
)
def test_backlogged_keys_share_by_their_weights_in_any_interval(
    weights: list[float], slots: int, data: st.DataObject
) -> None:
    keys = {f"k{n}": weight for n, weight in enumerate(weights)}
    board = WatchedBoard("best_fit", ends_when_done=False, weights=keys).board
    names = ["Ada", "Bob"]
    for name in names:
        board.handle(joined(f"at {name}", "1", name=name, skill_level=5, slots=slots), 0.0)
    tasks = [
        Task(id=f"{key}/{n}", type=data.draw(st.sampled_from(["x", "y"])), limit_key=key)
        for key in keys
        for n in range(60)
    ]
    said = [*board.handle(AssigningBegun(), 0.0), *board.handle(TasksAdded(tuple(tasks)), 0.0)]
    order: list[str] = []
    going: list[tuple[str, str]] = []
    while True:
        for each in said:
            if isinstance(each, SendAssignment):
                going.append((str(each.assignment.task.id), each.assignment.worker))
                order.append(str(each.assignment.task.id).partition("/")[0])
        if max(Counter(order).values()) >= 55:
            break
        task_id, worker = going.pop(data.draw(st.integers(0, len(going) - 1)))
        result = TaskResult(task_id=task_id, worker=worker, success=True, attempt=1)
        said = board.handle(ResultReceived(f"at {worker}", result), 0.0)
    for begin in range(0, len(order), 7):
        for end in range(begin + 1, len(order) + 1, 5):
            served = Counter(order[begin:end])
            for one, weight in keys.items():
                for other, others in keys.items():
                    apart = abs(served[one] / weight - served[other] / others)
                    assert apart <= 2 + 1 / weight + 1 / others


# ---------------------------------------------------------------------- attempts that wait


def wait(board: Any, task_id: Any, grant: LimitGrant, reason: str = "waits for a subtask") -> Any:
    """What a worker reports of an attempt that waits, and the changes of grants in the answer."""
    record = board.record(task_id)
    waits = AttemptSuspended(task_id=task_id, attempt=record.attempt, reason=reason, grant=grant)
    said = board.handle(SuspensionReported(f"at {record.worker}", waits))
    return [(each.task_id, each.is_given) for each in said if isinstance(each, SendGrant)]


def go_on(board: Any, task_id: Any) -> None:
    record = board.record(task_id)
    resumed = AttemptResumed(task_id=task_id, attempt=record.attempt)
    board.handle(ResumptionReported(f"at {record.worker}", resumed))


@pytest.fixture
def waiting() -> Any:
    """A parent that has what it waited for, and waits for its limit, which a subtask holds."""
    board = limited(Limit("mail", concurrent=1), Limit(key="a", concurrent=3))
    board.add(*mails(1, limit_key="a"), *mails(2, parent_id=1), *mails(3))
    assert wait(board, 1, "kept") == [(1, False)]
    assert running(board) == [1]
    assert wait(board, 1, "returned") == []
    assert running(board) == [1, 2]
    assert wait(board, 1, "wanted") == []
    return board


def test_a_parent_that_waits_holds_no_grant_and_goes_on_before_others_begin(waiting: Any) -> None:
    assert board_says(waiting, 1) == "waits for its limit: 1 of 1 mail tasks in progress"
    assert not find_stuck_tasks(waiting.board)
    said = waiting.succeed(2)
    assert [each.task_id for each in said if isinstance(each, SendGrant)] == [1]
    assert running(waiting) == [1]
    assert board_says(waiting, 1) == "waits for a free slot"
    # Its worker may ask again, because the connection broke.
    assert wait(waiting, 1, "wanted") == [(1, True)]
    go_on(waiting, 1)
    waiting.succeed(1)
    assert running(waiting) == [3]


def board_says(board: Any, task_id: Any) -> str:
    return str(board.record(task_id).suspended_for)


@pytest.mark.parametrize("ends", ["lost", "cancelled", "given back", "limits lifted", "too many"])
def test_a_parent_that_ends_while_it_waits_for_its_limit_leaves_it_to_others(
    waiting: Any, ends: str
) -> None:
    match ends:
        case "lost":
            waiting.join("Bob")
            waiting.leave("Ada")
            assert len(running(waiting)) == 1
        case "cancelled":
            said = waiting.cancel(1)
            assert not [each for each in said if isinstance(each, SendGrant)]
            # Its handler cleans up, which its limit counts.
            said = waiting.succeed(2)
            assert [each.task_id for each in said if isinstance(each, SendGrant)] == [1]
            assert running(waiting) == []
            go_on_after = AttemptResumed(task_id=1, attempt=1)
            waiting.handle(ResumptionReported("at Ada", go_on_after))
            waiting.report(1, success=False, error_message="no", worker="Ada", attempt=1)
            assert running(waiting) == [3]
        case "given back":
            waiting.handle(TasksGivenBack("at Ada", ((1, 1),)))
            waiting.succeed(2)
            assert len(running(waiting)) == 1
        case "limits lifted":
            said = waiting.handle(LimitsChanged(()))
            assert [each.task_id for each in said if isinstance(each, SendGrant)] == [1]
            assert running(waiting) == [1, 2, 3]
        case _:
            waiting.handle(LimitsChanged((Limit(concurrent=1),)))
            assert board_says(waiting, 1) == "waits for its limit: 1 of 1 tasks in progress"


def test_limits_that_are_set_while_a_parent_waits_do_not_count_it_for_long() -> None:
    board = limited()
    board.add(*mails(1))
    assert wait(board, 1, "kept") == []
    said = board.handle(LimitsChanged((Limit("mail", concurrent=1),)))
    assert [each.is_given for each in said if isinstance(each, SendGrant)] == [False]
    board.add(*mails(2))
    assert running(board) == [1]
    wait(board, 1, "returned")
    assert running(board) == [1, 2]


@pytest.mark.parametrize("grant", ["kept", "returned", "wanted", "granted"])
def test_a_new_manager_knows_which_limits_count_an_attempt_that_waits(grant: str) -> None:
    board = limited(Limit("mail", concurrent=1))
    kept = SharedRows()
    keep(kept, board, board.said)
    before = len(board.said)
    board.add(*mails(1), *mails(2, parent_id=1))
    wait(board, 1, "kept")
    if grant != "kept":
        wait(board, 1, "returned")
    if grant in {"wanted", "granted"}:
        wait(board, 1, "wanted")
    if grant == "granted":
        board.succeed(2)
        board.add(*mails(3))
    keep(kept, board, board.said[before:])
    again = WatchedBoard()
    again.board = read_board(kept.read(), board.board.rules, now=30.0)
    again.now = 30.0
    again.handle(ListeningStarted())
    check_invariants(again.board)
    assert again.record(1).attempts[0].grant == ("kept" if grant == "granted" else grant)
    again.handle(joined("at Ada", "1", 2, name="Ada", slots=10, holding=frozenset({(1, 1)})))
    # The subtask was lost, so the parent goes on before the subtask begins again.
    held = {"kept": [1], "returned": [1, 2], "wanted": [1], "granted": [1]}
    assert running(again) == held[grant]
    if grant == "wanted":
        assert wait(again, 1, "wanted") == [(1, True)]


def test_of_several_limits_those_that_go_on_take_one_after_the_other() -> None:
    """Neither keeps what the other needs, and what is in progress never passes a limit."""
    limits = (Limit("mail", concurrent=1), Limit(key="a", concurrent=1), Limit(concurrent=2))
    board = limited(*limits)
    board.add(*mails(1, limit_key="a"), Task(id=2, type="call", limit_key="a"), *mails(3))
    assert running(board) == [1]
    wait(board, 1, "returned")
    assert running(board) == [1, 2, 3]
    assert wait(board, 1, "wanted") == []
    board.succeed(2)
    # It holds the limit of its key, and waits for that of its type.
    board.add(Task(id=4, type="call", limit_key="a"))
    assert board_says(board, 1) == "waits for its limit: 1 of 1 mail tasks in progress"
    assert running(board) == [1, 3]
    said = board.succeed(3)
    assert [each.task_id for each in said if isinstance(each, SendGrant)] == [1]
    go_on(board, 1)
    board.succeed(1)
    assert running(board) == [4]
