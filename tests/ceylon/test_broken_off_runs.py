"""A run that ends with work left, though nobody called `stop`, raises, and says so everywhere."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from ceylon import Admin
from ceylon.ceylon.ceylon import UnifiedAgent
from muster.agents import TaskManager, WorkerAgent
from muster.agents.runtime.ports import claim_port
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.agents.transport import host_watch
from muster.agents.transport.host_watch import LOOK_EVERY_S, WAIT_S, wait_for_host, watch_host
from muster.messages import PortInUse, RunEnded, Task

DEADLINE_S = 180
SKILL = 10


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def play(story: Awaitable[Any]) -> Any:
    async def within_the_deadline() -> Any:
        return await asyncio.wait_for(story, DEADLINE_S)

    try:
        return asyncio.run(within_the_deadline())
    finally:
        gc.collect()


def four_tasks() -> list[Task]:
    return [Task(id=number, description="wait", difficulty=SKILL) for number in (1, 2, 3, 4)]


def hosted() -> tuple[Admin, TaskManager, list[WorkerAgent]]:
    hub = Admin("hub", port=claim_port())
    place: Any = {"admin_peer": hub.details().id, "port": hub.port}
    manager = TaskManager(four_tasks(), expected_workers=2, quiet=True, **place)
    return hub, manager, [WorkerAgent(name, SKILL, **place) for name in ("Ada", "Ben")]


def own() -> tuple[TaskManager, WorkerAgent]:
    manager = TaskManager(
        four_tasks(), expected_workers=1, quiet=True, port=0, direct_connections=False
    )
    return manager, WorkerAgent("Ada", SKILL, admin_peer=manager.details().id)


async def begun(manager: TaskManager) -> None:
    while manager.board.began_at is None:
        await asyncio.sleep(0.02)


async def not_begun(manager: TaskManager) -> None:
    del manager


async def has_started(manager: TaskManager) -> None:
    """A manager that Ceylon has not started yet has no run that could end."""
    while not manager._shell.has_link:
        await asyncio.sleep(0.001)


RunEnding = Callable[[Callable[[TaskManager], Awaitable[None]]], Awaitable[TaskManager]]


async def host_stops(until: Any) -> TaskManager:
    hub, manager, workers = hosted()
    hosting = asyncio.ensure_future(hub.start_agent(b"", [manager, *workers]))
    await has_started(manager)
    await until(manager)
    await hub.stop()
    await hosting
    return manager


async def hosts_start_is_cancelled(until: Any) -> TaskManager:
    hub, manager, workers = hosted()
    hosting = asyncio.ensure_future(hub.start_agent(b"", [manager, *workers]))
    await has_started(manager)
    await until(manager)
    hosting.cancel()
    await asyncio.wait([hosting])
    # To cancel is not always enough for Ceylon.
    await hub.stop()
    return manager


async def start_is_cancelled(until: Any) -> TaskManager:
    manager, worker = own()
    running = asyncio.ensure_future(manager.start_agent(b"", [worker]))
    await asyncio.sleep(0)
    await until(manager)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return manager


async def guests_start_is_cancelled(until: Any) -> TaskManager:
    hub, manager, workers = hosted()
    hosting = asyncio.ensure_future(hub.start_agent(b"", list(workers)))
    running = asyncio.ensure_future(manager.start_agent())
    await asyncio.sleep(0)
    await until(manager)
    running.cancel()
    await asyncio.wait([running])
    await hub.stop()
    await hosting
    return manager


async def ceylon_is_stopped(until: Any) -> TaskManager:
    manager, worker = own()
    running = asyncio.ensure_future(manager.start_agent(b"", [worker]))
    await asyncio.sleep(0)
    await until(manager)
    await UnifiedAgent.stop(manager)
    with pytest.raises(RunEnded, match="4 of 4 tasks unsettled"):
        await running
    return manager


async def service_is_cut_short(until: Any) -> TaskManager:
    manager, worker = own()
    await manager.start(b"", [worker])
    await until(manager)
    await UnifiedAgent.stop(manager)
    with pytest.raises(RunEnded, match="4 of 4 tasks unsettled"):
        await manager.finished()
    return manager


ENDINGS: list[RunEnding] = [
    host_stops,
    hosts_start_is_cancelled,
    start_is_cancelled,
    guests_start_is_cancelled,
    ceylon_is_stopped,
    service_is_cut_short,
]


@pytest.mark.ceylon
@pytest.mark.parametrize("until", [not_begun, begun])
@pytest.mark.parametrize("ending", ENDINGS)
def test_who_waits_for_a_run_that_ended_early_is_told(
    ending: RunEnding, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        manager = await ending(until)
        for _ in range(2):
            with pytest.raises(RunEnded, match=r"4 of 4 tasks unsettled.*finished\(\)"):
                await manager.finished()
        report = manager.report()
        assert "4 of 4 tasks unsettled" in (report.failure or "")
        assert report.exit_code == 1
        told = [each for each in caplog.records if "4 of 4 tasks unsettled" in each.getMessage()]
        assert [each.levelno for each in told] == [logging.ERROR]

    play(story())


@pytest.mark.ceylon
def test_whoever_awaits_a_result_of_a_run_that_ended_early_is_told() -> None:
    async def story() -> None:
        hub, manager, workers = hosted()
        hosting = asyncio.ensure_future(hub.start_agent(b"", [manager, *workers]))
        await begun(manager)
        waiting = asyncio.ensure_future(manager.submit(Task(id=5, description="x", difficulty=1)))
        await asyncio.sleep(0.1)
        await hub.stop()
        await hosting
        with pytest.raises(RunEnded):
            await waiting

    play(story())


@pytest.mark.ceylon
def test_who_waits_for_a_run_that_could_not_begin_is_told() -> None:
    async def story() -> None:
        first = TaskManager(port=0, quiet=True)
        await first.start()
        second = TaskManager(four_tasks(), port=first.port, quiet=True)
        waiting = asyncio.ensure_future(second.finished())
        with pytest.raises(PortInUse):
            await second.start_agent()
        with pytest.raises(RunEnded, match=f"UDP port {first.port} is already in use"):
            await waiting
        await first.stop()

    play(story())


@pytest.mark.ceylon
def test_a_stop_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        manager, worker = own()
        running = asyncio.ensure_future(manager.start_agent(b"", [worker]))
        await begun(manager)
        await manager.stop()
        await running
        await manager.finished()
        assert manager.report().failure is None

    play(story())
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


@pytest.mark.ceylon
def test_a_host_that_ends_when_all_is_done_breaks_nothing_off() -> None:
    class Stopping(TaskManager):
        hub: Admin

        async def end_task_management(self) -> None:
            await self.hub.stop()
            await asyncio.sleep(0.2)

    async def story() -> None:
        hub = Admin("hub", port=claim_port())
        place: Any = {"admin_peer": hub.details().id, "port": hub.port}
        manager = Stopping([Task(id=1, description="x", difficulty=1)], expected_workers=1, **place)
        manager.hub = hub
        await hub.start_agent(b"", [manager, WorkerAgent("Ada", 5, time_scale=0.1, **place)])
        await manager.finished()
        assert manager.report().exit_code == 0

    play(story())


@pytest.mark.slow
@pytest.mark.ceylon
def test_a_guest_that_started_by_itself_notices_that_its_host_is_gone() -> None:
    async def story() -> None:
        hub, manager, workers = hosted()
        hosting = asyncio.ensure_future(hub.start_agent(b""))
        guests = [asyncio.ensure_future(each.start_agent()) for each in (manager, *workers)]
        await begun(manager)
        await hub.stop()
        await hosting
        with pytest.raises(RunEnded, match=r"4 of 4 tasks unsettled: its host at .* is gone"):
            await guests[0]
        for worker in workers:
            await worker.stop()
        await asyncio.wait(guests)

    play(story())


@pytest.mark.ceylon
def test_a_run_that_was_broken_off_goes_on_from_its_store(tmp_path: Path) -> None:
    async def break_off() -> None:
        manager, worker = own()
        manager.keep_in(tmp_path / "run.db")
        running = asyncio.ensure_future(manager.start_agent(b"", [worker]))
        await begun(manager)
        running.cancel()
        await asyncio.wait([running])

    class Quick(WorkerAgent):
        async def handle_task(self, data: Any) -> bool:  # type: ignore[override]
            del data
            return True

    async def go_on() -> TaskManager:
        manager = TaskManager(expected_workers=1, quiet=True, port=0, store=tmp_path / "run.db")
        await manager.start_agent(b"", [Quick("Ada", SKILL)])
        return manager

    play(break_off())
    report = play(go_on()).report()
    assert (report.success_rate, len(report.tasks), report.failure) == (1.0, 4, None)


# ---------------------------------------------------------------------------- the watch


class Watched:
    """A guest whose host comes and goes, and that hears frames, at given times."""

    name, workspace_id, admin_ip, port = "guest", "estate", "127.0.0.1", 9001

    def __init__(self, *, at_home: Callable[[float], bool], hears_until: float, met: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._at_home = at_home
        self._hears_until = hears_until
        self._met = met

    def passed(self) -> float:
        return self._loop.time() - self._began

    async def answers_probe(self, host: str, port: int) -> bool:
        assert (host, port) == (self.admin_ip, self.port)
        return self._at_home(self.passed())

    def has_met_admin(self) -> bool:
        return self._met

    def count_received(self) -> int:
        return int(min(self.passed(), self._hears_until) * 10)


async def watch(monkeypatch: pytest.MonkeyPatch, **facts: Any) -> tuple[list[str], float]:
    """What the watch says within a minute, and when it ended."""
    guest = Watched(**{"hears_until": 0.0, "met": True, **facts})
    monkeypatch.setattr(host_watch, "answers_probe", guest.answers_probe)
    told: list[str] = []
    watching = asyncio.ensure_future(watch_host(guest, 10.0, told.append))
    await asyncio.wait([watching], timeout=60)
    watching.cancel()
    return told, guest.passed()


@pytest.mark.parametrize(
    ("facts", "gone_after_s"),
    [
        ({"at_home": lambda t: True}, None),
        ({"at_home": lambda t: False}, 2 + 10),
        ({"at_home": lambda t: t < 21}, 22 + 10),
        ({"at_home": lambda t: not 21 < t < 29}, None),
        ({"at_home": lambda t: False, "hears_until": 60.0}, None),
        ({"at_home": lambda t: False, "hears_until": 21.0}, 24 + 10),
        ({"at_home": lambda t: int(t) % 8 == 0}, None),
    ],
    ids=["there", "never there", "gone later", "away for a while", "heard", "heard first", "flaky"],
)
def test_a_host_is_gone_if_nobody_answers_and_nothing_comes(
    facts: Any, gone_after_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, after_s = run_in_virtual_time(watch(monkeypatch, **facts))
    if gone_after_s is None:
        assert told == []
    else:
        assert after_s == pytest.approx(gone_after_s, abs=LOOK_EVERY_S + 0.1)
        (line,) = told
        assert line.startswith("its host at 127.0.0.1, UDP port 9001, is gone: it has not answered")


@pytest.mark.parametrize("met", [True, False])
def test_a_guest_that_does_not_meet_its_admin_says_so_once(
    met: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_in_virtual_time(watch(monkeypatch, at_home=lambda t: True, met=met))
    told = [each.getMessage() for each in caplog.records]
    assert len(told) == (not met)
    if not met:
        assert "the admin of workspace 'estate' was not met" in told[0]


@pytest.mark.parametrize(("comes_at", "waits_s"), [(0.0, 0.0), (3.0, 3.0), (99.0, WAIT_S)])
def test_a_guest_waits_for_its_host_but_not_for_ever(
    comes_at: float, waits_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> float:
        guest = Watched(at_home=lambda t: t >= comes_at, hears_until=0.0, met=False)
        monkeypatch.setattr(host_watch, "answers_probe", guest.answers_probe)
        await wait_for_host(guest)
        return guest.passed()

    assert run_in_virtual_time(story()) == pytest.approx(waits_s, abs=0.2)
