"""The manager that the attacks are tried on: a process with a page, metrics, and steady work.

It is a service with `--rate` tasks a second, each forgotten when it is done, so that its memory has
no reason to grow. It prints one JSON line for each half second: the tasks done so far, its open
descriptors, memory, processor time, threads and lanes. The first line tells where it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from muster.agents import TaskManager
from muster.agents.live import LivePage
from muster.agents.metrics import render_metrics, serve_metrics
from muster.agents.security.ticket import write_ticket_file
from muster.messages import IllegalTransition, Task, TaskStatus

TELL_EVERY_S = 0.5
MAX_UNDONE = 2_000
"""How many tasks wait at most; while so many wait no more are added."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the ticket is put")
    parser.add_argument("--rate", type=float, default=40.0, help="tasks a second")
    parser.add_argument("--descriptors", type=int, default=0, help="the limit of open files")
    parser.add_argument("--lost-after", type=float, default=10.0, help="seconds")
    parser.add_argument("--page-host", default="127.0.0.1")
    options = parser.parse_args()
    if options.descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options.descriptors, options.descriptors))
    asyncio.run(manage(options))


async def manage(options: argparse.Namespace) -> None:
    manager = TaskManager(port=0, quiet=True, lost_after_s=options.lost_after)
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    async with AsyncExitStack() as opened:
        page = LivePage(manager, options.page_host, port=0, metrics=render_metrics)
        await opened.enter_async_context(page)
        metrics = opened.enter_context(serve_metrics(manager, 0))
        await manager.start()
        opened.push_async_callback(manager.stop)
        ticket = manager.ticket()
        write_ticket_file(options.folder / "ticket", ticket)
        tell({"page": page.port, "metrics": int(metrics.rsplit(":", 1)[1].split("/")[0])})
        tell({"discovery": ticket.port})
        work = Work(manager, options.rate)
        background = [asyncio.create_task(each) for each in (work.add(), tell_figures(work))]
        ended = asyncio.create_task(over.wait())
        done, _ = await asyncio.wait([ended, *background], return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, *background):
            task.cancel()
        for task in done:
            task.result()


class Work:
    """Adds tasks at a steady rate, and forgets those that are settled.

    Args:
        manager: who has them done.
        rate: how many a second.
    """

    def __init__(self, manager: TaskManager, rate: float) -> None:
        self.manager = manager
        self.done = 0
        self.failed = 0
        self._rate = rate
        self._undone: set[int] = set()
        self._settled: set[int] = set()
        self._last_id = 0

    async def add(self) -> None:
        began_at = time.monotonic()
        skipped = 0
        while True:
            await asyncio.sleep(0.1)
            self._forget_settled()
            due = int((time.monotonic() - began_at) * self._rate) - self._last_id - skipped
            room = max(MAX_UNDONE - len(self._undone), 0)
            skipped += max(due - room, 0)
            for _ in range(min(due, room)):
                self._last_id += 1
                self._undone.add(self._last_id)
                task = Task(id=self._last_id, description="weigh the leaf", difficulty=1)
                self.manager.add_task(task)

    def _forget_settled(self) -> None:
        tasks = self.manager.board.tasks
        settled = [each for each in self._undone if tasks[each].status.is_final]
        for each in settled:
            if tasks[each].status is TaskStatus.COMPLETED:
                self.done += 1
            else:
                self.failed += 1
        self._undone.difference_update(settled)
        self._settled.update(settled)
        for each in tuple(self._settled):
            # A lost worker may not have confirmed that it stopped; then it is tried again later.
            with contextlib.suppress(IllegalTransition):
                self.manager.forget_tasks([each])
                self._settled.discard(each)


async def tell_figures(work: Work) -> None:
    while True:
        # Where no descriptor is left there are no figures.
        with contextlib.suppress(OSError):
            tell_now(work)
        await asyncio.sleep(TELL_EVERY_S)


def tell_now(work: Work) -> None:
    tell(
        {
            "at": time.monotonic(),
            "done": work.done,
            "failed": work.failed,
            "workers": len(work.manager.board.worker_registry.present),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "rss_mb": round(resident_bytes() / 2**20, 1),
            "cpu_s": time.process_time(),
            "threads": int(status_field("Threads")),
            "python_threads": threading.active_count(),
            "lanes": len(lanes_of(work.manager)),
        }
    )


def lanes_of(manager: TaskManager) -> Any:
    keeper = manager._lane_manager
    return {} if keeper is None else keeper._agents


def status_field(name: str) -> str:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.split()[1]
    return "0"


def resident_bytes() -> int:
    return int(status_field("VmRSS")) * 1024


def tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
