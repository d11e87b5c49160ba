"""Ends the leases of attempts, and tracks slots held by attempts that were told to stop."""

from __future__ import annotations

from math import inf

from ....messages import TaskId
from ..model.instructions import SendCancel
from ..model.occurrences import OccurrenceKind
from ..model.records import Attempt, AttemptOutcome, WorkerRecord
from ..model.suspension import resume, worked_s
from .context import BoardContext
from .held_slots import FIRST_WARNING_AFTER_S, WARNING_EVERY_S, HeldSlotWarning, held_slot_of
from .prefetch import Prefetch, attempts_of
from .spending import Spending
from .timer_kinds import BoardTimers


class AttemptLeases:
    """Ends leases and keeps the slots of workers up to date."""

    def __init__(
        self,
        context: BoardContext,
        prefetch: Prefetch,
        timers: BoardTimers,
        spending: Spending,
    ) -> None:
        self._context = context
        self._queue = context.queue
        self.prefetch = prefetch
        self.timers = timers
        self.spending = spending
        self._postponed: dict[WorkerRecord, None] | None = None

    def end(self, attempt: Attempt, outcome: AttemptOutcome) -> None:
        """End a lease whose end the worker knows, and free its slot."""
        context = self._context
        attempt.outcome = outcome
        attempt.ended_at = context.now
        worker = attempt.worker
        if attempt.reserved or worker.cost_per_s or worker.cost_per_task:
            self.spending.end(attempt, outcome)
        limiter, key = self._queue.limiter, (attempt.task.task_id, attempt.number)
        # One that was told to stop counts until its worker confirms that.
        if limiter is not None and key not in worker.stopping and key not in worker.withdrawn:
            limiter.end(key, context.now)
        if attempt.is_prefetched:
            self.prefetch.release(attempt)
        else:
            leases = worker.running if attempt.suspended_at is None else worker.suspended
            del leases[key]
            worker.stats.busy_time += worked_s(attempt, context.now)
            resume(attempt, context.now)
        self.update_slots(worker)

    def update_slots(self, worker: WorkerRecord) -> None:
        """Move prefetched attempts into slots that have become free."""
        if self._postponed is not None:
            self._postponed[worker] = None
            return
        if worker.prefetched:
            for attempt in self.prefetch.promote(worker):
                if attempt.deadline is not None:
                    self.timers.set(attempt)
        if worker.alive:
            self._queue.update_load(worker)

    def postpone_slot_updates(self) -> None:
        """Postpone slot updates until `resume_slot_updates`, for a batch of results."""
        self._postponed = {}

    def resume_slot_updates(self) -> None:
        """Carry out the postponed slot updates."""
        postponed, self._postponed = self._postponed, None
        for worker in postponed or ():
            self.update_slots(worker)

    def stop(self, attempt: Attempt, outcome: AttemptOutcome, reason: str) -> None:
        """End a lease and tell the worker to stop; its slot stays taken until the worker confirms.

        An attempt that is prefetched or suspended holds no slot.

        A worker that is not connected is told when it returns.
        """
        worker, task_id = attempt.worker, attempt.task.task_id
        if not worker.alive:
            limiter = self._queue.limiter
            if limiter is not None:
                limiter.await_worker(worker.name, (task_id, attempt.number))
            self.end(attempt, outcome)
            return
        if attempt.is_prefetched or attempt.suspended_at is not None:
            worker.withdrawn[task_id, attempt.number] = None
        else:
            self.await_stop(attempt)
        self.end(attempt, outcome)
        self._context.instructions.append(
            SendCancel(worker.worker_id, task_id, attempt.number, reason)
        )

    def await_stop(self, attempt: Attempt) -> None:
        """Count an attempt's slot as taken until its worker confirms that it has stopped."""
        key = (attempt.task.task_id, attempt.number)
        attempt.worker.stopping[key] = None
        if self._queue.limiter is not None:
            self._queue.limiter.hold_on(attempt.task.task, key, self._context.now)
        self.timers.set(HeldSlotWarning(attempt, self._context.now + FIRST_WARNING_AFTER_S))

    def warn_of_held_slot(self, warning: HeldSlotWarning) -> None:
        """Record a warning about a slot that is still held, and set the timer for the next.

        An attempt whose worker was lost for a while has not been told to stop, since its success
        may still count. It is told to once it has timed out, or its task is settled.
        """
        context, attempt = self._context, warning.attempt
        facts = held_slot_of(attempt).facts(context.now)
        context.note_task(
            OccurrenceKind.SLOT_HELD, attempt.task, attempt.number, attempt.worker.name, facts
        )
        warning.at = context.now + WARNING_EVERY_S
        if attempt.outcome is AttemptOutcome.LOST:
            times_out_at = inf if attempt.deadline is None else attempt.deadline
            if times_out_at <= context.now or attempt.task.finished_at is not None:
                reason = "it runs on after its worker was lost for a while"
                worker_id, task_id = attempt.worker.worker_id, attempt.task.task_id
                context.instructions.append(SendCancel(worker_id, task_id, attempt.number, reason))
            else:
                warning.at = min(warning.at, times_out_at)
        self.timers.set(warning)

    def confirm_stop(self, worker: WorkerRecord, task_id: TaskId, number: int) -> bool:
        """Free the slot of an attempt that was told to stop. Returns whether it held one."""
        if not worker.stopping and not worker.withdrawn:
            return False
        key = (task_id, number)
        if key not in worker.withdrawn and key not in worker.stopping:
            return False
        if self._queue.limiter is not None:
            self._queue.limiter.end(key, self._context.now)
        if key in worker.withdrawn:
            del worker.withdrawn[key]
            return True
        del worker.stopping[key]
        self.update_slots(worker)
        return True

    def continue_deadlines(self, worker: WorkerRecord) -> None:
        """Let the attempts of a worker time out again, which did not while it was awaited."""
        # What it has finished meanwhile arrives within a heartbeat.
        earliest = self._context.now + self._context.rules.heartbeat_s
        for attempt in attempts_of(worker.running):
            if attempt.deadline is not None:
                attempt.deadline = max(attempt.deadline, earliest)
                self.timers.set(attempt)
