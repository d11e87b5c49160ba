"""What a running manager's occurrences add up to: how far the run is, and who does what."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ....messages import TaskId, TaskStatus
from ...kernel.model.occurrences import SETTLING, JoinFacts, Occurrence, OccurrenceKind

MAX_UNTOLD = 10_000
"""How many occurrences are kept for whoever draws; older ones are counted in `forgotten`."""

_ENDING_AN_ATTEMPT = SETTLING | {
    OccurrenceKind.ATTEMPT_FAILED,
    OccurrenceKind.ATTEMPT_TIMED_OUT,
    OccurrenceKind.TASK_REQUEUED,
}


@dataclass(slots=True)
class WorkerTally:
    """One worker, as far as occurrences tell.

    Args:
        name: its name.
        about: what it told when it joined, for people, but for its slots.
        slots: how many tasks it runs at once, or "" if that is not told.
        present: whether it is there.
        running: its tasks, the latest last.
        succeeded: how many attempts went well.
        failed: how many attempts did not.
    """

    name: str
    about: str = ""
    slots: str = ""
    present: bool = True
    running: dict[TaskId, None] = field(default_factory=dict[TaskId, None])
    succeeded: int = 0
    failed: int = 0


@dataclass(slots=True)
class CountedOccurrence:
    """An occurrence, and how long the attempt took that it ended, in seconds, if it ended one."""

    occurrence: Occurrence
    took_s: float | None = None


class RunTally:
    """Counts occurrences; made to be called many thousand times a second.

    Args:
        tasks: how many tasks there are at the beginning.
        began_at: when the run began, in the time of the occurrences.
        before: how many tasks there are of each status, if the assigning began under another
            manager; None if it has not begun.
    """

    def __init__(
        self, tasks: int, began_at: float, before: Mapping[TaskStatus, int] | None = None
    ) -> None:
        self.tasks = tasks
        self.began_at = began_at
        self.assigning_since: float | None = None
        self._goes_on = before is not None
        before = before or {}
        self.succeeded = before.get(TaskStatus.COMPLETED, 0)
        self.failed = before.get(TaskStatus.FAILED, 0)
        self.cancelled = before.get(TaskStatus.CANCELLED, 0)
        self._settled_before = self.settled
        self.ended = False
        # Grows with the workers that ever came, as the board's own record of them does.
        self.workers: dict[str, WorkerTally] = {}
        self.untold: deque[CountedOccurrence] = deque(maxlen=MAX_UNTOLD)
        self.forgotten = 0
        self._leases: dict[TaskId, tuple[WorkerTally, float]] = {}

    @property
    def settled(self) -> int:
        """How many tasks will not change any more."""
        return self.succeeded + self.failed + self.cancelled

    def rate(self, at: float) -> float:
        """How many tasks were settled a second since the assigning began, or went on."""
        if self.assigning_since is None or at <= self.assigning_since:
            return 0.0
        return (self.settled - self._settled_before) / (at - self.assigning_since)

    def note(self, occurrence: Occurrence) -> None:
        """Count one occurrence."""
        what, task_id = occurrence.what, occurrence.task_id
        took_s = None
        if what is OccurrenceKind.TASK_ASSIGNED and task_id is not None:
            worker = self._worker(occurrence.worker)
            worker.running[task_id] = None
            self._leases[task_id] = (worker, occurrence.at)
        elif what in _ENDING_AN_ATTEMPT and task_id is not None:
            took_s = self._end_attempt(what, task_id, occurrence.at)
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
            case OccurrenceKind.ATTEMPT_FAILED | OccurrenceKind.ATTEMPT_TIMED_OUT:
                self._worker(occurrence.worker).failed += 1
            case OccurrenceKind.WORKER_JOINED:
                worker = self._worker(occurrence.worker)
                worker.present = True
                if isinstance(occurrence.facts, JoinFacts):
                    worker.about = f"skill {occurrence.facts.skill_level}"
                    worker.slots = str(occurrence.facts.slots)
            case OccurrenceKind.WORKER_LOST:
                self._worker(occurrence.worker).present = False
            case OccurrenceKind.ASSIGNING_BEGUN:
                self.assigning_since = occurrence.at
            case OccurrenceKind.RUN_RESUMED if self._goes_on:
                self.assigning_since = occurrence.at
            case OccurrenceKind.RUN_ENDED:
                self.ended = True
            case _:
                pass
        if len(self.untold) == MAX_UNTOLD:
            self.forgotten += 1
        self.untold.append(CountedOccurrence(occurrence, took_s))

    def _worker(self, name: str) -> WorkerTally:
        worker = self.workers.get(name)
        if worker is None:
            worker = self.workers[name] = WorkerTally(name)
        return worker

    def _end_attempt(self, what: OccurrenceKind, task_id: TaskId, at: float) -> float | None:
        lease = self._leases.get(task_id)
        if lease is None:
            return None
        worker, since = lease
        worker.running.pop(task_id, None)
        if what in SETTLING or what is OccurrenceKind.TASK_REQUEUED:
            del self._leases[task_id]
        return at - since
