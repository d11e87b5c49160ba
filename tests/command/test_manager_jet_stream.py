"""`muster manager --store nats://…`: a run in JetStream survives its manager and its server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.agents.store.jet_stream import read_stream
from muster.messages import TaskStatus

from ..nats_server import NatsServer

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow, pytest.mark.nats]

TASKS = 600
DEADLINE_S = 120.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats").start()
    yield server
    server.kill()


def completed(url: str) -> int:
    return sum(row.status is TaskStatus.COMPLETED for row in read_stream(url)[0].tasks)


def wait_until_completed(url: str, count: int) -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while (found := completed(url)) < count:
        assert time.monotonic() < ends_at, f"{found} of {count} tasks were completed in time"
        time.sleep(0.2)


def test_a_run_survives_the_death_of_managers_and_of_the_server(
    start: Callable[..., Any], tasks_file: Callable[..., Path], server: NatsServer
) -> None:
    tasks = tasks_file(*[1] * TASKS)
    # While there is no manager, and no server, nothing is to time out.
    lines = [{**json.loads(line), "timeout": 600} for line in tasks.read_text().splitlines()]
    tasks.write_text("\n".join(map(json.dumps, lines)))
    url = f"{server.url}/orders"
    manager = (
        *("manager", "--workers", 1, "--port", 0, "--ticket-file", "ticket", "--store", url),
        *("--tasks", tasks, "--time-scale", 0.2),
    )
    scale = ("--time-scale", 0.2, "--slots", 20)
    first = start(*manager)
    first.wait_for("workers")
    refused = start(*manager).end()
    assert refused.code == 2
    assert f"is held by task_manager, process {first.process.pid} on " in refused.err
    status = start("status", "--store", url).end()
    told = status.out + status.err
    assert f"a manager holds the store, process {first.process.pid} on " in told
    working = start("worker", "--join", "ticket", "--name", "Ada", "--skill", 9, *scale)
    first.wait_for(f" of {TASKS} settled, ")
    first.process.kill()
    first.end()

    second = start(*manager)
    wait_until_completed(url, min(completed(url) + 100, TASKS))
    server.kill()
    time.sleep(1.0)
    server.start()
    wait_until_completed(url, min(completed(url) + 100, TASKS))
    second.process.kill()
    second.end()

    ended = start(*manager).end()
    assert f"{TASKS:,} of {TASKS:,} tasks succeeded" in ended.out, ended.out[-3000:] + ended.err
    assert ended.code == 0
    working.end()
    rows = read_stream(url)[0].tasks
    assert [row.task_id for row in rows] == list(range(1, TASKS + 1))
    assert {row.status for row in rows} == {TaskStatus.COMPLETED}
