"""Where room is short, a generated id is shown by its end, and that end is enough to ask for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from muster.agents import MemoryNetwork, TaskManager, WorkerAgent
from muster.agents.command.console.plain_lines import name_of as name_in_the_terminal
from muster.agents.command.why import ask_report, ask_store
from muster.agents.diagram.run_messages import name_of as name_in_a_diagram
from muster.agents.report.text import render_text
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import Task


async def _run(task: Task, store: Path) -> TaskManager:
    network = MemoryNetwork()
    manager = TaskManager([task], expected_workers=1, quiet=True, store=store)
    worker = WorkerAgent("Ada", 5)
    working = asyncio.ensure_future(worker.serve_over(network.join("Ada", worker.receive)))
    await manager.serve_over(network.join("boss", manager.receive))
    working.cancel()
    return manager


def test_the_end_of_a_generated_id_is_shown_and_found(tmp_path: Path) -> None:
    task = Task(difficulty=2)
    end = f"…{str(task.id)[-8:]}"
    manager = run_in_virtual_time(_run(task, tmp_path / "run.db"))
    report = manager.report()
    assert f"\n{end} " in render_text(report)
    assert name_in_the_terminal(task.id) == name_in_a_diagram(task.id) == end
    (tmp_path / "report.json").write_text(report.model_dump_json())
    whole = ask_store([task.id], tmp_path / "run.db")
    assert whole[0].endswith("is completed: attempt 1 at Ada")
    assert ask_store([end], tmp_path / "run.db") == whole
    assert ask_report([end[1:]], tmp_path / "report.json")[0] == whole[0]
