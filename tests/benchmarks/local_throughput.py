"""How fast a `LocalTaskManager` is: tasks a second, how soon one starts, bytes a kept task.

    python tests/benchmarks/local_throughput.py [--tasks 100000] [--concurrent 50] [--json]

The tasks do nothing, so that what is measured is the manager: creating, running, telling.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import time
import tracemalloc

from muster.agents import LocalTask, LocalTaskManager

ROUNDS = 3
SAMPLES = 300


async def nothing(task: LocalTask) -> None:
    """Do nothing, as a task."""
    del task


async def run_all(manager: LocalTaskManager, count: int) -> None:
    """Run until so many tasks are completed."""
    runner = asyncio.create_task(manager.run_tasks())
    while manager.get_stats()["completed"] < count:
        await asyncio.sleep(0.005)
    manager.stop()
    await runner


async def measure_throughput(
    count: int, concurrent: int, *, with_callback: bool
) -> tuple[float, float]:
    """Tasks a second: created, with all of them waiting, and then run."""
    manager = LocalTaskManager(max_concurrent_tasks=concurrent)
    heard: list[str] = []
    if with_callback:
        manager.add_event_callback(lambda _, event_type: heard.append(event_type))
    began_at = time.perf_counter()
    for number in range(count):
        manager.create_task("nothing", nothing, priority=number % 100)
    created_at = time.perf_counter()
    await run_all(manager, count)
    ended_at = time.perf_counter()
    assert len(heard) == 2 * count * with_callback
    return count / (created_at - began_at), count / (ended_at - created_at)


async def measure_start() -> list[float]:
    """Microseconds from a task's creation to its first step, with a place free."""
    manager = LocalTaskManager()
    runner = asyncio.create_task(manager.run_tasks())
    await asyncio.sleep(0.01)
    samples: list[float] = []
    for _ in range(SAMPLES):
        started = asyncio.get_running_loop().create_future()

        async def note(task: LocalTask, started: asyncio.Future[float] = started) -> None:
            del task
            started.set_result(time.perf_counter())

        created_at = time.perf_counter()
        manager.create_task("note", note)
        samples.append(1e6 * (await started - created_at))
        await asyncio.sleep(0)
    manager.stop()
    await runner
    return samples


async def measure_memory(count: int) -> float:
    """Bytes that are kept of a task that has ended."""
    manager = LocalTaskManager(max_concurrent_tasks=50, max_finished_tasks=count)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(count):
        manager.create_task("nothing", nothing)
    await run_all(manager, count)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / count


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100_000, help="how many tasks a run has")
    parser.add_argument("--concurrent", type=int, default=50, help="how many run at once")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    counts = sorted({min(1_000, arguments.tasks), min(10_000, arguments.tasks), arguments.tasks})
    measured: dict[str, object] = {}
    lines: list[str] = []
    for count in counts:
        for with_callback in (False, True):
            rounds = [
                asyncio.run(
                    measure_throughput(count, arguments.concurrent, with_callback=with_callback)
                )
                for _ in range(ROUNDS)
            ]
            created, ran = (max(each) for each in zip(*rounds, strict=True))
            told = f"{count}{', with a callback' if with_callback else ''}"
            measured[told] = {"created_per_second": round(created), "run_per_second": round(ran)}
            lines.append(f"{told} tasks: {created:,.0f}/s created, {ran:,.0f}/s run")
    samples = asyncio.run(measure_start())
    measured["start_us"] = round(statistics.median(samples), 1)
    lines.append(f"{measured['start_us']} µs from creation to start (median)")
    measured["bytes_per_task"] = round(asyncio.run(measure_memory(min(arguments.tasks, 20_000))))
    lines.append(f"{measured['bytes_per_task']:,} bytes for each finished task that is kept")
    sys.stdout.write((json.dumps(measured) if arguments.json else "\n".join(lines)) + "\n")


if __name__ == "__main__":
    main()
