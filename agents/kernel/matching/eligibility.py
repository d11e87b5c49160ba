"""Hard facts that decide which workers may get a task, under every policy.

They are a missing handler, the policy's obstacle, a named skill that a strict task requires, the
step of a task's ladder, a worker's refusal, and the end of the budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ....messages import Task
from ..model.decision import MAX_NAMED, Candidates
from ..model.occurrences import DeclineFacts, FailureCause, OccurrenceKind
from ..model.records import AttemptOutcome, TaskRecord, WorkerRecord
from ..model.second_opinions import Restriction, needs_second_opinion, restriction_of
from .budget import Budget, describe_rates
from .policies import (
    MatchingPolicy,
    describe_shortfall,
    describe_unavailability,
    find_obstacle,
)

FAILED_OUTCOMES = frozenset(
    {AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.REJECTED}
)
"""The outcomes that move a task one step up its ladder."""

_MAX_REASON_CHARACTERS = 200


class Terms(NamedTuple):
    """What a task insists on; it is the same for all tasks of a group.

    Args:
        skills: the named skills that a strict task requires, with their levels.
        ladder: the steps of its ladder.
        step: the current step, from 0.
        declined_by: the names of the workers that declined it.
        restriction: who may not review it or vote on it; None if it needs neither now.
        returns_to: the name of the worker that has it again while that is connected, or "".
    """

    skills: tuple[tuple[str, float], ...] = ()
    ladder: tuple[str, ...] = ()
    step: int = 0
    declined_by: frozenset[str] = frozenset()
    restriction: Restriction | None = None
    returns_to: str = ""


NO_TERMS = Terms()


def terms_of(record: TaskRecord) -> Terms:
    """What a task insists on now."""
    task, declined_by = record.task, record.declined_by
    restriction = restriction_of(record) if needs_second_opinion(task) else None
    if restriction is not None and restriction.is_review:
        # A reviewer needs neither the skills nor the step of a worker that runs the task.
        return Terms(declined_by=declined_by, restriction=restriction)
    returns_to = record.returns_to
    if not (task.strict or task.escalate or declined_by or restriction or returns_to):
        return NO_TERMS
    step = 0
    if task.escalate:
        taken = sum(attempt.outcome in FAILED_OUTCOMES for attempt in record.current_attempts)
        step = min(taken, len(task.escalate) - 1)
    skills = tuple(sorted(task.required_skills.items())) if task.strict else ()
    return Terms(skills, task.escalate, step, declined_by, restriction, returns_to)


def max_attempts_of(record: TaskRecord) -> int:
    """How many attempts a task has: at least one for each step of its ladder."""
    return max(record.max_attempts, len(record.task.escalate))


def is_on_step(worker: WorkerRecord, step: str) -> bool:
    """Whether a worker stands on a step of a ladder: by its name, a named skill or a specialty."""
    return step == worker.name or step in worker.skills or step in worker.specialties


class Shortfall(NamedTuple):
    """Why no connected worker may get a task.

    Args:
        cause: what is missing.
        text: the reason as text for people.
    """

    cause: FailureCause
    text: str


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Which workers may get the tasks of one group.

    Args:
        policy: the matching policy.
        task: one of the tasks.
        terms: what the tasks insist on.
        budget: the budget of the run.
    """

    policy: MatchingPolicy
    task: Task
    terms: Terms
    budget: Budget

    def able(self, workers: Iterable[WorkerRecord]) -> list[WorkerRecord]:
        """Those of the connected workers that may get the tasks.

        Args:
            workers: all connected workers; a step of a ladder on which none of them stands is
                skipped if there is one on a later step.
        """
        policy, task, terms = self.policy, self.task, self.terms
        if terms is NO_TERMS and not self.budget.is_spent:
            return [each for each in workers if find_obstacle(policy, task, each) is None]
        able = [each for each in workers if self._obstacle_besides_steps(each) is None]
        if not terms.ladder:
            return self._returning(able)
        for step in terms.ladder[terms.step :]:
            on_step = [each for each in able if is_on_step(each, step)]
            if on_step:
                return self._returning(on_step)
        return []

    def _returning(self, able: list[WorkerRecord]) -> list[WorkerRecord]:
        """The worker to which a task returns, unless it gets no tasks any more; else all."""
        name, is_committed = self.terms.returns_to, self.budget.is_committed
        if not name:
            return able
        return [
            each
            for each in able
            if each.name == name
            and not (each.is_retiring or each.drain is not None or (is_committed and each.is_paid))
        ] or able

    def able_if_paid(self, workers: Iterable[WorkerRecord]) -> list[WorkerRecord]:
        """Those of the workers that may get the tasks, as if nothing of the budget were spent."""
        return replace(self, budget=Budget(None, self.budget.unit)).able(workers)

    def may_get(self, worker: WorkerRecord, workers: Iterable[WorkerRecord]) -> bool:
        """Whether one of the connected workers may get the tasks."""
        if self.terms.ladder or self.terms.returns_to:
            return worker in self.able(workers)
        return self._obstacle_besides_steps(worker) is None

    def obstacle(self, worker: WorkerRecord, able: Sequence[WorkerRecord]) -> str | None:
        """Why a worker can't get the tasks, as text for people; None if it can.

        Args:
            worker: the worker.
            able: what `able` returns.
        """
        obstacle = self._obstacle_besides_steps(worker)
        if obstacle is not None or worker in able:
            return obstacle
        if any(each.name == self.terms.returns_to for each in able):
            return f"its last attempt failed at {self.terms.returns_to}, which has it again"
        return f"is not on {self._describe_step(able)}"

    def shortfall(self, workers: Iterable[WorkerRecord]) -> Shortfall:
        """Why none of the connected workers may get the tasks."""
        workers, unmatched = tuple(workers), FailureCause.UNMATCHED
        by_policy = [each for each in workers if self._find_obstacle(each) is None]
        if not by_policy:
            text = _describe_restricted_shortfall(
                self.policy, self.task, self.terms.restriction, workers
            )
            return Shortfall(unmatched, text)
        skilled = [each for each in by_policy if self._missing_skill(each) is None]
        if not skilled:
            nearest = min(by_policy, key=lambda worker: worker.order)
            others = f", and {len(by_policy) - 1} more lack a skill" if by_policy[1:] else ""
            missing = self._missing_skill(nearest)
            return Shortfall(unmatched, f"{nearest.name} {missing}{others}")
        steps = self.terms.ladder[self.terms.step :]
        on_steps = [
            each for each in skilled if not steps or any(is_on_step(each, step) for step in steps)
        ]
        if not on_steps:
            return Shortfall(unmatched, f"no worker that can run it is on {self._describe_step()}")
        willing = [each for each in on_steps if each.name not in self.terms.declined_by]
        if not willing:
            names = ", ".join(sorted(each.name for each in on_steps)[:MAX_NAMED])
            return Shortfall(FailureCause.DECLINED, f"declined by all that could run it: {names}")
        if not self.budget.is_spent or not all(each.is_paid for each in willing):
            return Shortfall(unmatched, describe_shortfall(self.policy, self.task, willing))
        first = min(willing, key=lambda worker: worker.order)
        return Shortfall(FailureCause.BUDGET, self._dearness(first))

    def _obstacle_besides_steps(self, worker: WorkerRecord) -> str | None:
        obstacle = self._find_obstacle(worker) or self._missing_skill(worker)
        if obstacle is None and worker.name in self.terms.declined_by:
            return "declined it"
        if obstacle is None and worker.is_paid and self.budget.is_spent:
            return self._dearness(worker)
        return obstacle

    def _find_obstacle(self, worker: WorkerRecord) -> str | None:
        return _find_restricted_obstacle(self.policy, self.task, self.terms.restriction, worker)

    def _missing_skill(self, worker: WorkerRecord) -> str | None:
        for name, level in self.terms.skills:
            has = worker.skills.get(name)
            if (0.0 if has is None else has) < level:
                return f"needs {name} {level:g}; has {'none' if has is None else f'{has:g}'}"
        return None

    def _dearness(self, worker: WorkerRecord) -> str:
        return f"{self.budget.describe()}; {worker.name} costs {describe_rates(worker)}"

    def _describe_step(self, able: Sequence[WorkerRecord] = ()) -> str:
        ladder, step = self.terms.ladder, self.terms.step
        while able and step < len(ladder) - 1 and not is_on_step(able[0], ladder[step]):
            step += 1
        return f"step {step + 1} of the ladder {' > '.join(ladder)}, which is {ladder[step]!r}"


def find_candidates(
    eligibility: Eligibility, workers: Iterable[WorkerRecord], failed_by: frozenset[str]
) -> Candidates:
    """The connected workers that can run the tasks of a group, and why the others can't."""
    able: list[tuple[str, int]] = []
    unable: list[tuple[str, str]] = []
    workers = tuple(workers)
    eligible = eligibility.able(workers)
    for worker in sorted(workers, key=lambda worker: worker.order):
        obstacle = eligibility.obstacle(worker, eligible) or describe_unavailability(worker)
        if obstacle is None:
            able.append((worker.name, worker.slots))
        else:
            unable.append((worker.name, obstacle))
    return Candidates.of(able, unable, failed_by)


def describe_declines(record: TaskRecord) -> str:
    """Who declined a task and why, as text of bounded length."""
    reasons: dict[str, str] = {}
    for each in record.story:
        if each.what is OccurrenceKind.ATTEMPT_DECLINED and isinstance(each.facts, DeclineFacts):
            reasons[each.worker] = each.facts.reason[:_MAX_REASON_CHARACTERS]
    told = [f"{name}: {reason}" for name, reason in list(reasons.items())[:MAX_NAMED]]
    others = len(record.declined_by) - len(told)
    if others > 0:
        told.append(f"and {others} more")
    return "; ".join(told)


def _find_restricted_obstacle(
    policy: MatchingPolicy, task: Task, restriction: Restriction | None, worker: WorkerRecord
) -> str | None:
    """Why a worker can't have the next attempt at a task; None if it can.

    A reviewer needs a reviewer for the type, but neither a handler nor the skill to do the work.

    Args:
        policy: the matching policy.
        task: the task.
        restriction: the workers that may not have the attempt; None if all may.
        worker: the worker.
    """
    if restriction is None:
        return find_obstacle(policy, task, worker)
    if restriction.is_review:
        if task.type not in worker.review_types:
            return f"has no reviewer for {task.type!r}"
        return "did the work that is to be reviewed" if worker.name in restriction.barred else None
    if worker.name in restriction.barred:
        return "has voted, or is about to"
    return find_obstacle(policy, task, worker)


def _describe_restricted_shortfall(
    policy: MatchingPolicy,
    task: Task,
    restriction: Restriction | None,
    workers: Iterable[WorkerRecord],
) -> str:
    """Why none of these workers can have the next attempt at a task."""
    if restriction is None:
        return describe_shortfall(policy, task, workers)
    if restriction.is_review:
        reviewers = sorted(each.name for each in workers if task.type in each.review_types)
        if not reviewers:
            return f"no connected worker has a reviewer for {task.type!r}"
        return f"only {reviewers[0]} has a reviewer for {task.type!r}, and did the work itself"
    others = [each for each in workers if each.name not in restriction.barred]
    if not others:
        return "all connected workers have voted"
    return describe_shortfall(policy, task, others)
