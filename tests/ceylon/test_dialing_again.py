"""An agent whose one dial came to nothing dials again, and nothing is amiss afterwards."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ceylon import Admin
from muster.agents import TaskManager, WorkerAgent
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.agents.transport import host_watch, redial
from muster.agents.transport.redial import FIRST_LOOKS, LOOK_EVERY_S, MOST_LOOKS, watch_dial
from muster.messages import Task

DEADLINE_S = 180
CEYLON_DIALS_FOR_S = 5.0

Start = Callable[[TaskManager, Sequence[WorkerAgent]], list[Any]]


def each_by_itself(manager: TaskManager, workers: Sequence[WorkerAgent]) -> list[Any]:
    return [each.start_agent() for each in (manager, *workers)]


def all_with_the_manager(manager: TaskManager, workers: Sequence[WorkerAgent]) -> list[Any]:
    return [manager.start_agent(b"", workers)]


@pytest.mark.ceylon
@pytest.mark.slow
@pytest.mark.parametrize("start", [each_by_itself, all_with_the_manager])
@pytest.mark.parametrize("is_cancelled", [False, True], ids=["ends", "cancelled"])
def test_guests_that_dialed_in_vain_get_in_later(
    start: Start, is_cancelled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is asked first says nothing, as a host does that is stopped or overloaded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(host_watch, "WAIT_S", 0.0)
    tasks = [Task(id=number, description="carry", difficulty=3) for number in (1, 2)]

    async def story() -> None:
        before = asyncio.all_tasks()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("0.0.0.0", 0))
            port = silent.getsockname()[1]
            hub = Admin("hub", port=port)
            place: Any = {"admin_peer": hub.details().id, "port": port, "time_scale": 0.1}
            manager = TaskManager(tasks, expected_workers=2, quiet=True, **place)
            workers = [WorkerAgent(name, 5, **place) for name in ("Ada", "Ben")]
            guests = [asyncio.ensure_future(each) for each in start(manager, workers)]
            await asyncio.sleep(CEYLON_DIALS_FOR_S + 0.5)
        hosting = asyncio.ensure_future(hub.start_agent(b""))
        if is_cancelled:
            while manager.board.began_at is None:
                await asyncio.sleep(0.02)
            for guest in guests:
                guest.cancel()
            await asyncio.wait(guests)
            assert all(guest.cancelled() for guest in guests)
        else:
            await asyncio.gather(*guests)
            assert manager.report().success_rate == 1.0
        await hub.stop()
        await hosting
        # Whoever dialed again in their place has ended too.
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(story(), DEADLINE_S))


# ---------------------------------------------------------------------------- the watch


class Dialed:
    """An agent that meets somebody by the dial of a given number, if by any."""

    name, admin_ip, port = "guest", "127.0.0.1", 9001

    def __init__(self, met_by: float) -> None:
        self._met_by = met_by
        self.dialed_at = [asyncio.get_running_loop().time()]

    def has_met_anyone(self) -> bool:
        return len(self.dialed_at) >= self._met_by

    async def dial_again(self) -> None:
        self.dialed_at.append(asyncio.get_running_loop().time())


async def pauses(met_by: float, is_host_there: bool, monkeypatch: pytest.MonkeyPatch) -> Any:
    """How long each dial lasted until the next, and whether the watch has ended."""

    async def answers_probe(host: str, port: int) -> bool:
        assert (host, port) == (agent.admin_ip, agent.port)
        return is_host_there

    agent = Dialed(met_by)
    monkeypatch.setattr(redial, "answers_probe", answers_probe)
    watching = asyncio.ensure_future(watch_dial(agent))
    await asyncio.wait([watching], timeout=3_600)
    has_ended = watching.done()
    watching.cancel()
    return [later - sooner for sooner, later in itertools.pairwise(agent.dialed_at)], has_ended


@pytest.mark.parametrize("met_by", [1, 2, 4])
def test_the_watch_ends_when_anyone_is_met(met_by: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waited, has_ended = run_in_virtual_time(pauses(met_by, True, monkeypatch))
    first_s = FIRST_LOOKS * LOOK_EVERY_S
    assert waited == pytest.approx([first_s, 2 * first_s, 4 * first_s][: met_by - 1])
    assert has_ended
    assert first_s > CEYLON_DIALS_FOR_S, "the first dial may still come to something"


def test_nobody_is_dialed_who_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_in_virtual_time(pauses(99, False, monkeypatch)) == ([], False)


def test_an_agent_that_never_meets_anyone_dials_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    waited, has_ended = run_in_virtual_time(pauses(99, True, monkeypatch))
    assert waited == sorted(waited)
    assert waited[-1] == pytest.approx(MOST_LOOKS * LOOK_EVERY_S)
    assert len(waited) < 20
    assert not has_ended
