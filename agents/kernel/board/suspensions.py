"""Suspends attempts that wait for something, which frees their slots, and resumes them."""

from __future__ import annotations

from ....messages.work import LimitGrant
from ..matching.limiter import Limiter
from ..model.events import ResumptionReported, SuspensionReported
from ..model.instructions import SendGrant
from ..model.occurrences import OccurrenceKind
from ..model.records import Attempt, WorkerRecord
from ..model.suspension import resume, suspend
from .attempt_leases import AttemptLeases
from .context import BoardContext
from .membership import Membership
from .prefetch import attempts_of
from .task_registry import TaskRegistry


class Suspensions:
    """Follows what workers report of attempts that wait, for subtasks or for a person.

    A suspended attempt keeps its lease. It holds no slot, and does not time out meanwhile. Its
    limits count it until its worker has agreed to ask for that before the attempt goes on.
    """

    def __init__(
        self,
        context: BoardContext,
        tasks: TaskRegistry,
        membership: Membership,
        leases: AttemptLeases,
    ) -> None:
        self._context = context
        self._queue = context.queue
        self._tasks = tasks
        self._membership = membership
        self._leases = leases
        self._prefetch, self._timers, self._spending = (
            leases.prefetch,
            leases.timers,
            leases.spending,
        )

    def suspend(self, event: SuspensionReported) -> None:
        """Free the slot of an attempt; ignored unless it is one of the worker's leases."""
        worker, message = self._membership.hear(event.worker_id), event.suspended
        if worker is None:
            return
        key = (message.task_id, message.attempt)
        if key in worker.stopping:
            # It was told to stop, and waits for a slot to do so.
            del worker.stopping[key]
            worker.withdrawn[key] = None
            self._leases.update_slots(worker)
        if key in worker.withdrawn:
            cancelled = self._tasks.by_id.get(message.task_id)
            if cancelled is not None:
                self._change_grant(cancelled.attempts[message.attempt - 1], message.grant)
            return
        now = self._context.now
        record = worker.running.get(key) or worker.prefetched.get(key) or worker.suspended.get(key)
        if record is None:
            return
        attempt = record.attempts[message.attempt - 1]
        if attempt.suspended_at is not None:
            if message.grant != "wanted":
                attempt.suspended_for = message.reason
        else:
            if attempt.is_prefetched:
                # The worker had a slot for it earlier than the board thought.
                self._prefetch.begin(attempt)
            del worker.running[key]
            worker.suspended[key] = record
            suspend(attempt, message.reason, now)
            self._spending.release(attempt)
        self._change_grant(attempt, message.grant)
        self._note_suspended(attempt)
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
            del worker.withdrawn[key]
            cancelled = self._tasks.by_id.get(message.task_id)
            if cancelled is not None:
                self._count(cancelled.attempts[message.attempt - 1])
                self._leases.await_stop(cancelled.attempts[message.attempt - 1])
        else:
            del worker.suspended[key]
            worker.running[key] = record
            attempt = record.attempts[message.attempt - 1]
            self._count(attempt)
            resume(attempt, self._context.now)
            self._spending.reserve(attempt, attempt.duration)
            self._timers.set(attempt)
            self._context.note_task(
                OccurrenceKind.ATTEMPT_RESUMED, record, message.attempt, worker.name
            )
        self._leases.update_slots(worker)

    def send_grants(self, limiter: Limiter) -> None:
        """Tell workers which of their suspended attempts may go on, as far as limits go."""
        granted, limiter.grants.granted = limiter.grants.granted, []
        for attempt in granted:
            self._allow(attempt)

    def return_grants(self) -> None:
        """Ask for the grants of suspended attempts, because limits have changed."""
        for worker in self._queue.workers:
            for attempt in attempts_of(worker.suspended):
                self._change_grant(attempt, attempt.grant)

    def _change_grant(self, attempt: Attempt, grant: LimitGrant) -> None:
        """Let limits count a suspended attempt as its worker has asked."""
        limiter, now = self._queue.limiter, self._context.now
        key = (attempt.task.task_id, attempt.number)
        if grant == "kept":
            self._count(attempt)
            if limiter is not None and limiter.limits_running(attempt.task.task):
                self._send(attempt, is_given=False)
        elif grant == "returned":
            attempt.grant = grant
            if limiter is not None:
                limiter.end(key, now)
        elif attempt.grant == "kept" or limiter is None:
            attempt.grant = "kept"
            self._allow(attempt)
        else:
            attempt.grant = grant
            limiter.regain(attempt, now)

    def _count(self, attempt: Attempt) -> None:
        """Let limits count an attempt whose worker did not ask for it."""
        if attempt.grant != "kept":
            attempt.grant = "kept"
            if self._queue.limiter is not None:
                key = (attempt.task.task_id, attempt.number)
                self._queue.limiter.end(key, self._context.now)
                self._queue.limiter.hold_on(attempt.task.task, key, self._context.now)

    def _allow(self, attempt: Attempt) -> None:
        if attempt.suspended_at is not None:
            attempt.suspended_for = "waits for a free slot"
            self._note_suspended(attempt)
        self._send(attempt, is_given=True)

    def _send(self, attempt: Attempt, *, is_given: bool) -> None:
        worker, task_id = attempt.worker, attempt.task.task_id
        if worker.alive:
            self._context.instructions.append(
                SendGrant(worker.worker_id, task_id, attempt.number, is_given)
            )

    def _note_suspended(self, attempt: Attempt) -> None:
        self._context.note_task(
            OccurrenceKind.ATTEMPT_SUSPENDED,
            attempt.task,
            attempt.number,
            attempt.worker.name,
            attempt.suspended_for or None,
        )

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
