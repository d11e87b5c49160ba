"""Costs, a refusal, a ladder and the end of a budget, with two worker processes over Ceylon."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from muster.agents import TaskManager
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.security.ticket import write_ticket_file
from muster.messages import Task, TaskStatus

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

DEADLINE_S = 120

WORKER = """
import asyncio, sys
from muster.agents import WorkerAgent

name, ticket = sys.argv[1:]

async def main():
    worker = WorkerAgent(name, 5, ticket=ticket)

    @worker.task("look")
    def look(task, context):
        if name == "small":
            context.decline("needs a vision model")
        context.cost(0.2, unit="USD")
        context.cost(0.2, unit="USD")
        context.quality(0.9)
        return name

    @worker.task("try")
    async def attempt(task, context):
        if name == "small":
            raise ValueError("too hard")
        context.cost(0.4)
        return name

    await worker.start_agent(b"")

asyncio.run(main())
"""


def start(script: Path, name: str, ticket: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, script, name, ticket])


def test_costs_refusals_ladders_and_budgets_work_across_processes(tmp_path: Path) -> None:
    script, ticket = tmp_path / "worker.py", tmp_path / "ticket"
    script.write_text(WORKER)
    tasks = [
        Task(id=1, description="declined by the small one", type="look"),
        Task(id=2, description="goes up", type="try", escalate=["small", "large"]),
        Task(
            id=3, description="ends the budget", type="try", escalate=["large"], depends_on=[1, 2]
        ),
        Task(id=4, description="is too dear", type="try", escalate=["large"], depends_on=[3]),
    ]

    async def go() -> TaskManager:
        manager = TaskManager(
            tasks,
            expected_workers=["small", "large"],
            port=0,
            policy="in_order",
            budget=1.0,
            unmatched_after_s=1.0,
            quiet=True,
        )
        write_ticket_file(ticket, manager.ticket())
        workers = [start(script, name, ticket) for name in ("small", "large")]
        try:
            await asyncio.wait_for(manager.start_agent(b""), DEADLINE_S)
        finally:
            for worker in workers:
                worker.terminate()
                worker.wait(timeout=DEADLINE_S)
        return manager

    manager = asyncio.run(go())
    records = manager.board.tasks
    ends = {
        task_id: [(each.worker.name, each.outcome, each.cost) for each in record.attempts]
        for task_id, record in records.items()
    }
    assert ends == {
        1: [("small", AttemptOutcome.DECLINED, 0.0), ("large", AttemptOutcome.SUCCEEDED, 0.4)],
        2: [("small", AttemptOutcome.FAILED, 0.0), ("large", AttemptOutcome.SUCCEEDED, 0.4)],
        3: [("large", AttemptOutcome.SUCCEEDED, 0.4)],
        4: [],
    }
    assert records[1].attempts[1].quality == 0.9
    assert manager.board.budget.spent == pytest.approx(1.2)
    assert records[4].status is TaskStatus.FAILED
    assert records[4].error_message == (
        "budget: the budget of 1.00 USD is spent (1.20); large costs what its results say"
    )
