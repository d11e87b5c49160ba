"""Assigns waiting tasks to free workers after each event; there is no schedule and no retry delay.

It also holds back the tasks that a manager's custom `assign_tasks` has not handed out yet.
"""

from __future__ import annotations

from collections.abc import Iterable

from ....messages import Task, TaskId, TaskStatus
from ..matching.paired_matches import PairedMatches
from ..matching.waiting_queue import Match
from ..model.events import TasksHandedOut
from ..model.instructions import SendAssignment
from ..model.leases import limit_attempt
from ..model.named_tuples import make_named
from ..model.occurrences import OccurrenceKind
from ..model.records import Attempt, TaskRecord, WorkerRecord
from ..model.second_opinions import lacks_votes, result_to_review
from .context import BoardContext
from .prefetch import Prefetch
from .spending import Spending
from .task_lifecycle import TaskLifecycle
from .task_registry import TaskRegistry
from .timer_kinds import BoardTimers
from .transitions import Cause

# Module constants, because access to an enum member takes longer than the rest of an assignment.
_ASSIGNED = Cause.ASSIGNED
_PENDING = TaskStatus.PENDING
_TASK_ASSIGNED = OccurrenceKind.TASK_ASSIGNED


class Assigner:
    """Assigns tasks to workers."""

    def __init__(
        self,
        context: BoardContext,
        tasks: TaskRegistry,
        prefetch: Prefetch,
        *,
        lifecycle: TaskLifecycle,
        timers: BoardTimers,
        spending: Spending,
    ) -> None:
        self._context = context
        self._tasks = tasks
        self._queue = context.queue
        self._prefetch = prefetch
        self._lifecycle = lifecycle
        self._timers = timers
        self._spending = spending

    # ------------------------------------------------------------------ handed out

    def hand_out(self, event: TasksHandedOut, *, holds_others: bool) -> None:
        """Release the pending tasks that the manager's custom `assign_tasks` hands out.

        Args:
            event: the tasks, with their timeouts and workers.
            holds_others: whether all other pending tasks are held back from now on.
        """
        tasks = self._tasks
        handed_out = {
            order.task_id: order
            for order in event.orders
            if tasks.find(order.task_id).status is TaskStatus.PENDING
        }
        for task_id, order in handed_out.items():
            record = tasks.by_id[task_id]
            if order.timeout_s is not None and order.timeout_s != record.task.timeout:
                self._lifecycle.alter(record, "timeout", order.timeout_s)
            if order.worker:
                self._queue.address(record, order.worker, self._context.now)
        if not holds_others:
            self.release(tuple(handed_out))
            return
        for record in tasks.by_id.values():
            if record.status is TaskStatus.PENDING and record.task_id not in handed_out:
                tasks.held[record.task_id] = None
                self._queue.remove(record)

    def release(self, task_ids: Iterable[TaskId]) -> None:
        """Enqueue the given tasks that are held back."""
        held = self._tasks.held
        for task_id in task_ids:
            if task_id in held:
                del held[task_id]
                self._lifecycle.enqueue(self._tasks.by_id[task_id])

    # ------------------------------------------------------------------ assigned

    def assign_waiting(self) -> None:
        """Assign all tasks that can be assigned now."""
        queue = self._queue
        now = self._context.now
        queue.refresh(now)
        if queue.limiter is not None and not queue.limiter.open_due(now):
            return
        if queue.pairs:
            self._assign_in_pairs(queue.pairs)
            return
        while (match := queue.next_match(now)) is not None:
            self._assign(match)
            if queue.limiter is not None and queue.limiter.is_shut:
                return
        given: dict[WorkerRecord, None] = {}
        for match in queue.prefetched.take():
            self._assign(match, is_prefetched=True)
            _, worker, _, _ = match
            given[worker] = None
        for worker in given:
            queue.update_load(worker)

    def _assign_in_pairs(self, pairs: PairedMatches) -> None:
        limiter, has_assigned = self._queue.limiter, True
        while has_assigned and not (limiter is not None and limiter.is_shut):
            has_assigned = False
            for match in pairs.take(self._context.now):
                self._assign(match)
                has_assigned = True

    def _assign(self, match: Match, *, is_prefetched: bool = False) -> None:
        record, worker, decision, duration = match
        context = self._context
        now, task, number = context.now, record.task, len(record.attempts) + 1
        timeout_s, deadline = limit_attempt(task, now, context.rules.time_scale)
        attempt = Attempt(number, worker, record, now, timeout_s, deadline)
        attempt.duration = duration
        if record.status is _PENDING:
            self._tasks.transition(record, _ASSIGNED)
        record.attempts.append(attempt)
        record.decision = decision
        record.progress = 0.0
        record.note = ""
        if is_prefetched:
            attempt.is_prefetched = True
            attempt.deadline = None
            attempt.expected_s = duration.expected_s
            if self._prefetch.hold(attempt):
                self._timers.set(self._prefetch.recall)
        else:
            worker.running[record.task_id, number] = record
            if deadline is not None:
                self._timers.set(attempt)
            self._queue.update_load(worker)
        if self._queue.limiter is not None:
            self._queue.limiter.begin(task, (record.task_id, number), now)
        if self._queue.budget.limit is not None:
            self._spending.reserve(attempt, duration)
        name = worker.name
        reviewed = result_to_review(record) if task.review else None
        attempt.is_review = reviewed is not None
        told = None if reviewed is None else _describe_review(reviewed)
        context.note_task(_TASK_ASSIGNED, record, number, name, told)
        inputs = self._inputs(task) if task.depends_on else {}
        address, packed = worker.worker_id, record.packed
        result = None if reviewed is None else reviewed.result
        errors = None
        if task.depends_on and task.run_if != "completed":
            errors = self._upstream_errors(task)
        order = (address, task, int(now), timeout_s, number, name, inputs, packed, result, errors)
        context.instructions.append(make_named(SendAssignment, order))
        if task.votes > 1:
            self._ask_for_votes(record)

    def _ask_for_votes(self, record: TaskRecord) -> None:
        """Enqueue a task again while fewer workers run it than have to vote."""
        if lacks_votes(record):
            self._queue.push(record, self._context.now)
            self._queue.refresh(self._context.now)

    def _inputs(self, task: Task) -> dict[TaskId, object]:
        by_id = self._tasks.by_id
        results = ((task_id, by_id[task_id].result) for task_id in task.depends_on)
        return {
            task_id: result.output
            for task_id, result in results
            if result is not None and result.success
        }

    def _upstream_errors(self, task: Task) -> dict[TaskId, str]:
        needed = (self._tasks.by_id[task_id] for task_id in task.depends_on)
        return {
            each.task_id: each.error_message or each.status.value
            for each in needed
            if each.status is not TaskStatus.COMPLETED
        }


def _describe_review(reviewed: Attempt) -> str:
    return f"review of attempt {reviewed.number} by {reviewed.worker.name}"
