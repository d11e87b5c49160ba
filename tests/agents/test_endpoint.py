"""The postman between mailroom and link."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from muster.agents import MemoryNetwork, run_in_virtual_time
from muster.agents.kernel.delivery.multiplexer import Multiplexer
from muster.agents.kernel.delivery.stream_limits import DEFAULT_LIMITS
from muster.agents.transport.endpoint import UNHANDLED, Endpoint
from muster.messages import Heartbeat, encode_message
from muster.messages.frame import ANY_MANAGER, EVERYONE


def test_a_message_that_makes_its_handler_fail_is_counted_and_the_next_one_arrives() -> None:
    async def story() -> Any:
        network = MemoryNetwork()
        heard: list[int] = []

        def arrived(sender: str, message: Any) -> None:
            if not message.running:
                raise RuntimeError("nothing runs")
            heard.append(message.running)

        def receive(frame: bytes) -> None:
            endpoint.receive(frame)

        endpoint = Endpoint(
            network.join("here", receive),
            listens_to=frozenset({EVERYONE}),
            arrived=arrived,
            also={},
        )
        there = network.join("there", lambda _: None)
        mailroom = Multiplexer("there")
        for running in (0, 7):
            mailroom.post_datagram(EVERYONE, encode_message(Heartbeat(running=running)))
        outgoing = mailroom.collect(0.0)
        assert outgoing is not None
        await there.send(outgoing.frame)
        await asyncio.sleep(1)
        return heard, dict(endpoint.dropped)

    assert run_in_virtual_time(story()) == ([7], {UNHANDLED: 1})


def test_who_always_has_more_to_send_still_listens() -> None:
    heard: list[Any] = []

    class Slow:
        address = "boss"
        one_receiver = False

        async def send(self, frame: bytes, to: str | None = None) -> None:
            await asyncio.sleep(0.1)

    async def nothing_to_save() -> None:
        pass

    async def play() -> None:
        endpoint = Endpoint(
            Slow(),
            listens_to=frozenset({ANY_MANAGER}),
            arrived=lambda sender, message: heard.append(message),
            also={},
            before_sending=nothing_to_save,
        )
        running = asyncio.ensure_future(endpoint.run())
        mailroom = Multiplexer("Ada")
        for _ in range(40):
            endpoint.post_datagram(EVERYONE, Heartbeat())
            await asyncio.sleep(0.05)
            mailroom.post_datagram(ANY_MANAGER, encode_message(Heartbeat()))
            endpoint.receive(mailroom.collect(0.0).frame)
        running.cancel()

    run_in_virtual_time(play())
    assert len(heard) > 30


@pytest.mark.parametrize("one_receiver", [True, False])
def test_a_frame_for_one_receiver_delays_no_other(one_receiver: bool) -> None:
    sent: list[tuple[float, str | None]] = []

    class Noted:
        address = "boss"
        one_receiver = False

        async def send(self, frame: bytes, to: str | None = None) -> None:
            sent.append((asyncio.get_running_loop().time(), to))

    Noted.one_receiver = one_receiver

    async def story() -> None:
        endpoint = Endpoint(Noted(), listens_to=frozenset(), arrived=lambda *_: None, also={})
        endpoint._multiplexer.pacing.delay_s = 0.5
        for peer in ("Ada", "Bob", "Cid"):
            endpoint.open(peer, "talk")
            endpoint.post(peer, Heartbeat())
        running = asyncio.ensure_future(endpoint.run())
        await asyncio.sleep(0.1)
        running.cancel()

    run_in_virtual_time(story())
    assert {to for _, to in sent} == ({"Ada", "Bob", "Cid"} if one_receiver else {None})
    assert {at for at, _ in sent} == {0.0}


@pytest.mark.parametrize("sending_s", [0.0, 0.005])
def test_what_arrives_is_acknowledged_in_time_although_nothing_else_is_sent(
    sending_s: float,
) -> None:
    sent_at: list[float] = []

    class Noted:
        address = "boss"
        one_receiver = True

        async def send(self, frame: bytes, to: str | None = None) -> None:
            sent_at.append(asyncio.get_running_loop().time())
            await asyncio.sleep(sending_s)

    async def story() -> float:
        endpoint = Endpoint(Noted(), listens_to=frozenset(), arrived=lambda *_: None, also={})
        ada = Multiplexer("ada")
        endpoint.open("ada", "talk")
        ada.open("boss", "talk")
        running = asyncio.ensure_future(endpoint.run())
        endpoint.post("ada", Heartbeat())
        await asyncio.sleep(0.001)
        # The first frame is under way, or the endpoint waits for its acknowledgement.
        ada.post("boss", encode_message(Heartbeat()))
        outgoing = ada.collect(0.0)
        assert outgoing is not None
        arrived_at = asyncio.get_running_loop().time()
        endpoint.receive(outgoing.frame)
        await asyncio.sleep(0.1)
        running.cancel()
        return arrived_at

    arrived_at = run_in_virtual_time(story())
    assert sent_at[1] == pytest.approx(arrived_at + DEFAULT_LIMITS.ack_after_s, abs=1e-6)
