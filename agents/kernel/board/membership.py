"""How workers come, stay and go: welcomes, refusals, two of one name, and the roll call."""

from __future__ import annotations

from typing import NamedTuple

from ..matching.task_queue import TaskQueue
from ..model.events import (
    DropWorker,
    Instruction,
    Occurrence,
    OccurrenceKind,
    RefuseWorker,
    SendWelcome,
    StartAssigning,
    WorkerId,
    WorkerJoined,
    WorkerLeft,
)
from ..model.records import MAX_WORKERS, Attempt, WorkerRecord
from .join_limit import JoinLimit
from .prefetch import attempts_of
from .timer_kinds import BoardAlarms
from .worker_registry import StartBarrier, WorkerRegistry


class JoinDecision(NamedTuple):
    """What came of a worker's asking to be let in.

    Args:
        lost: the leases that ended.
        returned: the worker, if it came back to its leases.
        let_in: the worker, if it was let in without leases.
    """

    lost: list[Attempt]
    returned: WorkerRecord | None = None
    let_in: WorkerRecord | None = None


class Membership:
    """Decides who is let in and who is gone. What it wants said it adds to `said`.

    Args:
        members: who is and was there.
        roll: whether all that are expected have come.
        queue: where the connected workers are matched with tasks.
        alarms: where silences, absences and challenges are watched.
        max_workers: how many may be connected at the same time.
    """

    def __init__(
        self,
        members: WorkerRegistry,
        roll: StartBarrier,
        queue: TaskQueue,
        alarms: BoardAlarms,
        max_workers: int = MAX_WORKERS,
    ) -> None:
        self._limit = JoinLimit(max_workers)
        self._members = members
        self._roll = roll
        self._queue = queue
        self._alarms = alarms

    def meet(self, event: WorkerJoined, now: float, said: list[Instruction]) -> JoinDecision:
        """Answer a worker that asks to be let in, unless that takes time."""
        lost: list[Attempt] = []
        if not self._members.is_known(event) and self._limit.puts_off(now):
            warning = self._limit.warning(now)
            if warning is not None:
                said.append(
                    Occurrence(
                        now, OccurrenceKind.WORKER_REFUSED, worker=event.name, detail=warning
                    )
                )
            return JoinDecision(lost)
        if not self._members.may_come(event.name):
            _refuse(event, f"{event.name!r} is not among the workers that may come", now, said)
            return JoinDecision(lost)
        there = self._members.present.get(event.worker_id)
        if there is not None and (there.name, there.session) != (event.name, event.session):
            lost += self.lose(there, "started anew", now, said)
            there = None
        known = self._members.by_name.get(event.name)
        is_same_start = known is not None and known.session == event.session
        if known is not None and is_same_start and event.call < known.call:
            # It was long on its way: the worker has begun another conversation since.
            return JoinDecision(lost)
        present = len(self._members.present)
        keeps_place = known is not None and (
            known.alive or (is_same_start and known.may_have_leases)
        )
        if there is not None and event.call == there.call:
            self.hear(event.worker_id, now, said)
            said.append(_welcome(event))
        elif not keeps_place and (full := self._limit.refusal(present)) is not None:
            _refuse(event, full, now, said)
        elif known is None or not known.may_have_leases:
            return JoinDecision(lost, let_in=self._let_in(event, now, said))
        elif is_same_start and (event.call > known.call or not known.alive):
            lost += self._take_back(known, event, now, said)
            return JoinDecision(lost, known)
        elif not known.alive:
            lost += self.give_up(known, "started anew", now, said)
            self._let_in(event, now, said)
        else:
            challenge = self._members.challenge(event, now)
            if challenge is not None:
                self._alarms.set(challenge)
        return JoinDecision(lost)

    def hear(self, worker_id: WorkerId, now: float, said: list[Instruction]) -> WorkerRecord | None:
        """Note that a worker lives; None if it is not connected."""
        worker = self._members.present.get(worker_id)
        if worker is None:
            return None
        worker.last_heard_at = now
        if self._members.challenges:
            self._turn_away(worker.name, now, said)
        return worker

    def see_off(self, event: WorkerLeft, now: float, said: list[Instruction]) -> list[Attempt]:
        """Note that a worker left; the leases that ended."""
        worker = self._members.present.get(event.worker_id)
        if worker is None:
            self._members.forget_newcomer(event.worker_id)
            return []
        return self.lose(worker, event.reason or "left", now, said)

    def lose(
        self, worker: WorkerRecord, reason: str, now: float, said: list[Instruction]
    ) -> list[Attempt]:
        """Count a worker as gone, and let in whoever waits for its name; the leases that ended."""
        self._members.lose(worker, now)
        self._queue.dismiss(worker)
        said.append(Occurrence(now, OccurrenceKind.WORKER_LOST, worker=worker.name, detail=reason))
        said.append(DropWorker(worker.worker_id))
        lost = _end_leases(worker, now)
        newcomer = self._members.end_challenge(worker.name)
        if newcomer is not None:
            self._let_in(newcomer, now, said)
        return lost

    def expect_back(self, worker: WorkerRecord, now: float) -> None:
        """Count a worker as away that was connected to a manager which is no more."""
        if worker.alive:
            self._queue.dismiss(worker)
        self._alarms.set(self._members.expect_back(worker, now))

    def give_up(
        self, worker: WorkerRecord, reason: str, now: float, said: list[Instruction]
    ) -> list[Attempt]:
        """Await a worker no more that was away; the leases that ended."""
        self._members.give_up(worker)
        said.append(Occurrence(now, OccurrenceKind.WORKER_LOST, worker=worker.name, detail=reason))
        return _end_leases(worker, now)

    def call_the_roll(self, said: list[Instruction]) -> None:
        """Say that the assigning may begin; once."""
        self._roll.is_called = True
        said.append(StartAssigning())

    def _let_in(self, event: WorkerJoined, now: float, said: list[Instruction]) -> WorkerRecord:
        worker = self._admit(event, now)
        detail = f"skill {worker.skill_level}, {worker.slots} slots"
        said.append(
            Occurrence(now, OccurrenceKind.WORKER_JOINED, worker=worker.name, detail=detail)
        )
        said.append(_welcome(event))
        self._look_at_roll(said)
        return worker

    def _take_back(
        self, worker: WorkerRecord, event: WorkerJoined, now: float, said: list[Instruction]
    ) -> list[Attempt]:
        """Let a worker go on with the leases it has, in a new conversation; those that ended.

        What was under way in the old one when that broke off never arrives. So the worker tells
        what it holds, and other leases are at an end.
        """
        self._turn_away(worker.name, now, said)
        if worker.alive:
            self._members.part_with(worker, now)
            self._queue.dismiss(worker)
            said.append(DropWorker(worker.worker_id))
        leases = {**worker.running, **worker.ahead}
        held = {key: record for key, record in leases.items() if key in event.holding}
        lost = list(attempts_of({key: leases[key] for key in leases if key not in held}))
        for attempt in lost:
            if not attempt.is_ahead:
                worker.stats.busy_time += now - attempt.started_at
        worker.running = {key: worker.running[key] for key in held if key in worker.running}
        worker.ahead = {key: worker.ahead[key] for key in held if key in worker.ahead}
        worker.ahead_s = sum(attempt.expected_s for attempt in attempts_of(worker.ahead))
        worker.stopping &= event.holding
        worker.withdrawn &= event.holding
        self._admit(event, now)
        detail = f"holds {len(held)} of its tasks"
        said.append(
            Occurrence(now, OccurrenceKind.WORKER_RETURNED, worker=worker.name, detail=detail)
        )
        said.append(_welcome(event))
        self._look_at_roll(said)
        return lost

    def _admit(self, event: WorkerJoined, now: float) -> WorkerRecord:
        worker, silence = self._members.admit(event, now)
        self._queue.admit(worker)
        self._alarms.set(silence)
        return worker

    def _look_at_roll(self, said: list[Instruction]) -> None:
        if not self._roll.is_called and self._roll.is_complete(self._members):
            self.call_the_roll(said)

    def _turn_away(self, name: str, now: float, said: list[Instruction]) -> None:
        """Refuse whoever waits for a name, since its bearer lives."""
        newcomer = self._members.end_challenge(name)
        if newcomer is not None:
            _refuse(newcomer, f"a worker named {newcomer.name!r} is already here", now, said)


def _refuse(event: WorkerJoined, reason: str, now: float, said: list[Instruction]) -> None:
    said.append(Occurrence(now, OccurrenceKind.WORKER_REFUSED, worker=event.name, detail=reason))
    said.append(RefuseWorker(event.worker_id, event.session, reason))


def _welcome(event: WorkerJoined) -> SendWelcome:
    return SendWelcome(event.worker_id, event.name, event.session, event.call)


def _end_leases(worker: WorkerRecord, now: float) -> list[Attempt]:
    begun = list(attempts_of(worker.running))
    for attempt in begun:
        worker.stats.busy_time += now - attempt.started_at
    waiting = list(attempts_of(worker.ahead))
    worker.running.clear()
    worker.stopping.clear()
    worker.ahead.clear()
    worker.ahead_s = 0.0
    worker.withdrawn.clear()
    return begun + waiting
