"""A web server on loopback that does as it is told, and somebody to tell of progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

Headers = dict[str, str]


@dataclass
class Request:
    target: str
    headers: Headers


class Connection:
    """One request, and ways to answer it."""

    def __init__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self._writer = writer

    async def head(self, status: str, headers: Headers) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{key}: {value}" for key, value in headers.items())]
        self._writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        await self._writer.drain()

    async def send(self, content: bytes) -> None:
        self._writer.write(content)
        await self._writer.drain()

    async def answer(
        self, content: bytes = b"", status: str = "200 OK", headers: Headers | None = None
    ) -> None:
        await self.head(status, {"Content-Length": str(len(content)), **(headers or {})})
        await self.send(content)


Behaviour = Callable[[Connection], Awaitable[None]]


@dataclass
class Server:
    """Answers each request as `behaviour` says, and remembers them all."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    behaviour: Behaviour | None = None
    faults: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            request = Request(head[0].split(" ")[1], {key.lower(): each for key, each in pairs})
            self.requests.append(request)
            assert self.behaviour is not None
            await self.behaviour(Connection(request, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception as fault:  # noqa: BLE001 - it is told when the test ends
            self.faults.append(fault)
        finally:
            writer.close()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()
    assert made.faults == []


@dataclass
class RecordedProgress:
    """A task that records its progress."""

    seen: list[float] = field(default_factory=list)

    @property
    def progress(self) -> float:
        return self.seen[-1] if self.seen else 0.0

    @progress.setter
    def progress(self, percent: float) -> None:
        self.seen.append(percent)


@pytest.fixture
def told() -> RecordedProgress:
    return RecordedProgress()


async def wait_until(is_so: Callable[[], object], limit_s: float = 60.0) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while not is_so():
        assert loop.time() < deadline, "it did not come about in time"
        await asyncio.sleep(0.002)


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Waits until something is so."""
    return wait_until
