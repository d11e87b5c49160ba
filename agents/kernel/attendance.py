"""How workers come, stay and go: welcomes, refusals, two of one name, and the roll call."""

from __future__ import annotations

from .alarms import Alarms
from .events import (
    CallTheRoll,
    DropWorker,
    Instruction,
    Occurrence,
    RefuseWorker,
    SendWelcome,
    What,
    WorkerId,
    WorkerJoined,
    WorkerLeft,
)
from .members import Challenge, Members, Roll, Silence
from .records import Attempt, WorkerRecord
from .task_queue import TaskQueue


class Attendance:
    """Decides who is let in and who is gone. What it wants said it adds to `said`.

    Args:
        members: who is and was there.
        roll: whether all that are expected have come.
        queue: where the connected workers are matched with tasks.
        alarms: where silences and challenges are watched.
    """

    def __init__(
        self,
        members: Members,
        roll: Roll,
        queue: TaskQueue,
        alarms: Alarms[Attempt | Silence | Challenge | Roll],
    ) -> None:
        self._members = members
        self._roll = roll
        self._queue = queue
        self._alarms = alarms

    def meet(self, event: WorkerJoined, now: float, said: list[Instruction]) -> list[Attempt]:
        """Answer a worker that asks to be let in, unless that takes time; the leases that ended."""
        lost: list[Attempt] = []
        worker = self._members.present.get(event.worker_id)
        if worker is not None:
            if (worker.session, worker.name) == (event.session, event.name):
                self.hear(event.worker_id, now, said)
                said.append(SendWelcome(event.worker_id, event.name, event.session))
                return lost
            lost = self.lose(worker, "started anew", now, said)
        incumbent = self._members.by_name.get(event.name)
        if incumbent is None or not incumbent.alive:
            self._welcome(event, now, said)
        else:
            challenge = self._members.challenge(event, now)
            if challenge is not None:
                self._alarms.set(challenge)
        return lost

    def hear(self, worker_id: WorkerId, now: float, said: list[Instruction]) -> WorkerRecord | None:
        """Note that a worker lives; None if it is not connected."""
        worker = self._members.present.get(worker_id)
        if worker is None:
            return None
        worker.last_heard_at = now
        if self._members.challenges:
            newcomer = self._members.end_challenge(worker.name)
            if newcomer is not None:
                reason = f"a worker named {newcomer.name!r} is already here"
                said.append(
                    Occurrence(now, What.WORKER_REFUSED, worker=newcomer.name, detail=reason)
                )
                said.append(RefuseWorker(newcomer.worker_id, newcomer.session, reason))
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
        said.append(Occurrence(now, What.WORKER_LOST, worker=worker.name, detail=reason))
        said.append(DropWorker(worker.worker_id))
        lost = [record.attempts[number - 1] for (_, number), record in worker.running.items()]
        for attempt in lost:
            worker.stats.busy_time += now - attempt.started_at
        worker.running.clear()
        worker.stopping.clear()
        newcomer = self._members.end_challenge(worker.name)
        if newcomer is not None:
            self._welcome(newcomer, now, said)
        return lost

    def call_the_roll(self, said: list[Instruction]) -> None:
        """Say that the assigning may begin; once."""
        self._roll.is_called = True
        said.append(CallTheRoll())

    def _welcome(self, event: WorkerJoined, now: float, said: list[Instruction]) -> None:
        worker, silence = self._members.admit(event, now)
        self._queue.admit(worker)
        self._alarms.set(silence)
        detail = f"skill {worker.skill_level}, {worker.slots} slots"
        said.append(Occurrence(now, What.WORKER_JOINED, worker=worker.name, detail=detail))
        said.append(SendWelcome(event.worker_id, event.name, event.session))
        if not self._roll.is_called and self._roll.is_complete(self._members):
            self.call_the_roll(said)
