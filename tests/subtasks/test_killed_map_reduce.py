"""A map and reduce of 10,000 parts, whose manager and worker are killed, is done once."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from muster.agents import Client
from muster.agents.runtime.ports import claim_port
from muster.messages import Task

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

DEADLINE_S = 240
PARTS = 10_000

MANAGER = """
import asyncio, sys
from muster.agents import TaskManager
from muster.agents.security.ticket import write_ticket_file
from muster.messages import Limit

async def main(store, ticket, port):
    manager = TaskManager(
        store=store, port=int(port), quiet=True, lost_after_s=3.0,
        limits=[Limit("nest", concurrent=1)],
    )
    await manager.start()
    write_ticket_file(ticket, manager.ticket())
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""

WORKER = """
import asyncio, sys
from pathlib import Path
from muster.agents import TaskContext, WorkerAgent

worker = WorkerAgent("Ada", 5, slots=int(sys.argv[3]), ticket=Path(sys.argv[1]))
evidence = open(sys.argv[2], "a", buffering=1)
held = Path(sys.argv[2] + ".held")

@worker.task("square")
async def square(task):
    while task.data >= 7_000 and held.exists():
        await asyncio.sleep(0.02)
    evidence.write(f"{task.data}\\n")
    return task.data**2

@worker.task("sum of squares")
async def sum_of_squares(task, context: TaskContext):
    return sum(await context.map("square", range(task.data)))

@worker.task("nest")
async def nest(task, context: TaskContext):
    return 1 + await context.submit("nest", task.data - 1) if task.data else 0

asyncio.run(worker.start_agent())
"""


@contextlib.contextmanager
def program(text: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", text, *map(str, arguments)], text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def wait_until(holds: Callable[[], bool]) -> None:
    async def look() -> None:
        while not holds():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(look(), DEADLINE_S)


class Evidence:
    """Which parts were done, and how often, as they themselves wrote it down."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    @property
    def count(self) -> int:
        return self.path.read_bytes().count(b"\n")

    def times(self) -> Counter[int]:
        return Counter(map(int, self.path.read_text().split()))


async def test_ten_thousand_parts_are_done_once_though_manager_and_worker_are_killed(
    tmp_path: Path,
) -> None:
    evidence, ticket, port = Evidence(tmp_path / "done"), tmp_path / "ticket", claim_port()
    manager = (MANAGER, tmp_path / "run.db", ticket, port)
    worker = (WORKER, ticket, evidence.path, 4)
    # However late the kills come, there is work left.
    held = tmp_path / "done.held"
    held.touch()
    with contextlib.ExitStack() as running:
        killed_manager = running.enter_context(program(*manager))
        await wait_until(ticket.exists)
        killed_worker = running.enter_context(program(*worker))
        async with Client(ticket, connect_timeout_s=DEADLINE_S) as client:
            await client.add_tasks([Task(id="all", type="sum of squares", data=PARTS)])
            await wait_until(lambda: evidence.count > PARTS // 4)
            killed_manager.kill()
            killed_manager.wait()
            running.enter_context(program(*manager))
            await wait_until(lambda: evidence.count > PARTS // 2)
            killed_worker.kill()
            killed_worker.wait()
            held.unlink()
            running.enter_context(program(*worker))
            result = await asyncio.wait_for(client.result("all"), DEADLINE_S)
            counts = await client.counts()
    assert result.unwrap() == sum(number**2 for number in range(PARTS))
    assert sum(counts.values()) == PARTS + 1
    times = evidence.times()
    assert times.keys() == set(range(PARTS))
    # Only what the killed worker was doing, or had not reported, was done again.
    assert times.total() - PARTS < PARTS // 10
    assert max(times.values()) <= 3


async def test_fifty_nested_tasks_over_a_real_network_need_one_slot(tmp_path: Path) -> None:
    evidence, ticket, port = Evidence(tmp_path / "done"), tmp_path / "ticket", claim_port()
    with program(MANAGER, tmp_path / "run.db", ticket, port):
        await wait_until(ticket.exists)
        with program(WORKER, ticket, evidence.path, 1):
            async with Client(ticket, connect_timeout_s=DEADLINE_S) as client:
                result = await client.submit(Task(id="deep", type="nest", data=50))
    assert result.unwrap() == 50
