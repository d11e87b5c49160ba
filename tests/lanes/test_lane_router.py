"""One manager over two workspaces, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from muster.agents import MemoryNetwork, TaskManager, WorkerAgent, run_in_virtual_time
from muster.agents.kernel.lanes import FIRST_LANE
from muster.agents.store.memory import MemoryStore
from muster.agents.transport.endpoint import Endpoint
from muster.agents.transport.lane_router import LaneRouter
from muster.messages import (
    Flaw,
    Goodbye,
    Heartbeat,
    Hello,
    Shutdown,
    Task,
    TaskAssignment,
    TaskResult,
    TaskStatus,
    UnknownPeer,
    Welcome,
    encode_message,
)
from muster.messages.frame import (
    ANY_MANAGER,
    EVERYONE,
    Frame,
    Section,
    Segment,
    encode_frame,
    encode_letter,
)
from pydantic import BaseModel


class Remark(BaseModel):
    """A user's own message."""

    running: int


ALSO = {Remark.__qualname__: Remark}


class Office:
    """An office with the door and one more lane, and members in both of them."""

    def __init__(self, before_sending: Any = None) -> None:
        self.heard: list[tuple[str, int]] = []
        self.sent: list[tuple[int, float]] = []
        self.networks = [MemoryNetwork(), MemoryNetwork()]
        self.arrived: Callable[[str, Any], None] = self.note
        self.router = LaneRouter(
            self.spied(FIRST_LANE, self.networks[0].join("boss", self.connect_to_discovery)),
            listens_to=frozenset({EVERYONE, ANY_MANAGER}),
            arrived=self.arrive,
            also=ALSO,
            before_sending=before_sending,
        )
        lane = self.networks[1].join("boss/1", self.come_to_the_lane)
        self.lane = self.router.add(1, self.spied(1, lane), None)
        self.members: dict[str, Endpoint] = {}
        self.heard_by: dict[str, list[tuple[str, int]]] = {}
        self.running = [asyncio.ensure_future(self.router.run())]

    def connect_to_discovery(self, frame: bytes) -> None:
        self.router.receive(frame)

    def come_to_the_lane(self, frame: bytes) -> None:
        self.lane.receive(frame)

    def arrive(self, sender: str, message: Any) -> None:
        self.arrived(sender, message)

    def spied(self, lane: int, link: Any) -> Any:
        router = self

        class Spied:
            address = link.address
            one_receiver = False

            async def send(self, frame: bytes, to: str | None = None) -> None:
                router.sent.append((lane, asyncio.get_running_loop().time()))
                await link.send(frame, to)

        return Spied()

    def note(self, sender: str, message: Any) -> None:
        self.heard.append((sender, message.running))

    def member(self, name: str, lane: int) -> Endpoint:
        heard = self.heard_by[name] = []

        def receive(frame: bytes) -> None:
            endpoint.receive(frame)

        endpoint = self.members[name] = Endpoint(
            self.networks[lane].join(name, receive),
            listens_to=frozenset({EVERYONE}),
            arrived=lambda sender, message: heard.append((sender, message.running)),
            also=ALSO,
        )
        endpoint.open("boss" if lane == FIRST_LANE else "boss/1", f"{name}/1")
        self.running.append(asyncio.ensure_future(endpoint.run()))
        return endpoint

    async def let_in(self, name: str, lane: int) -> Endpoint:
        endpoint = self.member(name, lane)
        endpoint.post_datagram(ANY_MANAGER, Heartbeat(running=0))
        await asyncio.sleep(0.1)
        self.router.open(name, f"{name}/1")
        return endpoint

    def end(self) -> None:
        for future in self.running:
            future.cancel()


def test_a_message_to_a_worker_leaves_on_the_lane_where_it_was_heard_and_on_no_other() -> None:
    async def story() -> None:
        at = Office()
        await at.let_in("Ada", FIRST_LANE)
        await at.let_in("Ben", 1)
        at.sent.clear()
        at.router.post("Ben", Heartbeat(running=7))
        await asyncio.sleep(1)
        assert at.heard_by == {"Ada": [], "Ben": [("boss/1", 7)]}
        assert {lane for lane, _ in at.sent} == {1}
        assert (at.router.lane_of("Ada"), at.router.lane_of("Ben")) == (FIRST_LANE, 1)
        assert at.router.acknowledged("Ben") == 1
        assert await at.router.settle(1.0)
        at.end()

    run_in_virtual_time(story())


def test_a_heartbeat_to_everyone_is_heard_on_all_lanes() -> None:
    async def story() -> None:
        at = Office()
        await at.let_in("Ada", FIRST_LANE)
        await at.let_in("Ben", 1)
        at.router.post_datagram(EVERYONE, Heartbeat(running=3))
        await asyncio.sleep(1)
        assert at.heard_by == {"Ada": [("boss", 3)], "Ben": [("boss/1", 3)]}
        at.end()

    run_in_virtual_time(story())


def test_a_loose_message_finds_a_worker_that_was_heard_and_not_let_in() -> None:
    async def story() -> None:
        at = Office()
        at.member("Ben", 1).post_datagram(ANY_MANAGER, Heartbeat(running=0))
        await asyncio.sleep(0.1)
        at.router.post_datagram("Ben", Heartbeat(running=9))
        await asyncio.sleep(1)
        assert at.heard_by["Ben"] == [("boss/1", 9)]
        with pytest.raises(UnknownPeer):
            at.router.post("Ben", Heartbeat())
        at.end()

    run_in_virtual_time(story())


def test_what_workers_say_to_everyone_or_to_one_another_is_passed_on_in_their_name() -> None:
    async def story() -> None:
        at = Office()
        ada, ben = await at.let_in("Ada", FIRST_LANE), await at.let_in("Ben", 1)
        await at.let_in("Cleo", 1)
        ada.post_datagram(EVERYONE, Remark(running=1))
        ben.post_datagram("Ada", Remark(running=2))
        await asyncio.sleep(1)
        assert at.heard_by == {"Ada": [("Ben", 2)], "Ben": [("Ada", 1)], "Cleo": [("Ada", 1)]}
        assert [each for each in at.heard if each[1]] == [("Ada", 1)]
        at.end()

    run_in_virtual_time(story())


def test_nothing_is_passed_on_for_one_that_was_not_let_in() -> None:
    async def story() -> None:
        at = Office()
        await at.let_in("Ada", FIRST_LANE)
        at.member("Mallory", 1).post_datagram("Ada", Remark(running=1))
        await asyncio.sleep(1)
        assert at.heard_by["Ada"] == []
        at.end()

    run_in_virtual_time(story())


ORDERS = {
    "a heartbeat": Heartbeat(running=9),
    "a shutdown": Shutdown(reason="forged"),
    "a welcome": Welcome(
        manager="Mallory",
        worker="Ada",
        session="forged",
        worker_session="s",
        heartbeat_s=1.0,
        lost_after_s=10.0,
    ),
    "an assignment": TaskAssignment(task=Task(id=1, description="dig"), worker="Ada"),
}


@pytest.mark.parametrize("in_conversation", [False, True])
@pytest.mark.parametrize("to", ["Ada", EVERYONE])
@pytest.mark.parametrize("what", ORDERS)
def test_what_only_a_manager_may_say_is_not_passed_on(
    what: str, to: str, in_conversation: bool
) -> None:
    async def story() -> None:
        at = Office()
        ada, mallory = await at.let_in("Ada", FIRST_LANE), await at.let_in("Mallory", 1)
        heard: list[Any] = []
        ada._arrived = lambda sender, message: heard.append(message)
        if in_conversation:
            ada.open("Mallory", "forged")
            letter = Segment("forged", 0, 0, (encode_message(ORDERS[what]),))
            frame = Frame("Mallory", (Section(to, encode_letter(letter)),))
            await mallory._link.send(encode_frame(frame))
        else:
            mallory.post_datagram(to, ORDERS[what])
        await asyncio.sleep(1)
        assert heard == []
        assert at.router.dropped[Flaw.FORGED_SENDER.value] > 0
        at.end()

    run_in_virtual_time(story())


@pytest.mark.parametrize("to", ["a manager that was here before", "Ben"])
def test_a_message_that_is_relayed_nowhere_is_not_counted_as_forged(to: str) -> None:
    async def story() -> None:
        at = Office()
        ada = await at.let_in("Ada", 1)
        await at.let_in("Ben", 1)
        letter = Segment("of an earlier run", 0, 0, (encode_message(Goodbye(reason="stopped")),))
        await ada._link.send(encode_frame(Frame("Ada", (Section(to, encode_letter(letter)),))))
        await asyncio.sleep(1)
        assert at.router.dropped == {}
        at.end()

    run_in_virtual_time(story())


FORGED = {
    "a heartbeat": Heartbeat(running=9),
    "a goodbye": Goodbye(reason="forged"),
    "a hello": Hello(name="Ada", skill_level=5, session="forged", task_types=()),
    "a result": TaskResult(task_id=1, worker="Ada", success=False, error_message="forged"),
}


@pytest.mark.parametrize("what", FORGED)
@pytest.mark.parametrize("own", [FIRST_LANE, 1])
def test_nobody_speaks_in_another_lane_in_the_name_of_one_that_was_let_in(
    what: str, own: int
) -> None:
    async def story() -> None:
        at = Office()
        ada = await at.let_in("Ada", own)
        boss = "boss" if own == FIRST_LANE else "boss/1"
        heard: list[Any] = []
        at.arrived = lambda sender, message: heard.append(message)
        forger = at.member("Ada", 1 - own)
        for _ in range(3):
            ada.post(boss, Heartbeat(running=0))
            await asyncio.sleep(0.5)
            forger.post_datagram(ANY_MANAGER, FORGED[what])
            await asyncio.sleep(0.5)
        assert heard == [Heartbeat(running=0)] * 3
        assert at.router.dropped[Flaw.FORGED_SENDER.value] == 3
        # Who has been silent for long may be back.
        await asyncio.sleep(20.0)
        forger.post_datagram(ANY_MANAGER, FORGED[what])
        await asyncio.sleep(0.5)
        assert heard[3:] == [FORGED[what]]
        at.end()

    run_in_virtual_time(story())


def test_what_could_not_be_read_is_added_up_over_the_lanes_and_discovery() -> None:
    async def story() -> None:
        at = Office()
        at.router.receive(b"garbage")
        at.lane.receive(b"more garbage")
        at.lane.receive(b"\x80\x04.")
        at.router.count(Flaw.WRONG_SECRET, "at the door")
        assert at.router.dropped == {"garbage": 2, "pickle": 1, "wrong_secret": 1}
        at.end()

    run_in_virtual_time(story())


def test_nothing_leaves_on_any_lane_before_what_led_to_it_is_written() -> None:
    """Each word of a worker is written, which takes a second, and then answered to the other."""

    async def story() -> None:
        unwritten: list[tuple[str, int]] = []
        written: list[tuple[str, int]] = []
        writing = 0

        async def write() -> None:
            nonlocal writing
            writing += 1
            assert writing == 1, "two lanes write at the same time"
            taken = list(unwritten)
            unwritten.clear()
            if taken:
                await asyncio.sleep(1)
                written.extend(taken)
            writing -= 1
            for sender, running in taken:
                if running:
                    at.router.post("Ben" if sender == "Ada" else "Ada", Heartbeat(running=running))

        at = Office(write)
        ada, ben = await at.let_in("Ada", FIRST_LANE), await at.let_in("Ben", 1)
        await asyncio.sleep(10)
        at.arrived = lambda sender, message: unwritten.append((sender, message.running))
        written_when_heard: list[bool] = []
        for name in ("Ada", "Ben"):
            at.members[name]._arrived = lambda sender, message, name=name: (
                written_when_heard.append(
                    ("Ben" if name == "Ada" else "Ada", message.running) in written
                )
            )
        for number in range(1, 31):
            (ada if number % 2 else ben).post(
                "boss" if number % 2 else "boss/1", Heartbeat(running=number)
            )
            await asyncio.sleep(0.13)
            # Whatever is acknowledged was written.
            for name, home in (("Ada", "boss"), ("Ben", "boss/1")):
                done = at.members[name].acknowledged(home)
                assert done <= sum(sender == name for sender, _ in written)
        await asyncio.sleep(30)
        assert written_when_heard == [True] * 30
        assert Counter(sender for sender, _ in written) == {"Ada": 15, "Ben": 15}
        at.end()

    run_in_virtual_time(story())


def test_a_wake_has_the_writing_done_though_no_lane_has_anything_to_send() -> None:
    async def story() -> None:
        writes = 0

        async def write() -> None:
            nonlocal writes
            writes += 1

        at = Office(write)
        await asyncio.sleep(1)
        before = writes
        at.router.wake()
        await asyncio.sleep(1)
        assert writes == before + 1
        at.end()

    run_in_virtual_time(story())


def test_a_lane_that_is_removed_takes_nothing_along_but_its_workers() -> None:
    async def story() -> None:
        at = Office()
        await at.let_in("Ada", FIRST_LANE)
        ben = await at.let_in("Ben", 1)
        for frame in (b"garbage", b"N.\x02\xff"):
            at.lane.receive(frame)
        await asyncio.sleep(1)
        dropped, traffic = at.router.dropped, at.router.traffic
        assert sum(dropped.values()) == 2
        at.router.remove(1)
        at.router.remove(1)
        assert (at.router.dropped, at.router.traffic) == (dropped, traffic)
        at.sent.clear()
        at.router.post_datagram(EVERYONE, Heartbeat(running=3))
        ben.post_datagram(ANY_MANAGER, Heartbeat(running=4))
        await asyncio.sleep(1)
        assert {lane for lane, _ in at.sent} == {FIRST_LANE}
        assert at.heard_by["Ada"] == [("boss", 3)]
        assert at.router.lane_of("Ben") == FIRST_LANE
        with pytest.raises(UnknownPeer):
            at.router.post("Ben", Heartbeat(running=7))
        # The others are carried on, and another lane may come.
        assert not at.running[0].done()
        link = at.networks[1].join("boss/2", at.come_to_the_lane)
        at.lane = at.router.add(2, at.spied(2, link), None)
        at.router.post_datagram(EVERYONE, Heartbeat(running=5))
        await asyncio.sleep(1)
        assert {lane for lane, _ in at.sent} == {FIRST_LANE, 2}
        at.end()

    run_in_virtual_time(story())


def test_a_lane_that_is_removed_while_it_writes_writes_to_the_end() -> None:
    async def story() -> None:
        begun, written = 0, 0

        async def write() -> None:
            nonlocal begun, written
            begun += 1
            await asyncio.sleep(1)
            written += 1

        at = Office(write)
        await asyncio.sleep(0.5)
        # The door's writes; the other one's is to come.
        await asyncio.sleep(1)
        assert (begun, written) == (2, 1)
        at.router.remove(1)
        await asyncio.sleep(2)
        assert begun == written == 2
        assert not at.running[0].done()
        at.end()

    run_in_virtual_time(story())


class OneMoreLane:
    """Opens one lane, in a network of its own, and nothing else."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.present: Callable[[], Mapping[str, int]] = dict
        self.is_closed = False
        self.heard: set[str] = set()

    def note_seen(self, name: str, address: str) -> None:
        self.heard.add(name)

    async def keep(self, router: LaneRouter, present: Callable[[], Mapping[str, int]]) -> None:
        self.present = present

        def receive(frame: bytes) -> None:
            endpoint.receive(frame)

        link = self.network.join("boss/1", receive)
        endpoint = router.add(1, link, None)
        await asyncio.Event().wait()

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("durable", [False, True], ids=["in memory", "in a store"])
def test_a_manager_has_its_tasks_done_by_the_workers_of_both_lanes(durable: bool) -> None:
    async def story() -> tuple[TaskManager, list[dict[str, int]], OneMoreLane]:
        tasks = [Task(id=number, description="work", difficulty=2) for number in range(1, 41)]
        manager = TaskManager(
            tasks, 4, quiet=True, store=MemoryStore() if durable else None, name="boss"
        )
        discovery, lane = MemoryNetwork(), OneMoreLane()
        present: list[dict[str, int]] = []
        manager.watch(lambda _: present.append(dict(lane.present())))
        workers = [WorkerAgent(name, 5) for name in ("Ada", "Ben", "Cleo", "Dan")]
        managing = asyncio.ensure_future(
            manager.serve_over(discovery.join("boss", manager.receive), lanes=lane)  # type: ignore[arg-type]
        )
        await asyncio.sleep(1)
        working = [
            asyncio.ensure_future(
                worker.serve_over(
                    (discovery if number < 2 else lane.network).join(worker.name, worker.receive)
                )
            )
            for number, worker in enumerate(workers)
        ]
        await managing
        # All are told that it is over, on either lane.
        await asyncio.wait_for(asyncio.gather(*working), 5)
        return manager, present, lane

    manager, present, lane = run_in_virtual_time(story())
    assert {"Ada": 0, "Ben": 0, "Cleo": 1, "Dan": 1} in present
    assert lane.is_closed
    assert lane.heard == {"Ada", "Ben", "Cleo", "Dan"}
    assert {each.status for each in manager.report().tasks} == {TaskStatus.COMPLETED}
    assert Counter(each.worker for each in manager.report().tasks) == {
        "Ada": 10,
        "Ben": 10,
        "Cleo": 10,
        "Dan": 10,
    }


def test_when_the_write_for_one_lane_fails_no_other_lane_sends() -> None:
    async def story() -> None:
        unsaved: list[str] = []

        async def write() -> None:
            if unsaved:
                unsaved.clear()
                raise OSError("the disk is full")

        at = Office(write)
        await at.let_in("Ada", FIRST_LANE)
        await at.let_in("Ben", 1)
        at.sent.clear()
        unsaved.append("a result")
        at.router.post("Ada", Heartbeat(running=1))
        at.router.post("Ben", Heartbeat(running=2))
        with pytest.raises(OSError, match="the disk is full"):
            await at.running[0]
        await asyncio.sleep(1)
        assert at.sent == []
        at.end()

    run_in_virtual_time(story())
