"""Tasks that are sent to a worker ahead of its free slots, and taken back when others fall idle.

A worker with short tasks would wait for the network most of the time. So it gets a little work
beyond its slots: as much as it does in a moment, and none if its tasks are long. It begins with it
in the order in which it came; the board does the same in its books, so that an attempt's time runs
from when it has a slot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from ....messages import TaskId
from ..matching.policies import describe_standing
from ..matching.task_queue import TaskQueue
from ..model.events import Instruction, SendRecall
from ..model.leases import limit_attempt
from ..model.records import Attempt, Rules, TaskRecord, WorkerRecord

TAKE_BACK_AFTER_S = 0.1
"""How long a task waits at a worker before it is taken back, if another worker is free for it."""


@dataclass(slots=True, eq=False)
class PrefetchRecall:
    """The next look at what waits at workers, if anything does."""

    at: float | None = None

    def due_at(self) -> float | None:
        """When to look, or None."""
        return self.at


class Prefetch:
    """Keeps the books on what workers hold beyond their slots.

    Args:
        rules: how fast the time of tasks runs.
        queue: where the workers are that may be free.
    """

    def __init__(self, rules: Rules, queue: TaskQueue) -> None:
        self.rules = rules
        self._queue = queue
        self.looking = PrefetchRecall()

    def hold(self, attempt: Attempt, now: float) -> bool:
        """Note that a worker got a task ahead; whether to look from now on what is to come back."""
        worker = attempt.worker
        worker.ahead[attempt.task.task_id, attempt.number] = attempt.task
        worker.ahead_s += attempt.expected_s
        return self.looking.at is None and self.look_after(worker, now)

    def look_after(self, worker: WorkerRecord, now: float) -> bool:
        """Whether to look from now on what is to come back, since a worker holds something."""
        if not worker.ahead or self.looking.at is not None:
            return False
        self.looking.at = now + TAKE_BACK_AFTER_S
        return True

    def restore(self, attempt: Attempt, now: float) -> bool:
        """Enter a lease of a restored run; whether to look from now on what is to come back.

        Its worker has begun with as many as it has slots, the first of them first.
        """
        worker, record = attempt.worker, attempt.task
        if worker.taken >= worker.slots:
            attempt.is_ahead = True
            attempt.deadline = None
            return self.hold(attempt, now)
        worker.running[record.task_id, attempt.number] = record
        if attempt.deadline is None:
            # It may have been kept when it still waited there.
            _, attempt.deadline = limit_attempt(record.task, now, self.rules.time_scale)
        return False

    def release(self, attempt: Attempt) -> None:
        """Note that an attempt which waited at its worker has ended, or has a slot."""
        worker = attempt.worker
        del worker.ahead[attempt.task.task_id, attempt.number]
        attempt.is_ahead = False
        # Sums of floats drift; where nothing is ahead, nothing is.
        worker.ahead_s = worker.ahead_s - attempt.expected_s if worker.ahead else 0.0

    def promote(self, worker: WorkerRecord, now: float) -> list[Attempt]:
        """Let those that came first take the slots that are free; which they are."""
        promoted: list[Attempt] = []
        free = max(worker.slots - worker.taken, 0)
        # All at once: to find the first of a dict takes long where many were taken out of it.
        for key, record in tuple(islice(worker.ahead.items(), free)):
            attempt = record.attempts[key[1] - 1]
            self.release(attempt)
            worker.running[key] = record
            attempt.started_at = now
            _, attempt.deadline = limit_attempt(record.task, now, self.rules.time_scale)
            promoted.append(attempt)
        return promoted

    def take_back(self, now: float, said: list[Instruction]) -> None:
        """Ask for what waits in vain: another worker is free for it, or its own is to do nothing.

        The worker gives back what it has not begun.
        """
        self.looking.at = None
        for worker in self._queue.workers:
            if not worker.ahead:
                continue
            self.looking.at = now + TAKE_BACK_AFTER_S
            is_idled = describe_standing(worker) is not None
            stuck = [
                (attempt.task.task_id, attempt.number)
                for attempt in attempts_of(worker.ahead)
                if not attempt.is_recalled
                and attempt.started_at <= now - TAKE_BACK_AFTER_S
                and (is_idled or self._queue.has_free_for(attempt.task))
            ]
            for task_id, number in stuck:
                worker.ahead[task_id, number].attempts[number - 1].is_recalled = True
            if stuck:
                said.append(SendRecall(worker.worker_id, tuple(stuck)))


def attempts_of(leases: dict[tuple[TaskId, int], TaskRecord]) -> Iterable[Attempt]:
    """The attempts that stand in a worker's books."""
    return (record.attempts[number - 1] for (_, number), record in leases.items())
