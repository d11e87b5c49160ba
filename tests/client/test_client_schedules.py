"""A client lists the schedules of its manager, and gets the results of their tasks by id."""

from __future__ import annotations

import asyncio
from typing import Any

from muster.agents import run_in_virtual_time

from .test_client import Place


def test_a_client_lists_schedules_and_finds_the_result_of_a_due_time() -> None:
    async def story() -> Any:
        place = Place()
        manager = await place.open()
        await place.work()
        client = await place.client()
        assert await client.schedules() == []
        manager.schedule("twice", every_s=10, make="double", data=21)
        await asyncio.sleep(25.0)
        (state,) = await client.schedules()
        result = await client.result(state["last_tasks"][0])
        await client.stop()
        await place.close()
        return state, result, await asyncio.to_thread(manager.schedules)

    state, result, own = run_in_virtual_time(story())
    assert [state] == own
    assert (state["name"], state["every_s"], state["active"]) == ("twice", 10.0, True)
    assert (state["made"], state["last_outcome"], state["next_due"]) == (2, "completed", 30.0)
    assert (result.task_id, result.output) == ("twice@1970-01-01T00:00:20+00:00", 42)
