"""A recorded run as a replay needs it: when tasks and workers came, and how attempts ended."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ...messages import Task, TaskId, WorkerProfile
from ..kernel.board.state import BoardState
from ..kernel.matching.eligibility import max_attempts_of
from ..kernel.model.occurrences import (
    SETTLING,
    CancellationCause,
    CancellationFacts,
    DeclineFacts,
    FailureFacts,
    Occurrence,
    OccurrenceKind,
    PriorityFacts,
    RequeueFacts,
)
from ..kernel.model.records import AttemptOutcome, TaskRecord
from ..kernel.trace import TaskFacts, Trace, trace_of


class RecordedAttempt(NamedTuple):
    """An attempt that ended with a result.

    Args:
        task_id: the task.
        number: the number of the attempt, from 1.
        worker: the worker's name.
        outcome: how it ended.
        started_at: when it began, in seconds.
        ended_at: when it ended, in seconds.
        error: its error message; "" for a success.
        cost: what it cost.
        quality: the grade of its output; None for none.
    """

    task_id: TaskId
    number: int
    worker: str
    outcome: AttemptOutcome
    started_at: float
    ended_at: float
    error: str = ""
    cost: float = 0.0
    quality: float | None = None

    @property
    def duration_s(self) -> float:
        """How long it took, in seconds."""
        return max(self.ended_at - self.started_at, 0.0)


class Presence(NamedTuple):
    """A worker came or left.

    Args:
        at: when, in seconds.
        worker: its name.
        is_join: whether it came.
    """

    at: float
    worker: str
    is_join: bool


class RecordedRun(NamedTuple):
    """A recorded run.

    Args:
        tasks: the tasks by id, in the order of adding.
        arrivals: when each task was added, in seconds.
        profiles: the profiles of the workers by name, in the order of joining.
        presences: when workers came and left, in the order of time.
        attempts: the attempts that ended with a result, in the order of their ends.
        cancels: when users cancelled tasks: the time and the task.
        priorities: when users changed priorities: the time, the task and its new priority.
        began_at: when the assigning began, in seconds; None if it did not.
        statuses: how tasks were settled.
        lost: the number of attempts that ended without a result.
        policy: the name of the policy; "" if unknown.
        is_complete: whether nothing is missing from the record.
    """

    tasks: Mapping[TaskId, Task]
    arrivals: Mapping[TaskId, float]
    profiles: Mapping[str, WorkerProfile]
    presences: Sequence[Presence]
    attempts: Sequence[RecordedAttempt]
    cancels: Sequence[tuple[float, TaskId]]
    priorities: Sequence[tuple[float, TaskId, int]]
    began_at: float | None
    statuses: Mapping[TaskId, OccurrenceKind]
    lost: int
    policy: str = ""
    is_complete: bool = True


def recorded_in_store(
    board: BoardState, records: Iterable[TaskRecord] | None = None
) -> RecordedRun:
    """The run of a board, such as one that was restored from a store.

    Args:
        board: the run.
        records: some of its tasks; None for all.
    """
    recorded = recorded_in_trace(trace_of(board, "", records))
    attempts: list[RecordedAttempt] = []
    for each in recorded.attempts:
        kept = board.tasks[each.task_id].attempts[each.number - 1]
        if kept.is_review:
            continue
        # It got a slot later than it was assigned if it was prefetched.
        attempts.append(
            each._replace(
                started_at=min(max(kept.started_at, each.started_at), each.ended_at),
                cost=kept.cost or each.cost,
                quality=kept.quality,
            )
        )
    tasks = {task_id: _task_of(board.tasks[task_id]) for task_id in recorded.tasks}
    return recorded._replace(tasks=tasks, attempts=attempts, policy=board.policy_name)


def _task_of(record: TaskRecord) -> Task:
    """A task that has as many attempts as the manager's retries and its ladder gave it."""
    most = max_attempts_of(record)
    task = record.task
    return task if task.max_attempts == most else task.model_copy(update={"max_attempts": most})


def recorded_in_trace(trace: Trace) -> RecordedRun:
    """The run that was traced."""
    reading = _Reading(trace)
    for occurrence in trace.occurrences:
        reading.read(occurrence)
    return reading.run()


_LEAVES = frozenset({OccurrenceKind.WORKER_LOST, OccurrenceKind.WORKER_RETIRED})
_JOINS = frozenset({OccurrenceKind.WORKER_JOINED, OccurrenceKind.WORKER_RETURNED})
_FAILED = {
    OccurrenceKind.ATTEMPT_FAILED: AttemptOutcome.FAILED,
    OccurrenceKind.ATTEMPT_TIMED_OUT: AttemptOutcome.TIMED_OUT,
}
_SUCCEEDED = frozenset({OccurrenceKind.TASK_COMPLETED, OccurrenceKind.ATTEMPT_SUCCEEDED})
_OF_TASKS = [field for field in TaskFacts._fields if field in Task.model_fields]


class _Reading:
    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._arrivals: dict[TaskId, float] = {}
        self._presences: list[Presence] = []
        self._assigned: dict[tuple[TaskId, int], tuple[float, str]] = {}
        self._attempts: list[RecordedAttempt] = []
        self._cancels: list[tuple[float, TaskId]] = []
        self._priorities: list[tuple[float, TaskId, int]] = []
        self._statuses: dict[TaskId, OccurrenceKind] = {}
        self._max_attempts: dict[TaskId, int] = {}
        self._failures: dict[TaskId, int] = {}
        self._began_at: float | None = None
        self._has_ended = False
        self._lost = 0

    def read(self, occurrence: Occurrence) -> None:
        at, what, task_id, _, worker, _ = occurrence
        if task_id is not None:
            if task_id in self._trace.tasks:
                self._read_task(occurrence, task_id)
        elif what in _JOINS or what in _LEAVES:
            if worker in self._trace.workers and not self._has_ended:
                self._presences.append(Presence(at, worker, is_join=what in _JOINS))
        elif what is OccurrenceKind.ASSIGNING_BEGUN:
            self._began_at = at if self._began_at is None else self._began_at
        elif what is OccurrenceKind.RUN_ENDED:
            # The workers leave because of it.
            self._has_ended = True

    def _read_task(self, occurrence: Occurrence, task_id: TaskId) -> None:
        at, what, _, number, worker, facts = occurrence
        if what is OccurrenceKind.TASK_ADDED:
            self._arrivals[task_id] = at
        elif what is OccurrenceKind.TASK_ASSIGNED:
            self._assigned[task_id, number] = (at, worker)
        elif what in _FAILED:
            error = facts.error if isinstance(facts, FailureFacts) else "failed: no reason known"
            self._failures[task_id] = self._failures.get(task_id, 0) + 1
            self._end(occurrence, task_id, _FAILED[what], error)
        elif what in _SUCCEEDED:
            self._end(occurrence, task_id, AttemptOutcome.SUCCEEDED)
        elif what is OccurrenceKind.ATTEMPT_DECLINED:
            reason = facts.reason if isinstance(facts, DeclineFacts) else ""
            self._end(occurrence, task_id, AttemptOutcome.DECLINED, reason or "declined")
        elif what is OccurrenceKind.ATTEMPT_REJECTED:
            self._failures[task_id] = self._failures.get(task_id, 0) + 1
            self._reject(task_id, number, facts)
        elif what is OccurrenceKind.ATTEMPT_REVIEWED:
            # A review is no attempt at the task.
            self._assigned.pop((task_id, number), None)
        elif what is OccurrenceKind.TASK_REQUEUED and isinstance(facts, RequeueFacts):
            if self._assigned.pop((task_id, number), None) is not None:
                self._lost += 1
            elif facts.attempts_left:
                failures = self._failures.get(task_id, 0)
                self._max_attempts[task_id] = failures + facts.attempts_left
        elif what is OccurrenceKind.TASK_CANCELLED and isinstance(facts, CancellationFacts):
            if facts.cause is CancellationCause.REQUESTED:
                self._cancels.append((at, task_id))
        elif what is OccurrenceKind.TASK_REPRIORITIZED and isinstance(facts, PriorityFacts):
            self._priorities.append((at, task_id, facts.after))
        if what in SETTLING:
            self._statuses[task_id] = what

    def _end(
        self, occurrence: Occurrence, task_id: TaskId, outcome: AttemptOutcome, error: str = ""
    ) -> None:
        number = occurrence.attempt
        assigned = self._assigned.pop((task_id, number), None)
        if assigned is None or assigned[1] not in self._trace.workers:
            return
        self._attempts.append(
            RecordedAttempt(
                task_id, number, assigned[1], outcome, assigned[0], occurrence.at, error
            )
        )

    def _reject(self, task_id: TaskId, number: int, facts: object) -> None:
        error = facts.error if isinstance(facts, FailureFacts) else "rejected: no reason known"
        # It was one of the latest.
        for place in reversed(range(len(self._attempts))):
            each = self._attempts[place]
            if each.task_id == task_id and each.number == number:
                rejected = each._replace(outcome=AttemptOutcome.REJECTED, error=error)
                self._attempts[place] = rejected
                return

    def run(self) -> RecordedRun:
        usual = max(self._max_attempts.values(), default=1)
        tasks = {
            task_id: self._task_of(facts, self._max_attempts.get(task_id, usual))
            for task_id, facts in self._trace.tasks.items()
            if task_id in self._arrivals
        }
        attempts = [self._with_cost(each) for each in self._with_slots()]
        return RecordedRun(
            tasks,
            self._arrivals,
            dict(self._trace.workers),
            self._presences,
            sorted(attempts, key=lambda each: each.ended_at),
            self._cancels,
            self._priorities,
            self._began_at,
            self._statuses,
            self._lost,
            is_complete=not self._trace.dropped,
        )

    def _task_of(self, facts: TaskFacts, max_attempts: int) -> Task:
        fields = {name: getattr(facts, name) for name in _OF_TASKS}
        # What a task depends on may have been forgotten.
        fields["depends_on"] = tuple(each for each in facts.depends_on if each in self._arrivals)
        return Task(id=facts.task_id, timeout=facts.timeout_s, max_attempts=max_attempts, **fields)

    def _with_slots(self) -> Iterator[RecordedAttempt]:
        """The attempts, each from when its worker had a slot for it: it may have waited there."""
        by_worker: dict[str, list[RecordedAttempt]] = {}
        for each in self._attempts:
            by_worker.setdefault(each.worker, []).append(each)
        for name, attempts in by_worker.items():
            free_from = [float("-inf")] * self._trace.workers[name].slots
            for each in sorted(attempts, key=lambda each: (each.started_at, each.ended_at)):
                started_at = max(each.started_at, heapq.heappop(free_from))
                started_at = min(started_at, each.ended_at)
                heapq.heappush(free_from, each.ended_at)
                yield each._replace(started_at=started_at)

    def _with_cost(self, attempt: RecordedAttempt) -> RecordedAttempt:
        profile = self._trace.workers[attempt.worker]
        cost = profile.cost_per_task + profile.cost_per_s * attempt.duration_s
        return attempt._replace(cost=cost)
