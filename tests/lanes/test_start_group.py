"""Who starts together, and when all of them end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from muster.agents import run_in_virtual_time
from muster.agents.transport.start_group import TOGETHER_S, StartGroup


class Agent:
    """Starts as Ceylon does: its start returns when it is ended."""

    def __init__(self, name: str, fault: Exception | None = None) -> None:
        self.name = name
        self.company: list[str] | None = None
        self._fault = fault
        self._over = asyncio.Event()

    def current_instance(self) -> Any:
        return self

    async def start(self, others: Sequence[Any]) -> None:
        self.company = [self.name, *(other.name for other in others)]
        if self._fault is not None:
            raise self._fault
        await self._over.wait()
        # Ceylon takes up to a second.
        await asyncio.sleep(1)

    async def stop(self) -> None:
        self._over.set()


def test_one_alone_starts_at_once() -> None:
    async def story() -> None:
        here, ada = StartGroup(), Agent("Ada")
        began = asyncio.get_running_loop().time()
        starting = asyncio.ensure_future(here.start(ada))
        for _ in range(5):
            await asyncio.sleep(0)
        assert ada.company == ["Ada"]
        assert asyncio.get_running_loop().time() == began
        assert await here.end(ada)
        await starting

    run_in_virtual_time(story())


def test_those_that_are_announced_start_together_and_end_with_the_last() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        here = StartGroup()
        agents = [Agent(name) for name in ("Ada", "Ben", "Cleo")]
        for agent in agents:
            here.announce(agent)
        starts = []
        for agent in agents:
            starts.append(asyncio.ensure_future(here.start(agent)))
            await asyncio.sleep(0.05)
        assert [agent.company for agent in agents] == [["Ada", "Ben", "Cleo"], None, None]
        began = loop.time()
        assert await here.end(agents[0])
        await starts[0]
        await here.end(agents[2])
        await starts[2]
        # They need not wait for one another.
        assert loop.time() == began
        assert not agents[0]._over.is_set()
        await here.end(agents[1])
        await starts[1]
        assert loop.time() == began + 1

    run_in_virtual_time(story())


def test_nobody_waits_long_for_one_that_does_not_come() -> None:
    async def story() -> None:
        here, ada, ben = StartGroup(), Agent("Ada"), Agent("Ben")
        here.announce(ben)
        starting = asyncio.ensure_future(here.start(ada))
        await asyncio.sleep(TOGETHER_S * 0.9)
        assert ada.company is None
        await asyncio.sleep(TOGETHER_S * 0.2)
        assert ada.company == ["Ada"]
        starting.cancel()

    run_in_virtual_time(story())


def test_nobody_waits_for_one_that_was_withdrawn() -> None:
    async def story() -> None:
        here, ada, ben = StartGroup(), Agent("Ada"), Agent("Ben")
        here.announce(ben)
        starting = asyncio.ensure_future(here.start(ada))
        await asyncio.sleep(0)
        here.withdraw(ben)
        for _ in range(5):
            await asyncio.sleep(0)
        assert ada.company == ["Ada"]
        starting.cancel()

    run_in_virtual_time(story())


def test_what_the_start_fails_with_is_told_to_each() -> None:
    async def story() -> list[Any]:
        here = StartGroup()
        agents = [Agent("Ada", OSError("no network")), Agent("Ben")]
        for agent in agents:
            here.announce(agent)
        return await asyncio.gather(*map(here.start, agents), return_exceptions=True)

    assert [str(fault) for fault in run_in_virtual_time(story())] == ["no network"] * 2


def test_the_start_of_all_is_cancelled_with_the_last_of_them() -> None:
    async def story() -> None:
        here = StartGroup()
        agents = [Agent("Ada"), Agent("Ben")]
        for agent in agents:
            here.announce(agent)
        starts = [asyncio.ensure_future(here.start(agent)) for agent in agents]
        await asyncio.sleep(0.1)
        starts[0].cancel()
        await asyncio.sleep(0.1)
        assert not starts[1].done()
        starts[1].cancel()
        await asyncio.wait(starts)
        await asyncio.sleep(0.1)
        assert not await here.end(agents[0])
        assert len(asyncio.all_tasks()) == 1

    run_in_virtual_time(story())


def test_one_that_did_not_start_here_is_not_ended_here() -> None:
    async def story() -> bool:
        return await StartGroup().end(Agent("Ada"))

    assert not run_in_virtual_time(story())
