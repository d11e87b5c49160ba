"""Collects a manager's metrics for Prometheus, from its board and from its tallies."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from ...messages import TaskStatus
from ..kernel.board.state import BoardState
from ..kernel.matching.limited_tasks import count_held_back
from ..kernel.model.health import Health, health_of, silence_of
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from ..kernel.model.records import AttemptOutcome, WorkerRecord
from ..manager.task_manager import TaskManager
from ..runtime.clock import now
from .tallies import Histogram, MetricTallies

MAX_WORKERS_NAMED = 100
"""How many connected workers have their own series: the ones that joined first."""

OTHERS = "(others)"
"""The name under which all other connected workers are aggregated."""

_RETRIED = (
    AttemptOutcome.FAILED,
    AttemptOutcome.TIMED_OUT,
    AttemptOutcome.LOST,
    AttemptOutcome.POSTPONED,
    AttemptOutcome.RETURNED,
)
"""The outcomes after which a task is queued again."""

_SETTLED_AS: Mapping[OccurrenceKind, TaskStatus] = {
    OccurrenceKind.TASK_COMPLETED: TaskStatus.COMPLETED,
    OccurrenceKind.TASK_FAILED: TaskStatus.FAILED,
    OccurrenceKind.TASK_CANCELLED: TaskStatus.CANCELLED,
}


class ManagerCollector(Collector):
    """Watches a manager and collects its metrics.

    Args:
        manager: the manager; the collector does not keep it alive.
    """

    def __init__(self, manager: TaskManager) -> None:
        self._manager = weakref.ref(manager)
        self._tallies = MetricTallies()
        manager.watch(self._note)
        manager.watch_writes(self._tallies.writes.observe)

    def describe(self) -> Iterable[Metric]:
        """Nothing: the metrics are known when they are collected."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Collect the metrics of the run, from any thread."""
        manager = self._manager()
        if manager is None:
            return ()
        return manager.ask(lambda: list(self._read(manager)))

    def _note(self, occurrence: Occurrence) -> None:
        manager = self._manager()
        if manager is not None:
            self._tallies.note(occurrence, manager.board)

    def _read(self, manager: TaskManager) -> Iterator[Metric]:
        board = manager.board
        yield _counted_gauge(
            "muster_run_info",
            "The manager, its policy and its version; always 1.",
            ("manager", "policy", "version"),
            {(manager.name, board.policy_name, version("ceylon-muster")): 1},
        )
        yield from self._read_tasks(board)
        yield from self._read_workers(board)
        yield from _read_costs(board)
        yield from _read_limited(board)
        yield from _read_traffic(manager)
        yield _histogram(
            "muster_store_write_seconds",
            "How long writes to the store took.",
            self._tallies.writes,
        )

    def _read_tasks(self, board: BoardState) -> Iterator[Metric]:
        tallies = self._tallies
        yield _counted_gauge(
            "muster_tasks",
            "Tasks by their status.",
            ("status",),
            {(status.value,): board.counts[status] for status in TaskStatus},
        )
        yield _counter(
            "muster_tasks_settled",
            "Tasks that were settled, by their final status.",
            "status",
            {status.value: tallies.settled[what] for what, status in _SETTLED_AS.items()},
        )
        yield _histogram(
            "muster_task_wait_seconds",
            "How long a task that was ready waited for a worker.",
            tallies.waits,
        )
        attempts = HistogramMetricFamily(
            "muster_attempt_seconds",
            "How long a task was leased to a worker, by the outcome of the attempt.",
            labels=("outcome",),
        )
        for ending, durations in tallies.attempts.items():
            attempts.add_metric((_label(ending.value),), durations.buckets(), durations.sum_s)
        yield attempts
        yield _counter(
            "muster_retries",
            "Attempts after which a task was queued again, by their outcome.",
            "outcome",
            {_label(ending.value): tallies.retries[ending] for ending in _RETRIED},
        )
        yield _counter(
            "muster_attempts_declined",
            "Attempts that their worker declined.",
            "",
            {"": tallies.declined},
        )
        yield _counter(
            "muster_attempts_rejected",
            "Attempts whose result a review or a vote rejected.",
            "",
            {"": tallies.rejected},
        )
        yield SummaryMetricFamily(
            "muster_attempt_quality",
            "The grades of attempts, 0 to 1.",
            count_value=tallies.grades,
            sum_value=tallies.grade_sum,
        )
        yield _counter(
            "muster_results_ignored",
            "Results that were ignored, by reason.",
            "reason",
            {_label(reason): count for reason, count in board.ignored.items()},
        )

    def _read_workers(self, board: BoardState) -> Iterator[Metric]:
        at, heartbeat_s = now(), board.rules.heartbeat_s
        workers = board.workers.values()
        healths = Counter(health_of(worker, at, heartbeat_s) for worker in workers)
        yield _counted_gauge(
            "muster_workers",
            "Workers by their health; lost workers include the latest 10,000.",
            ("health",),
            {(health.value,): healths[health] for health in Health},
        )
        yield _counter(
            "muster_workers_joined", "Workers that joined.", "", {"": self._tallies.joined}
        )
        yield _counter(
            "muster_workers_lost", "Workers that were lost or left.", "", {"": self._tallies.lost}
        )
        named, others = _name_workers(workers)
        silences = {(name,): silence_of(worker, at) for name, worker in named.items()}
        running = {(name,): len(worker.running) for name, worker in named.items()}
        slots = {(name,): worker.slots for name, worker in named.items()}
        costs = {name: worker.stats.cost for name, worker in named.items()}
        if others:
            silences[OTHERS,] = max(silence_of(worker, at) for worker in others)
            running[OTHERS,] = sum(len(worker.running) for worker in others)
            slots[OTHERS,] = sum(worker.slots for worker in others)
            costs[OTHERS] = sum(worker.stats.cost for worker in others)
        yield _counted_gauge(
            "muster_worker_silence_seconds",
            "Time since the last message of a connected worker.",
            ("worker",),
            silences,
        )
        yield _counted_gauge(
            "muster_worker_running_attempts",
            "Tasks that are leased to a connected worker.",
            ("worker",),
            running,
        )
        yield _counted_gauge(
            "muster_worker_slots",
            "How many tasks a connected worker runs at once.",
            ("worker",),
            slots,
        )
        yield _counter(
            "muster_worker_cost", "What the attempts of a connected worker cost.", "worker", costs
        )


def _name_workers(
    workers: Iterable[WorkerRecord],
) -> tuple[dict[str, WorkerRecord], list[WorkerRecord]]:
    named: dict[str, WorkerRecord] = {}
    others: list[WorkerRecord] = []
    for worker in workers:
        if worker.alive:
            # A lone surrogate can't be encoded.
            name = worker.name.encode(errors="backslashreplace").decode()
            if len(named) < MAX_WORKERS_NAMED and name != OTHERS and name not in named:
                named[name] = worker
            else:
                others.append(worker)
    return named, others


def _read_costs(board: BoardState) -> Iterator[Metric]:
    budget = board.budget
    # A lone surrogate can't be encoded.
    unit = budget.unit.encode(errors="backslashreplace").decode()
    yield _counter("muster_cost", "What all attempts cost.", "unit", {unit: budget.spent})
    models = {
        name.encode(errors="backslashreplace").decode(): each
        for name, each in board.spending.by_model.items()
    }
    tokens = CounterMetricFamily(
        "muster_model_tokens", "Tokens that attempts used.", labels=("model", "direction")
    )
    for model, each in models.items():
        tokens.add_metric((model, "in"), each.tokens_in)
        tokens.add_metric((model, "out"), each.tokens_out)
    yield tokens
    spent = {model: each.cost for model, each in models.items()}
    types = {
        (name.encode(errors="backslashreplace").decode() or "(none)"): cost
        for name, cost in board.spending.sums.by_type.items()
    }
    yield _counter("muster_type_cost", "What attempts at tasks of a type cost.", "type", types)
    yield _counter("muster_model_cost", "What attempts with a model cost.", "model", spent)
    if budget.unspent is not None:
        yield _counted_gauge(
            "muster_budget_remaining",
            "What is left of the budget.",
            ("unit",),
            {(unit,): budget.unspent},
        )


def _read_limited(board: BoardState) -> Iterator[Metric]:
    limiter = board.queue.limiter
    if limiter is not None and limiter.has_limits:
        held_back = sum(count for count, _ in count_held_back(board.queue, board.last_event_at))
        documentation = "Waiting tasks that a limit holds back."
        yield _counted_gauge("muster_tasks_limited", documentation, (), {(): held_back})


def _read_traffic(manager: TaskManager) -> Iterator[Metric]:
    yield _counter(
        "muster_frames_dropped",
        "Frames and messages that could not be read, by reason.",
        "reason",
        {_label(reason): count for reason, count in manager.dropped.items()},
    )
    traffic = manager.traffic
    for name, documentation, count in (
        ("muster_frames_sent", "Frames that the manager sent.", traffic.frames_sent),
        ("muster_frames_received", "Frames that the manager received.", traffic.frames_received),
        ("muster_sent_bytes", "Bytes of the frames that it sent.", traffic.sent_bytes),
        ("muster_received_bytes", "Bytes of the frames that it received.", traffic.received_bytes),
    ):
        yield _counter(name, documentation, "", {"": count})


def _label(words: str) -> str:
    return words.replace(" ", "_")


def _counter(
    name: str, documentation: str, label: str, counts: Mapping[str, float]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, documentation, labels=(label,) if label else ())
    for value, count in counts.items():
        family.add_metric((value,) if label else (), count)
    return family


def _counted_gauge(
    name: str,
    documentation: str,
    labels: tuple[str, ...],
    values: Mapping[tuple[str, ...], float],
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _histogram(name: str, documentation: str, durations: Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(
        name, documentation, buckets=durations.buckets(), sum_value=durations.sum_s
    )
