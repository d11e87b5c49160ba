"""What one simulated run did, and whether it kept what every run must keep."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from ...messages import TaskAssignment, TaskId, TaskResult, TaskStatus
from ..kernel.board.invariants import check_invariants
from ..kernel.board.state import BoardState
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import (
    SETTLING,
    Occurrence,
    OccurrenceKind,
    RequeueCause,
    RequeueFacts,
)
from .faults import worker_at
from .memory_network import FaultPlan


class InvariantViolation(NamedTuple):
    """An invariant that a run broke.

    Args:
        invariant: what must always hold.
        detail: what happened instead.
        task_id: the task that went wrong, if it is one.
    """

    invariant: str
    detail: str
    task_id: TaskId | None = None


class RunChecker:
    """Watches a run from outside, and keeps a hash of everything that happened in it.

    Args:
        faults: what decides about the frames, which pass by here.
    """

    def __init__(self, faults: FaultPlan) -> None:
        self.breach: InvariantViolation | None = None
        self._faults = faults
        self._hash = hashlib.blake2b(digest_size=16)
        # Bounded by the tasks and attempts of the run.
        self._settled: dict[TaskId, OccurrenceKind] = {}
        self._performed: dict[tuple[TaskId, int], str] = {}
        self._succeeded: set[tuple[TaskId, int, str]] = set()

    @property
    def digest(self) -> str:
        """A hash over all frames and occurrences so far; equal for equal runs."""
        return self._hash.hexdigest()

    # ------------------------------------------------------------------ what it sees

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        """Note a frame and what becomes of it; see `FaultPlan`."""
        fates = self._faults.fates(sender, to, frame, now)
        self._hash.update(f"{now!r} {sender} {to} {tuple(fates)!r}".encode())
        self._hash.update(frame)
        return fates

    def note(self, occurrence: Occurrence) -> None:
        """Note what the manager's board took note of."""
        at, what, task_id, attempt, worker, facts = occurrence
        detail = describe_facts(occurrence)
        self._hash.update(f"{at!r} {what.value} {task_id!r} {attempt} {worker} {detail}".encode())
        if isinstance(facts, RequeueFacts) and facts.cause is RequeueCause.ATTEMPT_LOST:
            self.accuse(
                "what a worker holds, or has told the end of, is not taken for lost",
                f"attempt {attempt} at task {task_id!r} was taken back from {worker}: {detail}",
                task_id,
            )
        if what not in SETTLING or task_id is None:
            return
        earlier = self._settled.get(task_id)
        if earlier is not None:
            self.accuse(
                "every task is settled exactly once",
                f"task {task_id!r} was {earlier.value} and then {what.value}",
                task_id,
            )
        self._settled[task_id] = what

    def takes_over(self, board: BoardState) -> None:
        """Note with what a manager takes over the run of another that was killed.

        What that one had written and told nobody is settled all the same.
        """
        for task_id, record in board.tasks.items():
            told = self._settled.get(task_id)
            kept = OccurrenceKind(f"task_{record.status.value}") if record.status.is_final else None
            if told is not None and told is not kept:
                self.accuse(
                    "what is settled outlives the manager",
                    f"task {task_id!r} was {told.value}, and another manager took it over as "
                    f"{record.status.value}",
                    task_id,
                )
            if kept is not None:
                self._settled[task_id] = kept

    def begins(self, address: str, assignment: TaskAssignment) -> None:
        """Note that a worker begins to perform an attempt."""
        task, key = assignment.task, (assignment.task.id, assignment.attempt)
        told = f"attempt {assignment.attempt} at task {task.id!r}"
        if key in self._performed:
            self.accuse(
                "an attempt runs at most once, on one worker",
                f"{told} ran at {self._performed[key]} and again at {address}",
                task.id,
            )
        self._performed[key] = address
        if assignment.worker != worker_at(address):
            self.accuse(
                "only the worker that an attempt was given to runs it",
                f"{told} was given to {assignment.worker} and ran at {address}",
                task.id,
            )
        needed = set(task.depends_on)
        unmet = [
            each for each in needed if self._settled.get(each) is not OccurrenceKind.TASK_COMPLETED
        ]
        if unmet or set(assignment.inputs) != needed:
            self.accuse(
                "a task starts when all that it depends on is completed",
                f"{told} began at {address} with the inputs of {sorted(assignment.inputs, key=str)}"
                f" and {sorted(unmet, key=str)} not completed",
                task.id,
            )

    def ends(self, address: str, assignment: TaskAssignment, result: TaskResult) -> None:
        """Note how a worker ended an attempt."""
        if result.success:
            self._succeeded.add((assignment.task.id, assignment.attempt, worker_at(address)))

    def accuse(self, invariant: str, detail: str, task_id: TaskId | None = None) -> None:
        """Note a breach; the first one counts."""
        if self.breach is None:
            self.breach = InvariantViolation(invariant, detail, task_id)

    # ------------------------------------------------------------------ what it says in the end

    def examine(self, board: BoardState) -> None:
        """Look at what a run that has ended left behind."""
        try:
            check_invariants(board)
        except AssertionError as fault:
            self.accuse("the board fits together", str(fault))
        for result in board.results:
            key = (result.task_id, result.attempt, result.worker)
            if result.success and key not in self._succeeded:
                self.accuse(
                    "what is recorded as done was done, by that worker in that attempt",
                    f"worker {result.worker} did not succeed in attempt {result.attempt}",
                    result.task_id,
                )
        for task_id, record in board.tasks.items():
            self._examine_task(task_id, record.status, is_over=board.failure is None)

    def _examine_task(self, task_id: TaskId, status: TaskStatus, *, is_over: bool) -> None:
        settled = self._settled.get(task_id)
        if is_over and not status.is_final:
            self.accuse(
                "every task is settled exactly once",
                f"the run ended and task {task_id!r} is {status.value}",
                task_id,
            )
        if (settled is not None and settled.value.removeprefix("task_")) != (
            status.is_final and status.value
        ):
            told = "not settled" if settled is None else settled.value
            self.accuse(
                "what watchers are told is so",
                f"task {task_id!r} is {status.value}, and was told to be {told}",
                task_id,
            )
