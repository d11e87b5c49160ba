"""Admits, refuses and loses workers, resolves name conflicts, and ends the start barrier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ....messages import TaskId
from ..model.events import WorkerId, WorkerJoined, WorkerLeft
from ..model.instructions import DropWorker, RefuseWorker, SendWelcome, StartAssigning
from ..model.occurrences import JoinFacts, OccurrenceKind, ReturnFacts
from ..model.records import Attempt, WorkerRecord
from ..model.suspension import worked_s
from .context import BoardContext
from .join_limit import JoinLimit
from .prefetch import attempts_of
from .timer_kinds import BoardTimers
from .worker_registry import StartBarrier, WorkerRegistry


class JoinDecision(NamedTuple):
    """The result of a worker's join request.

    Args:
        lost: the leases that ended.
        returned: the worker, if it came back to its leases.
        admitted: the worker, if it was admitted without leases.
    """

    lost: list[Attempt]
    returned: WorkerRecord | None = None
    admitted: WorkerRecord | None = None


class Membership:
    """Decides which workers are admitted and which are lost."""

    def __init__(
        self,
        context: BoardContext,
        workers: WorkerRegistry,
        barrier: StartBarrier,
        timers: BoardTimers,
    ) -> None:
        self._context = context
        self._limit = JoinLimit()
        self._workers = workers
        self._barrier = barrier
        self._queue = context.queue
        self._timers = timers

    def join(self, event: WorkerJoined) -> JoinDecision:
        """Answer a join request, or defer it: the worker then retries."""
        lost: list[Attempt] = []
        context, workers = self._context, self._workers
        if not workers.is_known(event) and self._limit.puts_off(context.now):
            warning = self._limit.warning(context.now)
            if warning is not None:
                context.note(OccurrenceKind.WORKER_REFUSED, event.name, warning)
            return JoinDecision(lost)
        if context.rules.allow is not None and event.name not in context.rules.allow:
            self._refuse(event, f"worker {event.name!r} is not in the manager's allow list")
            return JoinDecision(lost)
        there = workers.present.get(event.worker_id)
        if there is not None and (there.name, there.session) != (event.name, event.session):
            lost += self.lose(there, "started anew")
            there = None
        known = workers.by_name.get(event.name)
        is_same_start = known is not None and known.session == event.session
        if known is not None and is_same_start and event.call < known.call:
            # The request is outdated: the worker has started another conversation since.
            return JoinDecision(lost)
        keeps_place = known is not None and (
            known.alive or (is_same_start and known.may_have_leases)
        )
        max_workers = context.rules.max_workers
        if there is not None and event.call == there.call:
            self.hear(event.worker_id)
            context.instructions.append(_welcome(event))
        elif not keeps_place and len(workers.present) >= max_workers:
            self._refuse(event, JoinLimit.refusal(len(workers.present)))
        elif known is None or not known.may_have_leases:
            return JoinDecision(lost, admitted=self._admit(event))
        elif is_same_start and (event.call > known.call or not known.alive):
            lost += self._take_back(known, event)
            return JoinDecision(lost, known)
        elif not known.alive:
            lost += self.give_up(known, "started anew")
            self._admit(event)
        else:
            challenge = workers.challenge(event, context.now)
            if challenge is not None:
                self._timers.set(challenge)
        return JoinDecision(lost)

    def hear(self, worker_id: WorkerId) -> WorkerRecord | None:
        """Record that a worker is alive. Returns the worker; None if it is not connected."""
        worker = self._workers.present.get(worker_id)
        if worker is None:
            return None
        worker.last_heard_at = self._context.now
        if self._workers.challenges:
            self._end_challenge(worker.name)
        return worker

    def leave(self, event: WorkerLeft) -> list[Attempt]:
        """Mark a worker that left as lost. Returns the leases that ended."""
        worker = self._workers.present.get(event.worker_id)
        if worker is None:
            self._workers.forget_newcomer(event.worker_id)
            return []
        return self.lose(worker, event.reason or "left")

    def lose(self, worker: WorkerRecord, reason: str) -> list[Attempt]:
        """Mark a worker as lost, and admit a newcomer that waits for its name.

        Returns:
            The leases that ended.
        """
        context = self._context
        self._workers.lose(worker, context.now)
        self._queue.remove_worker(worker)
        context.note(OccurrenceKind.WORKER_LOST, worker.name, reason)
        context.instructions.append(DropWorker(worker.worker_id))
        lost = self._end_leases(worker)
        newcomer = self._workers.end_challenge(worker.name)
        if newcomer is not None:
            self._admit(newcomer)
        return lost

    def expect_back(self, worker: WorkerRecord) -> None:
        """Mark a worker of a restored run as absent until it reconnects."""
        if worker.alive:
            self._queue.remove_worker(worker)
        self._timers.set(self._workers.expect_back(worker, self._context.now))

    def give_up(self, worker: WorkerRecord, reason: str) -> list[Attempt]:
        """Mark an absent worker as lost. Returns the leases that ended."""
        self._workers.give_up(worker)
        self._context.note(OccurrenceKind.WORKER_LOST, worker.name, reason)
        return self._end_leases(worker)

    def end_start_barrier(self) -> None:
        """Tell the shell, once, to begin assigning."""
        self._barrier.is_over = True
        self._context.instructions.append(StartAssigning())

    def _admit(self, event: WorkerJoined) -> WorkerRecord:
        worker = self._connect(event)
        facts = JoinFacts(worker.skill_level, worker.slots)
        self._context.note(OccurrenceKind.WORKER_JOINED, worker.name, facts)
        self._context.instructions.append(_welcome(event))
        self._check_start_barrier()
        return worker

    def _take_back(self, worker: WorkerRecord, event: WorkerJoined) -> list[Attempt]:
        """Continue a worker's leases in a new conversation. Returns the leases that ended.

        Messages in transit in the old conversation are lost. So the worker reports which attempts
        it holds, and its other leases end.
        """
        context = self._context
        self._end_challenge(worker.name)
        if worker.alive:
            self._workers.disconnect(worker, context.now)
            self._queue.remove_worker(worker)
            context.instructions.append(DropWorker(worker.worker_id))
        leases = {**worker.running, **worker.suspended, **worker.prefetched}
        held = {key: record for key, record in leases.items() if key in event.holding}
        lost = list(attempts_of({key: leases[key] for key in leases if key not in held}))
        for attempt in lost:
            if not attempt.is_prefetched:
                worker.stats.busy_time += worked_s(attempt, context.now)
        worker.suspended = {key: worker.suspended[key] for key in held if key in worker.suspended}
        worker.running = {key: worker.running[key] for key in held if key in worker.running}
        worker.prefetched = {
            key: worker.prefetched[key] for key in held if key in worker.prefetched
        }
        worker.prefetched_s = sum(attempt.expected_s for attempt in attempts_of(worker.prefetched))
        told_to_stop = worker.stopping | worker.withdrawn
        self._end_limits(worker, [each for each in told_to_stop if each not in event.holding])
        worker.stopping = {each: None for each in worker.stopping if each in event.holding}
        worker.withdrawn = {each: None for each in worker.withdrawn if each in event.holding}
        self._connect(event)
        context.note(OccurrenceKind.WORKER_RETURNED, worker.name, ReturnFacts(len(held)))
        context.instructions.append(_welcome(event))
        self._check_start_barrier()
        return lost

    def _connect(self, event: WorkerJoined) -> WorkerRecord:
        worker, silence = self._workers.connect(event, self._context.now)
        self._queue.add_worker(worker)
        self._timers.set(silence)
        return worker

    def _check_start_barrier(self) -> None:
        if not self._barrier.is_over and self._barrier.is_complete(self._workers):
            self.end_start_barrier()

    def _end_challenge(self, name: str) -> None:
        """Refuse a newcomer that waits for a name, because the worker with this name is alive."""
        newcomer = self._workers.end_challenge(name)
        if newcomer is not None:
            self._refuse(
                newcomer,
                f"a worker named {newcomer.name!r} is already connected; choose another name",
            )

    def _refuse(self, event: WorkerJoined, reason: str) -> None:
        self._context.note(OccurrenceKind.WORKER_REFUSED, event.name, reason)
        self._context.instructions.append(RefuseWorker(event.worker_id, event.session, reason))

    def _end_leases(self, worker: WorkerRecord) -> list[Attempt]:
        running = [*attempts_of(worker.running), *attempts_of(worker.suspended)]
        for attempt in running:
            worker.stats.busy_time += worked_s(attempt, self._context.now)
        prefetched = list(attempts_of(worker.prefetched))
        worker.running.clear()
        self._end_limits(worker, worker.stopping | worker.withdrawn)
        worker.suspended.clear()
        worker.stopping.clear()
        worker.prefetched.clear()
        worker.prefetched_s = 0.0
        worker.withdrawn.clear()
        return running + prefetched

    def _end_limits(self, worker: WorkerRecord, keys: Iterable[tuple[TaskId, int]]) -> None:
        """Count attempts that have ended on the board as ended for limits, too."""
        limiter, now = self._queue.limiter, self._context.now
        if limiter is not None:
            limiter.forget_worker(worker.name, now)
            limiter.end_all(keys, now)


def _welcome(event: WorkerJoined) -> SendWelcome:
    return SendWelcome(event.worker_id, event.name, event.session, event.call)
