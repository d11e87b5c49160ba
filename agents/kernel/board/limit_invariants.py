"""The invariants of limits and of the turns of keys, for tests and simulations to check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ....messages import Limit
from ..matching.keyed_queue import KeyedQueue, LimitGate
from ..matching.limiter import Limiter
from ..matching.ready_queue import TaskGroup
from ..model.occurrences import OccurrenceKind

if TYPE_CHECKING:
    from .state import BoardState


def check_limiter(board: BoardState) -> None:
    """Check that limits count what is in progress, and hold back no task that they allow.

    Raises:
        AssertionError: an invariant does not hold; the message names it.
    """
    limiter = board.queue.limiter
    if limiter is None:
        assert all(each.task.limit_key is None for each in board.tasks.values() if each.queue_entry)
        assert not board.rules.limits, "nothing heeds the limits"
        return
    _check_counts(board, limiter)
    for group in board.queue.groups.values():
        _check_order(board, limiter, group)
    if board.is_assigning:
        opens_at = limiter.wakes_at()
        assert opens_at is None or opens_at > board.context.now, "a limit opens too late"


def _check_counts(board: BoardState, limiter: Limiter) -> None:
    running: Counter[LimitGate] = Counter()
    awaited = limiter.awaited()
    for record in board.tasks.values():
        gates = limiter.gates_of(record.task)
        for attempt in record.attempts:
            key = (record.task_id, attempt.number)
            may_run_on = {*awaited, *attempt.worker.stopping, *attempt.worker.withdrawn}
            is_open = attempt.outcome is None or key in may_run_on
            is_wanted = is_open and attempt.grant == "wanted"
            assert (key in limiter.grants) is is_wanted, f"attempt {key} is {attempt.grant}"
            is_open &= attempt.grant == "kept"
            assert (key in limiter.held()) is (is_open and bool(gates)), (
                f"attempt {key} is {'' if is_open else 'not '}in progress, and is miscounted"
            )
            running.update(gates if is_open else ())
    for (task_id, number), gates in limiter.held().items():
        if task_id not in board.tasks:
            assert (task_id, number) in awaited, f"an attempt at a forgotten {task_id!r} counts"
            running.update(gates)
    for gates in limiter.grants.taken():
        running.update(gates)
    for gates in (*limiter.held().values(), *limiter.grants.taken()):
        for gate in gates:
            has_room = gate.limit.concurrent is None or gate.running < gate.limit.concurrent
            assert not (gate.wanting and has_room), f"{gate.limit!r} keeps an attempt waiting"
            assert gate.running == running[gate], (
                f"{gate.limit!r} counts {gate.running}, not {running[gate]}"
            )
    if board.is_assigning:
        for gate in {
            each for record in board.tasks.values() for each in limiter.gates_of(record.task)
        }:
            assert gate.is_shut is not gate.look(board.context.now), (
                f"{gate.limit!r} is wrongly shut"
            )


def _check_order(board: BoardState, limiter: Limiter, group: TaskGroup) -> None:
    queue = group.entries
    assert isinstance(queue, KeyedQueue), "a group whose tasks heed no limits"
    current = list(group.current_entries())
    overall = limiter.is_shut
    allowed = [each for each in current if limiter.allows(each.record) or overall]
    if queue.first is None:
        assert overall or not allowed, "a task is held back that the limits allow"
        return
    if queue.first.record.queue_entry is not queue.first:
        # It was removed, and is skipped when its turn comes.
        return
    shares = {lane.share.turn: lane.share for lane in queue.lanes}
    assert len(shares) == len({lane.share for lane in queue.lanes}), "two keys have one turn"
    assert queue.first_lane is not None
    assert queue.first_lane.turn == queue.first_lane.share.turn, "a key is in the line twice"
    heads = [
        lane.head
        for lane in queue.lanes
        if lane.head is not None and not any(gate.is_shut for gate in lane.gates)
    ]
    assert queue.first == min(heads), "another task is first than the one whose turn it is"


def find_passed_rates(board: BoardState) -> list[tuple[Limit, str | None, int]]:
    """The rates that the attempts of a run have passed, with the key and how many began.

    Under limits that have not changed since the first of them began.
    """
    begun: dict[tuple[Limit, str | None], list[float]] = {}
    limits = board.rules.limits
    for record in board.tasks.values():
        task = record.task
        own = {limit.type for limit in limits if limit.key == task.limit_key and limit.key}
        times = [each.at for each in record.story if each.what is OccurrenceKind.TASK_ASSIGNED]
        for limit in limits:
            key = task.limit_key if limit.each_key or limit.key else None
            if limit.each_key:
                is_of_it = key is not None and limit.type not in own
            else:
                is_of_it = limit.key == key
            if limit.rate is not None and limit.type in {None, task.type} and is_of_it:
                begun.setdefault((limit, key), []).extend(times)
    passed: list[tuple[Limit, str | None, int]] = []
    for (limit, key), times in begun.items():
        times.sort()
        most = max(_within(times, limit.per_s or 0.0), default=0)
        if most > (limit.rate or 0):
            passed.append((limit, key, most))
    return passed


def _within(times: list[float], period_s: float) -> Iterator[int]:
    """For each time, how many there are in the period that begins with it."""
    end = 0
    for begin, at in enumerate(times):
        while end < len(times) and at + period_s > times[end]:
            end += 1
        yield end - begin
