"""Agents of the shapes of Ceylon's public examples live with a manager and its workers, both ways.

Once a manager and two workers are guests in the example's workspace, once the example's agents are
guests in the manager's. Both sides come to their end, and neither disturbs the other.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ceylon import Admin, AgentDetail, BaseAgent, PeerMode, Worker, on, on_connect, on_run
from muster.agents import TaskManager, WorkerAgent
from muster.agents.runtime.ports import claim_port
from muster.messages import Task

pytestmark = [pytest.mark.ceylon, pytest.mark.slow]

DEADLINE_S = 40
PAUSE_S = 0.05


def client_or_admin(port: int | None) -> PeerMode:
    """The leading agent of an example opens the workspace if it is given a port."""
    return PeerMode.CLIENT if port is None else PeerMode.ADMIN


class Leading(BaseAgent):
    """The one agent of an example that brings it to its end."""

    def __init__(self, name: str, role: str, port: int | None) -> None:
        super().__init__(name, client_or_admin(port), role, port=port)
        self.is_done = asyncio.Event()


# ---------------------------------------------------------------------------- time scheduling


@dataclass
class HourAsked:
    """Is everybody free in this hour?"""

    hour: int


@dataclass
class HourAnswered:
    """Somebody is free in this hour, or not."""

    who: str
    hour: int
    is_free: bool


class MeetingPlanner(Leading):
    """Asks hour after hour until enough are free; declared handlers only."""

    def __init__(self, port: int | None) -> None:
        super().__init__("planner", "planner", port)
        self.hour = 0
        self.free: dict[int, set[str]] = {}

    @on_connect("*")
    async def begin(self, topic: str, agent: AgentDetail) -> None:
        del topic, agent
        if not self.hour:
            self.hour = 8
            await self.broadcast_message(HourAsked(self.hour))

    @on(HourAnswered)
    async def hear(self, data: HourAnswered, time: int, agent: AgentDetail) -> None:
        del time, agent
        if data.is_free:
            who = self.free.setdefault(data.hour, set())
            who.add(data.who)
            if len(who) == 3:
                self.is_done.set()
        elif data.hour == self.hour:
            self.hour += 1

    @on_run()
    async def ask(self, inputs: object) -> None:
        del inputs
        while True:
            # What Ceylon loses is asked again.
            await self.broadcast_message(HourAsked(max(self.hour, 8)))
            await asyncio.sleep(PAUSE_S)


class MeetingAttendee(Worker):
    """Answers by a declared handler, and runs without doing anything."""

    def __init__(self, name: str, hours: range) -> None:
        super().__init__(name=name)
        self.hours = hours

    @on(HourAsked)
    async def answer(self, data: HourAsked, time: int, agent: AgentDetail) -> None:
        del time, agent
        await self.broadcast_message(HourAnswered(self.name, data.hour, data.hour in self.hours))

    @on_run()
    async def idle(self, inputs: object) -> None:
        del inputs
        while True:
            await asyncio.sleep(PAUSE_S)


def time_scheduling(port: int | None) -> tuple[Leading, list[Any]]:
    hours = {"Una": range(9, 12), "Vic": range(10, 14), "Wim": range(11, 15)}
    return MeetingPlanner(port), [MeetingAttendee(name, free) for name, free in hours.items()]


# ---------------------------------------------------------------------------- two auctions


@dataclass
class LotOffered:
    """Something is sold."""

    price: float


@dataclass
class LotBid:
    """What somebody would give."""

    who: str
    amount: float


@dataclass
class LotSold:
    """Who has got it."""

    winner: str


BUDGETS = {"Una": 150.0, "Vic": 120.0, "Wim": 210.0}


class OverridingAuctioneer(Leading):
    """Sells one lot; overrides what Ceylon calls, and unpickles by itself."""

    def __init__(self, port: int | None) -> None:
        super().__init__("auctioneer", "auctioneer", port)
        self.bids: dict[str, float] = {}
        self.has_opened = False

    async def on_agent_connected(self, topic: str, agent: AgentDetail) -> None:
        del topic, agent
        # The guests count among the connected agents, so it counts by role.
        connected = await self.get_connected_agents()
        self.has_opened |= sum(each.role == "bidder" for each in connected) == len(BUDGETS)

    async def on_message(self, agent: AgentDetail, data: bytes, time: int) -> None:
        del agent, time
        message = pickle.loads(data)
        if isinstance(message, LotBid):
            self.bids[message.who] = message.amount
        if len(self.bids) == len(BUDGETS) and not self.is_done.is_set():
            await self.broadcast_message(LotSold(max(self.bids, key=lambda who: self.bids[who])))
            self.is_done.set()

    async def run(self, inputs: bytes) -> None:
        del inputs
        while not self.is_done.is_set():
            if self.has_opened:
                await self.broadcast_message(LotOffered(100.0))
            await asyncio.sleep(PAUSE_S)


class OverridingBidder(BaseAgent):
    """Bids as often as it is asked, to the auctioneer alone."""

    def __init__(self, name: str, budget: float) -> None:
        super().__init__(name, PeerMode.CLIENT, "bidder")
        self.budget = budget

    async def on_message(self, agent: AgentDetail, data: bytes, time: int) -> None:
        del time
        message = pickle.loads(data)
        if isinstance(message, LotOffered) and self.budget > message.price:
            await self.send_message(agent.id, LotBid(self.name, self.budget))

    async def run(self, inputs: bytes) -> None:
        del inputs
        while True:
            await asyncio.sleep(1)


def single_item_auction(port: int | None) -> tuple[Leading, list[Any]]:
    bidders = [OverridingBidder(name, budget) for name, budget in BUDGETS.items()]
    return OverridingAuctioneer(port), bidders


class DeclaringAuctioneer(Leading):
    """Sells one lot, by declared handlers."""

    def __init__(self, port: int | None) -> None:
        super().__init__("auctioneer", "auctioneer", port)
        self.bids: dict[str, float] = {}
        self.bidders: set[str] = set()

    @on_connect("*:bidder")
    async def greet(self, topic: str, agent: AgentDetail) -> None:
        del topic
        self.bidders.add(agent.id)

    @on(LotBid)
    async def hear(self, data: LotBid, time: int, agent: AgentDetail) -> None:
        del time, agent
        self.bids[data.who] = data.amount
        if len(self.bids) == len(BUDGETS) and not self.is_done.is_set():
            await self.broadcast_message(LotSold(max(self.bids, key=lambda who: self.bids[who])))
            self.is_done.set()

    @on_run()
    async def offer(self, inputs: object) -> None:
        del inputs
        while not self.is_done.is_set():
            if len(self.bidders) == len(BUDGETS):
                await self.broadcast_message(LotOffered(100.0))
            await asyncio.sleep(PAUSE_S)


class DeclaringBidder(BaseAgent):
    """Bids by a declared handler."""

    def __init__(self, name: str, budget: float) -> None:
        super().__init__(name, PeerMode.CLIENT, "bidder")
        self.budget = budget

    @on(LotOffered)
    async def bid(self, data: LotOffered, time: int, agent: AgentDetail) -> None:
        del time
        if self.budget > data.price:
            await self.send_message(agent.id, LotBid(self.name, self.budget))

    @on_run()
    async def wait_for_the_end(self, inputs: object) -> None:
        del inputs
        while True:
            await asyncio.sleep(1)


def general_auction(port: int | None) -> tuple[Leading, list[Any]]:
    bidders = [DeclaringBidder(name, budget) for name, budget in BUDGETS.items()]
    return DeclaringAuctioneer(port), bidders


# ---------------------------------------------------------------------------- networked agents


def networked_agents(port: int | None) -> tuple[Leading, list[Any]]:
    """A server that says the same again and again; handlers of the objects, not of classes."""
    server = Leading("server", "admin", port)
    listeners = [Worker(name=name, role="worker") for name in ("near", "far")]
    heard: set[str] = set()

    @server.on_run()
    async def speak(inputs: bytes) -> None:
        del inputs
        while True:
            await server.broadcast_message("hello from the server")
            await asyncio.sleep(PAUSE_S)

    def listen(listener: Worker) -> None:
        @listener.on(str)
        async def hear(data: str, agent: AgentDetail, time: int) -> None:
            del data, agent, time
            heard.add(listener.name)
            if len(heard) == len(listeners):
                server.is_done.set()

    for each in listeners:
        listen(each)
    return server, listeners


# ---------------------------------------------------------------------------- both ways

EXAMPLES: list[Callable[[int | None], tuple[Leading, list[Any]]]] = [
    time_scheduling,
    single_item_auction,
    general_auction,
    networked_agents,
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def play(story: Awaitable[Any]) -> Any:
    async def within_the_deadline() -> Any:
        return await asyncio.wait_for(story, DEADLINE_S)

    return asyncio.run(within_the_deadline())


def ours(**place: Any) -> tuple[TaskManager, list[WorkerAgent]]:
    tasks = [Task(id=number, description="carry", difficulty=3) for number in (1, 2, 3, 4)]
    manager = TaskManager(tasks, expected_workers=2, quiet=True, time_scale=0.1, **place)
    return manager, [WorkerAgent(name, 5, time_scale=0.1, **place) for name in ("Ada", "Ben")]


async def all_done(manager: TaskManager, is_done: asyncio.Event) -> None:
    await is_done.wait()
    while manager.board.unsettled:
        await asyncio.sleep(PAUSE_S)


def check_peace(
    manager: TaskManager, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert manager.report().success_rate == 1.0
    assert set(manager.dropped) <= {"pickle"}
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert "ERROR" not in told
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("is_handed", [True, False], ids=["handed to the host", "by themselves"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_manager_and_workers_are_guests_of_the_example(
    example: Any,
    is_handed: bool,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> TaskManager:
        host, others = example(claim_port())
        manager, workers = ours(admin_peer=host.details().id, port=host.port)
        guests = [manager, *workers]
        brought = [*others, *guests] if is_handed else others
        hosting = asyncio.ensure_future(host.start_agent(b"", brought))
        alone = [] if is_handed else [asyncio.ensure_future(each.start_agent()) for each in guests]
        await asyncio.gather(manager.finished(), host.is_done.wait(), *alone)
        roles = {each.name: each.role for each in await host.get_connected_agents()}
        assert (roles["task_manager"], roles["Ada"]) == ("task_manager", "worker")
        await host.stop()
        await hosting
        return manager

    check_peace(play(story()), capfd, caplog)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_is_a_guest_of_manager_and_workers(
    example: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> TaskManager:
        leading, others = example(None)
        manager, workers = ours(port=0)
        await manager.start(b"", [leading, *others, *workers])
        await all_done(manager, leading.is_done)
        await manager.stop()
        return manager

    check_peace(play(story()), capfd, caplog)


# ---------------------------------------------------------------------------- hello world


@dataclass
class Hello:
    """What is said once."""

    text: str


def greeted() -> tuple[Worker, asyncio.Event]:
    agent, is_done = Worker("greeted"), asyncio.Event()

    @agent.on(Hello)
    async def hear(data: Hello, agent: AgentDetail, time: int) -> None:
        del data, agent, time
        is_done.set()

    return agent, is_done


def test_manager_and_workers_are_guests_of_a_playground(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings():
        # It is written for an older pydantic.
        warnings.simplefilter("ignore", DeprecationWarning)
        from ceylon.base.playground import BasePlayGround

    async def story() -> TaskManager:
        playground = BasePlayGround(name="playground", port=claim_port())
        agent, is_done = greeted()
        manager, workers = ours(admin_peer=playground.details().id, port=playground.port)
        async with playground.play(workers=[agent, manager, *workers]) as active:
            while not is_done.is_set():
                await active.broadcast_message(Hello("from the playground"))
                await asyncio.sleep(PAUSE_S)
            await manager.finished()
            await active.finish()
        return manager

    check_peace(play(story()), capfd, caplog)


def test_who_says_hello_is_a_guest_of_manager_and_workers(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> TaskManager:
        sender = Worker("sender")
        agent, is_done = greeted()
        manager, workers = ours(port=0)
        await manager.start(b"", [sender, agent, *workers])
        while not is_done.is_set():
            await sender.broadcast_message(Hello("from a guest"))
            await asyncio.sleep(PAUSE_S)
        await all_done(manager, is_done)
        await manager.stop()
        return manager

    check_peace(play(story()), capfd, caplog)


def test_a_plain_admin_of_default_arguments_is_what_the_examples_open() -> None:
    admin = Admin("admin", port=claim_port())
    assert TaskManager(admin_peer=admin.details().id).workspace_id == admin.workspace_id
