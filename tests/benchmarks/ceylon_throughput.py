"""No-op tasks over real Ceylon on worker processes: tasks a second, from the first assignment on.

python tests/benchmarks/ceylon_throughput.py --tasks 10000 --workers 2 --slots 64
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from muster.agents import Handlers, TaskManager
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.runtime.garbage import collect_garbage_less_often
from muster.agents.security.ticket import write_ticket_file
from muster.agents.store.memory import MemoryStore
from muster.messages import Task

handlers = Handlers()


@handlers.task("nothing")
async def nothing(task: Task) -> None:
    """Do nothing, as fast as possible."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--store", choices=("none", "memory", "sqlite"), default="none")
    parser.add_argument("--insecure", action="store_true", help="do not seal")
    parser.add_argument(
        "--no-direct-connections", action="store_true", help="all frames go by Ceylon"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    collect_garbage_less_often()
    runs = [asyncio.run(measure(options)) for _ in range(options.runs)]
    if options.json:
        sys.stdout.write(json.dumps(runs, indent=1) + "\n")
        return
    for run in runs:
        sys.stdout.write("  ".join(f"{key} {value:,}" for key, value in run.items()) + "\n")
    median = sorted(run["tasks_per_s"] for run in runs)[len(runs) // 2]
    sys.stdout.write(f"median {median:,} tasks/s\n")


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    tasks = [
        Task(id=number, description="nothing", type="nothing", data={"n": number})
        for number in range(1, options.tasks + 1)
    ]
    began = time.perf_counter()
    manager = TaskManager(
        tasks,
        expected_workers=options.workers,
        port=0,
        quiet=True,
        insecure=options.insecure,
        direct_connections=not options.no_direct_connections,
    )
    at: dict[OccurrenceKind, float] = {}
    processor_at: dict[OccurrenceKind, float] = {}
    settled: Counter[Any] = Counter()
    assigned = 0

    def watch(occurrence: Occurrence) -> None:
        nonlocal assigned
        at[occurrence.what] = time.perf_counter()
        if (
            occurrence.what is not OccurrenceKind.TASK_ASSIGNED
            and occurrence.what is not OccurrenceKind.TASK_COMPLETED
        ):
            processor_at[occurrence.what] = time.process_time()
        if occurrence.what is OccurrenceKind.TASK_COMPLETED:
            settled[occurrence.task_id] += 1
        elif occurrence.what is OccurrenceKind.TASK_ASSIGNED:
            assigned += 1

    manager.watch(watch)
    with tempfile.TemporaryDirectory() as folder:
        if options.store == "memory":
            manager.keep_in(MemoryStore())
        elif options.store == "sqlite":
            manager.keep_in(Path(folder, "run.db"))
        ticket = Path(folder, "ticket")
        write_ticket_file(ticket, manager.ticket())
        workers = [_start_worker(f"worker{n}", ticket, options) for n in range(options.workers)]
        try:
            await manager.start_agent(b"")
        finally:
            for worker in workers:
                worker.wait(timeout=120)
    processor_s = (
        processor_at[OccurrenceKind.RUN_ENDED] - processor_at[OccurrenceKind.ASSIGNING_BEGUN]
    )
    took_s = at[OccurrenceKind.TASK_COMPLETED] - at[OccurrenceKind.ASSIGNING_BEGUN]
    return {
        "tasks_per_s": round(options.tasks / took_s),
        "took_s": round(took_s, 3),
        "manager_processor_us": round(processor_s / options.tasks * 1e6, 1),
        "results": len(manager.task_results),
        "duplicates": sum(settled.values()) - len(settled),
        "assignments": assigned,
        "joined_in_s": round(at[OccurrenceKind.WORKER_JOINED] - began, 2),
        "workers": options.workers,
        "slots": options.slots,
    }


def _start_worker(name: str, ticket: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "muster.agents.command", "worker"),
            *("--join", str(ticket), "--name", name, "--skill", "10"),
            *("--slots", str(options.slots), "--handlers", Path(__file__).stem),
            *(("--insecure",) if options.insecure else ()),
        ],
        cwd=Path(__file__).parent,
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
