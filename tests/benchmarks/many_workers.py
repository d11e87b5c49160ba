"""Many workers in few processes over real Ceylon: how long until all have joined, and how fast.

    python tests/benchmarks/many_workers.py --agents 16 --processes 4 --tasks 10000
    python tests/benchmarks/many_workers.py --agents 100 --processes 10 --link nats://127.0.0.1:4222

The worker processes import everything and wait until all of them are ready to dial; then a file
tells them the ticket. Timed from that moment, on the manager's clock: until half and until all of
the workers are on the manager's board, and what processor time that cost the manager. The same is
told from the moment at which the first of the processes was started. Then tasks that do nothing are
handed out, from the first assignment to the last recorded result. Frames are sealed unless told
otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.runtime.garbage import collect_garbage_less_often
from muster.agents.security.ticket import read_ticket, write_ticket_file
from muster.messages import Task

JOIN_DEADLINE_S = 180.0
RUN_DEADLINE_S = 180.0
IDLE_S = 3.0

handlers = Handlers()


@handlers.task("nothing")
async def nothing(task: Task) -> None:
    """Do nothing, as fast as possible."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--agents", type=int, default=16, help="workers in each process")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--lanes", type=int, nargs="+", default=[16], help="the most there may be")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--insecure", action="store_true", help="do not seal")
    parser.add_argument("--idle", action="store_true", help="measure what waiting workers cost")
    parser.add_argument("--unexpected", action="store_true", help="tell the manager no number")
    parser.add_argument("--link", default="ceylon", help="ceylon, or the URL of NATS servers")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    collect_garbage_less_often()
    if options.work:
        asyncio.run(work(Path(options.work), options))
        return
    runs = [
        asyncio.run(measure(options, lanes)) for lanes in options.lanes for _ in range(options.runs)
    ]
    if options.json:
        sys.stdout.write(json.dumps(runs, indent=1) + "\n")
    for run in () if options.json else runs:
        sys.stdout.write("  ".join(f"{key} {value}" for key, value in run.items()) + "\n")


# ---------------------------------------------------------- the worker processes


async def work(folder: Path, options: argparse.Namespace) -> None:
    """Be one of the worker processes."""
    names = [f"worker-{os.getpid()}-{number}" for number in range(options.agents)]
    (folder / f"{os.getpid()}.ready").touch()
    while not (folder / "ticket").exists():
        await asyncio.sleep(0.005)
    workers = [
        WorkerAgent(
            name, 10, slots=options.slots, handlers=handlers, ticket=read_ticket(folder / "ticket")
        )
        for name in names
    ]
    watching = asyncio.ensure_future(tell_idle_cost(folder))
    await asyncio.gather(*(worker.start_agent() for worker in workers))
    watching.cancel()


async def tell_idle_cost(folder: Path) -> None:
    while not (folder / "idle").exists():
        await asyncio.sleep(0.1)
    share = await cpu_share(IDLE_S)
    (folder / f"{os.getpid()}.idle").write_text(f"{share}")


async def cpu_share(for_s: float) -> float:
    """How much of one core this process takes."""
    before, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(for_s)
    return (time.process_time() - before) / (time.perf_counter() - began)


# ---------------------------------------------------------- the manager's


async def measure(options: argparse.Namespace, lanes: int) -> dict[str, Any]:
    expected = options.processes * options.agents
    manager = TaskManager(
        [],
        expected_workers=0 if options.unexpected else expected,
        port=0,
        quiet=True,
        insecure=options.insecure,
        max_lanes=lanes,
        link=options.link,
    )
    at: dict[OccurrenceKind, float] = {}
    cpu: dict[OccurrenceKind, float] = {}
    joined: dict[str, float] = {}
    settled: Counter[Any] = Counter()
    lost = 0
    all_joined, all_settled = asyncio.Event(), asyncio.Event()

    def watch(occurrence: Occurrence) -> None:
        nonlocal lost
        if occurrence.what is OccurrenceKind.WORKER_JOINED:
            joined.setdefault(occurrence.worker, time.perf_counter())
            if len(joined) == expected:
                all_joined.set()
        elif occurrence.what is OccurrenceKind.WORKER_LOST:
            lost += 1
        elif occurrence.what is OccurrenceKind.TASK_ASSIGNED:
            at.setdefault(OccurrenceKind.TASK_ASSIGNED, time.perf_counter())
            cpu.setdefault(OccurrenceKind.TASK_ASSIGNED, time.process_time())
        elif occurrence.what is OccurrenceKind.TASK_COMPLETED:
            at[OccurrenceKind.TASK_COMPLETED] = time.perf_counter()
            settled[occurrence.task_id] += 1
            if len(settled) == options.tasks:
                cpu[OccurrenceKind.TASK_COMPLETED] = time.process_time()
                all_settled.set()

    manager.watch(watch)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        processes = [start_process(folder, options) for _ in range(options.processes)]
        await manager.start()
        try:
            while len(files(folder, "ready")) < options.processes:
                await asyncio.sleep(0.01)
            ready, ready_cpu = time.perf_counter(), time.process_time()
            write_ticket_file(folder / "ticket", manager.ticket())
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(all_joined.wait(), JOIN_DEADLINE_S)
            joining_cpu_s = time.process_time() - ready_cpu
            shares: dict[str, float] = {}
            if options.idle:
                await asyncio.sleep(1)
                (folder / "idle").touch()
                shares["manager"] = await cpu_share(IDLE_S)
                await asyncio.sleep(0.5)
                for number, told in enumerate(files(folder, "idle")):
                    shares[f"process{number}"] = float(told.read_text())
            if options.tasks:
                for number in range(1, options.tasks + 1, 1000):
                    batch = range(number, min(number + 1000, options.tasks + 1))
                    await manager.batch_assign_tasks(
                        [
                            Task(id=n, description="nothing", type="nothing", data={"n": n})
                            for n in batch
                        ],
                        batch_size=1000,
                    )
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(all_settled.wait(), RUN_DEADLINE_S)
        finally:
            await manager.stop()
            for process in processes:
                try:
                    process.wait(timeout=120)
                except subprocess.TimeoutExpired:
                    process.kill()
    moments = sorted(joined.values())
    found: dict[str, Any] = {"workers": expected, "lanes": lanes, "joined": len(moments)}
    if moments:
        found["half_joined_s"] = round(moments[len(moments) // 2] - ready, 2)
        found["all_joined_s"] = round(moments[-1] - ready, 2)
        found["from_process_start_s"] = round(moments[-1] - began, 2)
        found["manager_cpu_s_to_join"] = round(joining_cpu_s, 2)
    found["lost"] = lost
    found["idle_share_of_a_core"] = {name: round(share, 3) for name, share in shares.items()}
    if settled:
        took_s = at[OccurrenceKind.TASK_COMPLETED] - at[OccurrenceKind.TASK_ASSIGNED]
        found["tasks_per_s"] = round(len(settled) / took_s)
        if OccurrenceKind.TASK_COMPLETED in cpu:
            spent_s = cpu[OccurrenceKind.TASK_COMPLETED] - cpu[OccurrenceKind.TASK_ASSIGNED]
            found["manager_share_of_a_core"] = round(spent_s / took_s, 2)
        found["results"] = len(settled)
        found["twice"] = settled.total() - len(settled)
    found["dropped"] = manager.dropped
    return found


def files(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"*.{kind}"))


def start_process(folder: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, __file__, "--work", str(folder)),
            *("--agents", str(options.agents), "--slots", str(options.slots)),
        ],
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
