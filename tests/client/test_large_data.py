"""Large results and tasks of clients: by blobs, or in pieces, over every link."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Client, TaskManager, WorkerAgent, run_in_virtual_time
from muster.agents.blobs import place_finder
from muster.agents.blobs.directory import DirectoryBlobs
from muster.agents.blobs.pieces import PieceReceiver, PieceSender
from muster.agents.client import conversation
from muster.agents.client.conversation import ClientConversation
from muster.messages import (
    BlobPlace,
    BlobUnusable,
    MessagePiece,
    Parcel,
    PieceTaken,
    RequestParcel,
    Task,
)

from .test_client import Place, handlers

DEADLINE_S = 180
LONG = random.Random(3).randbytes(1_500_000)


@handlers.task("turn")
def turn(task: Task) -> bytes:
    return task.data[::-1]


@handlers.task("make")
def make(task: Task) -> bytes:
    return random.Random(3).randbytes(task.data)


class Blobs(DirectoryBlobs):
    """A directory of blobs that may fail; workers and clients reach it unless told otherwise."""

    def __init__(self, folder: Path, *, reached: bool = True) -> None:
        super().__init__(folder, create=True)
        self._reached = reached
        self.fails = ""

    @property
    def url(self) -> str:
        return super().url if self._reached else ""

    def write(self, name: str, content: bytes) -> None:
        if self.fails == "write":
            raise BlobUnusable("the disk is full")
        super().write(name, content)

    def read(self, name: str) -> bytes:
        if self.fails == "read":
            raise BlobUnusable("the disk is gone")
        return super().read(name)

    def has_large(self) -> bool:
        return any(path.stat().st_size > 1_000 for path in self.directory.iterdir())


Opened = tuple[TaskManager, Client]


@asynccontextmanager
async def over_memory(blobs: Blobs, _: str) -> AsyncIterator[Opened]:
    place = Place()
    manager = await place.open(blobs=blobs)
    await place.work()
    client = await place.client()
    yield manager, client
    await client.stop()
    await place.close()


@asynccontextmanager
async def over_ticket(blobs: Blobs, link: str) -> AsyncIterator[Opened]:
    async with TaskManager(port=0, quiet=True, blobs=blobs, link=link) as manager:
        worker = WorkerAgent("Ada", 5, handlers=handlers, slots=4, ticket=manager.ticket())
        async with worker, Client(manager.ticket(), connect_timeout_s=DEADLINE_S) as client:
            yield manager, client


Open = Callable[[Blobs], Any]
Play = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture(
    params=[
        "memory",
        pytest.param("ceylon", marks=[pytest.mark.ceylon, pytest.mark.slow]),
        pytest.param("nats", marks=[pytest.mark.nats, pytest.mark.slow]),
    ]
)
def estate(request: pytest.FixtureRequest) -> tuple[Open, Play]:
    if request.param == "memory":
        return lambda blobs: over_memory(blobs, ""), lambda story: run_in_virtual_time(story())
    link = "ceylon" if request.param == "ceylon" else request.getfixturevalue("nats_server").url

    def play(story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return asyncio.run(asyncio.wait_for(story(), DEADLINE_S))

    return lambda blobs: over_ticket(blobs, link), play


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Counter[type[Any]]:
    """How many messages of each kind a manager has sent to clients."""
    counted: Counter[type[Any]] = Counter()
    arrived = ClientConversation._arrived

    def note(self: ClientConversation, sender: str, message: Any) -> None:
        counted[type(message)] += 1
        arrived(self, sender, message)

    monkeypatch.setattr(ClientConversation, "_arrived", note)
    return counted


async def turned(client: Client, number: int) -> bytes:
    result = await client.submit(Task(id=number, type="turn", data=LONG))
    assert result.success, result.error_message
    return result.output


def test_large_tasks_and_results_go_by_blobs_which_are_deleted(
    tmp_path: Path, estate: tuple[Open, Play], heard: Counter[type[Any]]
) -> None:
    open_estate, play = estate
    blobs = Blobs(tmp_path / "blobs")

    async def story() -> bytes:
        async with open_estate(blobs) as (_, client):
            output = await turned(client, 1)
            while blobs.has_large():
                await asyncio.sleep(0.05)
            return output

    assert play(story) == LONG[::-1]
    assert heard[Parcel] == 1
    assert heard[MessagePiece] == 0


def test_a_client_without_reach_of_the_store_sends_and_takes_pieces(
    tmp_path: Path, estate: tuple[Open, Play], heard: Counter[type[Any]]
) -> None:
    open_estate, play = estate

    async def story() -> bytes:
        async with open_estate(Blobs(tmp_path / "blobs", reached=False)) as (_, client):
            return await turned(client, 1)

    assert play(story) == LONG[::-1]
    assert heard[Parcel] == 0
    assert heard[MessagePiece] == heard[PieceTaken] > 10


def test_a_store_that_is_gone_loses_no_result(
    tmp_path: Path,
    estate: tuple[Open, Play],
    heard: Counter[type[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_estate, play = estate
    blobs, reached = Blobs(tmp_path / "blobs"), Blobs(tmp_path / "blobs")
    monkeypatch.setattr(place_finder, "open_place", lambda _: reached)

    async def story() -> list[bytes]:
        async with open_estate(blobs) as (_, client):
            outputs = [await turned(client, 1)]
            reached.fails = "read"
            outputs.append((await client.submit(Task(id=2, type="make", data=900_000))).output)
            reached.fails = ""
            blobs.fails = "write"
            outputs.append((await client.result(1)).output)
            return outputs

    first, second, again = play(story)
    assert first == again == LONG[::-1]
    assert second == random.Random(3).randbytes(900_000)
    assert heard[MessagePiece] > 10


def test_what_a_client_submits_after_a_large_task_may_depend_on_it(tmp_path: Path) -> None:
    async def story() -> list[Any]:
        async with over_memory(Blobs(tmp_path / "blobs"), "") as (_, client):
            large = client.submit_nowait(Task(id=1, type="turn", data=LONG))
            after = client.submit_nowait(Task(id=2, type="double", data=2, depends_on={1}))
            asked = asyncio.ensure_future(client.result(1))
            results = [*map(asyncio.wrap_future, (large, after)), asked]
            return [each.output for each in await asyncio.gather(*results)]

    output, doubled, again = run_in_virtual_time(story())
    assert output == again == LONG[::-1]
    assert doubled == 4


def test_many_long_tasks_are_submitted_together_although_one_message_can_not_hold_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "MAX_REQUEST_BYTES", 2_000_000)
    sizes = [9, 1_500_000, 900_000, 900_000, 9, 2_500_000, 9]

    async def story() -> list[int]:
        async with over_memory(Blobs(tmp_path / "blobs"), "") as (_, client):
            tasks = [Task(type="turn", data=bytes(size)) for size in sizes]
            assert not await client.gather([])
            return [len(result.output) for result in await client.gather(tasks)]

    assert run_in_virtual_time(story()) == sizes


@pytest.mark.parametrize("reached", [True, False])
def test_a_large_task_and_its_result_survive_a_connection_that_is_lost(
    tmp_path: Path, reached: bool
) -> None:
    async def story() -> Any:
        place = Place(seed=4, loss=0.2, duplicate=0.1, delay_s=0.05)
        await place.open(blobs=Blobs(tmp_path / "blobs", reached=reached))
        await place.work()
        client = await place.client()
        asked = asyncio.ensure_future(turned(client, 1))
        for _ in range(3):
            await asyncio.sleep(0.3)
            session = client._conversation._manager_session
            assert session is not None
            session.end()
            session.greet_again()
        output = await asked
        await client.stop()
        await place.close()
        return output

    assert run_in_virtual_time(story()) == LONG[::-1]


def test_a_manager_that_stops_gives_its_clients_their_large_results_first(tmp_path: Path) -> None:
    async def story() -> list[bytes]:
        place = Place()
        manager = await place.open(blobs=Blobs(tmp_path / "blobs", reached=False))
        await place.work()
        client = await place.client()
        asked = asyncio.ensure_future(client.submit(Task(id=1, type="make", data=3_000_000)))
        while not manager.report().counts["completed"]:
            await asyncio.sleep(0.001)
        await manager.stop()
        output = (await asked).output
        await place.close()
        return output

    assert run_in_virtual_time(story()) == random.Random(3).randbytes(3_000_000)


def test_pieces_wait_until_those_before_are_taken_and_absurd_ones_are_ignored() -> None:
    said: list[Any] = []

    async def story() -> bytes | None:
        sender, receiver = PieceSender(said.append), PieceReceiver(lambda _: None)
        sending = asyncio.ensure_future(sender.send(LONG))
        await asyncio.sleep(0)
        assert len(said) == 4
        taken = 0
        joined = None
        while taken < len(said):
            piece = said[taken]
            assert receiver.take(piece.model_copy(update={"offset": 7})) is None
            assert receiver.take(piece.model_copy(update={"size_bytes": 1 << 40})) is None
            joined = receiver.take(piece)
            assert receiver.take(piece) is None
            sender.taken(PieceTaken(transfer=99, offset=len(LONG)))
            taken += 1
            offset = piece.offset + len(piece.content)
            sender.taken(PieceTaken(transfer=piece.transfer, offset=offset))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await sending
        return joined

    assert run_in_virtual_time(story()) == LONG


async def test_pieces_that_are_no_request_are_logged_and_harm_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = Place()
    manager = await place.open()
    await place.work()
    client = await place.client()
    client._conversation._post(MessagePiece(transfer=1, size_bytes=3, offset=0, content=b"bad"))
    result = await asyncio.wait_for(client.submit(Task(id=1, type="turn", data=b"ab")), DEADLINE_S)
    assert result.output == b"ba"
    told = [each for each in caplog.records if "can't read a client's request" in each.getMessage()]
    assert len(told) == 1
    assert told[0].levelname == "WARNING"
    assert list(manager.get_all_task_status()) == [1]
    await client.stop()
    await place.close()


async def test_a_request_whose_blobs_are_missing_is_refused_with_the_reason(tmp_path: Path) -> None:
    place = Place()
    manager = await place.open(blobs=Blobs(tmp_path / "blobs"))
    client = await place.client()
    parcel = RequestParcel(number=1, skeleton=b"x", cuts=((0, "0" * 64),))
    refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    talk = client._conversation
    talk._requests._requests[1] = b"", refused.set_result
    talk._post(parcel)
    fault = await asyncio.wait_for(refused, DEADLINE_S)
    assert type(fault).__name__ == "BlobMissing"
    assert not manager.get_all_task_status()
    talk._arrived("a stranger", BlobPlace(url="file:///etc"))
    await client.stop()
    await place.close()
