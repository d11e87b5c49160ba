"""Policies: which waiting task goes first, who can do it, and who of those gets it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ....messages import Task, UnknownName

if TYPE_CHECKING:
    from ..model.records import WorkerRecord

SPECIALTY_BONUS = 2
"""How much more a worker's skill counts for tasks of a type it specialises in."""

RATE_OF_THE_UNTRIED = 0.5
"""The success rate that `score` takes a worker to have before it has ended anything."""


class MatchingPolicy(Protocol):
    """Who gets which task. Pure: it may look at what it is given, and at nothing else."""

    @property
    def name(self) -> str:
        """What the policy is called in reports."""
        ...

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """Which waiting task goes first: the smallest.

        Args:
            task: the task.
            sequence: its place in the order of adding.
        """
        ...

    def group(self, task: Task) -> Hashable:
        """What `obstacle` and `score` look at: tasks of one type and group are alike to them."""
        ...

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """Why the worker can't do the task, for people; None if it can.

        It may look at what the worker told when it joined, not at its load or its statistics.
        """
        ...

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """How well the task suits a free worker; of those that can do it the highest gets it.

        Equals are told apart by the order of the roster, and then by who joined first.
        """
        ...


@runtime_checkable
class PairingPolicy(MatchingPolicy, Protocol):
    """A policy that looks at all waiting tasks and all free workers at once."""

    def pair(
        self, tasks: Sequence[Task], workers: Sequence[WorkerRecord]
    ) -> Iterable[tuple[WorkerRecord, Task]]:
        """Who gets what now; asked again whenever something happens while tasks wait.

        Args:
            tasks: the waiting tasks, the most urgent first; not more than 1,000.
            workers: those with a free slot.

        Returns:
            Workers and tasks of these. A task that is not among them waits.
        """
        ...


class BestFit:
    """The most urgent first, then the hardest; to a specialist, or else to the least skilled able.

    So the strong stay free for what only they can do. The worker's score is
    10·specialist - skill level - share of its slots taken.
    """

    name = "best_fit"

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """By priority, then difficulty, then the order of adding."""
        return (-task.priority, -task.difficulty, sequence)

    def group(self, task: Task) -> Hashable:
        """By difficulty."""
        return task.difficulty

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """Too little skill, with what a specialty adds."""
        if effective_skill(task, worker) >= task.difficulty:
            return None
        return f"skill {effective_skill(task, worker)} is below difficulty {task.difficulty}"

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """Specialists first, then the least skilled, then the least loaded."""
        specialist = 10.0 if task.type in worker.specialties else 0.0
        return specialist - worker.skill_level - worker.load


class InOrder:
    """The tasks as they were added to the workers in their order, whatever their skill.

    With as many workers as tasks these are paired off one by one. Whoever runs fewest comes next,
    so the tasks go round even if each worker has many slots.
    """

    name = "in_order"

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """By the order of adding; priorities count for nothing."""
        return (sequence,)

    def group(self, task: Task) -> Hashable:
        """All alike."""
        return None

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """None: it is tried, and may fail."""
        return None

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """Who runs fewest."""
        return float(-worker.taken)


class ByScore:
    """The hardest task to the worker with the best record, whatever its skill.

    The score is 0.7 · success rate + 0.3 · completed tasks. Its second part grows without bound, so
    that before long whoever has done most gets everything it has a slot for. It is kept for
    comparison.
    """

    name = "score"

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """By priority, then difficulty, then the order of adding."""
        return (-task.priority, -task.difficulty, sequence)

    def group(self, task: Task) -> Hashable:
        """All alike."""
        return None

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """None: it is tried, and may fail."""
        return None

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """0.7 · success rate + 0.3 · completed tasks."""
        stats = worker.stats
        rate = stats.success_rate if stats.completed_tasks else RATE_OF_THE_UNTRIED
        return 0.7 * rate + 0.3 * stats.completed_tasks


POLICIES: Mapping[str, MatchingPolicy] = {
    policy.name: policy for policy in (BestFit(), InOrder(), ByScore())
}
"""The policies that have a name."""


def find_policy(name: str) -> MatchingPolicy:
    """The policy of this name.

    Raises:
        UnknownName: there is none; the message lists those there are.
    """
    policy = POLICIES.get(name)
    if policy is None:
        raise UnknownName("policy", name, POLICIES)
    return policy


def effective_skill(task: Task, worker: WorkerRecord) -> int:
    """The worker's skill for this task: its level, and the bonus if it specialises in the type."""
    bonus = SPECIALTY_BONUS if task.type in worker.specialties else 0
    return worker.skill_level + bonus


def recovery_score(worker: WorkerRecord) -> float:
    """Who gets a task that has failed before, under every policy: the most skilled."""
    return worker.skill_level - worker.load


def find_obstacle(policy: MatchingPolicy, task: Task, worker: WorkerRecord) -> str | None:
    """Why the worker can't do the task: no handler, or what the policy says; None if it can."""
    return _missing_handler(task, worker) or policy.obstacle(task, worker)


def describe_unavailability(worker: WorkerRecord) -> str | None:
    """Why a connected worker is given no task at all for now; None if it may be given any."""
    if worker.is_retiring:
        return "is retiring"
    if worker.quarantined_until is not None:
        return f"is in quarantine: failed {worker.failures_in_a_row} times in a row"
    return None


def describe_shortfall(policy: MatchingPolicy, task: Task, workers: Iterable[WorkerRecord]) -> str:
    """What a task lacks that none of these workers can do."""
    workers = tuple(workers)
    willing = [worker for worker in workers if _missing_handler(task, worker) is None]
    if not willing:
        nearest = workers[0]
        others = f", and {len(workers) - 1} more workers have none either" if workers[1:] else ""
        return f"{nearest.name} {_missing_handler(task, nearest)}{others}"
    best = max(willing, key=lambda worker: (effective_skill(task, worker), -worker.order))
    skill = effective_skill(task, best)
    if skill < task.difficulty:
        return f"needs skill {task.difficulty}; the best, {best.name}, has {skill}"
    obstacle = policy.obstacle(task, best)
    return f"{best.name}: {obstacle}" if obstacle else f"{policy.name} gives it to no worker"


def _missing_handler(task: Task, worker: WorkerRecord) -> str | None:
    if worker.task_types is None or task.type in worker.task_types:
        return None
    known = ", ".join(sorted(worker.task_types)) or "none"
    if not task.type:
        return f"does no simulated work; has handlers for: {known}"
    return f"has no handler for {task.type!r}; has: {known}"
