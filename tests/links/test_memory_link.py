"""The memory network, in exact virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from muster.agents.simulation.memory_network import MemoryLink, MemoryNetwork, SeededFaults
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import InvalidInput

Heard = list[tuple[float, str, bytes]]


def listener(heard: Heard, name: str) -> Callable[[bytes], None]:
    return lambda frame: heard.append((asyncio.get_running_loop().time(), name, frame))


def gather(network: MemoryNetwork, *names: str) -> tuple[Heard, list[MemoryLink]]:
    heard: Heard = []
    return heard, [network.join(name, listener(heard, name)) for name in names]


def test_a_frame_takes_exactly_the_latency() -> None:
    async def scene() -> Heard:
        heard, (ada, _) = gather(MemoryNetwork(latency_s=0.25), "ada", "bob")
        await ada.send(b"hello", "bob")
        await asyncio.sleep(1)
        return heard

    assert run_in_virtual_time(scene()) == [(0.25, "bob", b"hello")]


def test_a_broadcast_reaches_all_but_its_sender() -> None:
    async def scene() -> Heard:
        heard, (ada, _, _) = gather(MemoryNetwork(), "ada", "bob", "cleo")
        await ada.send(b"hello")
        await asyncio.sleep(1)
        return heard

    assert run_in_virtual_time(scene()) == [(0.001, "bob", b"hello"), (0.001, "cleo", b"hello")]


def test_a_direct_frame_reaches_nobody_else() -> None:
    async def scene() -> Heard:
        heard, (ada, _, _) = gather(MemoryNetwork(), "ada", "bob", "cleo")
        await ada.send(b"hello", "cleo")
        await asyncio.sleep(1)
        return heard

    assert [name for _, name, _ in run_in_virtual_time(scene())] == ["cleo"]


def test_frames_sent_in_one_moment_arrive_in_order() -> None:
    async def scene() -> Heard:
        heard, (ada, _) = gather(MemoryNetwork(), "ada", "bob")
        for number in range(100):
            await ada.send(b"%d" % number, "bob")
        await asyncio.sleep(1)
        return heard

    assert [frame for _, _, frame in run_in_virtual_time(scene())] == [
        b"%d" % number for number in range(100)
    ]


def test_an_address_belongs_to_one_member() -> None:
    network = MemoryNetwork()
    network.join("ada", lambda _: None)
    with pytest.raises(InvalidInput, match="'ada' is in use"):
        network.join("ada", lambda _: None)


def test_who_has_left_hears_and_says_nothing() -> None:
    async def scene() -> Heard:
        heard, (ada, bob) = gather(MemoryNetwork(), "ada", "bob")
        await ada.send(b"on its way", "bob")
        bob.leave()
        bob.leave()
        await bob.send(b"from the grave", "ada")
        await asyncio.sleep(1)
        return heard

    assert run_in_virtual_time(scene()) == []


def test_frames_for_a_former_member_do_not_reach_its_successor() -> None:
    async def scene() -> Heard:
        network = MemoryNetwork()
        heard, (ada, bob) = gather(network, "ada", "bob")
        await ada.send(b"for the old bob", "bob")
        bob.leave()
        network.join("bob", listener(heard, "new bob"))
        await ada.send(b"for the new bob", "bob")
        await asyncio.sleep(1)
        return heard

    assert run_in_virtual_time(scene()) == [(0.001, "new bob", b"for the new bob")]


class ListedFaults:
    """Gives frames their fates from a list."""

    def __init__(self, fates: Sequence[Sequence[float]]) -> None:
        self.fates_left = list(fates)
        self.asked: list[tuple[str, str, bytes, float]] = []

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        self.asked.append((sender, to, frame, now))
        return self.fates_left.pop(0)


def test_a_fault_plan_loses_doubles_and_delays() -> None:
    faults = ListedFaults([[], [0.0, 0.5], [2.0], [1.0]])

    async def scene() -> Heard:
        heard, (ada, _) = gather(MemoryNetwork(latency_s=0.25, faults=faults), "ada", "bob")
        for number in range(4):
            await ada.send(b"%d" % number)
        await asyncio.sleep(10)
        return heard

    assert run_in_virtual_time(scene()) == [
        (0.25, "bob", b"1"),
        (0.75, "bob", b"1"),
        (1.25, "bob", b"3"),
        (2.25, "bob", b"2"),
    ]
    assert faults.asked[0] == ("ada", "bob", b"0", 0.0)


def seeded_fates(faults: SeededFaults, count: int = 1000) -> list[Sequence[float]]:
    return [tuple(faults.fates("ada", "bob", b"", 0.0)) for _ in range(count)]


def test_one_seed_gives_one_history() -> None:
    first = seeded_fates(SeededFaults(7, loss=0.3, duplicate=0.3, delay_s=1.0))
    assert first == seeded_fates(SeededFaults(7, loss=0.3, duplicate=0.3, delay_s=1.0))
    assert first != seeded_fates(SeededFaults(8, loss=0.3, duplicate=0.3, delay_s=1.0))


def test_losses_and_doubles_come_in_the_shares_asked_for() -> None:
    fates = seeded_fates(SeededFaults(1, loss=0.2, duplicate=0.5))
    lost = sum(not copies for copies in fates)
    doubled = sum(len(copies) == 2 for copies in fates)
    assert 150 < lost < 250
    assert 330 < doubled < 470


def test_delays_stay_within_their_bound() -> None:
    delays = [delay for copies in seeded_fates(SeededFaults(1, delay_s=0.5)) for delay in copies]
    assert len(delays) == 1000
    assert 0 <= min(delays) < 0.1
    assert 0.4 < max(delays) <= 0.5


def test_without_faults_nothing_happens_to_a_frame() -> None:
    assert seeded_fates(SeededFaults(1), 3) == [(0.0,), (0.0,), (0.0,)]


def test_a_partition_cuts_off_and_healing_joins() -> None:
    faults = SeededFaults(1)
    faults.partition(["ada", "bob"])
    assert list(faults.fates("ada", "bob", b"", 0.0)) == [0.0]
    assert list(faults.fates("ada", "cleo", b"", 0.0)) == []
    assert list(faults.fates("cleo", "bob", b"", 0.0)) == []
    faults.heal()
    assert list(faults.fates("ada", "cleo", b"", 0.0)) == [0.0]


def test_a_partition_does_not_change_the_fates_of_later_frames() -> None:
    plain, cut = (SeededFaults(3, loss=0.5, duplicate=0.5, delay_s=1.0) for _ in range(2))
    cut.partition(["ada"])
    seeded_fates(plain, 10)
    assert not any(seeded_fates(cut, 10))
    cut.heal()
    assert seeded_fates(plain) == seeded_fates(cut)


@pytest.mark.parametrize("wrong", [{"loss": 1.5}, {"duplicate": -0.1}, {"delay_s": -1.0}])
def test_impossible_faults_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        SeededFaults(1, **wrong)
