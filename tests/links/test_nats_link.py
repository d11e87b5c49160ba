"""A link over NATS: its subjects, large frames, and what happens without a server."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from muster.agents.nats.address import NatsAddress
from muster.agents.transport.nats_link import (
    NatsLink,
    PieceCollector,
    cut_frame,
    open_nats_link,
    run_subject,
)
from muster.messages import InvalidInput, NatsUnusable
from muster.messages.frame import ANY_MANAGER

from ..nats_server import NatsServer, running_nats_server

DEADLINE_S = 60.0


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), DEADLINE_S)


class Member:
    """A member of a run, and what it has heard."""

    def __init__(self, server: NatsServer, run: str, *, manages: bool = False) -> None:
        self._server = server
        self._run = run
        self._manages = manages
        self.heard: list[bytes] = []

    async def __aenter__(self) -> Member:
        self.link: NatsLink = await open_nats_link(
            NatsAddress.parse(self._server.url), self._run, self.heard.append, manages=self._manages
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.link.close()


@pytest.fixture
def run() -> str:
    return secrets.token_hex(8)


@pytest.mark.parametrize(
    ("run", "subject"),
    [
        ("nightly", "muster.nightly"),
        ("a.b *>", "muster.a=2Eb=20=2A=3E"),
        ("größe", "muster.gr=C3=B6=C3=9Fe"),
        ("=41", "muster.=3D41"),
    ],
)
def test_a_run_has_subjects_of_its_own(run: str, subject: str) -> None:
    assert run_subject(run) == subject


@pytest.mark.parametrize("run", ["", " ", "x" * 201])
def test_a_run_without_a_usable_name_is_refused(run: str) -> None:
    with pytest.raises(InvalidInput, match="must not be blank"):
        run_subject(run)


@pytest.mark.nats
async def test_a_frame_for_managers_reaches_them_alone(nats_server: NatsServer, run: str) -> None:
    async with (
        Member(nats_server, run, manages=True) as boss,
        Member(nats_server, run) as ada,
        Member(nats_server, run) as bob,
    ):
        await ada.link.send(b"N.hello", ANY_MANAGER)
        await ada.link.send(b"N.all")
        await until(lambda: len(boss.heard) == 2 and len(bob.heard) == 1)
        assert (boss.heard, bob.heard, ada.heard) == ([b"N.hello", b"N.all"], [b"N.all"], [])


@pytest.mark.nats
async def test_runs_hear_nothing_of_each_other(nats_server: NatsServer, run: str) -> None:
    async with (
        Member(nats_server, run, manages=True) as boss,
        Member(nats_server, f"{run}2", manages=True) as other,
        Member(nats_server, run) as ada,
    ):
        await ada.link.send(b"N.1")
        await ada.link.send(b"N.2", ANY_MANAGER)
        await ada.link.send(b"N.3", boss.link.address)
        await until(lambda: boss.heard == [b"N.1", b"N.2", b"N.3"])
        assert other.heard == []


@pytest.mark.nats
async def test_a_member_that_leaves_does_not_deafen_others_of_its_process(
    tmp_path: Path, run: str
) -> None:
    with running_nats_server(tmp_path, jetstream=False) as server:
        async with Member(server, run) as ada, Member(server, run) as bob:
            async with Member(server, run), Member(server, run):
                await ada.link.send(b"N.1")
                await until(lambda: bob.heard == [b"N.1"])
            await ada.link.send(b"N.2")
            await until(lambda: bob.heard == [b"N.1", b"N.2"])
            server.kill()
            await until(lambda: not ada.link.is_connected)
            await asyncio.to_thread(server.start)
            await until(lambda: ada.link.is_connected)
            await ada.link.send(b"N.3")
            await until(lambda: bob.heard == [b"N.1", b"N.2", b"N.3"])


@pytest.mark.nats
async def test_a_frame_over_the_servers_limit_arrives_whole(tmp_path: Path, run: str) -> None:
    frame = random.Random(7).randbytes(300_000)
    with running_nats_server(tmp_path, jetstream=False, config="max_payload: 4096") as server:
        async with Member(server, run) as ada, Member(server, run) as bob:
            await ada.link.send(frame, bob.link.address)
            await until(lambda: bob.heard == [frame])


@pytest.mark.nats
async def test_a_server_with_too_small_messages_is_refused(tmp_path: Path, run: str) -> None:
    with (
        running_nats_server(tmp_path, jetstream=False, config="max_payload: 512") as server,
        pytest.raises(NatsUnusable, match=r"512 bytes at most; set its max_payload"),
    ):
        await Member(server, run).__aenter__()


@pytest.mark.nats
async def test_without_a_server_frames_are_lost_and_nothing_grows(tmp_path: Path, run: str) -> None:
    with running_nats_server(tmp_path, jetstream=False) as server:
        async with Member(server, run) as ada, Member(server, run) as bob:
            server.kill()
            await until(lambda: not ada.link.is_connected)
            for _ in range(1_000):
                await ada.link.send(bytes(100_000), bob.link.address)
            await asyncio.to_thread(server.start)
            await until(lambda: ada.link.is_connected)
            await ada.link.send(b"N.back", bob.link.address)
            await until(lambda: b"N.back" in bob.heard)
            assert bob.heard == [b"N.back"]


def test_pieces_are_put_together_in_any_order() -> None:
    frame = bytes(range(256)) * 20
    pieces = [*cut_frame(frame, 1024)]
    assert all(len(piece) <= 1024 for piece in pieces)
    random.Random(3).shuffle(pieces)
    collector = PieceCollector()
    assert [collector.add(piece) for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert collector.add(pieces[-1]) == frame


def test_a_frame_that_lacks_a_piece_makes_room_in_the_end() -> None:
    collector = PieceCollector()
    for _ in range(1_000):
        assert collector.add(next(cut_frame(bytes(5_000), 1024))) is None
    assert collector.waiting_bytes <= 256 * 1024


@pytest.mark.parametrize(
    "piece",
    [
        b"NP",
        b"NP" + bytes(16),
        b"NP" + bytes(8) + b"\0\0\0\5\0\0\0\5" + b"x",
        b"NP" + bytes(8) + b"\0\0\0\0\xff\xff\xff\xff" + b"x",
    ],
)
def test_a_senseless_piece_is_dropped(piece: bytes) -> None:
    collector = PieceCollector()
    assert collector.add(piece) is None
    assert collector.waiting_bytes == 0
