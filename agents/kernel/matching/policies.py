"""The criteria of assignment: urgency of tasks, obstacles and scores of workers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ....messages import Task

if TYPE_CHECKING:
    from ..model.records import WorkerRecord

SPECIALTY_BONUS = 2
"""The bonus on a worker's skill level for tasks of a type in which it specialises."""

RATE_OF_THE_UNTRIED = 0.5
"""The success rate that `score` assumes for a worker before its first attempt has ended."""


class MatchingPolicy(Protocol):
    """Decides which worker gets which task. Its methods are pure functions of their arguments."""

    @property
    def name(self) -> str:
        """The policy's name in reports."""
        ...

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """A waiting task's urgency; the task with the smallest value is assigned first.

        If the policy has the attribute `puts_priority_first`, the first number is the negative
        priority. Then the queue lets priorities age, and puts deadlines after them.

        Args:
            task: the task.
            sequence: its number in the order of adding.
        """
        ...

    def group(self, task: Task) -> Hashable:
        """A task's group. `obstacle` and `score` must treat tasks of one type and group alike."""
        ...

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """The reason why the worker can't run the task, as text for people; None if it can.

        It may depend on the profile that the worker sent, not on its load or its statistics.
        """
        ...

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """A free worker's score for the task; the worker with the highest score gets it.

        If scores are equal, the order of the roster decides, then the order of joining.
        """
        ...


@runtime_checkable
class PairingPolicy(MatchingPolicy, Protocol):
    """A policy that pairs waiting tasks and free workers in one call."""

    def pair(
        self, tasks: Sequence[Task], workers: Sequence[WorkerRecord]
    ) -> Iterable[tuple[WorkerRecord, Task]]:
        """Pair tasks and workers; called after every event while tasks wait.

        Args:
            tasks: the 1,000 most urgent waiting tasks, the most urgent first.
            workers: the workers with a free slot.

        Returns:
            Pairs of a worker and a task. A task in no pair waits.
        """
        ...


class BestFit:
    """Assigns the most urgent task, then the hardest, to a specialist or the least skilled worker.

    So the most skilled workers stay free for tasks that only they can run. The worker's score is
    10·specialist - skill level - share of its slots in use.
    """

    name = "best_fit"
    puts_priority_first = True

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """By priority, then difficulty, then the order of adding."""
        return (-task.priority, -task.difficulty, sequence)

    def group(self, task: Task) -> Hashable:
        """By difficulty."""
        return task.difficulty

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """Too little skill, including the bonus for a specialty."""
        if effective_skill(task, worker) >= task.difficulty:
            return None
        return f"skill {effective_skill(task, worker)} is below difficulty {task.difficulty}"

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """Specialists first, then the least skilled, then the least loaded."""
        specialist = 10.0 if task.type in worker.specialties else 0.0
        return specialist - worker.skill_level - worker.load


class InOrder:
    """Assigns tasks in the order of adding to workers in their order; ignores skill.

    With as many workers as tasks, each worker gets one. The worker with the fewest running tasks is
    next, so tasks are spread evenly even if workers have many slots.
    """

    name = "in_order"

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """By the order of adding; priorities are ignored."""
        return (sequence,)

    def group(self, task: Task) -> Hashable:
        """One group for all tasks."""
        return None

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """None: any worker may run any task."""
        return None

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """The worker that runs the fewest tasks."""
        return float(-worker.taken)


class ByScore:
    """Assigns the hardest task to the worker with the best statistics; ignores skill.

    The score is 0.7 · success rate + 0.3 · completed tasks. Its second part grows without bound, so
    the worker with the most completed tasks soon gets every task for which it has a slot. The
    policy is kept for comparison.
    """

    name = "score"
    puts_priority_first = True

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        """By priority, then difficulty, then the order of adding."""
        return (-task.priority, -task.difficulty, sequence)

    def group(self, task: Task) -> Hashable:
        """One group for all tasks."""
        return None

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        """None: any worker may run any task."""
        return None

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """0.7 · success rate + 0.3 · completed tasks."""
        stats = worker.stats
        rate = stats.success_rate if stats.completed_tasks else RATE_OF_THE_UNTRIED
        return 0.7 * rate + 0.3 * stats.completed_tasks


def effective_skill(task: Task, worker: WorkerRecord) -> int:
    """The worker's skill for this task: its level, plus the bonus if it specialises in the type."""
    bonus = SPECIALTY_BONUS if task.type in worker.specialties else 0
    return worker.skill_level + bonus


def recovery_score(worker: WorkerRecord) -> float:
    """The score for a task that failed before, under every policy: the effective skill."""
    return worker.skill_level - worker.load


def find_obstacle(policy: MatchingPolicy, task: Task, worker: WorkerRecord) -> str | None:
    """Why the worker can't run the task: no handler, or the policy's obstacle; None if it can."""
    return _missing_handler(task, worker) or policy.obstacle(task, worker)


def describe_unavailability(worker: WorkerRecord) -> str | None:
    """Why a connected worker gets no tasks now; None if it may get some."""
    if worker.is_retiring:
        return "is retiring"
    if worker.drain is not None:
        return "is draining"
    if worker.quarantined_until is not None:
        return f"is in quarantine: failed {worker.failures_in_a_row} times in a row"
    return None


def describe_shortfall(policy: MatchingPolicy, task: Task, workers: Iterable[WorkerRecord]) -> str:
    """Why none of these workers can run a task."""
    workers = tuple(workers)
    willing = [worker for worker in workers if _missing_handler(task, worker) is None]
    if not willing:
        nearest = workers[0]
        others = f"; the same goes for {len(workers) - 1} more" if workers[1:] else ""
        return f"{nearest.name} {_missing_handler(task, nearest)}{others}"
    best = max(willing, key=lambda worker: (effective_skill(task, worker), -worker.order))
    skill = effective_skill(task, best)
    if skill < task.difficulty:
        return f"needs skill {task.difficulty}; the best, {best.name}, has {skill}"
    obstacle = find_obstacle(policy, task, best)
    return f"{best.name}: {obstacle}" if obstacle else f"{policy.name} assigns it to no worker"


def _missing_handler(task: Task, worker: WorkerRecord) -> str | None:
    if worker.task_types is None or task.type in worker.task_types:
        return None
    known = ", ".join(sorted(worker.task_types)) or "none"
    if not task.type:
        return f"does no simulated work; has handlers for: {known}"
    return f"has no handler for {task.type!r}; has: {known}"
