"""A member that is slow to read what it is sent: the server cuts it off, and nothing is lost."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from pathlib import Path

import nats
import pytest
from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.messages import Task

from ..nats_server import NatsServer, running_nats_server

pytestmark = [pytest.mark.nats, pytest.mark.slow]

DEADLINE_S = 90.0
# The server gives up a connection whose system buffers are full for this long.
CONFIG = 'write_deadline: "300ms"'

is_blocked = threading.Event()
goes_on = threading.Event()
handlers = Handlers()


@handlers.task("block")
async def block(task: Task) -> None:
    """Block the event loop of the worker."""
    is_blocked.set()
    goes_on.wait(DEADLINE_S)
    time.sleep(2)  # noqa: ASYNC251 - it blocks on purpose


@handlers.task("echo")
def echo(task: Task) -> object:
    return task.data


async def flood(server: NatsServer, run: str) -> None:
    """Send everyone rubbish until the server has cut off who does not read it."""
    sender = await nats.connect(server.url)
    ends_at = time.monotonic() + DEADLINE_S
    while "Slow Consumer" not in server.log:
        assert time.monotonic() < ends_at
        for _ in range(20):
            await sender.publish(f"muster.{run}.all.x", bytes(500_000))
        await sender.flush()
    await sender.close()


async def test_a_worker_that_was_cut_off_as_slow_does_all_its_tasks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = secrets.token_hex(8)
    with running_nats_server(tmp_path, jetstream=False, config=CONFIG) as server:
        async with TaskManager(
            link=server.url, workspace_id=run, quiet=True, lost_after_s=DEADLINE_S
        ) as manager:
            worker = WorkerAgent("Ada", 5, slots=50, handlers=handlers, ticket=manager.ticket())
            thread = threading.Thread(target=lambda: asyncio.run(worker.start_agent()))
            thread.start()
            blocking = asyncio.ensure_future(manager.submit(Task(type="block")))
            await asyncio.to_thread(is_blocked.wait, DEADLINE_S)
            tasks = [
                asyncio.ensure_future(manager.submit(Task(type="echo", data=f"{n}" * 9_000)))
                for n in range(40)
            ]
            await flood(server, run)
            goes_on.set()
            results = await asyncio.wait_for(asyncio.gather(blocking, *tasks), DEADLINE_S)
            assert [each.output for each in results[1:]] == [f"{n}" * 9_000 for n in range(40)]
            assert all(len(each.attempts) == 1 for each in manager.board.tasks.values())
        await asyncio.to_thread(thread.join)
    told = [each.message for each in caplog.records if each.levelno >= logging.WARNING]
    assert sum("closes the connection of a slow consumer" in each for each in told) == 1
