"""The invariants of a board, for tests and simulations to check."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from ....messages import TaskId, TaskStatus
from ..matching.eligibility import max_attempts_of, terms_of
from ..matching.prefetched_matches import max_prefetched
from ..matching.ready_queue import TaskGroup
from ..matching.task_queue import TaskQueue
from ..model.records import (
    MAX_PREFETCHED,
    MAX_STORY,
    Attempt,
    AttemptOutcome,
    Drain,
    TaskRecord,
    WorkerRecord,
)
from ..model.schedules import format_due, parse_scheduled_id
from ..model.second_opinions import (
    needs_second_opinion,
    open_attempts,
    votes_of,
    wants_vote,
)
from .deadlines import Lateness
from .delays import DelayEnd
from .dependents import waits_for
from .expiry import Expiry, has_begun
from .held_slots import HeldSlotWarning
from .limit_invariants import check_limiter
from .prefetch import attempts_of
from .task_checks import named_tasks
from .worker_registry import Quarantine

if TYPE_CHECKING:
    from .state import BoardState


def check_invariants(board: BoardState) -> None:
    """Check that the board's state is consistent, for every task and worker.

    Raises:
        AssertionError: an invariant does not hold; the message names it.
    """
    for task_id, record in board.tasks.items():
        _check_task(board, task_id, record)
    _check_names(board)
    _check_parents(board)
    _check_counts(board)
    _check_workers(board)
    _check_queue(board)
    _check_candidate_sets(board)
    check_limiter(board)
    _check_timers(board)
    _check_costs(board)
    _check_schedules(board)


def _check_schedules(board: BoardState) -> None:
    latest: dict[str, str] = {}
    for task_id in board.tasks:
        found = parse_scheduled_id(task_id) if board.schedules.by_name else None
        if found is not None:
            latest[found[0]] = max(found[1], latest.get(found[0], ""))
    for name, record in board.schedules.by_name.items():
        label = f"schedule {name!r}"
        last_due = record.last_due
        assert last_due is None or last_due <= record.through, f"{label} is behind {last_due}"
        has_made = latest.get(name, "") <= format_due(record.through)
        assert has_made, f"{label} would make {latest.get(name)} again"


def _check_task(board: BoardState, task_id: TaskId, record: TaskRecord) -> None:
    label = f"task {task_id!r} ({record.status.value})"
    assert record.task_id == task_id, f"{label} has the wrong key"
    assert len(record.story) <= MAX_STORY, f"{label} has a story of {len(record.story)}"
    numbers = [attempt.number for attempt in record.attempts]
    assert numbers == list(range(1, len(numbers) + 1)), f"{label} has the attempts {numbers}"
    holding = [attempt for attempt in record.attempts if attempt.outcome is None]
    if record.status is TaskStatus.IN_PROGRESS:
        if record.task.votes == 1:
            assert holding == record.attempts[-1:], f"{label} has {len(holding)} leases"
        assert 1 <= len(holding) <= record.task.votes, f"{label} has {len(holding)} leases"
        for attempt in holding:
            _check_lease(label, attempt)
    else:
        assert not holding, f"{label} still has a lease"
    current = record.current_attempts
    failures = sum(attempt.outcome in _FAILURES and not attempt.is_review for attempt in current)
    assert record.failures == failures, f"{label} counts {record.failures} failures"
    if record.retry is not None and record.task.votes == 1:
        most = max_attempts_of(record)
        assert record.failures <= most, f"{label} failed {record.failures} of {most} times"
    ended = Counter(attempt.outcome for attempt in current)
    assert record.losses == ended[AttemptOutcome.LOST], f"{label} counts {record.losses} losses"
    declined_by = {each.worker.name for each in current if each.outcome is AttemptOutcome.DECLINED}
    assert record.declined_by == declined_by, f"{label} was declined by {record.declined_by}"
    assert len(declined_by) == ended[AttemptOutcome.DECLINED], f"{label} was declined twice by one"
    _check_opinions(label, record)
    is_final = record.status.is_final
    assert (record.finished_at is not None) is is_final, f"{label} finished {record.finished_at}"
    needed = [board.tasks[each] for each in dict.fromkeys(record.task.depends_on)]
    unfinished = sum(waits_for(record, each) for each in needed)
    assert record.unfinished == unfinished, f"{label} waits for {record.unfinished} tasks"
    if record.status is TaskStatus.PENDING and record.task.run_if == "completed":
        gone_wrong = [each.task_id for each in needed if each.status.is_final and unfinished]
        gone_wrong = [
            each for each in gone_wrong if board.tasks[each].status is not TaskStatus.COMPLETED
        ]
        assert not gone_wrong, f"{label} waits for {gone_wrong}, which will never be completed"
    if record.status is TaskStatus.COMPLETED:
        assert record.result is not None, f"{label} has no result"
        assert record.result.success, f"{label} has the result of a failure"
        assert record.error_message is None, f"{label} has the error {record.error_message!r}"
    elif is_final:
        assert record.error_message, f"{label} has no error message"
        assert record.result is None or not record.result.success, f"{label} has a success"


_FAILURES = frozenset(
    {
        AttemptOutcome.FAILED,
        AttemptOutcome.TIMED_OUT,
        AttemptOutcome.REJECTED,
        AttemptOutcome.POSTPONED,
    }
)


def _check_opinions(label: str, record: TaskRecord) -> None:
    """Check the results that wait for a review or for other votes."""
    kept = votes_of(record)
    if not needs_second_opinion(record.task) or record.status.is_final:
        assert not kept, f"{label} keeps a result that waits for nothing"
        return
    for attempt in kept:
        assert attempt.outcome is AttemptOutcome.SUCCEEDED, f"{label} keeps a failed result"
    if record.task.review:
        assert len(kept) <= 1, f"{label} has {len(kept)} results to review"
        authors = {each.worker.name for each in kept}
        reviewers = {each.worker.name for each in open_attempts(record) if each.is_review}
        assert not authors & reviewers, f"{label} is reviewed by its own worker"
    else:
        voters = [each.worker.name for each in (*kept, *open_attempts(record))]
        assert len(voters) == len(set(voters)), f"{label} has a worker with two votes"


def _check_costs(board: BoardState) -> None:
    """Check that what is spent and reserved is what the attempts say."""
    budget, spending = board.budget, board.spending
    attempts = [attempt for record in board.tasks.values() for attempt in record.attempts]
    spent = spending.on_forgotten + math.fsum(attempt.cost for attempt in attempts)
    assert math.isclose(budget.spent, spent, rel_tol=1e-9, abs_tol=1e-6), (
        f"{budget.spent} is spent, the attempts cost {spent}"
    )
    # Older stores do not tell the types of what was forgotten.
    untold = spending.on_forgotten - math.fsum(spending.forgotten_sums.by_type.values())
    by_type = math.fsum(spending.sums.by_type.values()) + untold
    assert math.isclose(by_type, spent, rel_tol=1e-9, abs_tol=1e-6), (
        f"the types cost {by_type}, the attempts cost {spent}"
    )
    reserved = math.fsum(attempt.reserved for attempt in attempts)
    assert math.isclose(budget.reserved, reserved, rel_tol=1e-9, abs_tol=1e-6), (
        f"{budget.reserved} is reserved, the attempts need {reserved}"
    )
    for attempt in attempts:
        assert attempt.outcome is None or not attempt.reserved, "an ended attempt has a reserve"
    dear = [worker for worker in board.queue.free if worker.is_paid]
    assert not (budget.is_committed and dear), "a paid worker is free at the end of the budget"
    has_limit = budget.limit is not None and board.began_at is not None
    for worker in board.queue.workers:
        ahead = _prefetched_count(worker) and (worker.cost_per_s or worker.cost_per_task)
        assert not (has_limit and ahead), f"{worker.name} prefetched tasks of unknown cost"


def _check_parents(board: BoardState) -> None:
    """Check that each subtask belongs to one parent, and is not left over when that is gone."""
    for task_id, record in board.tasks.items():
        for child_id, child in (record.children or {}).items():
            assert child.task.parent_id == task_id, f"{child_id!r} is a child of two tasks"
            assert board.tasks[child_id] is child, f"{child_id!r} is a forgotten child"
        task, parent_id = record.task, record.task.parent_id
        if parent_id is None or task.on_parent_cancel is None:
            assert record.place is None, f"task {task_id!r} has a place of another one"
            continue
        parent = board.tasks[parent_id]
        assert record.place == (parent.sequence if parent.place is None else parent.place)
        is_linked = task_id in (parent.children or {})
        assert is_linked is (task.on_parent_cancel == "cancel"), f"{task_id!r} has lost its parent"


def _check_names(board: BoardState) -> None:
    """Check that the tasks that a task names exist, and that their `named_by` is right."""
    naming = Counter(named for record in board.tasks.values() for named in named_tasks(record.task))
    assert naming.keys() <= board.tasks.keys(), "a task names a forgotten task"
    for task_id, record in board.tasks.items():
        assert record.named_by == naming[task_id], f"task {task_id!r} counts {record.named_by}"


def _check_lease(label: str, attempt: Attempt) -> None:
    worker, key = attempt.worker, (attempt.task.task_id, attempt.number)
    assert worker.may_have_leases, f"{label} is leased to {worker.name}, which is lost"
    leases = worker.prefetched if attempt.is_prefetched else worker.running
    if attempt.suspended_at is not None:
        assert not attempt.is_prefetched, f"{label} is suspended and has not begun"
        assert attempt.deadline is None, f"{label} may time out while it is suspended"
        leases = worker.suspended
    assert leases.get(key) is attempt.task, f"{label} is not among {worker.name}'s leases"


def _check_counts(board: BoardState) -> None:
    actual = Counter(record.status for record in board.tasks.values())
    counted = {status: count for status, count in board.counts.items() if count}
    assert counted == actual, f"the counts are {counted}, the tasks {dict(actual)}"
    recorded = Counter(result.task_id for result in board.results)
    with_result = {each.task_id for each in board.tasks.values() if each.result is not None}
    assert set(recorded) == with_result, "results and records do not agree"
    twice = [task_id for task_id, count in recorded.items() if count > 1]
    assert not twice, f"results recorded more than once: {twice}"
    sequences = [record.sequence for record in board.tasks.values()]
    assert sequences == sorted(set(sequences)), "tasks are not in the order of their adding"


def _check_workers(board: BoardState) -> None:
    alive = {worker for worker in board.workers.values() if worker.alive}
    assert set(board.queue.workers) == alive, "the queue knows other workers than the board"
    present = set(board.worker_registry.present.values())
    assert present == alive, "the addresses belong to other workers than the connected ones"
    for name, worker in board.workers.items():
        assert worker.name == name, f"worker {worker.name} has the key {name}"
        assert worker.taken <= worker.slots, f"{name} has {worker.taken}/{worker.slots} slots taken"
        assert not worker.running.keys() & worker.stopping, (
            f"{name} runs an attempt that it was told to stop"
        )
        is_rid = not worker.taken and not worker.prefetched and not worker.suspended
        assert worker.may_have_leases or is_rid, f"{name} is lost and holds work"
        assert worker.alive is (worker.lost_at is None), f"{name} was lost at {worker.lost_at}"
        is_free = worker.alive and board.queue.is_free(worker)
        has_work = worker.taken or worker.suspended
        assert not (worker.is_retiring and has_work), f"{name} retires and holds work"
        if not board.has_ended:
            leaves = worker.alive and worker.drain is Drain.LEAVES and not worker.is_retiring
            assert leaves is (name in board.draining.leaving), f"{name} leaves, or not, wrongly"
            is_told = not (leaves and worker.holds_nothing)
            assert is_told or board.is_suspended, f"{name} is not told to leave"
        assert (worker in board.queue.free) is is_free, f"{name} is wrongly free or busy"
        assert worker.taken >= worker.slots or not worker.prefetched, (
            f"{name} has prefetched tasks although slots are free"
        )
        assert len(worker.prefetched) <= MAX_PREFETCHED, (
            f"{name} has prefetched {len(worker.prefetched)} tasks"
        )
        most = max_prefetched(worker, board.rules.quarantine_after)
        assert _prefetched_count(worker) <= most, f"{name} may begin tasks in its quarantine"
        expected_s = sum(attempt.expected_s for attempt in attempts_of(worker.prefetched))
        assert math.isclose(worker.prefetched_s, expected_s, abs_tol=1e-6), f"{name} is miscounted"
        assert not worker.running.keys() & worker.prefetched.keys(), (
            f"{name} runs an attempt that is prefetched"
        )
        assert not worker.suspended.keys() & (
            {*worker.running, *worker.prefetched, *worker.stopping, *worker.withdrawn}
        ), f"{name} holds a slot for an attempt that waits"
        leases = worker.running | worker.prefetched | worker.suspended
        for (task_id, number), record in leases.items():
            attempt = record.attempts[number - 1]
            assert record is board.tasks[task_id], f"{name} runs an unknown task {task_id!r}"
            assert attempt.outcome is None, f"{name} runs an attempt that has ended"
            assert attempt.worker is worker, f"{name} runs {attempt.worker.name}'s attempt"
    for name in board.worker_registry.challenges:
        assert board.workers[name].alive, f"a newcomer waits for the free name {name}"


def _prefetched_count(worker: WorkerRecord) -> int:
    """How many attempts a worker has prefetched, without those that lost their slot."""
    return sum(not each.is_displaced for each in attempts_of(worker.prefetched))


def _check_queue(board: BoardState) -> None:
    ready = {
        task_id
        for task_id, record in board.tasks.items()
        if record.status is TaskStatus.PENDING
        and not record.unfinished
        and record.wait_until is None
        and task_id not in board.held
    }
    for task_id in board.held:
        assert board.tasks[task_id].status is TaskStatus.PENDING, f"{task_id!r} is held back"

    groups = board.queue.groups.values()
    waiting = [entry.record.task_id for group in groups for entry in group.current_entries()]
    assert len(waiting) == len(set(waiting)), "a task waits twice"
    voted_on = {task_id for task_id, record in board.tasks.items() if wants_vote(record)}
    assert set(waiting) - voted_on == ready, f"{set(waiting) ^ ready} wait or do not wait, wrongly"
    assert board.queue.count == len(waiting), f"the queue counts {board.queue.count}"
    for record in board.tasks.values():
        if record.queue_entry is None or not wants_vote(record):
            assert (record.queue_entry is not None) is (record.task_id in ready), (
                f"task {record.task_id!r} has a wrong entry"
            )
    for group in groups:
        current = list(group.current_entries())
        assert group.count == len(current), f"a group counts {group.count}, not {len(current)}"
        for entry in current:
            terms = terms_of(entry.record)
            assert terms == group.terms, "a task in a group with other terms"
            restriction = terms.restriction
            avoided = entry.record.failed_by if restriction is None else restriction.avoided
            assert avoided == group.failed_by, "a task in a wrong group"


def _check_candidate_sets(board: BoardState) -> None:
    """Check that the cached candidates are those that the policy gives now."""
    queue = board.queue
    # Candidates are computed only while tasks are assigned.
    if board.began_at is None or board.has_ended or board.is_suspended:
        return
    if board.pause.holds:
        return
    if queue.pairs:
        # The user's pairing function decides which tasks wait.
        return
    for group in queue.groups.values():
        able = set(queue.eligibility_for(group).able(queue.workers))
        chosen = {worker for worker in able if worker.name not in group.failed_by} or able
        assert (group.candidate_set.workers if group.candidate_set else frozenset()) == chosen, (
            "a stale candidate set"
        )
        is_unmatched = group.unmatched_since is not None
        assert is_unmatched is (bool(queue.workers) and not able), "a group wrongly unmatched"
        if group.candidate_set is None or not group.count or group.entries.first is None:
            # `check_limiter` checks that none is first only where limits allow none.
            continue
        if queue.offers is not None:
            _check_offer(queue, group)
            continue
        head = group.candidate_set.head()
        assert head is not None, "a candidate set does not see its tasks"
        urgent = group.entries.first if queue.limiter else min(group.current_entries())
        assert head <= urgent, "a candidate set does not see its most urgent task"
        if queue.limiter is None or not queue.limiter.is_shut:
            assert not chosen & queue.free, f"tasks wait though {len(chosen & queue.free)} are free"


def _check_offer(queue: TaskQueue, group: TaskGroup) -> None:
    """Check that a learning policy is offered a group's most urgent task, and will be again."""
    offers = queue.offers
    assert offers is not None
    first = group.entries.first if queue.limiter else min(group.current_entries())
    assert group.listed is first, "a task is not offered"
    assert group in offers.waiting.heads, "a group is not offered"
    assert group.candidate_set is not None
    assert group.able == group.candidate_set.workers, "a group is offered with other workers"
    is_shut = queue.limiter is not None and queue.limiter.is_shut
    if group.able & queue.free and offers.wakes_at is None and not is_shut:
        is_busy = any(each.taken or each.prefetched or each.suspended for each in queue.workers)
        assert is_busy, "a task waits for ever though a worker is free"


def _check_timers(board: BoardState) -> None:
    watched = set(board.timers.watched())
    for record in board.tasks.values():
        for attempt in open_attempts(record):
            if attempt.due_at() is not None:
                assert attempt in watched, f"task {record.task_id!r} has no timer"
    held = any(worker.prefetched for worker in board.queue.workers)
    assert not held or board.prefetch.recall in watched, "no timer recalls prefetched tasks"
    quarantined = {timer.worker for timer in watched if isinstance(timer, Quarantine)}
    for name, worker in board.workers.items():
        if worker.quarantined_until is not None:
            assert worker in quarantined, f"no timer ends the quarantine of {name}"
    expiring = {timer.record for timer in watched if isinstance(timer, Expiry)}
    for task_id, record in board.tasks.items():
        may_expire = record.task.expires_s is not None and not record.status.is_final
        if may_expire and not board.has_ended:
            assert has_begun(record) or record in expiring, f"task {task_id!r} never expires"
    delayed = {task_id for task_id, each in board.tasks.items() if each.wait_until is not None}
    assert delayed == board.task_registry.delayed.keys(), "the delayed tasks are others"
    ending = {timer.record.task_id for timer in watched if isinstance(timer, DelayEnd)}
    assert delayed == ending, f"tasks {delayed ^ ending} wait for ever, or have a useless timer"
    for task_id in delayed:
        status = board.tasks[task_id].status
        assert not status.is_final, f"task {task_id!r} is {status.value} and waits"
    if board.rules.on_late == "fail" and not board.has_ended:
        late = {timer.record for timer in watched if isinstance(timer, Lateness)}
        for task_id, record in board.tasks.items():
            waits = record.status is TaskStatus.PENDING and record.task.deadline is not None
            assert not waits or record in late, f"task {task_id!r} never is late"
    warned_of = {timer.attempt for timer in watched if isinstance(timer, HeldSlotWarning)}
    for name, worker in board.workers.items():
        for task_id, number in worker.stopping:
            attempt = board.tasks[task_id].attempts[number - 1]
            assert attempt in warned_of, f"no timer warns of the slots that {name} holds"
    if board.queue.unmatched_timeout.lasts_s < math.inf and not board.pause.holds:
        for record in board.tasks.values():
            if record.queue_entry is not None and board.queue.gives_up_at(record) is not None:
                due_at = board.queue.unmatched_timeout.due_at()
                assert due_at is not None, f"task {record.task_id!r} would wait forever"
