"""What the makers of matches use of the task queue."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol, TypeAlias

from ..model.decision import Candidates, Decision
from ..model.duration_estimate import DurationEstimate
from ..model.records import TaskRecord, WorkerRecord
from .budget import Budget
from .eligibility import Eligibility
from .limiter import Limiter
from .policies import MatchingPolicy
from .ready_queue import CandidateSet, QueueEntry, TaskGroup
from .unmatched_timeout import UnmatchedTimeout

Match: TypeAlias = tuple[TaskRecord, WorkerRecord, Decision, DurationEstimate]
"""A task, its worker, the decision, and the duration estimate for such tasks."""


class WaitingQueue(Protocol):
    """The waiting tasks and the connected workers; see `TaskQueue`."""

    count: int
    policy: MatchingPolicy
    workers: dict[WorkerRecord, None]
    free: set[WorkerRecord]
    groups: dict[Hashable, TaskGroup]
    budget: Budget
    unmatched_timeout: UnmatchedTimeout
    limiter: Limiter | None

    @property
    def candidate_sets_of(self) -> Mapping[WorkerRecord, Sequence[CandidateSet]]:
        """The candidate sets of each worker."""
        ...

    def take(self, head: QueueEntry) -> CandidateSet:
        """Remove the most urgent task of a candidate set. Returns the set."""
        ...

    def remove(self, record: TaskRecord) -> None:
        """Remove a task if it is waiting."""
        ...

    def candidates_of(self, group: TaskGroup) -> Candidates:
        """The connected workers that can run the tasks of a group, and why the others can't."""
        ...

    def eligibility_of(self, record: TaskRecord) -> Eligibility:
        """Which workers may get a task, whether it waits or not."""
        ...
