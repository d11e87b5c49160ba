"""Connected workers that are given nothing for a while: in quarantine, or told to retire."""

from __future__ import annotations

from ....messages import IllegalTransition, UnknownName
from ..matching.task_queue import TaskQueue
from ..model.events import (
    Instruction,
    Occurrence,
    OccurrenceKind,
    RetirementRequested,
    RetireWorker,
)
from ..model.records import Rules, WorkerRecord
from .timer_kinds import BoardAlarms
from .worker_registry import Quarantine, WorkerRegistry


class QuarantinePolicy:
    """Decides who is given nothing. What it wants said it adds to `said`.

    Args:
        rules: how many failures in a row are too many, and for how long.
        members: who is there.
        queue: where the connected workers are matched with tasks.
        alarms: where quarantines are watched.
    """

    def __init__(
        self,
        rules: Rules,
        members: WorkerRegistry,
        queue: TaskQueue,
        alarms: BoardAlarms,
    ) -> None:
        self.rules = rules
        self._members = members
        self._queue = queue
        self._alarms = alarms

    def count_failure(self, worker: WorkerRecord, now: float, said: list[Instruction]) -> None:
        """Count a worker's failure; with too many in a row its quarantine begins."""
        worker.failures_in_a_row += 1
        limit = self.rules.quarantine_after
        if limit is None:
            return
        if worker.failures_in_a_row < limit:
            if worker.alive:
                self._queue.note_load(worker)
            return
        if worker.alive and worker.quarantined_until is None:
            lasts_s = self.rules.quarantine_s
            worker.quarantined_until = now + lasts_s
            self._alarms.set(Quarantine(worker))
            self._queue.note_standing(worker)
            detail = f"failed {worker.failures_in_a_row} times in a row; for {lasts_s:g} s"
            said.append(
                Occurrence(
                    now, OccurrenceKind.WORKER_QUARANTINED, worker=worker.name, detail=detail
                )
            )

    def release(self, worker: WorkerRecord, now: float, said: list[Instruction]) -> None:
        """End a worker's quarantine; it has a fresh start."""
        worker.quarantined_until = None
        worker.failures_in_a_row = 0
        if worker.alive:
            self._queue.note_standing(worker)
        detail = "its quarantine is over"
        said.append(
            Occurrence(now, OccurrenceKind.WORKER_RELEASED, worker=worker.name, detail=detail)
        )

    def retire(self, event: RetirementRequested, now: float, said: list[Instruction]) -> None:
        """Tell a worker that holds nothing to stop.

        Raises:
            UnknownName: no worker of this name is connected.
            IllegalTransition: it holds work.
        """
        worker = self._members.by_name.get(event.worker)
        if worker is None or not worker.alive:
            connected = (each.name for each in self._members.present.values())
            raise UnknownName("connected worker", event.worker, connected)
        if worker.taken:
            raise IllegalTransition(
                f"worker {worker.name!r} holds {worker.taken} tasks, so it can't be retired; "
                "retire one that holds none"
            )
        if not worker.is_retiring:
            worker.is_retiring = True
            self._queue.note_standing(worker)
            detail = "not needed any more"
            said.append(
                Occurrence(now, OccurrenceKind.WORKER_RETIRED, worker=worker.name, detail=detail)
            )
            said.append(RetireWorker(worker.worker_id))
