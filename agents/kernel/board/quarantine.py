"""Stops assigning tasks to workers in quarantine after failures, and to retiring workers."""

from __future__ import annotations

from ....messages import IllegalTransition, UnknownName
from ..model.events import RetirementRequested
from ..model.instructions import RetireWorker
from ..model.occurrences import OccurrenceKind, QuarantineFacts
from ..model.records import WorkerRecord
from .context import BoardContext
from .timer_kinds import BoardTimers
from .worker_registry import Quarantine, WorkerRegistry


class QuarantinePolicy:
    """Decides which connected workers get no tasks."""

    def __init__(
        self,
        context: BoardContext,
        workers: WorkerRegistry,
        timers: BoardTimers,
    ) -> None:
        self._context = context
        self._workers = workers
        self._queue = context.queue
        self._timers = timers

    def count_failure(self, worker: WorkerRecord) -> None:
        """Count a failed attempt of a worker; too many in a row start its quarantine."""
        worker.failures_in_a_row += 1
        rules = self._context.rules
        limit = rules.quarantine_after
        if limit is None:
            return
        if worker.failures_in_a_row < limit:
            if worker.alive:
                self._queue.update_load(worker)
            return
        if worker.alive and worker.quarantined_until is None:
            worker.quarantined_until = self._context.now + rules.quarantine_s
            self._timers.set(Quarantine(worker))
            self._queue.update_availability(worker)
            facts = QuarantineFacts(worker.failures_in_a_row, rules.quarantine_s)
            self._context.note(OccurrenceKind.WORKER_QUARANTINED, worker.name, facts)

    def release(self, worker: WorkerRecord) -> None:
        """End a worker's quarantine, and reset its count of failures."""
        worker.quarantined_until = None
        worker.failures_in_a_row = 0
        if worker.alive:
            self._queue.update_availability(worker)
        self._context.note(OccurrenceKind.WORKER_RELEASED, worker.name)

    def retire(self, event: RetirementRequested) -> None:
        """Tell a worker that holds no task to stop.

        Raises:
            UnknownName: no worker with this name is connected.
            IllegalTransition: the worker has running tasks.
        """
        worker = self._workers.by_name.get(event.worker)
        if worker is None or not worker.alive:
            connected = (each.name for each in self._workers.present.values())
            raise UnknownName("connected worker", event.worker, connected)
        if worker.taken or worker.suspended:
            count = worker.taken + len(worker.suspended)
            raise IllegalTransition(
                f"worker {worker.name!r} holds {count} tasks, so it can't be retired; "
                "retire a worker without running tasks"
            )
        if not worker.is_retiring:
            worker.is_retiring = True
            self._queue.update_availability(worker)
            self._context.note(OccurrenceKind.WORKER_RETIRED, worker.name)
            self._context.instructions.append(RetireWorker(worker.worker_id))
