"""Large arguments echoed back over real Ceylon by worker processes: MB a second, both ways.

python tests/benchmarks/payload_throughput.py --tasks 100 --workers 2 --size 1000000

What goes to the workers and what comes back is counted together. With `--change` each worker
returns other bytes than it was given, so that nothing can be shared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from muster.agents import Handlers, TaskManager
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.security.ticket import write_ticket_file
from muster.messages import Task

KINDS = ("bytes", "dict")

handlers = Handlers()


@handlers.task("echo")
async def echo(task: Task) -> Any:
    """Give back what came."""
    return task.data


@handlers.task("change")
async def change(task: Task) -> Any:
    """Give back as much, but something else."""
    if isinstance(task.data, bytes):
        return task.data[::-1]
    return {**task.data, "bytes": task.data["bytes"][::-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--change", action="store_true", help="return other bytes")
    parser.add_argument("--store", action="store_true", help="keep the run in a SQLite file")
    parser.add_argument("--inline", action="store_true", help="no blobs: all goes in frames")
    parser.add_argument("--insecure", action="store_true", help="do not seal")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    runs = [
        asyncio.run(measure(options, kind))
        for kind in options.kind or KINDS
        for _ in range(options.runs)
    ]
    if options.json:
        sys.stdout.write(json.dumps(runs, indent=1) + "\n")
        return
    for run in runs:
        sys.stdout.write("  ".join(f"{key} {value}" for key, value in run.items()) + "\n")
    for kind in options.kind or KINDS:
        rates = sorted(run["mb_per_s"] for run in runs if run["kind"] == kind)
        sys.stdout.write(f"{kind}: median {rates[len(rates) // 2]} MB/s\n")


async def measure(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    payloads = [os.urandom(options.size) for _ in range(options.tasks)]
    tasks = [
        Task(
            id=number,
            description="a large one",
            type="change" if options.change else "echo",
            data=payload if kind == "bytes" else {"name": f"payload {number}", "bytes": payload},
        )
        for number, payload in enumerate(payloads, 1)
    ]
    at: dict[OccurrenceKind, float] = {}

    def watch(occurrence: Occurrence) -> None:
        at[occurrence.what] = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        manager = TaskManager(
            tasks,
            expected_workers=options.workers,
            port=0,
            quiet=True,
            insecure=options.insecure,
            store=Path(folder, "run.db") if options.store else None,
            **({"blob_threshold_bytes": None} if options.inline else {}),
        )
        manager.watch(watch)
        ticket = Path(folder, "ticket")
        write_ticket_file(ticket, manager.ticket())
        workers = [_start_worker(f"worker{n}", ticket, options) for n in range(options.workers)]
        try:
            await manager.start_agent(b"")
        finally:
            for worker in workers:
                worker.wait(timeout=120)
    took_s = at[OccurrenceKind.TASK_COMPLETED] - at[OccurrenceKind.ASSIGNING_BEGUN]
    outputs = {result.task_id: result.output for result in manager.task_results}
    sent = {task.id: task.data for task in tasks}
    return {
        "kind": kind,
        "mb_per_s": round(2 * options.tasks * options.size / 1e6 / took_s),
        "took_s": round(took_s, 3),
        "right": sum(_as_sent(outputs.get(each), sent[each], options.change) for each in sent),
        "tasks": options.tasks,
        "workers": options.workers,
    }


def _as_sent(output: Any, sent: Any, is_changed: bool) -> bool:
    if not is_changed:
        return output == sent
    if isinstance(sent, bytes):
        return output == sent[::-1]
    return output == {**sent, "bytes": sent["bytes"][::-1]}


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
