"""However a worker's handler ends, the state file is told how."""

from __future__ import annotations

import asyncio
from typing import Any

from muster.agents import TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.execution.outcome import result_of
from muster.agents.simulation.handler_endings import COROUTINE_ENDINGS, PLAIN_ENDINGS, SUCCEEDING
from muster.agents.state_file.bridge import StateFileBridge
from muster.messages import Task

ENDINGS = {each.__name__: each for each in (*PLAIN_ENDINGS, *COROUTINE_ENDINGS)}

# What one can carry in a message and JSON can't, or not as it is.
OUTPUTS: dict[str, Any] = {
    "not a number": float("nan"),
    "bytes": b"\xff",
    "keys": {1: "a", "1": "b", None: "c", b"\xff": "d"},
    "large": 2**63,
    "deep": [[[[[[[[[[[[[[[[[[[[[[[[[["bottom"]]]]]]]]]]]]]]]]]]]]]]]]]],
}


class Odd(WorkerAgent):
    async def handle_task(self, data: Any) -> Any:
        way = data.task.type
        outcome: Any = ENDINGS[way](data.task) if way in ENDINGS else OUTPUTS[way]
        output = await outcome if asyncio.iscoroutine(outcome) else outcome
        return result_of(data, success=True, output=output)


def test_each_task_of_a_state_file_ends(make_either: Any) -> None:
    file = make_either()
    ids = {way: file.create_task(way, {}) for way in (*ENDINGS, *OUTPUTS)}
    manager = TaskManager([Task(task_id="first", type="returns")], 2, quiet=True)
    manager._shell.driver.stay(reassigns_failed=False)

    async def main() -> None:
        running = asyncio.ensure_future(rehearse(manager, [Odd("Ada", 5), Odd("Ben", 5)]))
        serving = StateFileBridge(file, manager).serve(until_empty=True)
        await asyncio.wait_for(serving, 600)
        await manager.stop()
        await running

    run_in_virtual_time(main())
    done = {way: file.get_task(task_id) for way, task_id in ids.items()}
    succeeded = {way for way, task in done.items() if task["status"] == "completed"}
    assert succeeded == {*OUTPUTS, *SUCCEEDING}
    failed = [task for task in done.values() if task["status"] == "failed"]
    assert len(failed) == len(ENDINGS) - len(SUCCEEDING)
    assert all(task["result_data"]["error"] for task in failed)
