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

DEADLINE_S = 60
ARRIVAL_S = 15
"""By when agents of Ceylon's own must have appeared, if the story has not ended yet."""

PLAYS = 3

LATE = ("no manager answers yet", "the admin of its workspace is not met")
"""What agents of ours warn of that get in late, as on an overloaded machine; no disturbance."""

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
        # The guests are among the connected agents, so it goes by role. It does not count: an
        # agent of Ceylon's makes itself known only until anybody else has been noticed.
        connected = await self.get_connected_agents()
        self.has_opened |= any(each.role == "bidder" for each in connected)

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
        self.has_opened = False

    @on_connect("*:bidder")
    async def greet(self, topic: str, agent: AgentDetail) -> None:
        del topic, agent
        self.has_opened = True

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
            if self.has_opened:
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


class LeftOut(AssertionError):
    """Ceylon has not brought agents together: it dials once, for 5 s, and says nothing."""


@dataclass
class Cast:
    """Who plays: the agent that opened the workspace, a manager, and Ceylon's own agents.

    Args:
        host: who opened the workspace.
        manager: the manager.
        plain: agents of Ceylon's own that dialed the host.
        leading: the one that brings the example to its end, if there is one.
    """

    host: Any
    manager: TaskManager
    plain: list[Any]
    leading: Leading | None = None

    async def see(self, end: Awaitable[Any]) -> None:
        """Await the end of the play; if it does not come in time, say who waits for what."""
        ending = asyncio.ensure_future(end)
        for patience_s in (ARRIVAL_S, DEADLINE_S - ARRIVAL_S):
            await asyncio.wait([ending], timeout=patience_s)
            if ending.done():
                return ending.result()
            present = {each.name for each in await self.host.get_connected_agents()}
            left_out = [each.name for each in self.plain if each.name not in present]
            is_guest = self.manager is not self.host
            if is_guest and self.manager.board.has_ended and self.manager.name not in present:
                # It has done its tasks with its workers, and left before the host met it.
                left_out.append(self.manager.name)
            if left_out:
                break
        waited = self.describe(present)
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
        await self.manager.stop()
        await self.host.stop()
        await asyncio.sleep(1)  # Ceylon ends once a second.
        if left_out:
            raise LeftOut(f"{left_out} never appeared; {waited}")
        raise AssertionError(f"it took longer than {DEADLINE_S} s; {waited}")

    def describe(self, present: set[str]) -> str:
        """Where the play stands."""
        board, told = self.manager.board, ""
        if self.leading is not None:
            known = {"hour", "free", "bids", "has_opened"} & vars(self.leading).keys()
            facts = {each: vars(self.leading)[each] for each in sorted(known)}
            told = f"; the example's end has come: {self.leading.is_done.is_set()}, with {facts}"
        return (
            f"{board.unsettled} tasks are unsettled, the run has ended: {board.has_ended}, its "
            f"workers are {list(board.workers)}{told}; the host has met {sorted(present)}"
        )


def play(
    story: Callable[[], Awaitable[TaskManager]],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> TaskManager:
    """Play a story, and play it again if Ceylon has left out an agent of its own."""

    async def within_the_deadline() -> TaskManager:
        return await asyncio.wait_for(story(), 2 * DEADLINE_S)

    for _ in range(PLAYS - 1):
        try:
            return asyncio.run(within_the_deadline())
        except LeftOut:
            capfd.readouterr()
            caplog.clear()
    return asyncio.run(within_the_deadline())


def ours(**place: Any) -> tuple[TaskManager, list[WorkerAgent]]:
    tasks = [Task(id=number, description="carry", difficulty=3) for number in (1, 2, 3, 4)]
    manager = TaskManager(tasks, expected_workers=2, quiet=True, time_scale=0.1, **place)
    return manager, [WorkerAgent(name, 5, time_scale=0.1, **place) for name in ("Ada", "Ben")]


async def met(host: BaseAgent, expected: set[tuple[str, str]]) -> None:
    """Wait until a host knows agents of some names and roles."""
    known: set[tuple[str, str]] = set()
    while not expected <= known:
        known = {(each.name, each.role) for each in await host.get_connected_agents()}
        await asyncio.sleep(PAUSE_S)


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
    warned = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert [each for each in warned if not each.startswith(LATE)] == []


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
        end = asyncio.gather(
            manager.finished(),
            host.is_done.wait(),
            met(host, {("task_manager", "task_manager"), ("Ada", "worker")}),
            *alone,
        )
        await Cast(host, manager, others, host).see(end)
        await host.stop()
        await hosting
        return manager

    check_peace(play(story, capfd, caplog), capfd, caplog)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_is_a_guest_of_manager_and_workers(
    example: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> TaskManager:
        leading, others = example(None)
        manager, workers = ours(port=0)
        await manager.start(b"", [leading, *others, *workers])
        cast = Cast(manager, manager, [leading, *others], leading)
        await cast.see(all_done(manager, leading.is_done))
        await manager.stop()
        return manager

    check_peace(play(story, capfd, caplog), capfd, caplog)


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


async def greet_until(is_heard: asyncio.Event, sender: Any) -> None:
    while not is_heard.is_set():
        await sender.broadcast_message(Hello("from somebody"))
        await asyncio.sleep(PAUSE_S)


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
        met = playground.llm_agents
        try:
            async with playground.play(workers=[agent, manager, *workers]) as active:
                cast = Cast(playground, manager, [agent])
                await cast.see(greet_until(is_done, active))
                await cast.see(manager.finished())
                await active.finish()
        except RuntimeError:
            # It waits for 30 s until it has met all.
            left_out = [name for name, status in met.items() if not status.connected]
            told = f"the playground has not met {left_out}"
            raise (LeftOut if agent.name in left_out else AssertionError)(told) from None
        return manager

    check_peace(play(story, capfd, caplog), capfd, caplog)


def test_who_says_hello_is_a_guest_of_manager_and_workers(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> TaskManager:
        sender = Worker("sender")
        agent, is_done = greeted()
        manager, workers = ours(port=0)
        await manager.start(b"", [sender, agent, *workers])
        cast = Cast(manager, manager, [sender, agent])
        await cast.see(greet_until(is_done, sender))
        await cast.see(all_done(manager, is_done))
        await manager.stop()
        return manager

    check_peace(play(story, capfd, caplog), capfd, caplog)


def test_a_plain_admin_of_default_arguments_is_what_the_examples_open() -> None:
    admin = Admin("admin", port=claim_port())
    assert TaskManager(admin_peer=admin.details().id).workspace_id == admin.workspace_id
