"""A worker asks to be let in when its manager can hear it, and not a while later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from muster.agents import MemoryNetwork, TaskManager, WorkerAgent, run_in_virtual_time
from muster.agents.kernel.delivery.manager_presence import HELLO_EVERY_S, SLOWEST_HELLO_S
from muster.messages import Task

LATENCY_S = 0.001
STANDS_AFTER_S = HELLO_EVERY_S / 2


class NotYet:
    """A line that loses everything until it stands, and counts what it carries."""

    def __init__(self) -> None:
        self.stands = False
        self.carried = 0

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        del to, frame, now
        self.carried += self.stands and sender == "ada"
        return (0.0,) if self.stands else ()


def joins_after_s(*appear: str, opens: bool = True) -> tuple[float, int]:
    """How long a worker takes to be a member, and how many frames it sent until then.

    Args:
        appear: who makes itself known when the line stands.
        opens: whether somebody lets the worker in.
    """

    async def story() -> tuple[float, int]:
        line = NotYet()
        network = MemoryNetwork(LATENCY_S, line)
        manager = TaskManager([Task(task_id=1)], 1, quiet=True, time_scale=0.001)
        worker = WorkerAgent("Ada", 5, admin_peer="boss", time_scale=0.001)
        serving = [asyncio.ensure_future(worker.serve_over(network.join("ada", worker.receive)))]
        boss = network.join("boss", manager.receive)
        if opens:
            serving.append(asyncio.ensure_future(manager.serve_over(boss)))
        await asyncio.sleep(STANDS_AFTER_S)
        line.stands = True
        for address in appear:
            worker.member_appeared(address)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while worker.get_worker_status() == "Connecting" and loop.time() - began < 0.01:
            await asyncio.sleep(LATENCY_S / 4)
        took_s, sent = loop.time() - began, line.carried
        await worker.stop()
        await manager.stop()
        for each in serving:
            each.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        return took_s, sent

    return run_in_virtual_time(story())


def test_it_is_let_in_a_round_trip_after_its_manager_made_itself_known() -> None:
    took_s, _ = joins_after_s("boss")
    assert took_s <= 3 * LATENCY_S


def test_it_greets_once_however_often_its_manager_makes_itself_known() -> None:
    # With each worker that comes Ceylon makes the manager known to all again.
    assert joins_after_s(*["boss"] * 50, opens=False)[1] == 1


def test_others_who_make_themselves_known_are_not_greeted() -> None:
    assert joins_after_s("ben", opens=False)[1] == 0


def test_whom_nobody_answers_asks_ever_less_often_but_once_a_second() -> None:
    async def story() -> list[float]:
        loop = asyncio.get_running_loop()
        asked_at: list[float] = []
        network = MemoryNetwork(LATENCY_S)
        network.join("boss", lambda _: asked_at.append(loop.time()))
        worker = WorkerAgent("Ada", 5, admin_peer="boss", time_scale=0.001)
        serving = asyncio.ensure_future(worker.serve_over(network.join("ada", worker.receive)))
        await asyncio.sleep(12.0)
        await worker.stop()
        await asyncio.gather(serving, return_exceptions=True)
        return asked_at

    asked_at = run_in_virtual_time(story())
    pauses = [later - earlier for earlier, later in pairwise(asked_at)]
    expected = [min(HELLO_EVERY_S * 1.2**n, SLOWEST_HELLO_S) for n in range(len(pauses))]
    assert pauses == pytest.approx(expected)
    assert pauses[0] < pauses[-1] == pytest.approx(SLOWEST_HELLO_S)
