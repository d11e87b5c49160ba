"""The scenario `tool_workers`: two MCP servers as workers, over real Ceylon."""

from __future__ import annotations

import asyncio
import sys

import pytest
from muster.agents import TaskManager, TraceLog, follow
from muster.agents.diagram import check_diagram, find_diagrams
from muster.messages import InvalidInput
from muster.scenarios.tool_workers import ToolWorkers

DEADLINE_S = 240


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
def test_a_clerk_sells_what_there_is_with_the_tools_of_two_servers() -> None:
    scenario, log = ToolWorkers(time_scale=0.05), TraceLog()

    def seen(manager: TaskManager) -> None:
        follow(manager, log)

    report = asyncio.run(asyncio.wait_for(scenario.play(seen=seen), DEADLINE_S))
    assert report.success_rate == 1.0
    assert scenario.conclusion(report).splitlines() == [
        "sale 1: 250 g of silver tips to Mira for 225.00",
        "sale 2: 150 g of silver tips to Jon for 135.00",
    ]
    tools = {task.type: task.worker for task in report.tasks if task.type != "order"}
    assert tools == {
        "stock.find": "Stock",
        "stock.weigh_out": "Stock",
        "ledger.quote": "Ledger",
        "ledger.book": "Ledger",
    }
    (found,) = find_diagrams(sys.modules[ToolWorkers.__module__].__doc__ or "", "tool_workers")
    verdict = check_diagram(found.diagram, log.trace())
    assert verdict.holds, verdict.mismatch


def test_its_servers_belong_to_one_process() -> None:
    with pytest.raises(InvalidInput, match="can't be played with --processes"):
        asyncio.run(ToolWorkers().play(processes=True))
