"""Real processes over a real NATS server: nothing is lost, whatever is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from muster.agents import Client, TaskManager
from muster.agents.security.secret_sources import fresh_secret, write_secret_file
from muster.messages import Task, TaskStatus

from ..nats_server import NatsServer, running_nats_server

pytestmark = [pytest.mark.nats, pytest.mark.processes, pytest.mark.slow]

DEADLINE_S = 120.0
MUSTER = [sys.executable, "-m", "muster.agents.command"]

HANDLERS = """
import time
from muster.agents import Handlers

handlers = Handlers()


@handlers.task("nap")
def nap(task):
    time.sleep(0.02)
    return task.data
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "naps.py").write_text(HANDLERS, encoding="utf-8")
    return tmp_path


def start(folder: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*MUSTER, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.DEVNULL,
    )


@asynccontextmanager
async def process(folder: Path, *arguments: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    running = start(folder, arguments)
    try:
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        await asyncio.to_thread(running.wait)


def a_worker(name: str) -> list[str]:
    return [
        *("worker", "--join", "ticket", "--name", name, "--skill", "5"),
        *("--handlers", "naps", "--slots", "2"),
    ]


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(wait(), DEADLINE_S)


async def test_a_run_survives_its_server_and_a_worker(folder: Path) -> None:
    with running_nats_server(folder / "server", jetstream=False) as server:
        async with TaskManager(link=server.url, quiet=True, lost_after_s=4.0) as manager:
            (folder / "ticket").write_text(f"{manager.ticket()}\n", encoding="ascii")
            async with (
                process(folder, *a_worker("Ada")) as ada,
                process(folder, *a_worker("Bob")),
                Client(manager.ticket()) as client,
            ):
                tasks = [Task(type="nap", data=n) for n in range(300)]

                async def collect() -> list[object]:
                    return [result.output async for result in client.submit_many(tasks)]

                collecting = asyncio.ensure_future(collect())
                done = manager.board.counts
                await until(lambda: done[TaskStatus.COMPLETED] >= 50)
                server.kill()
                await asyncio.sleep(1)
                await asyncio.to_thread(server.start)
                await until(lambda: done[TaskStatus.COMPLETED] >= 120)
                ada.send_signal(signal.SIGKILL)
                outputs = await asyncio.wait_for(collecting, DEADLINE_S)
                assert sorted(outputs) == list(range(300))
                assert done[TaskStatus.COMPLETED] == 300


async def test_a_manager_that_was_killed_is_continued_by_another(
    folder: Path, nats_server: NatsServer
) -> None:
    secret = fresh_secret()
    write_secret_file(folder / "secret", secret)
    managing = [
        *("manager", "--link", nats_server.url, "--workspace", folder.name, "--store", "run.db"),
        *("--ticket-file", "ticket", "--secret-file", "secret"),
    ]
    working = [*a_worker("Ada"), "--secret-file", "secret"]
    async with process(folder, *working) as worker, process(folder, *managing) as first:
        await until((folder / "ticket").exists)
        async with Client(folder / "ticket", secret=secret) as client:
            await asyncio.wait_for(client.submit(Task(type="nap", data=1)), DEADLINE_S)
            first.kill()
            await asyncio.to_thread(first.wait)
            async with process(folder, *managing):
                result = client.submit(Task(type="nap", data=2))
                assert (await asyncio.wait_for(result, DEADLINE_S)).output == 2
                assert worker.poll() is None
