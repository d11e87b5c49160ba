"""The page is served beside a manager, and does it no harm, whatever its readers do."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from muster.agents import TaskManager
from muster.agents.live import LivePage, event_stream, feed, http_server
from muster.agents.transport.connection_limits import ConnectionLimits
from muster.messages import InvalidInput, PortInUse, Task

Make = Callable[..., Any]
DEADLINE_S = 60


@asynccontextmanager
async def listening(page: LivePage, **headers: str) -> AsyncIterator[AsyncIterator[Any]]:
    """The events of a page as they come, as names and data."""

    async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
        name = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))

    async with (
        httpx.AsyncClient(timeout=DEADLINE_S) as web,
        web.stream("GET", f"{page.url}api/events", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        yield events(answer)


async def next_event(events: AsyncIterator[Any]) -> tuple[str, Any]:
    return await asyncio.wait_for(anext(events), DEADLINE_S)


async def until(happens: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not happens():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), DEADLINE_S)


async def test_a_page_is_told_all_there_is_and_then_what_happens(house: Make) -> None:
    async with house() as here, LivePage(here.manager, port=0) as page:
        here.manager.add_task(Task(id=1, description="before"))
        async with listening(page) as events:
            names = [await next_event(events) for _ in range(3)]
            assert [name for name, _ in names] == ["head", "rows", "listed"]
            assert names[0][1]["counts"]["pending"] == 1
            here.manager.add_task(Task(id=2, description="after"))
            while True:
                name, change = await next_event(events)
                assert name == "change"
                if "added" in change:
                    break
            assert [row[0] for row in change["added"]] == ["2"]


async def test_at_the_end_a_page_is_told_the_last_of_the_run(house: Make) -> None:
    async with house() as here:
        here.manager.add_task(Task(id=1, description="never done"))
        page = LivePage(here.manager, port=0)
        await page.__aenter__()
        async with listening(page) as events:
            await here.manager.stop()
            ending = asyncio.create_task(page.__aexit__(None, None, None))
            states, name = [], ""
            while name != "end":
                name, told = await next_event(events)
                if "run" in told:
                    states.append(told["run"]["state"])
            assert states[-1] == "stopped"
        await ending


async def test_a_page_that_misses_changes_is_told_everything_anew(
    house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "CHANGES_EVERY_S", 0.01)
    monkeypatch.setattr(feed, "MAX_FRAMES", 3)
    async with house() as here:
        told = feed.Feed(here.manager)
        frames = told.frames()
        assert (await anext(frames)).startswith(b"event: head")
        assert (await anext(frames)).startswith(b"event: listed")
        for number in range(1, 40):
            here.manager.add_task(Task(id=number, description="x"))
            await asyncio.sleep(0.01)
        assert (await anext(frames)).startswith(b"event: head")
        rows = json.loads((await anext(frames)).partition(b"data: ")[2])
        assert len(rows["added"]) == 39
        await frames.aclose()
        assert told.pages == 0
        await told.close()


async def test_a_page_that_does_not_read_is_dropped_and_nothing_is_kept_for_it(
    house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "READ_TIMEOUT_S", 0.3)
    async with house() as here, LivePage(here.manager, port=0) as page:
        tasks = [Task(id=n, description="x" * 160) for n in range(1, 10_001)]
        await here.manager.batch_assign_tasks(tasks, 10_000)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", page.port))
            request = f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n"
            await loop.sock_sendall(deaf, request.encode())
            await until(lambda: page.pages == 1)
            await until(lambda: page.pages == 0)
        # The others are served as before.
        async with httpx.AsyncClient(timeout=DEADLINE_S) as web:
            assert (await web.get(f"{page.url}healthz")).status_code == 200


async def test_only_so_many_pages_are_open_at_once(
    house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_PAGES", 1)
    async with house() as here, LivePage(here.manager, port=0) as page:
        async with listening(page) as events:
            await next_event(events)
            async with httpx.AsyncClient(timeout=DEADLINE_S) as web:
                answer = await web.get(f"{page.url}api/events")
                assert answer.status_code == 503
                assert "1 pages are open" in answer.json()["error"]
        await until(lambda: page.pages == 0)
        async with listening(page) as events:
            assert (await next_event(events))[0] == "head"


async def test_the_page_leaves_signals_alone(house: Make) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with house() as here, LivePage(here.manager, port=0):
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert during == before


async def test_a_taken_port_is_told_before_anything_runs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"TCP port {port} is already in use"):
            LivePage(TaskManager(port=0), port=port)


@pytest.mark.parametrize("host", ["estate.example", "256.1.1.1", ""])
async def test_it_listens_on_addresses_alone(host: str) -> None:
    with pytest.raises(InvalidInput, match="give an IP address"):
        LivePage(TaskManager(port=0), host=host, port=0)


async def test_off_loopback_an_unsealed_workspace_is_not_shown() -> None:
    with pytest.raises(InvalidInput, match="this workspace is not encrypted"):
        LivePage(TaskManager(port=0, insecure=True), host="0.0.0.0", port=0)


async def test_with_a_name_to_be_called_by_it_asks_for_the_secret(house: Make) -> None:
    async with (
        house() as here,
        LivePage(here.manager, port=0, names=["estate.example"]) as page,
        httpx.AsyncClient(base_url=page.url, timeout=DEADLINE_S) as web,
    ):
        named = {"Host": "estate.example"}
        assert (await web.get("/api/stats", headers=named)).status_code == 401
        token = {"Authorization": f"Bearer {here.manager.secret.reveal()}", **named}
        assert (await web.get("/api/stats", headers=token)).status_code == 200
        assert (await web.get("/", headers=named)).status_code == 200


async def test_it_can_be_mounted_in_an_application_of_ones_own(house: Make) -> None:
    from fastapi import FastAPI
    from muster.agents.live import live_application

    async with house() as here:
        outer = FastAPI()
        outer.mount("/muster", live_application(here.manager))
        transport = httpx.ASGITransport(outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as web:
            assert (await web.get("/muster/api/stats")).json()["manager"] == "task_manager"
            assert (await web.get("/muster/")).status_code == 200
            assert (await web.get("/muster/api/ticket")).status_code == 401


OCCUPYING = {
    "half-sent headers": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Never-Ends: ",
    "nothing": b"",
    "kept alive": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "bodies that do not come": b"POST /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n[",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506),
    "unread feeds": b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "pipelined requests": b"GET /api/stats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20,
}


@pytest.mark.parametrize("what", OCCUPYING)
async def test_health_is_told_although_all_places_are_taken_by(
    house: Make, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with house() as here, LivePage(here.manager, port=0) as page:
        held = []
        for _ in range(80):
            _, writer = await asyncio.open_connection("127.0.0.1", page.port)
            writer.write(OCCUPYING[what])
            held.append(writer)
        async with httpx.AsyncClient(base_url=page.url, timeout=DEADLINE_S) as web:
            for path in ("/healthz", "/readyz", "/healthz"):
                assert (await web.get(path)).status_code in {200, 503}
            assert (await web.get("/healthz")).status_code == 200
        for writer in held:
            writer.close()
    assert len(caplog.records) <= 4


async def test_where_all_are_busy_others_than_health_are_told_to_come_later(
    house: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = ConnectionLimits(connections=1, reserved=1)
    monkeypatch.setattr(http_server, "LIMITS", limits)
    async with house() as here, LivePage(here.manager, port=0) as page:
        async with listening(page) as events:
            await next_event(events)
            async with httpx.AsyncClient(base_url=page.url, timeout=DEADLINE_S) as web:
                assert (await web.get("/healthz")).status_code == 200
                answer = await web.get("/api/stats")
                assert answer.status_code == 503
                assert answer.headers["Connection"] == "close"
                assert "try again later" in answer.json()["error"]
        async with httpx.AsyncClient(base_url=page.url, timeout=DEADLINE_S) as web:
            assert (await web.get("/api/stats")).status_code == 200


async def test_the_page_answers_on_ipv6(house: Make) -> None:
    async with (
        house() as here,
        LivePage(here.manager, host="::1", port=0) as page,
        httpx.AsyncClient(base_url=page.url, timeout=DEADLINE_S) as web,
    ):
        assert (await web.get("/healthz")).status_code == 200


async def test_requests_begin_in_the_order_of_their_coming_a_few_in_each_turn() -> None:
    limiter = http_server.TurnLimiter(2)
    passed: list[list[int]] = [[]]

    async def come(number: int) -> None:
        await limiter.wait()
        passed[-1].append(number)

    coming = [asyncio.ensure_future(come(number)) for number in range(7)]
    while not all(each.done() for each in coming):
        await asyncio.sleep(0)
        passed.append([])
    assert [turn for turn in passed if turn] == [[0, 1], [2, 3], [4, 5], [6]]
    await asyncio.wait_for(limiter.wait(), DEADLINE_S)
