"""Clients in processes of their own, over real Ceylon, also when one or the manager is killed."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster.agents import Client
from muster.agents.runtime.ports import claim_port
from muster.messages import Task

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

DEADLINE_S = 180

MANAGER = """
import asyncio, sys
from muster.agents import TaskManager, WorkerAgent
from muster.agents.security.ticket import write_ticket_file

async def main(store, ticket, port):
    manager = TaskManager(store=store, port=int(port), quiet=True)
    await manager.start()
    write_ticket_file(ticket, manager.ticket())
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""

WORKER = """
import asyncio, sys
from pathlib import Path
from muster.agents import WorkerAgent

worker = WorkerAgent("Ada", 5, slots=4, ticket=Path(sys.argv[1]))

@worker.task("wait")
async def wait(task):
    await asyncio.sleep(task.data)
    return task.id

asyncio.run(worker.start_agent())
"""

CLIENT = """
import sys
from pathlib import Path
from muster.agents import Client
from muster.messages import Task

with Client.connect(Path(sys.argv[1]), connect_timeout_s=180) as client:
    futures = [
        client.submit(Task(id=number, description="wait", type="wait", data=0.2))
        for number in range(1, 41)
    ]
    futures[0].result()
    print("submitted", flush=True)
    print(sum(future.result().output for future in futures), flush=True)
"""


@contextlib.contextmanager
def program(text: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", text, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def wait_for_file(path: Path) -> None:
    async def look() -> None:
        while not path.exists():  # noqa: ASYNC240 - it takes microseconds
            await asyncio.sleep(0.05)

    await asyncio.wait_for(look(), DEADLINE_S)


async def test_a_killed_client_loses_no_task_and_another_finds_every_result(
    tmp_path: Path,
) -> None:
    ticket, port = tmp_path / "ticket", claim_port()
    with program(MANAGER, tmp_path / "run.db", ticket, port), contextlib.ExitStack() as stack:
        await wait_for_file(ticket)
        stack.enter_context(program(WORKER, ticket))
        with program(CLIENT, ticket) as first:
            assert await asyncio.to_thread(read_line, first) == "submitted"
            first.kill()
        async with Client(ticket, connect_timeout_s=DEADLINE_S) as client:
            results = [
                await asyncio.wait_for(client.result(number), DEADLINE_S) for number in range(1, 41)
            ]
            counts = await client.counts()
    assert [result.output for result in results] == list(range(1, 41))
    assert sum(counts.values()) == 40


async def test_a_client_outlives_its_manager_and_has_each_result(tmp_path: Path) -> None:
    store, ticket, port = tmp_path / "run.db", tmp_path / "ticket", claim_port()
    tasks = [Task(id=number, description="wait", type="wait", data=1.0) for number in range(1, 41)]
    with contextlib.ExitStack() as stack:
        with program(MANAGER, store, ticket, port):
            await wait_for_file(ticket)
            stack.enter_context(program(WORKER, ticket))
            client = await started_client(ticket)
            waiting = asyncio.ensure_future(client.gather(tasks))
            while (await client.counts())["completed"] < 3:
                await asyncio.sleep(0.1)
            ticket.unlink()
        stack.enter_context(program(MANAGER, store, ticket, port))
        results = await asyncio.wait_for(waiting, 2 * DEADLINE_S)
        counts = await client.counts()
        await client.stop()
    assert [result.output for result in results] == list(range(1, 41))
    assert counts["completed"] == sum(counts.values()) == 40


async def started_client(ticket: Path) -> Client:
    client = Client(ticket, connect_timeout_s=DEADLINE_S)
    await client.start()
    return client


async def test_a_program_without_asyncio_has_its_results(tmp_path: Path) -> None:
    ticket, port = tmp_path / "ticket", claim_port()
    with program(MANAGER, tmp_path / "run.db", ticket, port), contextlib.ExitStack() as stack:
        await wait_for_file(ticket)
        stack.enter_context(program(WORKER, ticket))
        with program(CLIENT, ticket) as client:
            assert await asyncio.to_thread(read_line, client) == "submitted"
            assert await asyncio.to_thread(read_line, client) == str(sum(range(1, 41)))
            assert await asyncio.to_thread(client.wait) == 0
