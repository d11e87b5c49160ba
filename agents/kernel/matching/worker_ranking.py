"""Ranks the free workers that can run the tasks of a group, and names the best of them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TypeAlias

from ..model.decision import MAX_NAMED
from ..model.records import TaskRecord, WorkerRecord
from .policies import MatchingPolicy, recovery_score
from .ready_queue import CandidateSet, TaskGroup

RankedWorker: TypeAlias = tuple[float, int, WorkerRecord]
"""A worker with its rank: the lowest is the best; equals follow the order of the workers."""


class WorkerRanking:
    """The free workers that can run the tasks of one group, as a heap with the best at the top.

    The heap is reused for the next match: until `reset`, only the worker that got the last task has
    changed.
    """

    __slots__ = ("_group", "_ranked")

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._ranked: list[RankedWorker] = []

    def reset(self) -> None:
        """Rebuild the heap at the next match, because any worker may have changed."""
        self._group = None

    def rank(
        self,
        policy: MatchingPolicy,
        record: TaskRecord,
        group: TaskGroup,
        candidate_set: CandidateSet,
        free: set[WorkerRecord],
    ) -> list[RankedWorker]:
        """The heap of the free workers for the next task of a group; its first gets the task."""
        ranked = self._ranked
        if self._group is not group:
            self._group = group
            workers = free & candidate_set.workers
            ranked = self._ranked = [_rank(policy, record, group, each) for each in workers]
            heapq.heapify(ranked)
        elif ranked[0][2] in free:
            # The worker that got the last task has another rank now.
            heapq.heapreplace(ranked, _rank(policy, record, group, ranked[0][2]))
        else:
            heapq.heappop(ranked)
        return ranked


def name_best(ranked: Sequence[RankedWorker]) -> tuple[tuple[str, float], ...]:
    """The names and scores of the best workers of a heap, the best first."""
    # Each entry of a heap is after its parent, so the next best is a child of one named before.
    best: list[RankedWorker] = []
    nearest = [(ranked[0], 0)]
    while nearest and len(best) < MAX_NAMED:
        entry, place = heapq.heappop(nearest)
        best.append(entry)
        for child in range(2 * place + 1, min(2 * place + 3, len(ranked))):
            heapq.heappush(nearest, (ranked[child], child))
    return tuple([(worker.name, -score) for score, _, worker in best])


def _rank(
    policy: MatchingPolicy, record: TaskRecord, group: TaskGroup, worker: WorkerRecord
) -> RankedWorker:
    if group.failed_by:
        return -recovery_score(worker), worker.order, worker
    return -policy.score(record.task, worker), worker.order, worker
