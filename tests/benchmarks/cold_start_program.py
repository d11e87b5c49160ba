"""The fresh process of cold_start.py: what a user would write, and when it got how far.

It is told when it was started, in seconds since 1970, and how many workers it is to start. It
prints a JSON object: how long after its start each step was done.
"""

from __future__ import annotations

import time

FIRST_LINE_AT = time.time()

from muster.agents.worker_pool.fork_server import ForkServer  # noqa: E402

NURSERY = ForkServer()

import asyncio  # noqa: E402 - the clock comes first
import json  # noqa: E402
import sys  # noqa: E402

from muster.agents import TaskManager  # noqa: E402
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind  # noqa: E402
from muster.agents.worker_pool.processes import LocalProcesses  # noqa: E402
from muster.messages import Task  # noqa: E402

IMPORTED_AT = time.time()
IMPORTED_CPU_S = time.process_time()


class Timed(TaskManager):
    """Notes when its agent is up."""

    up_at = 0.0

    async def serve(self) -> None:
        self.up_at = time.time()
        await super().serve()


async def measure(began_at: float, workers: int) -> dict[str, float]:
    tasks = [Task(task_id=number, type="nothing") for number in range(1, workers + 1)]
    manager = Timed(tasks, expected_workers=workers, port=0, quiet=True)
    at: dict[OccurrenceKind, float] = {}
    first: dict[OccurrenceKind, float] = {}

    def watch(occurrence: Occurrence) -> None:
        at[occurrence.what] = time.time()
        first.setdefault(occurrence.what, at[occurrence.what])

    manager.watch(watch)
    spawner = LocalProcesses(manager.ticket(), 5, handlers=["cold_start_handlers"], nursery=NURSERY)
    processes = [await spawner.spawn(f"worker-{number}") for number in range(1, workers + 1)]
    spawned_at = time.time()
    await manager.start_agent(b"")
    cpu_s = time.process_time()
    for process in processes:
        await process.end()
    NURSERY.close()
    assert [result.success for result in manager.task_results] == [True] * workers
    steps = {
        "interpreter": FIRST_LINE_AT,
        "imports": IMPORTED_AT,
        "workers started": spawned_at,
        "agent up": manager.up_at,
        "workers up": max(result.output for result in manager.task_results),
        "joined": at[OccurrenceKind.WORKER_JOINED],
        "first result": first[OccurrenceKind.TASK_COMPLETED],
    }
    return {
        **{f"{step}, s": round(moment - began_at, 4) for step, moment in steps.items()},
        "imports, CPU s": round(IMPORTED_CPU_S, 4),
        "manager, CPU s": round(cpu_s, 4),
    }


if __name__ == "__main__":
    measured = asyncio.run(measure(float(sys.argv[1]), int(sys.argv[2])))
    measured["modules"] = len(sys.modules)
    sys.stdout.write(json.dumps(measured))
