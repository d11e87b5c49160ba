"""A million waiting tasks: the manager's memory, and what it costs to give out one of them.

    python tests/benchmarks/million_tasks.py [--tasks 1000000] [--json]

The memory is the most that a manager of its own process, which runs and to which no worker comes,
had resident after so many tasks were added, as `batch_assign_tasks` adds them. The cost is the
board's alone, for a result and the assignment that follows it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator

from board_throughput import assignments_in, make_board, make_tasks, success
from muster.agents import TaskManager
from muster.agents.bench.peak_memory import measure_peak_memory
from muster.agents.kernel.model.events import AssigningBegun, TasksAdded
from muster.messages import Task

BACKLOGS = (1_000, 10_000, 100_000, 1_000_000)
WORKERS = 50
ROUNDS = 5
EVENTS_A_ROUND = 1_000
BATCH_SIZE = 1_000
QUEUE_ONLY = "--queue-only"


def measure_costs(backlog: int) -> list[float]:
    """Microseconds for a result and the next assignment, with so many waiting; one a round."""
    board, now = make_board(WORKERS), 0.0
    board.handle(TasksAdded(tuple(make_tasks(backlog + ROUNDS * EVENTS_A_ROUND))), now)
    running = deque(assignments_in(board.handle(AssigningBegun(), now)))
    # What was made before is no concern of the collector's while it is measured.
    gc.collect()
    gc.freeze()
    rounds: list[float] = []
    for _ in range(ROUNDS):
        spent = 0.0
        for _ in range(EVENTS_A_ROUND):
            event = success(running.popleft())
            now += 0.001
            began = time.perf_counter()
            said = board.handle(event, now)
            board.next_timer_at()
            spent += time.perf_counter() - began
            running.extend(assignments_in(said))
        rounds.append(1e6 * spent / EVENTS_A_ROUND)
    gc.unfreeze()
    return rounds


def measure_memory(count: int) -> dict[str, float | None]:
    """What a manager in a process of its own takes for so many waiting tasks."""
    # Its own interpreter: the memory of this one is that of whatever it measured before.
    done = subprocess.run(
        [sys.executable, __file__, QUEUE_ONLY, str(count)],
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


async def queue(count: int) -> dict[str, float | None]:
    """Add so many tasks to a manager that runs, and see what that took."""
    manager = TaskManager(expected_workers=1, port=0, quiet=True, unmatched_after_s=None)
    await manager.start()
    before = measure_peak_memory()
    began = time.perf_counter()
    await manager.batch_assign_tasks(_tasks(count), BATCH_SIZE)
    took_s = time.perf_counter() - began
    assert len(manager.board.tasks) == count
    peak = measure_peak_memory()
    await manager.stop()
    return {
        "peak_bytes": peak,
        "peak_before_bytes": before,
        "bytes_a_task": None if peak is None or before is None else round((peak - before) / count),
        "added_per_s": round(count / took_s),
    }


def _tasks(count: int) -> Iterator[Task]:
    for number in range(1, count + 1):
        yield Task(id=number, description="nothing", type="nothing", data={"n": number})


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1_000_000, help="how many tasks wait")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(QUEUE_ONLY, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.queue_only:
        sys.stdout.write(json.dumps(asyncio.run(queue(arguments.queue_only))) + "\n")
        return
    memory = measure_memory(arguments.tasks)
    backlogs = sorted({min(backlog, arguments.tasks) for backlog in BACKLOGS})
    costs = {backlog: measure_costs(backlog) for backlog in backlogs}
    if arguments.json:
        measured = {
            "tasks": arguments.tasks,
            "memory": memory,
            "microseconds_by_backlog": {
                str(backlog): {
                    "median": round(statistics.median(rounds), 2),
                    "lowest": round(min(rounds), 2),
                    "highest": round(max(rounds), 2),
                }
                for backlog, rounds in costs.items()
            },
        }
        sys.stdout.write(json.dumps(measured) + "\n")
        return
    peak = memory["peak_bytes"]
    told = "unknown" if peak is None else f"{peak / 1e6:,.0f} MB"
    sys.stdout.write(
        f"{told} at most with {arguments.tasks:,} tasks waiting, {memory['bytes_a_task']} bytes "
        f"a task, {memory['added_per_s']:,} added a second\n"
    )
    for backlog, rounds in costs.items():
        sys.stdout.write(
            f"{statistics.median(rounds):.1f} µs ({min(rounds):.1f} to {max(rounds):.1f}) for a "
            f"result and the next assignment, {backlog:,} tasks waiting\n"
        )


if __name__ == "__main__":
    main()
