"""Who is a member: workers by name and address, the lost ones, and who wants a taken name."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.events import WorkerId, WorkerJoined
from ..model.records import Rules, WorkerRecord

MAX_LOST_KEPT = 10_000
"""How many lost workers, and how many of their addresses, are remembered: the latest."""

MAX_CHALLENGES = 1_000
"""How many newcomers may wait at once for a name that is taken; others must ask again."""

_SILENT_HEARTBEATS = 2.5
"""How many heartbeats a worker may miss before a newcomer takes its name: two, and some slack."""


@dataclass(slots=True, eq=False)
class Silence:
    """A worker's silence, which must not last too long."""

    worker: WorkerRecord
    lost_after_s: float
    is_over: bool = False

    def due_at(self) -> float | None:
        """When the worker counts as lost unless it is heard before."""
        return None if self.is_over else self.worker.last_heard_at + self.lost_after_s


@dataclass(slots=True, eq=False)
class Absence:
    """The absence of a worker that a former manager knew, which may come back to its leases."""

    worker: WorkerRecord

    def due_at(self) -> float | None:
        """When its leases go to others unless it is back before."""
        return self.worker.awaited_until


@dataclass(slots=True, eq=False)
class Quarantine:
    """The time for which a worker that failed too often in a row is given nothing."""

    worker: WorkerRecord

    def due_at(self) -> float | None:
        """When it may be given tasks again."""
        return self.worker.quarantined_until


@dataclass(slots=True, eq=False)
class Challenge:
    """A newcomer that asks for a name which a connected worker has."""

    newcomer: WorkerJoined
    decided_at: float
    is_over: bool = False

    def due_at(self) -> float | None:
        """When the newcomer gets the name unless the other is heard before."""
        return None if self.is_over else self.decided_at


class WorkerRegistry:
    """The workers that are or were connected.

    Args:
        rules: whom to expect, and how long a silence may be.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.by_name: dict[str, WorkerRecord] = {}
        # Bounded by the members of the link, which decides whom it lets in.
        self.present: dict[WorkerId, WorkerRecord] = {}
        self.challenges: dict[str, Challenge] = {}
        self._silences: dict[str, Silence] = {}
        self._lost: dict[str, None] = {}
        self._former_ids: dict[WorkerId, str] = {}
        self._places: dict[str, int] = {}
        self._newcomers = 0
        self.change_rules(rules)

    def change_rules(self, rules: Rules) -> None:
        """Go by other rules; the order of those that have come stays."""
        self._rules = rules
        self._places = {name: place for place, name in enumerate(rules.roster)}
        self._newcomers = max(self._newcomers, len(rules.roster))

    def find(self, worker_id: WorkerId) -> WorkerRecord | None:
        """The worker that is, or was, reached at an address."""
        worker = self.present.get(worker_id)
        if worker is None and worker_id in self._former_ids:
            worker = self.by_name.get(self._former_ids[worker_id])
        return worker

    def admit(self, event: WorkerJoined, now: float) -> tuple[WorkerRecord, Silence]:
        """Take in a worker whose name no connected one has."""
        worker = self.by_name.get(event.name)
        if worker is None:
            order = self._places.get(event.name)
            if order is None:
                order = self._newcomers
                self._newcomers += 1
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
                # Whoever started it anew may have mended it.
                worker.failures_in_a_row = 0
                worker.quarantined_until = None
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
        silence = self._silences[event.name] = Silence(worker, self._rules.lost_after_s)
        return worker, silence

    def restore(self, worker: WorkerRecord) -> Silence | None:
        """Take in a worker as a store knew it; its silence, if it was connected."""
        self.by_name[worker.name] = worker
        if worker.name not in self._places:
            self._newcomers = max(self._newcomers, worker.order + 1)
        if not worker.alive:
            if not worker.may_have_leases:
                self._remember(worker)
            return None
        self.present[worker.worker_id] = worker
        silence = self._silences[worker.name] = Silence(worker, self._rules.lost_after_s)
        return silence

    def lose(self, worker: WorkerRecord, now: float) -> None:
        """Count a worker as lost; it is remembered, as one of the last so many."""
        self.part_with(worker, now)
        self._remember(worker)

    def expect_back(self, worker: WorkerRecord, now: float) -> Absence:
        """Count a worker as away: the manager that it was connected to is no more."""
        if worker.alive:
            self.part_with(worker, now)
        worker.awaited_until = now + self._rules.return_within_s
        return Absence(worker)

    def give_up(self, worker: WorkerRecord) -> None:
        """Await a worker no more that was away."""
        worker.awaited_until = None
        self._remember(worker)

    def part_with(self, worker: WorkerRecord, now: float) -> None:
        """Let a worker be connected no more at the address where it was."""
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
        """Hold a time in which nobody could be heard against none of them."""
        for worker in self.by_name.values():
            if worker.alive:
                worker.last_heard_at = min(worker.last_heard_at + seconds, now)
            elif worker.awaited_until is not None:
                worker.awaited_until += seconds
        for challenge in self.challenges.values():
            challenge.decided_at += seconds

    def is_known(self, event: WorkerJoined) -> bool:
        """Whether a worker that asks to be let in is, or lately was, in this very start of it."""
        known = self.by_name.get(event.name)
        return known is not None and known.session == event.session

    def may_come(self, name: str) -> bool:
        """Whether workers of this name are let in at all."""
        return self._rules.allow is None or name in self._rules.allow

    def challenge(self, newcomer: WorkerJoined, now: float) -> Challenge | None:
        """Let a newcomer wait for a name; None if it waits already, or can't for now."""
        earlier = self.challenges.get(newcomer.name)
        if earlier is not None:
            if earlier.newcomer.worker_id == newcomer.worker_id:
                earlier.newcomer = newcomer
            return None
        if len(self.challenges) >= MAX_CHALLENGES:
            return None
        patience_s = min(_SILENT_HEARTBEATS * self._rules.heartbeat_s, self._rules.lost_after_s)
        challenge = self.challenges[newcomer.name] = Challenge(newcomer, now + patience_s)
        return challenge

    def end_challenge(self, name: str) -> WorkerJoined | None:
        """Let nobody wait for a name any more; who did."""
        challenge = self.challenges.pop(name, None)
        if challenge is None:
            return None
        challenge.is_over = True
        return challenge.newcomer

    def forget_newcomer(self, worker_id: WorkerId) -> None:
        """Let a newcomer that went away wait no more."""
        for name, challenge in self.challenges.items():
            if challenge.newcomer.worker_id == worker_id:
                self.end_challenge(name)
                return


class StartBarrier:
    """Whether all that are expected have come.

    Args:
        rules: whom to expect, and for how long.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.opened_at: float | None = None
        self.is_called = False

    def due_at(self) -> float | None:
        """When the patience with those that are missing ends."""
        if self.is_called or self.opened_at is None or self.rules.join_timeout_s is None:
            return None
        return self.opened_at + self.rules.join_timeout_s

    def is_complete(self, members: WorkerRegistry) -> bool:
        """Whether all that are expected are connected."""
        if self.rules.roster:
            return not self._missing(members)
        return len(members.present) >= max(self.rules.expected_workers, 1)

    def verdict(self, members: WorkerRegistry) -> str:
        """Who came and who did not, once the wait is over."""
        limit_s = self.rules.join_timeout_s
        return self._tell(members, "came" if limit_s is None else f"came within {limit_s:g} s")

    def progress(self, members: WorkerRegistry) -> str:
        """Who has come and who has not, while the wait goes on."""
        return self._tell(members, "have come")

    def _tell(self, members: WorkerRegistry, came: str) -> str:
        rules = self.rules
        missing = self._missing(members)
        expected = len(rules.roster) or max(rules.expected_workers, 1)
        there = expected - len(missing) if rules.roster else len(members.present)
        told = f"{there} of {expected} expected workers {came}"
        if missing:
            return f"{told}; missing: {', '.join(missing)}"
        names = ", ".join(worker.name for worker in members.present.values())
        return f"{told}: {names}" if names else told

    def _missing(self, members: WorkerRegistry) -> list[str]:
        there = {worker.name for worker in members.present.values()}
        return [name for name in self.rules.roster if name not in there]
