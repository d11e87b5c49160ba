"""Counts the events of a running manager: the run's progress and the state of each worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ....messages import TaskId, TaskStatus
from ...kernel.model.occurrences import SETTLING, JoinFacts, Occurrence, OccurrenceKind, RetryFacts

MAX_PENDING = 10_000
"""How many events are kept for the display; older ones are counted in `dropped`."""

_ENDING_AN_ATTEMPT = SETTLING | {
    OccurrenceKind.ATTEMPT_SUCCEEDED,
    OccurrenceKind.ATTEMPT_REVIEWED,
    OccurrenceKind.ATTEMPT_FAILED,
    OccurrenceKind.ATTEMPT_TIMED_OUT,
    OccurrenceKind.ATTEMPT_DECLINED,
    OccurrenceKind.TASK_REQUEUED,
}


_TOLD_AGAIN = frozenset({OccurrenceKind.ATTEMPT_FAILED, OccurrenceKind.ATTEMPT_TIMED_OUT})
"""What another event follows that ends the same attempt."""


@dataclass(slots=True)
class WorkerTally:
    """The state of one worker.

    Args:
        name: its name.
        profile: its profile as text, such as "skill 3", without the slots.
        slots: how many tasks it runs at once, or "" if unknown.
        is_connected: whether it is connected.
        is_draining: whether it gets no more tasks.
        running: its tasks, the latest last.
        succeeded: how many attempts succeeded.
        failed: how many attempts failed.
    """

    name: str
    profile: str = ""
    slots: str = ""
    is_connected: bool = True
    is_draining: bool = False
    running: dict[TaskId, None] = field(default_factory=dict[TaskId, None])
    succeeded: int = 0
    failed: int = 0


@dataclass(slots=True)
class TimedOccurrence:
    """An event, and the duration in seconds of the attempt that it ended, if it ended one."""

    occurrence: Occurrence
    took_s: float | None = None


class RunTally:
    """Counts events; fast enough for many thousand a second.

    Args:
        tasks: the number of tasks at the start.
        began_at: when the run began, on the clock of the events.
        before: for a resumed run, the number of tasks of each status; None for a new run.
    """

    def __init__(
        self, tasks: int, began_at: float, before: Mapping[TaskStatus, int] | None = None
    ) -> None:
        self.tasks = tasks
        self.began_at = began_at
        self.assigning_since: float | None = None
        self.is_paused = False
        """Whether the run is paused: nothing is assigned."""
        self.limits = ""
        """Which limit holds back waiting tasks, as one line; "" if none does."""
        self._is_resumed = before is not None
        before = before or {}
        self.succeeded = before.get(TaskStatus.COMPLETED, 0)
        self.failed = before.get(TaskStatus.FAILED, 0)
        self.cancelled = before.get(TaskStatus.CANCELLED, 0)
        self._settled_before = self.settled
        self.ended = False
        # Grows with the number of workers that ever joined, as the board does.
        self.workers: dict[str, WorkerTally] = {}
        self.pending: deque[TimedOccurrence] = deque(maxlen=MAX_PENDING)
        self.dropped = 0
        # By task and the number of the attempt.
        self._leases: dict[TaskId, dict[int, tuple[WorkerTally, float]]] = {}

    @property
    def settled(self) -> int:
        """The number of settled tasks."""
        return self.succeeded + self.failed + self.cancelled

    def rate(self, at: float) -> float:
        """Settled tasks per second since assignment began or was resumed."""
        if self.assigning_since is None or at <= self.assigning_since:
            return 0.0
        return (self.settled - self._settled_before) / (at - self.assigning_since)

    def note(self, occurrence: Occurrence) -> None:
        """Count one event."""
        what, task_id = occurrence.what, occurrence.task_id
        took_s = None
        if what is OccurrenceKind.TASK_ASSIGNED and task_id is not None:
            worker = self._worker(occurrence.worker)
            worker.running[task_id] = None
            lease = (worker, occurrence.at)
            self._leases.setdefault(task_id, {})[occurrence.attempt] = lease
        elif what in _ENDING_AN_ATTEMPT and task_id is not None:
            took_s = self._end_attempt(occurrence, task_id)
        match what:
            case OccurrenceKind.TASK_ADDED:
                self.tasks += 1
            case OccurrenceKind.TASK_COMPLETED:
                self.succeeded += 1
                self._worker(occurrence.worker).succeeded += 1
            case OccurrenceKind.TASK_FAILED:
                self.failed += 1
            case OccurrenceKind.TASK_CANCELLED:
                self.cancelled += 1
            case OccurrenceKind.TASK_RETRIED if isinstance(occurrence.facts, RetryFacts):
                self.failed -= occurrence.facts.before is TaskStatus.FAILED
                self.cancelled -= occurrence.facts.before is TaskStatus.CANCELLED
            case (
                OccurrenceKind.ATTEMPT_FAILED
                | OccurrenceKind.ATTEMPT_TIMED_OUT
                | OccurrenceKind.ATTEMPT_REJECTED
            ):
                self._worker(occurrence.worker).failed += 1
            case OccurrenceKind.WORKER_JOINED:
                worker = self._worker(occurrence.worker)
                worker.is_connected = True
                if isinstance(occurrence.facts, JoinFacts):
                    worker.profile = f"skill {occurrence.facts.skill_level}"
                    worker.slots = str(occurrence.facts.slots)
            case OccurrenceKind.WORKER_LOST:
                self._worker(occurrence.worker).is_connected = False
            case OccurrenceKind.WORKER_DRAINED | OccurrenceKind.WORKER_RESUMED:
                draining = what is OccurrenceKind.WORKER_DRAINED
                self._worker(occurrence.worker).is_draining = draining
            case OccurrenceKind.RUN_PAUSED | OccurrenceKind.RUN_UNPAUSED:
                self.is_paused = what is OccurrenceKind.RUN_PAUSED
            case OccurrenceKind.ASSIGNING_BEGUN:
                self.assigning_since = occurrence.at
            case OccurrenceKind.RUN_RESUMED if self._is_resumed:
                self.assigning_since = occurrence.at
            case OccurrenceKind.RUN_ENDED:
                self.ended = True
            case _:
                pass
        if len(self.pending) == MAX_PENDING:
            self.dropped += 1
        self.pending.append(TimedOccurrence(occurrence, took_s))

    def _worker(self, name: str) -> WorkerTally:
        worker = self.workers.get(name)
        if worker is None:
            worker = self.workers[name] = WorkerTally(name)
        return worker

    def _end_attempt(self, end: Occurrence, task_id: TaskId) -> float | None:
        leases = self._leases.get(task_id, {})
        took_s = None
        # What settles a task ends all its attempts.
        ends_all = end.what in SETTLING or not end.attempt
        for attempt in [each for each in leases if ends_all or each == end.attempt]:
            worker, since = leases[attempt]
            worker.running.pop(task_id, None)
            took_s = end.at - since
            if end.what not in _TOLD_AGAIN:
                del leases[attempt]
        if not leases:
            self._leases.pop(task_id, None)
        return took_s
