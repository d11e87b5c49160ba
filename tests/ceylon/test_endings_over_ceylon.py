"""Over real Ceylon each attempt ends in a result, whatever its handler does, and the run ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager, TaskStatus, WorkerAgent
from muster.agents.simulation.handler_endings import COROUTINE_ENDINGS, PLAIN_ENDINGS, SUCCEEDING
from muster.messages import Task

pytestmark = pytest.mark.ceylon

DEADLINE_S = 60

WAYS = {
    **{f"{each.__name__} in a thread": each for each in PLAIN_ENDINGS},
    **{each.__name__: each for each in COROUTINE_ENDINGS},
}

INTERRUPTED = """
import asyncio, sys
from muster.agents import TaskManager, WorkerAgent
from muster.messages import Task

async def main():
    worker = WorkerAgent("Ada", 5)

    @worker.task("sleep")
    async def sleep(task):
        print("begun", flush=True)
        await asyncio.sleep(3600)

    manager = TaskManager([Task(task_id=1, type="sleep")], 1, port=0, quiet=True)
    await manager.start_agent(b"", [worker])

asyncio.run(main())
"""


def test_handlers_that_end_in_all_ways_on_two_workers_leave_no_task_without_a_result() -> None:
    workers = [WorkerAgent(name, 5, slots=2) for name in ("Ada", "Ben")]
    for worker in workers:
        for way, function in WAYS.items():
            worker.task(way)(function)
        for each in PLAIN_ENDINGS:
            worker.task(each.__name__)(in_the_loop(each))
    types = [*WAYS, *(each.__name__ for each in PLAIN_ENDINGS)]
    tasks = [Task(task_id=number, type=way) for number, way in enumerate(types, 1)]
    manager = TaskManager(tasks, 2, port=0, quiet=True)
    asyncio.run(asyncio.wait_for(manager.start_agent(b"", workers), DEADLINE_S))
    report = manager.report()
    for task, way in zip(report.tasks, types, strict=True):
        name = way.removesuffix(" in a thread")
        wanted = TaskStatus.COMPLETED if name in SUCCEEDING else TaskStatus.FAILED
        assert task.status is wanted, (way, task.error_message)
        assert (task.error_message is None) == (name in SUCCEEDING), way


def in_the_loop(function: Any) -> Any:
    async def call(task: Task) -> Any:
        return function(task)

    return call


@pytest.mark.slow
@pytest.mark.processes
def test_ctrl_c_still_ends_a_program(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(INTERRUPTED)
    running = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        running.send_signal(2)
        assert running.wait(DEADLINE_S) is not None
    finally:
        running.kill()
        running.communicate()
