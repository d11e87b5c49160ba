"""What must always hold of a board, whatever happened to it. Only tests look."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from ....messages import TaskId, TaskStatus
from ..matching.policies import find_obstacle
from ..model.records import MAX_AHEAD, MAX_STORY, Attempt, AttemptOutcome, TaskRecord
from .expiry import Expiry, has_begun
from .held_slots import HeldSlotWarning
from .prefetch import attempts_of
from .task_checks import named_tasks
from .worker_registry import Quarantine

if TYPE_CHECKING:
    from .state import BoardState


def check_invariants(board: BoardState) -> None:
    """See that everything fits together; looks at every task and worker.

    Raises:
        AssertionError: something does not; says what.
    """
    for task_id, record in board.tasks.items():
        _check_task(board, task_id, record)
    _check_names(board)
    _check_counts(board)
    _check_workers(board)
    _check_queue(board)
    _check_crews(board)
    _check_alarms(board)


def _check_task(board: BoardState, task_id: TaskId, record: TaskRecord) -> None:
    told = f"task {task_id!r} ({record.status.value})"
    assert record.task_id == task_id, f"{told} is filed under the wrong id"
    assert len(record.story) <= MAX_STORY, f"{told} has a story of {len(record.story)}"
    numbers = [attempt.number for attempt in record.attempts]
    assert numbers == list(range(1, len(numbers) + 1)), f"{told} has the attempts {numbers}"
    holding = [attempt for attempt in record.attempts if attempt.ending is None]
    if record.status is TaskStatus.IN_PROGRESS:
        assert holding == record.attempts[-1:], f"{told} has {len(holding)} leases"
        _check_lease(told, holding[0])
    else:
        assert not holding, f"{told} still has a lease"
    failed = Counter(attempt.ending for attempt in record.attempts)
    assert record.failures == failed[AttemptOutcome.FAILED] + failed[AttemptOutcome.TIMED_OUT], (
        f"{told} counts {record.failures} failures"
    )
    assert record.losses == failed[AttemptOutcome.LOST], f"{told} counts {record.losses} losses"
    is_final = record.status.is_final
    assert (record.finished_at is not None) is is_final, f"{told} finished {record.finished_at}"
    needed = [board.tasks[each] for each in dict.fromkeys(record.task.depends_on)]
    unfinished = sum(each.status is not TaskStatus.COMPLETED for each in needed)
    assert record.unfinished == unfinished, f"{told} waits for {record.unfinished} tasks"
    if record.status is TaskStatus.PENDING:
        gone_wrong = [each.task_id for each in needed if each.status.is_final and unfinished]
        gone_wrong = [
            each for each in gone_wrong if board.tasks[each].status is not TaskStatus.COMPLETED
        ]
        assert not gone_wrong, f"{told} waits for {gone_wrong}, which will never be completed"
    if record.status is TaskStatus.COMPLETED:
        assert record.result is not None, f"{told} has no result"
        assert record.result.success, f"{told} has the result of a failure"
        assert record.error_message is None, f"{told} has the error {record.error_message!r}"
    elif is_final:
        assert record.error_message, f"{told} does not say why"
        assert record.result is None or not record.result.success, f"{told} has a success"


def _check_names(board: BoardState) -> None:
    """See that whatever a task names is there, and knows how many name it."""
    naming = Counter(named for record in board.tasks.values() for named in named_tasks(record.task))
    assert naming.keys() <= board.tasks.keys(), "a task names one that was forgotten"
    for task_id, record in board.tasks.items():
        assert record.named_by == naming[task_id], f"task {task_id!r} counts {record.named_by}"


def _check_lease(told: str, attempt: Attempt) -> None:
    worker, key = attempt.worker, (attempt.task.task_id, attempt.number)
    assert worker.may_have_leases, f"{told} is leased to {worker.name}, which is lost"
    books = worker.ahead if attempt.is_ahead else worker.running
    assert books.get(key) is attempt.task, f"{told} does not stand in {worker.name}'s books"


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
    present = set(board.members.present.values())
    assert present == alive, "the addresses belong to others than the living"
    for name, worker in board.workers.items():
        assert worker.name == name, f"worker {worker.name} is filed under {name}"
        assert worker.taken <= worker.slots, f"{name} has {worker.taken}/{worker.slots} slots taken"
        assert not worker.running.keys() & worker.stopping, f"{name} runs what it is to stop"
        is_rid = not worker.taken and not worker.ahead
        assert worker.may_have_leases or is_rid, f"{name} is lost and holds work"
        assert worker.alive is (worker.lost_at is None), f"{name} was lost at {worker.lost_at}"
        is_free = worker.alive and board.queue.is_free(worker)
        assert not (worker.is_retiring and worker.taken), f"{name} retires and holds work"
        assert (worker in board.queue.free) is is_free, f"{name} is wrongly free or busy"
        assert worker.taken >= worker.slots or not worker.ahead, f"{name} has slots for what waits"
        assert len(worker.ahead) <= MAX_AHEAD, f"{name} was sent {len(worker.ahead)} tasks ahead"
        most = worker.most_ahead(board.rules.quarantine_after)
        assert len(worker.ahead) <= most, f"{name} would begin tasks in its quarantine"
        expected_s = sum(attempt.expected_s for attempt in attempts_of(worker.ahead))
        assert math.isclose(worker.ahead_s, expected_s, abs_tol=1e-6), f"{name} is miscounted"
        assert not worker.running.keys() & worker.ahead.keys(), f"{name} runs what waits"
        for (task_id, number), record in (worker.running | worker.ahead).items():
            attempt = record.attempts[number - 1]
            assert record is board.tasks[task_id], f"{name} runs an unknown task {task_id!r}"
            assert attempt.ending is None, f"{name} runs an attempt that has ended"
            assert attempt.worker is worker, f"{name} runs {attempt.worker.name}'s attempt"
    for name in board.members.challenges:
        assert board.workers[name].alive, f"somebody waits for the free name {name}"


def _check_queue(board: BoardState) -> None:
    ready = {
        task_id
        for task_id, record in board.tasks.items()
        if record.status is TaskStatus.PENDING
        and not record.unfinished
        and task_id not in board.held
    }
    for task_id in board.held:
        assert board.tasks[task_id].status is TaskStatus.PENDING, f"{task_id!r} is held back"

    buckets = board.queue.buckets.values()
    waiting = [place.record.task_id for bucket in buckets for place in bucket.living()]
    assert len(waiting) == len(set(waiting)), "a task waits twice"
    assert set(waiting) == ready, f"{set(waiting) ^ ready} wrongly wait, or wrongly do not"
    assert board.queue.count == len(waiting), f"the queue counts {board.queue.count}"
    for record in board.tasks.values():
        assert (record.place is not None) is (record.task_id in ready), (
            f"task {record.task_id!r} has a wrong place"
        )
    for bucket in buckets:
        living = list(bucket.living())
        assert bucket.count == len(living), f"a bucket counts {bucket.count}, not {len(living)}"
        failed_by = {place.record.failed_by for place in living}
        assert failed_by <= {bucket.avoided}, "a task in a wrong bucket"


def _check_crews(board: BoardState) -> None:
    """See that the caches say what the policy would say now."""
    queue = board.queue
    # Who can do what is only worked out while there is something to hand out.
    if board.began_at is None or board.has_ended or board.is_suspended:
        return
    if queue.pairs:
        # What waits there, and at whom, is up to the user's own function.
        return
    for bucket in queue.buckets.values():
        able = {
            worker
            for worker in queue.workers
            if find_obstacle(queue.policy, bucket.sample, worker) is None
        }
        chosen = {worker for worker in able if worker.name not in bucket.avoided} or able
        assert (bucket.crew.workers if bucket.crew else frozenset()) == chosen, "a stale crew"
        is_unmatched = bucket.unmatched_since is not None
        assert is_unmatched is (bool(queue.workers) and not able), "a bucket wrongly unmatched"
        if bucket.crew is None or not bucket.count:
            continue
        head = bucket.crew.head()
        assert head is not None, "a crew does not see its tasks"
        assert head <= min(bucket.living()), "a crew does not see its most urgent task"
        assert not chosen & queue.free, f"tasks wait though {len(chosen & queue.free)} are free"


def _check_alarms(board: BoardState) -> None:
    watched = set(board.alarms.watched())
    for record in board.tasks.values():
        if record.status is TaskStatus.IN_PROGRESS and record.deadline is not None:
            assert record.attempts[-1] in watched, f"nobody watches task {record.task_id!r}"
    held = any(worker.ahead for worker in board.queue.workers)
    assert not held or board.ahead.looking in watched, "nobody takes back what waits at workers"
    quarantined = {alarm.worker for alarm in watched if isinstance(alarm, Quarantine)}
    for name, worker in board.workers.items():
        if worker.quarantined_until is not None:
            assert worker in quarantined, f"nobody releases {name} from its quarantine"
    expiring = {alarm.record for alarm in watched if isinstance(alarm, Expiry)}
    for task_id, record in board.tasks.items():
        may_expire = record.task.expires_s is not None and not record.status.is_final
        if may_expire and not board.has_ended:
            assert has_begun(record) or record in expiring, f"task {task_id!r} never expires"
    warned_of = {alarm.attempt for alarm in watched if isinstance(alarm, HeldSlotWarning)}
    for name, worker in board.workers.items():
        for task_id, number in worker.stopping:
            attempt = board.tasks[task_id].attempts[number - 1]
            assert attempt in warned_of, f"nobody warns of what {name} holds"
    if board.queue.patience.lasts_s < math.inf:
        for record in board.tasks.values():
            if record.place is not None and record.place.bucket.unmatched_since is not None:
                due_at = board.queue.patience.due_at()
                assert due_at is not None, f"task {record.task_id!r} would wait for ever"
