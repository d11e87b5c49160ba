"""A client finds the manager that leads after a handover."""

from __future__ import annotations

import asyncio
from typing import Any

from muster.agents import MemoryStore, run_in_virtual_time
from muster.agents.store.memory import SharedRows
from muster.messages import RunHandedOver, Task

from ..client.test_client import Place, lasting


def test_a_client_gets_its_results_from_the_manager_that_leads_after_a_handover() -> None:
    async def story() -> Any:
        place, rows = Place(), SharedRows()
        first = await place.open(store=MemoryStore(rows))
        await place.work()
        client = await place.client()
        waiting = asyncio.ensure_future(client.gather([lasting(1, 5.0)]))
        await asyncio.sleep(1.0)
        first._shell.hand_over()
        (handed_over,) = await asyncio.gather(place.running[0], return_exceptions=True)
        place.links[first.name].leave()
        second = await place.open(store=MemoryStore(rows))
        (result,) = await waiting
        await client.add_tasks([Task(id=2, type="double", data=2)])
        output = (await client.result(2)).output
        ended_at = asyncio.get_running_loop().time()
        await place.close()
        return handed_over, result, output, ended_at, len(second.board.tasks[1].attempts)

    handed_over, result, output, ended_at, attempts = run_in_virtual_time(story())
    assert isinstance(handed_over, RunHandedOver)
    assert (result.output, output, attempts) == ("done", 4, 1)
    assert ended_at < 8.0
