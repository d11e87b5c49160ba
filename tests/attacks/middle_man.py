"""A middle man on direct connections, who knows no secret: what a run loses by him.

He lets the handshake of each connection pass, and then swallows, delays, doubles or makes up what
goes by it. Tasks go on by Ceylon, which he does not reach. All is on loopback, in one process.

python tests/attacks/middle_man.py --quick
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from unittest import mock

from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.agents.transport import discovery as discovery_module
from muster.messages import Task
from target import Figures, show

LOOPBACK = "127.0.0.1"
SLOTS = 4
TASK_S = 0.01
DELAY_S = 0.4
FORGE_EVERY_S = 0.5
_WORD_HEAD_BYTES = 6
_KEEPALIVE = 1 << 31

handlers = Handlers()


@handlers.task("brief")
async def brief(task: Task) -> int:
    await asyncio.sleep(TASK_S)
    return int(task.data)


@dataclass
class Direction:
    """One direction of a connection that passes through the middle man.

    Args:
        writer: to the end that should hear it.
        towards_manager: which direction it is.
        recorded: keepalives that passed.
    """

    writer: asyncio.StreamWriter
    towards_manager: bool
    recorded: list[bytes] = field(default_factory=list)

    def say(self, data: bytes) -> None:
        if not self.writer.is_closing():
            self.writer.write(data)


Way = Callable[[Direction, bytes], None]
"""What becomes of what came in one direction."""


def swallow(direction: Direction, data: bytes) -> None:
    """Let nothing pass."""


def pass_on(direction: Direction, data: bytes) -> None:
    """Let it pass."""
    direction.say(data)


def swallow_to_manager(direction: Direction, data: bytes) -> None:
    """Let nothing pass to the manager."""
    if not direction.towards_manager:
        direction.say(data)


def swallow_to_worker(direction: Direction, data: bytes) -> None:
    """Let nothing pass to the worker."""
    if direction.towards_manager:
        direction.say(data)


def keepalives_alone(direction: Direction, data: bytes) -> None:
    """Let keepalives pass, and no frame, as far as what comes is whole records."""
    for record, is_keepalive in records(data):
        if is_keepalive:
            direction.recorded.append(record)
            direction.say(record)


def delay(direction: Direction, data: bytes) -> None:
    """Let all pass, but late."""
    asyncio.get_running_loop().call_later(DELAY_S, direction.say, data)


def double(direction: Direction, data: bytes) -> None:
    """Let all pass twice."""
    direction.say(data + data)


def cut(direction: Direction, data: bytes) -> None:
    """Close the connection as soon as something comes."""
    direction.writer.transport.abort()


def records(data: bytes) -> list[tuple[bytes, bool]]:
    """The whole records in what came, and which are keepalives."""
    found: list[tuple[bytes, bool]] = []
    while len(data) >= 4:
        told = int.from_bytes(data[:4], "big")
        end = 4 + (told & ~_KEEPALIVE)
        if end > len(data):
            break
        # Of earlier versions a length of 0 is one.
        found.append((data[:end], told == 0 or bool(told & _KEEPALIVE)))
        data = data[end:]
    return found


@dataclass(frozen=True)
class Attack:
    """What the middle man does.

    Args:
        way: what becomes of what comes.
        forged: what he says himself twice a second, in both directions.
        replays: whether he says recorded keepalives twice a second.
    """

    way: Way
    forged: bytes = b""
    replays: bool = False


ATTACKS: dict[str, Attack] = {
    "close": Attack(cut),
    "swallow_both": Attack(swallow),
    "swallow_both_and_send_zeros": Attack(swallow, bytes(4)),
    "swallow_both_and_send_noise": Attack(swallow, b"\x80\0\0\x24" + bytes(range(36))),
    "swallow_to_manager_and_send_zeros": Attack(swallow_to_manager, bytes(4)),
    "swallow_to_worker_and_send_zeros": Attack(swallow_to_worker, bytes(4)),
    "swallow_to_manager": Attack(swallow_to_manager),
    "swallow_to_worker": Attack(swallow_to_worker),
    "keepalives_alone": Attack(keepalives_alone),
    "replay_keepalives": Attack(keepalives_alone, replays=True),
    "delay": Attack(delay),
    "double": Attack(double),
}


class MiddleMan:
    """Stands between workers and the manager's TCP port.

    Args:
        port: the TCP port of the manager.
    """

    def __init__(self, port: int) -> None:
        self._manager_port = port
        self.attack: Attack | None = None
        self.port = 0
        self.connections = 0

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """Be there, and have all workers of this process come to him instead of the manager."""
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        come = discovery_module._come

        async def come_here(host: str, port: int) -> object:
            return await come(LOOPBACK, self.port if port == self._manager_port else port)

        with mock.patch.object(discovery_module, "_come", come_here):
            yield
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(LOOPBACK, self._manager_port)
        try:
            if not await self._pass_handshake(reader, writer, there, back):
                return
            self.connections += 1
            up, down = Direction(back, True), Direction(writer, False)
            await asyncio.wait(
                [
                    asyncio.ensure_future(self._carry(reader, up)),
                    asyncio.ensure_future(self._carry(there, down)),
                    asyncio.ensure_future(self._forge(up, down)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass
        finally:
            for end in (writer, back):
                end.close()

    async def _pass_handshake(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> bool:
        """Let greeting, request and answer pass; whether the connection became a direct one."""
        writer.write(await read_word(there))
        asked = await read_word(reader)
        back.write(asked)
        writer.write(await read_word(there))
        return asked[3] != 2

    async def _carry(self, reader: asyncio.StreamReader, direction: Direction) -> None:
        with contextlib.suppress(OSError):
            await self._carry_all(reader, direction)

    async def _carry_all(self, reader: asyncio.StreamReader, direction: Direction) -> None:
        while data := await reader.read(1 << 20):
            (pass_on if self.attack is None else self.attack.way)(direction, data)

    async def _forge(self, *directions: Direction) -> None:
        while not any(direction.writer.is_closing() for direction in directions):
            await asyncio.sleep(FORGE_EVERY_S)
            if self.attack is None:
                continue
            for direction in directions:
                if self.attack.forged:
                    direction.say(self.attack.forged)
                if self.attack.replays and direction.recorded:
                    direction.say(direction.recorded[-1])


async def read_word(reader: asyncio.StreamReader) -> bytes:
    """Read a word at the door, whatever is inside."""
    head = await reader.readexactly(_WORD_HEAD_BYTES)
    return head + await reader.readexactly(int.from_bytes(head[4:], "big"))


class Load:
    """Tasks that are submitted one after the other, as many at a time as there are slots."""

    def __init__(self, manager: TaskManager) -> None:
        self._manager = manager
        self._numbers = itertools.count(1)
        self.done = 0
        self.failed = 0

    async def submit_for_ever(self) -> None:
        while True:
            number = next(self._numbers)
            task = Task(task_id=number, type="brief", data=number)
            result = await self._manager.submit(task)
            self._manager.forget_tasks([number])
            self.done += 1
            self.failed += not result.success

    async def rate(self, seconds: float) -> float:
        """How many tasks a second are done meanwhile."""
        done, began = self.done, time.monotonic()
        await asyncio.sleep(seconds)
        return (self.done - done) / (time.monotonic() - began)


async def suffer(by: Attack, during_s: float, aside_s: float) -> dict[str, float]:
    """Tasks a second before, during and after an attack, and the connections that were made."""
    manager = TaskManager(port=0, quiet=True)
    await manager.start()
    middle_man = MiddleMan(manager.port)
    async with middle_man.standing():
        worker = WorkerAgent("Ada", 5, ticket=manager.ticket(), handlers=handlers, slots=SLOTS)
        await worker.start()
        load = Load(manager)
        submitting = [asyncio.ensure_future(load.submit_for_ever()) for _ in range(2 * SLOTS)]
        await load.rate(1.0)
        before = await load.rate(aside_s)
        middle_man.attack = by
        during = await load.rate(during_s)
        connections = middle_man.connections
        middle_man.attack = None
        after = await load.rate(aside_s)
        for future in submitting:
            future.cancel()
        for ended in await asyncio.gather(*submitting, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended
        await manager.stop()
        await worker.stop()
    return {
        "before": round(before, 1),
        "during": round(during, 1),
        "after": round(after, 1),
        "connections": float(connections),
        "failed": float(load.failed),
        "dropped": float(sum(manager.dropped.values())),
    }


def attack(*, quick: bool = False) -> Figures:
    """Try all that he can do, each for 30 seconds, or for 8; tell a row for each."""
    during_s, aside_s = (8.0, 2.0) if quick else (30.0, 5.0)
    told: Figures = {
        name: asyncio.run(suffer(by, during_s, aside_s)) for name, by in ATTACKS.items()
    }
    return told | {"failed": sum(row["failed"] for row in told.values())}


if __name__ == "__main__":
    show(attack)
