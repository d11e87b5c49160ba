"""What the live page costs: no-op tasks over real Ceylon, without a page, with one, and with one
that a reader follows. Runs of the three take turns, since a machine's pace changes.

python tests/benchmarks/live_cost.py --tasks 20000 --runs 5
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

from muster.agents import TaskManager
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.live import LivePage
from muster.agents.security.ticket import write_ticket_file
from muster.messages import Task

WAYS = ("without", "unread", "read")
HANDLERS = "ceylon_throughput"

READER = """
import http.client, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
connection.request("GET", "/api/events")
answer = connection.getresponse()
print("reads", flush=True)
began, taken, largest = None, 0, 0
while part := answer.read1(65536):
    if b'"began_at":' in part and b'"began_at":null' not in part and began is None:
        began = time.time()
    if began is not None:
        taken += len(part)
        last = time.time()
print(taken, 0 if began is None else last - began, flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(options.runs):
        for way in WAYS:
            runs[way].append(asyncio.run(measure(way, options)))
            if not options.json:
                told = "  ".join(f"{key} {value:,}" for key, value in runs[way][-1].items())
                sys.stdout.write(f"{way:>8}  {told}\n")
                sys.stdout.flush()
    if options.json:
        sys.stdout.write(json.dumps(runs, indent=1) + "\n")
        return
    for way in WAYS:
        pace = median(run["tasks_per_s"] for run in runs[way])
        cpu_us = median(run["manager_us_per_task"] for run in runs[way])
        sys.stdout.write(f"median {way:>8}  {pace:,} tasks/s  {cpu_us:,} us a task\n")


async def measure(way: str, options: argparse.Namespace) -> dict[str, Any]:
    tasks = [
        Task(id=number, description=f"nothing, lot {number}", type="nothing")
        for number in range(1, options.tasks + 1)
    ]
    manager = TaskManager(tasks, expected_workers=options.workers, port=0, quiet=True)
    at: dict[OccurrenceKind, tuple[float, float]] = {}

    def watch(occurrence: Occurrence) -> None:
        if occurrence.what in {OccurrenceKind.ASSIGNING_BEGUN, OccurrenceKind.RUN_ENDED}:
            at[occurrence.what] = (time.perf_counter(), time.process_time())

    manager.watch(watch)
    with tempfile.TemporaryDirectory() as folder:
        ticket = Path(folder, "ticket")
        write_ticket_file(ticket, manager.ticket())
        async with _shown(manager, way) as told:
            workers = [_start_worker(f"worker{n}", ticket, options) for n in range(options.workers)]
            try:
                await manager.start_agent(b"")
            finally:
                for worker in workers:
                    worker.wait(timeout=120)
    began, ended = at[OccurrenceKind.ASSIGNING_BEGUN], at[OccurrenceKind.RUN_ENDED]
    return {
        "tasks_per_s": round(options.tasks / (ended[0] - began[0])),
        "manager_us_per_task": round(1e6 * (ended[1] - began[1]) / options.tasks, 1),
        **told,
    }


@contextlib.asynccontextmanager
async def _shown(manager: TaskManager, way: str) -> AsyncIterator[dict[str, Any]]:
    told: dict[str, Any] = {}
    if way == "without":
        yield told
        return
    reader = None
    async with LivePage(manager, port=0) as page:
        if way == "read":
            reader = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", READER, str(page.port)), stdout=subprocess.PIPE
            )
            assert reader.stdout is not None
            await reader.stdout.readline()
        yield told
    if reader is not None:
        taken, lasted_s = (await reader.communicate())[0].split()
        told["sse_bytes"] = int(taken)
        told["sse_bytes_per_s"] = round(int(taken) / max(float(lasted_s), 0.001))


def _start_worker(name: str, ticket: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "muster.agents.command", "worker"),
            *("--join", str(ticket), "--name", name, "--skill", "10"),
            *("--slots", str(options.slots), "--handlers", HANDLERS),
        ],
        cwd=Path(__file__).parent,
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
