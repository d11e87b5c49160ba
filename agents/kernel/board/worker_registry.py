"""The workers by name and address, including lost ones, and newcomers that claim a name in use."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.events import WorkerId, WorkerJoined
from ..model.health import LATE_AFTER_HEARTBEATS
from ..model.records import WorkerRecord
from .context import BoardContext
from .prefetch import attempts_of

MAX_LOST_KEPT = 10_000
"""The maximum number of lost workers, and of their addresses, that are kept: the latest."""

MAX_CHALLENGES = 1_000
"""The maximum number of newcomers that wait for a name in use; others retry."""


@dataclass(slots=True, eq=False)
class Silence:
    """The timer for a worker's silence."""

    worker: WorkerRecord
    lost_after_s: float
    is_over: bool = False

    def due_at(self) -> float | None:
        """When the worker is lost unless a message arrives before."""
        return None if self.is_over else self.worker.last_heard_at + self.lost_after_s


@dataclass(slots=True, eq=False)
class Absence:
    """The timer for a worker of a restored run, which may return to its leases."""

    worker: WorkerRecord

    def due_at(self) -> float | None:
        """When its leases end unless it returns before."""
        return self.worker.awaited_until


@dataclass(slots=True, eq=False)
class Quarantine:
    """The timer for the end of a worker's quarantine."""

    worker: WorkerRecord

    def due_at(self) -> float | None:
        """When it may get tasks again."""
        return self.worker.quarantined_until


@dataclass(slots=True, eq=False)
class Challenge:
    """The timer for a newcomer that claims the name of a connected worker."""

    newcomer: WorkerJoined
    decided_at: float
    is_over: bool = False

    def due_at(self) -> float | None:
        """When the newcomer gets the name unless the other worker sends a message before."""
        return None if self.is_over else self.decided_at


class WorkerRegistry:
    """The workers that are or were connected."""

    def __init__(self, context: BoardContext) -> None:
        self._context = context
        self.by_name: dict[str, WorkerRecord] = {}
        # Bounded by `max_workers`.
        self.present: dict[WorkerId, WorkerRecord] = {}
        self.challenges: dict[str, Challenge] = {}
        self._silences: dict[str, Silence] = {}
        self._lost: dict[str, None] = {}
        self._former_ids: dict[WorkerId, str] = {}
        self._order_of: dict[str, int] = {}
        self._next_order = 0
        self.follow_roster()

    def follow_roster(self) -> None:
        """Order the workers that have not joined yet by the configured roster."""
        roster = self._context.rules.roster
        self._order_of = {name: order for order, name in enumerate(roster)}
        self._next_order = max(self._next_order, len(roster))

    def find(self, worker_id: WorkerId) -> WorkerRecord | None:
        """The worker that is, or was, reached at an address."""
        worker = self.present.get(worker_id)
        if worker is None and worker_id in self._former_ids:
            worker = self.by_name.get(self._former_ids[worker_id])
        return worker

    def connect(self, event: WorkerJoined, now: float) -> tuple[WorkerRecord, Silence]:
        """Connect a worker whose name is free. Returns it and the timer for its silence."""
        worker = self.by_name.get(event.name)
        if worker is None:
            order = self._order_of.get(event.name)
            if order is None:
                order = self._next_order
                self._next_order += 1
            worker = self.by_name[event.name] = WorkerRecord(
                event.profile,
                event.worker_id,
                event.session,
                order,
                joined_at=now,
                last_heard_at=now,
                call=event.call,
            )
        else:
            self._lost.pop(event.name, None)
            if worker.session != event.session:
                # It was restarted, so the cause of its failures may be gone.
                worker.failures_in_a_row = 0
                worker.quarantined_until = None
                worker.drain = None
            worker.is_retiring = False
            worker.worker_id = event.worker_id
            worker.session = event.session
            worker.call = event.call
            worker.introduce(event.profile)
            worker.last_heard_at = now
            worker.alive = True
            worker.lost_at = None
            worker.awaited_until = None
        self.present[event.worker_id] = worker
        silence = self._silences[event.name] = Silence(worker, self._context.rules.lost_after_s)
        return worker, silence

    def restore(self, worker: WorkerRecord) -> Silence | None:
        """Restore a worker. Returns the timer for its silence if it was connected."""
        self.by_name[worker.name] = worker
        if worker.name not in self._order_of:
            self._next_order = max(self._next_order, worker.order + 1)
        if not worker.alive:
            if not worker.may_have_leases:
                self._remember(worker)
            return None
        self.present[worker.worker_id] = worker
        silence = self._silences[worker.name] = Silence(worker, self._context.rules.lost_after_s)
        return silence

    def lose(self, worker: WorkerRecord, now: float) -> None:
        """Mark a worker as lost; the latest `MAX_LOST_KEPT` lost workers are kept."""
        self.disconnect(worker, now)
        self._remember(worker)

    def expect_back(self, worker: WorkerRecord, now: float) -> Absence:
        """Mark a worker of a restored run as absent until it reconnects."""
        if worker.alive:
            self.disconnect(worker, now)
        worker.awaited_until = now + self._context.rules.return_within_s
        return Absence(worker)

    def give_up(self, worker: WorkerRecord) -> None:
        """Mark an absent worker as lost."""
        worker.awaited_until = None
        self._remember(worker)

    def disconnect(self, worker: WorkerRecord, now: float) -> None:
        """Mark a worker as not connected."""
        worker.alive = False
        worker.lost_at = now
        del self.present[worker.worker_id]
        self._silences.pop(worker.name).is_over = True
        self._former_ids[worker.worker_id] = worker.name
        if len(self._former_ids) > MAX_LOST_KEPT:
            del self._former_ids[next(iter(self._former_ids))]

    def _remember(self, worker: WorkerRecord) -> None:
        self._lost[worker.name] = None
        if len(self._lost) > MAX_LOST_KEPT:
            oldest = next(iter(self._lost))
            del self._lost[oldest], self.by_name[oldest]

    def excuse(self, seconds: float, now: float) -> None:
        """Extend all timeouts by the time in which nothing could be received."""
        for worker in self.by_name.values():
            if worker.alive:
                worker.last_heard_at = min(worker.last_heard_at + seconds, now)
            elif worker.awaited_until is not None:
                worker.awaited_until += seconds
        for challenge in self.challenges.values():
            challenge.decided_at += seconds
        for worker in self.present.values():
            for attempt in attempts_of(worker.running):
                if attempt.deadline is not None and attempt.deadline <= now:
                    attempt.deadline += seconds

    def is_known(self, event: WorkerJoined) -> bool:
        """Whether the worker of a join request is or recently was connected in the same session."""
        known = self.by_name.get(event.name)
        return known is not None and known.session == event.session

    def challenge(self, newcomer: WorkerJoined, now: float) -> Challenge | None:
        """Let a newcomer wait for a name; returns None if it already waits or too many wait."""
        earlier = self.challenges.get(newcomer.name)
        if earlier is not None:
            if earlier.newcomer.worker_id == newcomer.worker_id:
                earlier.newcomer = newcomer
            return None
        if len(self.challenges) >= MAX_CHALLENGES:
            return None
        wait_s = min(
            LATE_AFTER_HEARTBEATS * self._context.rules.heartbeat_s,
            self._context.rules.lost_after_s,
        )
        challenge = self.challenges[newcomer.name] = Challenge(newcomer, now + wait_s)
        return challenge

    def end_challenge(self, name: str) -> WorkerJoined | None:
        """End the wait of a newcomer for a name. Returns the newcomer, if there was one."""
        challenge = self.challenges.pop(name, None)
        if challenge is None:
            return None
        challenge.is_over = True
        return challenge.newcomer

    def forget_newcomer(self, worker_id: WorkerId) -> None:
        """End the wait of a newcomer that left."""
        for name, challenge in self.challenges.items():
            if challenge.newcomer.worker_id == worker_id:
                self.end_challenge(name)
                return


class StartBarrier:
    """The start condition: assigning begins when all expected workers have joined."""

    def __init__(self, context: BoardContext) -> None:
        self._context = context
        self.opened_at: float | None = None
        """The time from which workers can join, in seconds; None if they can't yet."""
        self.is_over = False
        """Whether the wait for workers is over."""

    def due_at(self) -> float | None:
        """When the wait for missing workers times out; None for never."""
        timeout_s = self._context.rules.join_timeout_s
        if self.is_over or self.opened_at is None or timeout_s is None:
            return None
        return self.opened_at + timeout_s

    def is_complete(self, workers: WorkerRegistry) -> bool:
        """Whether all expected workers are connected."""
        if self._context.rules.roster:
            return not self._missing(workers)
        return len(workers.present) >= max(self._context.rules.expected_workers, 1)

    def verdict(self, workers: WorkerRegistry) -> str:
        """Which workers joined and which did not, once the wait is over."""
        limit_s = self._context.rules.join_timeout_s
        within = "" if limit_s is None else f" within {limit_s:g} s"
        return self._describe(workers, f"joined{within}")

    def progress(self, workers: WorkerRegistry) -> str:
        """Which workers have joined and which have not, during the wait."""
        return self._describe(workers, "have joined")

    def _describe(self, workers: WorkerRegistry, came: str) -> str:
        rules = self._context.rules
        missing = self._missing(workers)
        expected = len(rules.roster) or max(rules.expected_workers, 1)
        there = expected - len(missing) if rules.roster else len(workers.present)
        told = f"{there} of {expected} expected workers {came}"
        if missing:
            return f"{told}; missing: {', '.join(missing)}"
        names = ", ".join(worker.name for worker in workers.present.values())
        return f"{told}: {names}" if names else told

    def awaited(self, workers: WorkerRegistry) -> list[str]:
        """The named workers for which the start still waits."""
        return [] if self.is_over else self._missing(workers)

    def _missing(self, workers: WorkerRegistry) -> list[str]:
        there = {worker.name for worker in workers.present.values()}
        return [name for name in self._context.rules.roster if name not in there]
