"""What every link must do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

DEADLINE_S = 60.0


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), DEADLINE_S)


def test_members_have_addresses_of_their_own(meet) -> None:
    async def meeting(ada, bob) -> None:
        assert ada.link.address
        assert ada.link.address != bob.link.address

    meet(meeting)


def test_a_frame_reaches_the_member_it_is_for(meet) -> None:
    async def meeting(ada, bob) -> None:
        await ada.link.send(b"N.hello", bob.link.address)
        await until(lambda: bob.heard == [b"N.hello"])

    meet(meeting)


def test_a_broadcast_reaches_the_others(meet) -> None:
    async def meeting(ada, bob) -> None:
        await ada.link.send(b"N.hello")
        await until(lambda: bob.heard == [b"N.hello"])

    meet(meeting)


def test_both_ends_can_send(meet) -> None:
    async def meeting(ada, bob) -> None:
        await ada.link.send(b"N.ping", bob.link.address)
        await bob.link.send(b"N.pong", ada.link.address)
        await until(lambda: (ada.heard, bob.heard) == ([b"N.pong"], [b"N.ping"]))

    meet(meeting)


def test_any_byte_can_be_sent(meet) -> None:
    async def meeting(ada, bob) -> None:
        await ada.link.send(bytes(range(256)), bob.link.address)
        await until(lambda: bob.heard == [bytes(range(256))])

    meet(meeting)


def test_a_frame_to_an_unknown_address_is_lost_without_a_word(meet) -> None:
    async def meeting(ada, bob) -> None:
        await ada.link.send(b"N.lost", "nobody")
        await ada.link.send(b"N.hello", bob.link.address)
        await until(lambda: b"N.hello" in bob.heard)

    meet(meeting)
