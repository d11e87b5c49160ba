"""Suspends attempts that wait for something, which frees their slots, and resumes them."""

from __future__ import annotations

from ..model.events import ResumptionReported, SuspensionReported
from ..model.occurrences import OccurrenceKind
from ..model.records import WorkerRecord
from ..model.suspension import resume, suspend
from .attempt_leases import AttemptLeases
from .context import BoardContext
from .membership import Membership
from .prefetch import Prefetch, attempts_of
from .spending import Spending
from .task_registry import TaskRegistry
from .timer_kinds import BoardTimers


class Suspensions:
    """Follows what workers report of attempts that wait, for subtasks or for a person.

    A suspended attempt keeps its lease. It holds no slot, and does not time out meanwhile.

    Args:
        context: the state that the parts of the board share.
        tasks: the tasks.
        membership: knows the connected workers.
        prefetch: the prefetched attempts.
        leases: keeps the slots of workers up to date.
        timers: the timers for timeouts.
        spending: reserves what running attempts are expected to cost.
    """

    def __init__(
        self,
        context: BoardContext,
        tasks: TaskRegistry,
        membership: Membership,
        prefetch: Prefetch,
        *,
        leases: AttemptLeases,
        timers: BoardTimers,
        spending: Spending,
    ) -> None:
        self._context = context
        self._tasks = tasks
        self._membership = membership
        self._prefetch = prefetch
        self._leases = leases
        self._timers = timers
        self._spending = spending

    def suspend(self, event: SuspensionReported) -> None:
        """Free the slot of an attempt; ignored unless it is one of the worker's leases."""
        worker, message = self._membership.hear(event.worker_id), event.suspended
        if worker is None:
            return
        key = (message.task_id, message.attempt)
        if key in worker.stopping:
            # It was told to stop, and waits for a slot to do so.
            worker.stopping.remove(key)
            worker.withdrawn.add(key)
            self._leases.update_slots(worker)
            return
        now = self._context.now
        record = worker.running.get(key) or worker.prefetched.get(key) or worker.suspended.get(key)
        if record is None:
            return
        attempt = record.attempts[message.attempt - 1]
        if attempt.suspended_at is not None:
            attempt.suspended_for = message.reason
        else:
            if attempt.is_prefetched:
                # The worker had a slot for it earlier than the board thought.
                self._prefetch.begin(attempt)
            del worker.running[key]
            worker.suspended[key] = record
            suspend(attempt, message.reason, now)
            self._spending.release(attempt)
        self._context.note_task(
            OccurrenceKind.ATTEMPT_SUSPENDED,
            record,
            message.attempt,
            worker.name,
            message.reason or None,
        )
        self._leases.update_slots(worker)

    def resume(self, event: ResumptionReported) -> None:
        """Note that a suspended attempt has a slot again; ignored if it is not suspended."""
        worker, message = self._membership.hear(event.worker_id), event.resumed
        if worker is None:
            return
        key = (message.task_id, message.attempt)
        record = worker.suspended.get(key)
        is_withdrawn = key in worker.withdrawn
        if (record is None and not is_withdrawn) or not self._make_room(worker):
            return
        if record is None:
            worker.withdrawn.remove(key)
            cancelled = self._tasks.by_id.get(message.task_id)
            if cancelled is not None:
                self._leases.await_stop(cancelled.attempts[message.attempt - 1])
        else:
            del worker.suspended[key]
            worker.running[key] = record
            attempt = record.attempts[message.attempt - 1]
            resume(attempt, self._context.now)
            self._spending.reserve(attempt, attempt.duration)
            self._timers.set(attempt)
            self._context.note_task(
                OccurrenceKind.ATTEMPT_RESUMED, record, message.attempt, worker.name
            )
        self._leases.update_slots(worker)

    def _make_room(self, worker: WorkerRecord) -> bool:
        """Let the newest assignment wait if the worker has no slot for both. False if none can.

        It was on its way when the worker gave the slot to the resumed attempt.
        """
        while worker.taken >= worker.slots:
            running = list(attempts_of(worker.running))
            if not running:
                return False
            unbegun = [each for each in running if not each.suspended_s]
            if self._prefetch.displace((unbegun or running)[-1]):
                self._timers.set(self._prefetch.recall)
        return True
