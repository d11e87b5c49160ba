"""How a worker looks for its manager before it dials for the first time, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from muster.agents import WorkerAgent, run_in_virtual_time
from muster.agents.kernel.discovery import DiscoveryCodec, LaneAddress
from muster.agents.worker import dialer

HOME = LaneAddress("estate", "admin", 9000)
LANE = LaneAddress("estate~2", "lane", 9002)


@dataclass
class Manager:
    """When a manager's agent is there, and when its door is; in seconds from now on."""

    home_at: float
    discovery_at: float
    answers_after_s: float = 0.0
    looked_at: list[float] = field(default_factory=list)

    async def ask(
        self, host: str, port: int, talk: DiscoveryCodec, name: str
    ) -> LaneAddress | None:
        now = asyncio.get_running_loop().time()
        self.looked_at.append(round(now, 3))
        await asyncio.sleep(self.answers_after_s)
        return LANE if now >= self.discovery_at else None

    async def answers_probe(self, host: str, port: int) -> bool:
        return asyncio.get_running_loop().time() >= self.home_at


def place_found(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> LaneAddress:
    monkeypatch.setattr(dialer, "ask_for_lane", manager.ask)
    monkeypatch.setattr(dialer, "answers_probe", manager.answers_probe)
    worker = WorkerAgent("Ada", 5, HOME.workspace_id, HOME.peer_id, port=HOME.port, insecure=True)
    run_in_virtual_time(worker._ways.ceylon.wait_for_manager())
    return LaneAddress(worker.workspace_id, worker.admin_peer, worker.port)


def test_a_manager_that_is_there_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager(home_at=0, discovery_at=0)
    assert place_found(manager, monkeypatch) == LANE
    assert manager.looked_at == [0]


def test_a_manager_without_a_discovery_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager(home_at=0, discovery_at=1_000)
    assert place_found(manager, monkeypatch) == HOME
    assert manager.looked_at == [0, 0.005, 0.01, 0.015, 0.02]


def test_a_discovery_that_nothing_gets_through_to_is_tried_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = Manager(home_at=0, discovery_at=1_000, answers_after_s=1)
    assert place_found(manager, monkeypatch) == HOME
    assert manager.looked_at == [0]


def test_a_manager_that_starts_is_found_soon_after(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager(home_at=0.1, discovery_at=0.1)
    assert place_found(manager, monkeypatch) == LANE
    assert manager.looked_at == [0, 0.01, 0.022, 0.036, 0.054, 0.074, 0.099, 0.129]


def test_one_that_comes_late_is_looked_for_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager(home_at=2.5, discovery_at=2.5)
    assert place_found(manager, monkeypatch) == LANE
    last, before = manager.looked_at[-1], manager.looked_at[-2]
    assert last - before == pytest.approx(0.1)
    assert 2.5 <= last < 2.6


def test_a_discovery_that_opens_after_its_managers_agent_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = Manager(home_at=0.009, discovery_at=0.016)
    assert place_found(manager, monkeypatch) == LANE
    assert manager.looked_at == [0, 0.01, 0.015, 0.02]
    manager = Manager(home_at=0, discovery_at=0.004)
    assert place_found(manager, monkeypatch) == LANE
    assert manager.looked_at == [0, 0.005]


def test_where_nobody_comes_it_dials_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager(home_at=1_000, discovery_at=1_000)
    assert place_found(manager, monkeypatch) == HOME
    assert 3.0 <= manager.looked_at[-1] <= 3.1
