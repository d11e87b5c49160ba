"""Samples a manager's run, and reports its performance."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass

from ...messages import InvalidInput
from ..kernel.board.prefetch import attempts_of
from ..kernel.model.error_kind import error_kind
from ..kernel.model.occurrences import FailureFacts, Occurrence, OccurrenceKind
from ..kernel.model.records import WorkerRecord
from ..manager.task_manager import TaskManager
from ..runtime.clock import now

MAX_COMPLETION_TIMES = 10_000
"""How many completion times are kept; the oldest are dropped."""

MAX_ERROR_KINDS = 1_000
"""How many kinds of error are counted separately; further kinds count as "other"."""


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """The performance of a run so far.

    Args:
        avg_completion_time: the average execution time of completed tasks, in seconds; None before
            the first.
        worker_stats: the share of successful attempts, 0 to 1, by the worker's name.
        error_rates: how many attempts failed and workers were lost, by the kind of error.
        worker_utilization: the share of its slots' time that each connected worker was busy, 0 to
            1, between the last two samples.
    """

    avg_completion_time: float | None
    worker_stats: dict[str, float]
    error_rates: dict[str, int]
    worker_utilization: dict[str, float]


class SystemMetrics:
    """Measures a manager's tasks and workers from its creation on.

    Args:
        manager: the manager to watch.
        every_s: how often `collect_metrics` takes a sample, in seconds.

    Raises:
        InvalidInput: `every_s` is not above 0.
    """

    def __init__(self, manager: TaskManager, every_s: float = 60.0) -> None:
        if not every_s > 0:
            raise InvalidInput(f"every_s is {every_s}; it must be above 0")
        self.task_completion_times: deque[float] = deque(maxlen=MAX_COMPLETION_TIMES)
        self.worker_utilization: dict[str, float] = {}
        self.error_counts: defaultdict[str, int] = defaultdict(int)
        self._manager = manager
        self._every_s = every_s
        # When each connected worker was last sampled, and how long it had been busy until then.
        self._last_samples: dict[str, tuple[float, float]] = {}
        self.update_metrics()
        manager.watch(self._note)

    async def collect_metrics(self) -> None:
        """Take a sample every `every_s` seconds until it is cancelled."""
        while True:
            self.update_metrics()
            await asyncio.sleep(self._every_s)

    def update_metrics(self) -> None:
        """Take a sample of how busy each connected worker was since the last one."""
        self._manager.ask(self._sample)

    def generate_performance_report(self) -> PerformanceReport:
        """Report the performance of the run so far."""
        times = self.task_completion_times
        return PerformanceReport(
            avg_completion_time=sum(times) / len(times) if times else None,
            worker_stats={
                name: stats["success_rate"] for name, stats in self._manager.worker_stats.items()
            },
            error_rates=dict(self.error_counts),
            worker_utilization=dict(self.worker_utilization),
        )

    def _sample(self) -> None:
        at = now()
        utilization: dict[str, float] = {}
        last_samples: dict[str, tuple[float, float]] = {}
        for name, worker in self._manager.board.workers.items():
            if not worker.alive:
                continue
            busy_s = _busy_time(worker, at)
            since, busy_before_s = self._last_samples.get(name, (worker.joined_at, 0.0))
            slots_s = worker.slots * (at - since)
            if slots_s > 0:
                utilization[name] = min(max(busy_s - busy_before_s, 0.0) / slots_s, 1.0)
            last_samples[name] = (at, busy_s)
        self.worker_utilization = utilization
        self._last_samples = last_samples

    def _note(self, occurrence: Occurrence) -> None:
        if occurrence.what is OccurrenceKind.TASK_COMPLETED:
            record = self._manager.board.tasks.get(occurrence.task_id or 0)
            if record is not None and record.result is not None:
                self.task_completion_times.append(record.result.execution_time)
        elif isinstance(occurrence.facts, FailureFacts) and (
            # Other failures were counted with the last attempt.
            occurrence.what is not OccurrenceKind.TASK_FAILED or not occurrence.attempt
        ):
            self._count(error_kind(occurrence.facts.error))
        elif occurrence.what is OccurrenceKind.WORKER_LOST:
            self._count("worker lost")

    def _count(self, kind: str) -> None:
        exceeds_limit = kind not in self.error_counts and (
            len(self.error_counts) >= MAX_ERROR_KINDS
        )
        self.error_counts["other" if exceeds_limit else kind] += 1


def _busy_time(worker: WorkerRecord, at: float) -> float:
    unfinished = (attempt.started_at for attempt in attempts_of(worker.running))
    return worker.stats.busy_time + sum(at - started_at for started_at in unfinished)
