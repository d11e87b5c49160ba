"""What metrics and traces cost: tasks a second with them and without, in turns.

    python tests/benchmarks/metrics_cost.py [--tasks 4000] [--rounds 7] [--json]

A manager and two workers in one process over the memory link; the tasks do nothing, so that what is
measured is Muster alone, as fast as it can go. It keeps one core busy throughout, so that its rate
goes by the processor's time, which others on the machine disturb less than the clock's; of each way
the best round counts.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable

from muster.agents import Handlers, TaskManager, WorkerAgent, rehearse
from muster.agents.metrics import render_metrics
from muster.agents.metrics.otel import trace_manager, trace_worker
from muster.messages import Task
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

handlers = Handlers()


@handlers.task("nothing")
async def nothing(task: Task) -> None:
    """Do nothing, as a task."""
    del task


class Nowhere(SpanExporter):
    """Where spans go that nobody reads."""

    def export(self, spans: object) -> SpanExportResult:
        """Forget them."""
        del spans
        return SpanExportResult.SUCCESS


def make_provider(ratio: float) -> TracerProvider:
    """Make a provider that samples this share of the traces."""
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    return provider


def leave(manager: TaskManager, workers: list[WorkerAgent]) -> None:
    """Measure nothing, trace nothing."""
    del manager, workers


def measure(manager: TaskManager, workers: list[WorkerAgent]) -> None:
    """Count what Prometheus wants, and let it scrape once a second."""
    del workers
    loop = asyncio.get_running_loop()

    def scrape() -> None:
        render_metrics(manager)
        loop.call_later(1.0, scrape)

    scrape()


def trace_with(
    provider: TracerProvider, *, in_workers: bool
) -> Callable[[TaskManager, list[WorkerAgent]], None]:
    """Trace the manager, and the workers too if they are in this process."""

    def trace(manager: TaskManager, workers: list[WorkerAgent]) -> None:
        trace_manager(manager, provider)
        for worker in workers if in_workers else ():
            trace_worker(worker, provider)

    return trace


async def play(tasks: int, watch: Callable[[TaskManager, list[WorkerAgent]], None]) -> float:
    """Tasks a second."""
    manager = TaskManager(
        [Task(task_id=number, type="nothing") for number in range(1, tasks + 1)], 2, quiet=True
    )
    workers = [WorkerAgent(name, 5, slots=100, handlers=handlers) for name in ("Ada", "Ben")]
    watch(manager, workers)
    began_at = time.process_time()
    report = await rehearse(manager, workers)
    took_s = time.process_time() - began_at
    assert report.success_rate == 1.0
    return tasks / took_s


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=4_000, help="how many tasks a round has")
    parser.add_argument("--rounds", type=int, default=7, help="how many rounds of each")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    every, some = make_provider(1.0), make_provider(0.05)
    ways: dict[str, Callable[[TaskManager, list[WorkerAgent]], None]] = {
        "off": leave,
        "metrics": measure,
        "traces of one task in twenty": trace_with(some, in_workers=True),
        "traces, the manager's": trace_with(every, in_workers=False),
        "traces, the manager's and both workers'": trace_with(every, in_workers=True),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way, watch in ways.items():
            gc.collect()
            rates[way].append(asyncio.run(play(arguments.tasks, watch)))
    told: dict[str, dict[str, float]] = {}
    best_off = max(rates["off"])
    for way, measured in rates.items():
        best = max(measured)
        told[way] = {
            "tasks_per_second": round(best),
            "slower_percent": round(100 * (1 - best / best_off), 1),
            "extra_us_per_task": round(1e6 / best - 1e6 / best_off, 1),
        }
    if arguments.json:
        sys.stdout.write(json.dumps(told) + "\n")
        return
    for way, numbers in told.items():
        rate, slower, extra_us = numbers.values()
        sys.stdout.write(
            f"{way:40} {rate:8,.0f} tasks/s {slower:6.1f} % slower {extra_us:6.1f} us a task\n"
        )


if __name__ == "__main__":
    main()
