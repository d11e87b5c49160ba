"""Explains why a task has its status or what it waits for, for `muster why` and the page alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from typing import NamedTuple

from ....messages import TaskId, TaskStatus
from ..matching.budget import describe_rates
from ..matching.eligibility import describe_declines, find_candidates
from ..matching.explanation import (
    Explanation,
    describe_dependencies,
    describe_losses,
    explain_decision,
    explain_wait,
)
from ..matching.learning_policy import Hold
from ..matching.policies import describe_unavailability
from ..matching.ready_queue import TaskGroup, entry_of
from ..matching.task_queue import TaskQueue
from ..model.occurrence_text import describe_delay, describe_time
from ..model.occurrences import DelayFacts, FailureCause
from ..model.records import Attempt, TaskRecord
from ..model.second_opinions import describe_next, describe_opinions
from .deadlines import describe_deadline
from .dependents import waits_for
from .expiry import expiry_of
from .held_slots import held_slots, holders_of
from .questions import open_questions
from .state import BoardState


class WaitKind(str, Enum):
    """What a waiting task waits for, in a word or two for people."""

    SLOT = "waiting"
    TASK = "blocked"
    TIME = "delayed"
    LIMIT = "limited"
    BETTER_WORKER = "held back"
    BUDGET = "over budget"
    UNAVAILABLE = "no worker now"
    NOBODY = "nobody can"
    PAUSE = "paused"
    START = "before the start"
    NOTHING = "not assigned"


class Wait(NamedTuple):
    """What a task waits for.

    Args:
        kind: the kind of reason.
        text: the reason as text that follows the task's id, such as "waits for task 3 (pending)".
        hold: why a learning policy holds it back, if that is the reason.
    """

    kind: WaitKind
    text: str
    hold: Hold | None = None


def explain_task(board: BoardState, task_id: TaskId) -> Explanation:
    """Why a task has its status: which workers were considered for it, or what it waits for.

    Raises:
        UnknownTask: no task has this id.
    """
    record = board.find(task_id)
    explanation = _explain(board, record)
    remarks = tuple(_remarks_on(board, record))
    return replace(explanation, remarks=remarks, traceback=record.error_traceback)


def find_wait(board: BoardState, record: TaskRecord) -> Wait:
    """What a pending task waits for."""
    tasks, queue, now = board.tasks, board.queue, board.context.now
    if record.task_id in board.task_registry.held and not record.unfinished:
        return Wait(WaitKind.NOTHING, "waits until assign_tasks hands it out")
    if record.queue_entry is None and (record.unfinished or record.wait_until is None):
        needed = [tasks[each] for each in dict.fromkeys(record.task.depends_on)]
        unfinished = [each for each in needed if waits_for(record, each)]
        return Wait(WaitKind.TASK, describe_dependencies(unfinished))
    if board.failure is not None:
        return Wait(WaitKind.NOTHING, f"was never assigned: {board.failure}")
    if board.has_ended:
        return Wait(WaitKind.NOTHING, "waits no more: the run was stopped")
    if board.pause.holds:
        return Wait(WaitKind.PAUSE, f"waits: {board.pause.describe()}")
    if record.wait_until is not None:
        return Wait(WaitKind.TIME, describe_delay_of(record, now))
    if board.began_at is None:
        barrier = board.start_barrier
        awaited = "" if barrier.is_over else f": {barrier.progress(board.worker_registry)}"
        return Wait(WaitKind.START, f"waits for the assigning to begin{awaited}")
    limit = None if queue.limiter is None else queue.limiter.describe_wait(record, now)
    hold = queue.hold(record, now) if limit is None else None
    if hold is not None:
        return Wait(WaitKind.BETTER_WORKER, _describe_hold(hold, now), hold)
    group = entry_of(record).group
    if group.candidate_set is not None and not _is_anybody_available(queue, group):
        text = f"waits for a worker: all that can {describe_next(record)} are in quarantine"
        return Wait(WaitKind.UNAVAILABLE, f"{text} or leaving")
    if not queue.workers:
        return Wait(WaitKind.NOBODY, "waits for a worker: none is connected")
    gives_up_at = queue.gives_up_at(record)
    if gives_up_at is not None:
        return _find_lack(queue, record, gives_up_at - now)
    if limit is not None:
        return Wait(WaitKind.LIMIT, limit)
    what, able = describe_next(record), queue.eligibility_of(record).able(queue.workers)
    if able and all(map(queue.is_too_dear, able)):
        text = f"waits: {queue.budget.describe()}, and all that can {what} cost something"
        return Wait(WaitKind.BUDGET, text)
    return Wait(WaitKind.SLOT, f"waits for a free slot: all workers that can {what} are busy")


def describe_delay_of(record: TaskRecord, now: float) -> str:
    """Until when a task waits that a time holds back, and why."""
    assert record.wait_until is not None
    return f"waits {describe_delay(DelayFacts(record.wait_until, record.wait_reason), now)}"


def describe_suspension(record: TaskRecord, attempt: Attempt, now: float) -> str:
    """What a suspended attempt waits for, and until when if a question to a person expires."""
    ends = [
        each.expires_at
        for each in open_questions(record)
        if each.attempt == attempt.number and each.expires_at is not None
    ]
    return attempt.suspended_for + (f", until {describe_time(min(ends), now)}" if ends else "")


def _is_anybody_available(queue: TaskQueue, group: TaskGroup) -> bool:
    """Whether a worker that may get a task is neither in quarantine nor leaving."""
    eligibility = queue.eligibility_for(group)
    workers = tuple(queue.workers)
    eligible = eligibility.able(workers)
    return any(
        eligibility.obstacle(worker, eligible) is None and describe_unavailability(worker) is None
        for worker in workers
    )


def _find_lack(queue: TaskQueue, record: TaskRecord, left_s: float) -> Wait:
    """What no connected worker has that a task needs, and when it fails for that."""
    shortfall = queue.eligibility_of(record).shortfall(queue.workers)
    kind = WaitKind.NOBODY
    text = f"waits: no connected worker can {describe_next(record)}: {shortfall.text}"
    if shortfall.cause is FailureCause.BUDGET:
        kind, text = WaitKind.BUDGET, f"waits: {shortfall.text}"
    elif shortfall.cause is FailureCause.DECLINED:
        text = f"waits: declined: {describe_declines(record)}"
    return Wait(kind, f"{text}; it fails in {left_s:.1f} s" if left_s < math.inf else text)


def _describe_hold(hold: Hold, now: float) -> str:
    if hold.until == math.inf:
        return f"is held back: {hold.reason}"
    return f"is held back: {hold.reason} in {max(hold.until - now, 0.0):.1f} s at most"


def _explain(board: BoardState, record: TaskRecord) -> Explanation:
    policy, queue, now = board.policy_name, board.queue, board.context.now
    if record.status is not TaskStatus.PENDING:
        return explain_decision(record, policy)
    wait = find_wait(board, record)
    if wait.kind in _WITHOUT_CANDIDATES:
        left = ""
        if wait.kind is WaitKind.TIME and record.wait_until is not None:
            left = f", {max(record.wait_until - now, 0.0):.1f} s more"
        return explain_wait(record, policy, wait.text + left)
    workers, group = queue.workers, entry_of(record).group
    return explain_wait(
        record,
        policy,
        wait.text,
        find_candidates(queue.eligibility_for(group), workers, group.failed_by),
        workers,
        held_back={each.name for each in workers if queue.is_held_back(each)},
        held={
            worker.name: [each.describe(now) for each in held_slots(worker, board.tasks)]
            for worker in workers
            if worker.stopping
        },
        figures=() if wait.hold is None else wait.hold.figures,
        too_dear={
            each.name: f"{board.budget.describe()}; {each.name} costs {describe_rates(each)}"
            for each in workers
            if queue.is_too_dear(each)
        },
    )


def _remarks_on(board: BoardState, record: TaskRecord) -> Iterator[str]:
    """Further facts about a task, one line each."""
    now, time_scale = board.context.now, board.rules.time_scale
    for worker, held in holders_of(record):
        yield f"{worker.name}: {held.describe(now)}"
    expiry = expiry_of(record, time_scale)
    if expiry is not None and not board.has_ended and (due_at := expiry.due_at()) is not None:
        yield f"it expires in {max(due_at - now, 0.0):.1f} s unless it begins"
    if origin := board.schedules.describe_origin(record.task_id):
        yield origin
    deadline = describe_deadline(record, time_scale, now)
    if deadline is not None:
        yield deadline
    for each in record.attempts:
        if each.suspended_for:
            told = describe_suspension(record, each, now)
            yield f"{each.worker.name}: attempt {each.number} {told}; its slot is free"
    yield from describe_losses(record)
    yield from describe_opinions(record)
    is_queued = record.queue_entry is not None
    if record.status is TaskStatus.IN_PROGRESS and is_queued and not board.has_ended:
        yield f"one more vote {find_wait(board, record).text}"
    if board.queue.limiter is not None and is_queued:
        turns = board.queue.limiter.describe_turns(record.task)
        if turns is not None:
            yield turns
    is_remark = record.unfinished or record.status is not TaskStatus.PENDING
    if record.wait_until is not None and is_remark and not board.has_ended:
        left_s = max(record.wait_until - now, 0.0)
        yield f"it {describe_delay_of(record, now)}, {left_s:.1f} s more"


_WITHOUT_CANDIDATES = frozenset({WaitKind.TASK, WaitKind.TIME, WaitKind.PAUSE, WaitKind.NOTHING})
"""What a task waits for whichever workers there are."""
