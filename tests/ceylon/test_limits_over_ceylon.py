"""Limits hold by the clocks of worker processes, over real Ceylon."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from muster.agents import TaskManager
from muster.agents.runtime.clock import now
from muster.agents.security.ticket import write_ticket_file
from muster.messages import Limit, Task

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

DEADLINE_S = 120
RATE, KEYS, TASKS = 20, 4, 100
CLOCKS_APART_S = 0.05

HANDLERS = """
import asyncio, json, os, time
from pathlib import Path

from muster.agents import Handlers
from muster.messages import Task

handlers = Handlers()


@handlers.task("call")
async def call(task: Task) -> None:
    began = time.time()
    await asyncio.sleep(0.08)
    with Path(os.environ["LIMITS_LOG"]).open("a") as log:
        log.write(json.dumps([task.limit_key, began, time.time()]) + "\\n")
"""


def test_limits_hold_by_the_clocks_of_two_worker_processes(tmp_path: Path) -> None:
    (tmp_path / "limited_handlers.py").write_text(HANDLERS)
    log, ticket = tmp_path / "log.jsonl", tmp_path / "ticket"
    limits = [Limit("call", rate=RATE, per_s=1.0), Limit(each_key=True, concurrent=2)]
    tasks = [Task(id=n, type="call", limit_key=f"k{n % KEYS}") for n in range(1, TASKS + 1)]

    async def go() -> TaskManager:
        manager = TaskManager(tasks, expected_workers=2, port=0, limits=limits, quiet=True)
        write_ticket_file(ticket, manager.ticket())
        workers = [start_worker(name, ticket, tmp_path) for name in ("Ada", "Ben")]
        try:
            await asyncio.wait_for(manager.start_agent(), DEADLINE_S)
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(timeout=DEADLINE_S)
        return manager

    manager = asyncio.run(go())
    assert manager.report().success_rate == 1.0
    spans = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(spans) == TASKS
    for key in range(KEYS):
        of_key = [(began, ended) for name, began, ended in spans if name == f"k{key}"]
        most = max(sum(b <= at < e for b, e in of_key) for at, _ in of_key)
        assert most <= 2, f"{most} of k{key} were in progress at once"
    granted = sorted(
        attempt.started_at for record in manager.board.tasks.values() for attempt in record.attempts
    )
    most = max(sum(at <= each < at + 1.0 for each in granted) for at in granted)
    assert most <= RATE, f"{most} were counted within a second"
    # By the workers' clocks an attempt begins later than it was counted, by the time of transit,
    # and never earlier. So the twentieth begins no sooner than the rate allows.
    began = sorted(began for _, began, _ in spans)
    first = granted[0] + time.time() - now()
    for number, at in enumerate(began):
        assert at >= first + number // RATE - CLOCKS_APART_S


def start_worker(name: str, ticket: Path, folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "LIMITS_LOG": str(folder / "log.jsonl")}
    command = [sys.executable, "-m", "muster.agents.command", "worker", "--join", str(ticket)]
    options = ["--name", name, "--skill", "5", "--slots", "16", "--handlers", "limited_handlers"]
    return subprocess.Popen([*command, *options], cwd=folder, env=environment)
