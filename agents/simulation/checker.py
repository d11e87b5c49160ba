"""Checks that a simulated run keeps the invariants of every run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from ...messages import TaskAssignment, TaskId, TaskResult, TaskStatus
from ..kernel.board.invariants import check_invariants
from ..kernel.board.limit_invariants import find_passed_rates
from ..kernel.board.state import BoardState
from ..kernel.matching.eligibility import FAILED_OUTCOMES, is_on_step
from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import (
    SETTLING,
    AnswerFacts,
    Occurrence,
    OccurrenceKind,
    RequeueCause,
    RequeueFacts,
)
from ..kernel.model.records import AttemptOutcome, TaskRecord
from ..kernel.model.schedules import parse_scheduled_id
from .faults import worker_at
from .memory_network import FaultPlan
from .retry_checks import find_wrong_retries


class InvariantViolation(NamedTuple):
    """An invariant that a run violated.

    Args:
        invariant: what must always hold.
        detail: what happened instead.
        task_id: the task that it concerns, if it concerns one.
    """

    invariant: str
    detail: str
    task_id: TaskId | None = None


class RunChecker:
    """Observes a run from outside, and hashes all its frames and occurrences.

    Args:
        faults: the fault plan, to which it delegates the decision about each frame.
    """

    def __init__(self, faults: FaultPlan) -> None:
        self.violation: InvariantViolation | None = None
        self._faults = faults
        self._hash = hashlib.blake2b(digest_size=16)
        # Bounded by the tasks and attempts of the run.
        self._settled: dict[TaskId, OccurrenceKind] = {}
        self._ever_settled: set[TaskId] = set()
        self._performed: dict[tuple[TaskId, int], str] = {}
        self._added: set[TaskId] = set()
        self._answered: dict[TaskId, set[int]] = {}
        self._succeeded: set[tuple[TaskId, int, str]] = set()

    @property
    def digest(self) -> str:
        """A hash over all frames and occurrences so far; equal for equal runs."""
        return self._hash.hexdigest()

    # ------------------------------------------------------------------ observations

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        """Note a frame and its fate; see `FaultPlan`."""
        fates = self._faults.fates(sender, to, frame, now)
        self._hash.update(f"{now!r} {sender} {to} {tuple(fates)!r}".encode())
        self._hash.update(frame)
        return fates

    def note(self, occurrence: Occurrence) -> None:
        """Note an occurrence of the manager's board."""
        at, what, task_id, attempt, worker, facts = occurrence
        detail = describe_facts(occurrence)
        self._hash.update(f"{at!r} {what.value} {task_id!r} {attempt} {worker} {detail}".encode())
        if isinstance(facts, RequeueFacts) and facts.cause is RequeueCause.ATTEMPT_LOST:
            self.report(
                "an attempt that a worker holds, or has reported the end of, is not lost",
                f"attempt {attempt} at task {task_id!r} was taken away from {worker}: {detail}",
                task_id,
            )
        if what is OccurrenceKind.TASK_ADDED and task_id is not None:
            if parse_scheduled_id(task_id) is not None and task_id in self._added:
                self.report("a schedule makes each due time once", f"{task_id!r} twice", task_id)
            self._added.add(task_id)
        if what is OccurrenceKind.TASK_RETRIED and task_id is not None:
            self._settled.pop(task_id, None)
            self._answered.pop(task_id, None)
        if what is OccurrenceKind.QUESTION_ANSWERED and task_id is not None:
            self._note_answer(task_id, facts)
        if what not in SETTLING or task_id is None:
            return
        earlier = self._settled.get(task_id)
        if earlier is not None:
            self.report(
                "every task is settled exactly once",
                f"task {task_id!r} was {earlier.value} and then {what.value}",
                task_id,
            )
        self._settled[task_id] = what
        self._ever_settled.add(task_id)

    def _note_answer(self, task_id: TaskId, facts: object) -> None:
        answered = self._answered.setdefault(task_id, set())
        if isinstance(facts, AnswerFacts):
            if facts.number in answered:
                self.report("a question is answered once", f"{facts} came twice", task_id)
            answered.add(facts.number)

    def manager_resumed(self, board: BoardState) -> None:
        """Check the board with which a new manager resumes the run of one that was killed.

        A task that the killed manager settled in the store is settled, even if no watcher was
        called.
        """
        for task_id, record in board.tasks.items():
            noted = self._settled.get(task_id)
            kept = OccurrenceKind(f"task_{record.status.value}") if record.status.is_final else None
            # The killed manager may have written that a task begins anew, and not told it.
            begins_anew = record.retried_at is not None and kept is None
            if begins_anew:
                self._settled.pop(task_id, None)
            elif noted is not None and noted is not kept:
                self.report(
                    "a settled task stays settled when the manager is replaced",
                    f"task {task_id!r} was {noted.value}, and the next manager resumed it as "
                    f"{record.status.value}",
                    task_id,
                )
            if kept is not None:
                self._settled[task_id] = kept
                self._ever_settled.add(task_id)

    def attempt_began(self, address: str, assignment: TaskAssignment) -> None:
        """Note that a worker began to perform an attempt."""
        task, key = assignment.task, (assignment.task.id, assignment.attempt)
        attempt = f"attempt {assignment.attempt} at task {task.id!r}"
        if key in self._performed:
            self.report(
                "an attempt runs at most once, on one worker",
                f"{attempt} ran at {self._performed[key]} and again at {address}",
                task.id,
            )
        self._performed[key] = address
        if assignment.worker != worker_at(address):
            self.report(
                "only the worker that an attempt is assigned to runs it",
                f"{attempt} was assigned to {assignment.worker} and ran at {address}",
                task.id,
            )
        needed = set(task.depends_on)
        ends = {each: self._settled.get(each) for each in needed}
        if task.run_if == "completed":
            unmet = [each for each in needed if ends[each] is not OccurrenceKind.TASK_COMPLETED]
        else:
            # It may have begun anew since the task was assigned.
            unmet = [each for each in needed if each not in self._ever_settled]
        if unmet or {*assignment.inputs, *assignment.upstream_errors} != needed:
            self.report(
                "a task starts only when all its dependencies are completed",
                f"{attempt} began at {address} with the inputs of "
                f"{sorted(assignment.inputs, key=str)} and {sorted(unmet, key=str)} not completed",
                task.id,
            )

    def attempt_ended(self, address: str, assignment: TaskAssignment, result: TaskResult) -> None:
        """Note the result with which a worker ended an attempt."""
        if result.success:
            self._succeeded.add((assignment.task.id, assignment.attempt, worker_at(address)))

    def report(self, invariant: str, detail: str, task_id: TaskId | None = None) -> None:
        """Note a violation; only the first one is kept."""
        if self.violation is None:
            self.violation = InvariantViolation(invariant, detail, task_id)

    # ------------------------------------------------------------------ at the end

    def check_board(self, board: BoardState) -> None:
        """Check the board of a run that has ended."""
        try:
            check_invariants(board)
        except AssertionError as fault:
            self.report("the board is consistent", str(fault))
        for result in board.results:
            key = (result.task_id, result.attempt, result.worker)
            if result.success and key not in self._succeeded:
                self.report(
                    "a recorded success was a success of that worker in that attempt",
                    f"worker {result.worker} did not succeed in attempt {result.attempt}",
                    result.task_id,
                )
        for task_id, record in board.tasks.items():
            self._check_task(task_id, record.status, is_over=board.failure is None)
            self._check_terms(record)
            for invariant, detail in find_wrong_retries(record, board.rules):
                self.report(invariant, detail, task_id)
        for limit, key, most in find_passed_rates(board):
            self.report(
                "no limit is ever passed",
                f"{most} attempts began within {limit.per_s} s of {limit!r}, with the key {key!r}",
            )

    def _check_terms(self, record: TaskRecord) -> None:
        """Check that no worker got a task that it may not have; profiles never change here."""
        task, step = record.task, 0
        declined: set[str] = set()
        for attempt in record.current_attempts:
            worker = attempt.worker
            steps = task.escalate[min(step, len(task.escalate) - 1) :]
            if steps and not any(is_on_step(worker, each) for each in steps):
                self.report(
                    "a task with a ladder goes to no worker of an earlier step",
                    f"attempt {attempt.number} at task {task.id!r} went to {worker.name}, which is "
                    f"on none of the steps {steps}",
                    task.id,
                )
            if worker.name in declined:
                self.report(
                    "a task never goes back to a worker that declined it",
                    f"attempt {attempt.number} at task {task.id!r} went to {worker.name}",
                    task.id,
                )
            lacking = task.strict and any(
                worker.skills.get(name, 0.0) < level for name, level in task.required_skills.items()
            )
            if lacking:
                self.report(
                    "a strict task goes only to workers that have the skills",
                    f"attempt {attempt.number} at task {task.id!r} went to {worker.name}",
                    task.id,
                )
            if attempt.outcome is AttemptOutcome.DECLINED:
                declined.add(worker.name)
            step += attempt.outcome in FAILED_OUTCOMES

    def _check_task(self, task_id: TaskId, status: TaskStatus, *, is_over: bool) -> None:
        settled = self._settled.get(task_id)
        if is_over and not status.is_final:
            self.report(
                "every task is settled exactly once",
                f"the run ended and task {task_id!r} is {status.value}",
                task_id,
            )
        if (settled is not None and settled.value.removeprefix("task_")) != (
            status.is_final and status.value
        ):
            reported = "not settled" if settled is None else settled.value
            self.report(
                "watchers receive the final status",
                f"task {task_id!r} is {status.value}, and was reported as {reported}",
                task_id,
            )
