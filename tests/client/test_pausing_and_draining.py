"""A client, anywhere, pauses a manager, and drains a worker of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from muster.agents import MemoryStore, run_in_virtual_time
from muster.agents.store.memory import SharedRows
from muster.messages import InvalidInput, Task, TaskStatus

from .test_client import Place


def test_a_paused_manager_begins_nothing_and_goes_on_once_it_is_resumed() -> None:
    async def story() -> Any:
        place = Place()
        manager = await place.open()
        await place.work()
        client = await place.client()
        first = asyncio.ensure_future(client.gather([Task(id=1, type="last", data=5.0)]))
        await asyncio.sleep(1.0)
        paused = await client.pause()
        await client.add_tasks([Task(id=2, type="double", data=2)])
        (result,) = await first
        await asyncio.sleep(60.0)
        waits = await client.status(2)
        why = await client.why(2)
        await client.resume()
        outputs = (result.output, (await client.result(2)).output)
        await place.close()
        return paused, waits, why, outputs, manager.is_paused

    paused, waits, why, outputs, is_paused = run_in_virtual_time(story())
    assert paused == 1
    assert waits is TaskStatus.PENDING
    assert any("paused" in line for line in why)
    assert outputs == ("done", 4)
    assert not is_paused


def test_a_manager_that_was_paused_is_paused_after_its_restart() -> None:
    async def story() -> Any:
        place, rows = Place(), SharedRows()
        first = await place.open(store=MemoryStore(rows))
        first.pause()
        await first.stop()
        second = await place.open(store=MemoryStore(rows))
        await place.work()
        second.add_task(Task(id=1, type="double", data=2))
        await asyncio.sleep(60.0)
        before = second.get_task_status(1)
        second.resume()
        await asyncio.sleep(1.0)
        after = second.get_task_status(1)
        await place.close()
        return before, after

    assert run_in_virtual_time(story()) == ("Pending", "Completed")


def test_a_drained_worker_finishes_its_tasks_and_leaves() -> None:
    async def story() -> Any:
        place = Place()
        manager = await place.open()
        worker = await place.work()
        client = await place.client()
        running = asyncio.ensure_future(client.gather([Task(id=1, type="last", data=5.0)]))
        await asyncio.sleep(1.0)
        finishes = await client.drain("Ada")
        (known,) = await client.workers()
        (result,) = await running
        await asyncio.sleep(5.0)
        left = worker.is_done()
        await place.close()
        return finishes, known["draining"], result.output, left, manager.board.workers["Ada"].alive

    assert run_in_virtual_time(story()) == (1, True, "done", True, False)


def test_a_drained_worker_that_stays_gets_tasks_again() -> None:
    async def story() -> Any:
        place = Place()
        await place.open()
        await place.work()
        client = await place.client()
        while not await client.workers():
            await asyncio.sleep(0.1)
        idle = await client.drain("Ada", leaves=False)
        await client.add_tasks([Task(id=1, type="double", data=2)])
        await asyncio.sleep(10.0)
        before = await client.status(1)
        await client.resume("Ada")
        result = await client.result(1)
        await place.close()
        return idle, before, result.output

    assert run_in_virtual_time(story()) == (0, TaskStatus.PENDING, 4)


@pytest.mark.parametrize("method", ["drain", "resume"])
def test_a_worker_that_is_not_there_is_refused_with_those_that_are(method: str) -> None:
    async def story() -> None:
        place = Place()
        await place.open()
        await place.work()
        client = await place.client()
        while not await client.workers():
            await asyncio.sleep(0.1)
        try:
            await getattr(client, method)("Aad")
        finally:
            await place.close()

    with pytest.raises(InvalidInput, match=r"worker 'Aad'; did you mean 'Ada'\? known: Ada"):
        run_in_virtual_time(story())
