"""Measures what docs/deploy/sizing.md tells: tasks by size, waiting tasks' memory, store growth.

python tests/benchmarks/sizing.py [--tasks 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from muster.agents import Handlers, TaskManager, WorkerAgent, rehearse
from muster.messages import Task

PAGE_BYTES = 4096
WAITING = (10_000, 100_000)
SIZES = (0, 1_000, 10_000, 100_000)


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def measure_waiting(count: int) -> float:
    """Bytes of resident memory that a waiting task without data takes."""
    before = resident_bytes()
    tasks = [Task(task_id=n, type="noop") for n in range(1, count + 1)]
    manager = TaskManager(tasks, quiet=True)
    assert manager.get_task_status(count) == "Pending"
    return (resident_bytes() - before) / count


def measure_store(count: int, size: int) -> tuple[float, float]:
    """Bytes of a store file and tasks in a second, over memory, for tasks with data of a size."""
    handlers = Handlers()
    handlers.task("echo")(_length)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.db")
        tasks = [Task(task_id=n, type="echo", data="x" * size) for n in range(1, count + 1)]
        began = time.perf_counter()
        manager = TaskManager(tasks, 1, quiet=True, store=path)
        worker = WorkerAgent("Ada", 5, slots=64, handlers=handlers)
        asyncio.run(rehearse(manager, [worker]))
        took_s = time.perf_counter() - began
        return path.stat().st_size / count, count / took_s


async def _length(task: Task) -> int:
    return len(task.data)


def bench(*options: object) -> float:
    """Tasks in a second of `muster bench`."""
    line = [sys.executable, "-m", "muster.agents.command", "bench", "--json", "--payload", "1kB"]
    ran = subprocess.run(
        [*line, *map(str, options)], capture_output=True, text=True, check=True, timeout=600
    )
    return json.loads(ran.stdout)["throughput"]["tasks_per_s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    tasks = parser.parse_args().tasks
    for count in WAITING:
        print(f"{count:,} waiting tasks: {measure_waiting(count):,.0f} bytes each")
    for size in SIZES:
        grown, rate = measure_store(2_000, size)
        print(f"store, data of {size:,} bytes: {grown:,.0f} bytes and {rate:,.0f} tasks/s")
    for workers in (1, 2, 4, 8):
        rate = bench("--tasks", tasks, "--workers", workers)
        print(f"{workers} worker processes: {rate:,.0f} tasks/s")
    with tempfile.TemporaryDirectory() as folder:
        rate = bench("--tasks", tasks, "--store", Path(folder, "run.db"))
        print(f"2 worker processes, store: {rate:,.0f} tasks/s")


if __name__ == "__main__":
    main()
