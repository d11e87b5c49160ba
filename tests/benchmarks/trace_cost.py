"""What a trace costs: runs of no-op tasks with and without one, in turn.

    python tests/benchmarks/trace_cost.py [--tasks 5000] [--rounds 7] [--over ceylon] [--json]

Over `memory` manager and workers share one process and the tasks need no network; over `ceylon` the
workers are two processes, as in `ceylon_throughput.py`. Told are, from the first assignment to the
last result: tasks a second; the processor's time that this process takes for a task, which is more
certain on a busy machine; and what making the lines takes, and of the run's time at 25,000 tasks a
second. What is not written when the run ends is written then, and is no part of this.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

from muster.agents import Handlers, MemoryNetwork, TaskManager, WorkerAgent, rehearse
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.security.ticket import write_ticket_file
from muster.agents.trace.lines import LineWriter
from muster.messages import Task

handlers = Handlers()
SLOTS = 64
WORKERS = 2


@handlers.task("nothing")
async def nothing(task: Task) -> None:
    """Do nothing, as fast as possible."""


def make_manager(tasks: int) -> TaskManager:
    made = [
        Task(id=number, description="nothing", type="nothing") for number in range(1, tasks + 1)
    ]
    return TaskManager(made, expected_workers=WORKERS, port=0, quiet=True)


async def run_over_memory(manager: TaskManager) -> None:
    workers = [
        WorkerAgent(f"worker{number}", 10, slots=SLOTS, handlers=handlers)
        for number in range(WORKERS)
    ]
    await rehearse(manager, workers, MemoryNetwork())


async def run_over_ceylon(manager: TaskManager) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ticket = Path(folder, "ticket")
        write_ticket_file(ticket, manager.ticket())
        command = [
            *(sys.executable, "-m", "muster.agents.command", "worker", "--join", str(ticket)),
            *("--skill", "10", "--slots", str(SLOTS), "--handlers", Path(__file__).stem),
        ]
        workers = [_start_worker([*command, "--name", f"worker{n}"]) for n in range(WORKERS)]
        try:
            await manager.start_agent(b"")
        finally:
            for worker in workers:
                worker.wait(timeout=120)


def _start_worker(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.DEVNULL)


def measure(options: argparse.Namespace, trace: Path | None) -> tuple[float, float]:
    """Tasks a second of one run, and microseconds of this process's processor for each."""
    manager = make_manager(options.tasks)
    at: dict[OccurrenceKind, tuple[float, float]] = {}
    milestones = (OccurrenceKind.ASSIGNING_BEGUN, OccurrenceKind.RUN_ENDED)

    def watch(occurrence: Occurrence) -> None:
        if occurrence.what in milestones:
            at[occurrence.what] = time.perf_counter(), time.process_time()

    manager.watch(watch)
    if trace is not None:
        manager.trace_to(trace)
    go = run_over_memory if options.over == "memory" else run_over_ceylon
    asyncio.run(go(manager))
    assert len(manager.task_results) == options.tasks
    (began, spent_before), (ended, spent) = (at[each] for each in milestones)
    return options.tasks / (ended - began), 1e6 * (spent - spent_before) / options.tasks


def measure_alone(tasks: int) -> float:
    """Microseconds of processor for the two occurrences of a task, to hand over and to write."""
    occurrences = [
        Occurrence(1_764_115_000.0 + number / 20_000, what, number, 1, "worker1")
        for number in range(tasks)
        for what in (OccurrenceKind.TASK_ASSIGNED, OccurrenceKind.TASK_COMPLETED)
    ]
    waiting: deque[Occurrence] = deque()
    line_of = LineWriter().line_of
    began = time.process_time()
    for occurrence in occurrences:
        if len(waiting) < sys.maxsize:
            waiting.append(occurrence)
    written = "\n".join([line_of(waiting.popleft()) for _ in range(len(waiting))]).encode()
    spent = time.process_time() - began
    assert written
    return 1e6 * spent / tasks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--over", choices=("memory", "ceylon"), default="memory")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    off: list[tuple[float, float]] = []
    on: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        measure(options, None)  # to warm up
        for _ in range(options.rounds):
            off.append(measure(options, None))
            on.append(measure(options, Path(folder, "trace.jsonl")))
    without, with_it = (min(spent for _, spent in runs) for runs in (off, on))
    alone = min(measure_alone(20_000) for _ in range(5))
    told = {
        "tasks_per_s_off": round(statistics.median(rate for rate, _ in off)),
        "tasks_per_s_on": round(statistics.median(rate for rate, _ in on)),
        "processor_us_per_task_off": round(without, 1),
        "processor_us_per_task_on": round(with_it, 1),
        "cost_percent": round(100 * (with_it / without - 1), 1),
        "lines_alone_us_per_task": round(alone, 2),
        "lines_alone_percent_at_25000_per_s": round(25_000 * alone / 1e4, 1),
    }
    if options.json:
        sys.stdout.write(json.dumps({**told, "off": off, "on": on}, indent=1) + "\n")
        return
    for name, value in told.items():
        sys.stdout.write(f"{name:<36} {value:>10,}\n")


if __name__ == "__main__":
    main()
