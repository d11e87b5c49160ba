"""One connection to NATS servers, which all members of an event loop share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from ...messages import NatsUnusable
from ..runtime.clock import now
from ..runtime.log import log
from ..runtime.loop_watch import LoopWatch
from .address import NatsAddress
from .connection import CONNECT_TIMEOUT_S, NatsClient, Subscription, Take, connect

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 10.0
"""How long to wait before another attempt after the server has closed a connection, in seconds."""

_MAX_ASKING: Final = 16
"""How many members of a process ask their manager at once to let them join, or for a direct
connection. A manager that is asked by all of them answers late, when most have asked again."""

_RESTING_BYTES: Final = 128 * 1024
"""From how many unsent bytes on a sender lets the connection write first."""


_BLOCKED_FROM_S: Final = 1.0
_RECENTLY_S: Final = 20.0
"""How long the event loop must have been blocked, and how lately, to explain a lost connection."""


class SharedConnection:
    """A connection that is open while at least one member uses it; see `acquire`.

    Nothing is kept while there is no connection: what is sent then is lost, as on any link.

    Args:
        address: the servers.
        name: what the server shows of it.
    """

    def __init__(self, address: NatsAddress, name: str) -> None:
        self.address = address
        self._name = name
        self._client: NatsClient | None = None
        # Members of one process share subjects: each message is received once for all of them.
        self._takers: dict[str, list[Take]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._closed = asyncio.Event()
        self._keeping: asyncio.Future[None] | None = None
        self._watch: LoopWatch | None = None
        self.users = 0
        self.on_loss: set[Callable[[], None]] = set()
        """Called when the connection is lost."""
        self.opening = asyncio.Lock()
        self.asking = asyncio.Semaphore(_MAX_ASKING)
        """Held by members while they ask their manager for something that all of them need."""
        self.dropped = 0
        """How many messages could not be sent, since there was no connection."""

    @property
    def max_payload(self) -> int:
        """The largest message that the server takes, in bytes."""
        assert self._client is not None
        return self._client.max_payload

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._client is not None and self._client.is_connected

    async def connect(self, timeout_s: float) -> None:
        """Connect, unless it has been done.

        Raises:
            NatsUnusable: there is no connection in time.
        """
        if self._client is None:
            self._client = await self._dial(timeout_s)
            self._keeping = asyncio.ensure_future(self._keep())
            self._watch = LoopWatch.begin(_name_nothing)

    async def close(self) -> None:
        """Close it; what was sent is written first."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
            self._keeping = None
        if self._watch is not None:
            self._watch.end(_name_nothing)
            self._watch = None
        client, self._client = self._client, None
        if client is not None:
            await client.finish()

    async def listen(self, subject: str, take: Take) -> None:
        """Call a function with the subject and content of each message under a subject."""
        takers = self._takers.setdefault(subject, [])
        takers.append(take)
        if len(takers) == 1 and self._client is not None:
            await self._subscribe(self._client, subject)

    async def unlisten(self, subject: str, take: Take) -> None:
        """Do not call a function that was passed to `listen` any more."""
        takers = self._takers.get(subject, [])
        if take in takers:
            takers.remove(take)
        if takers:
            return
        self._takers.pop(subject, None)
        subscription = self._subscriptions.pop(subject, None)
        if subscription is not None and self._client is not None:
            await self._client.unlisten(subscription)

    async def _subscribe(self, client: NatsClient, subject: str) -> None:
        def spread(of: str, content: bytes) -> None:
            for take in tuple(self._takers.get(subject, ())):
                take(of, content)

        self._subscriptions[subject] = await client.listen(subject, spread)

    async def send(self, subject: str, content: bytes) -> None:
        """Send a message, unless there is no connection; waits while the connection is busy."""
        client = self._client
        if client is None or not await client.offer(subject, content):
            self.dropped += 1
        elif client.pending_data_size > _RESTING_BYTES:
            await asyncio.sleep(0)

    def push(self, subject: str, content: bytes) -> bool:
        """Send a message at once; return False if there is no connection, or it is too busy."""
        return self._client is not None and self._client.push(subject, content)

    async def _dial(self, timeout_s: float = CONNECT_TIMEOUT_S) -> NatsClient:
        async def closed() -> None:
            self._closed.set()

        self._closed.clear()
        return await connect(
            self.address,
            self._name,
            disconnected=self._log_loss,
            reconnected=self._log_return,
            closed=closed,
            timeout_s=timeout_s,
        )

    async def _keep(self) -> None:
        """Connect again whenever the server has closed the connection for good."""
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._closed.wait()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                client = await self._dial()
            except NatsUnusable as fault:
                log.warning("no NATS connection; trying again", reason=str(fault))
                self._closed.set()
                continue
            self._client = client
            for subject in tuple(self._takers):
                await self._subscribe(client, subject)
            pause_s = _FIRST_PAUSE_S
            await self._log_return()

    async def _log_loss(self) -> None:
        for tell in tuple(self.on_loss):
            tell()
        if not self.users:
            return
        watch = self._watch
        blocked_s = 0.0 if watch is None else watch.late_since(now() - _RECENTLY_S)
        if blocked_s < _BLOCKED_FROM_S:
            log.warning("the NATS connection is lost; connecting again", servers=str(self.address))
        else:
            log.warning(
                "the NATS connection is lost; this process's event loop was blocked, and the "
                "server closes the connection of a slow consumer; connecting again",
                servers=str(self.address),
                blocked_s=round(blocked_s, 1),
            )

    async def _log_return(self) -> None:
        log.info("there is a NATS connection again", servers=str(self.address))


def _name_nothing(task: asyncio.Task[Any]) -> str | None:
    """Name no attempt: a connection works on none."""
    del task


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[NatsAddress, SharedConnection]] = (
    WeakKeyDictionary()
)


async def acquire(
    address: NatsAddress, name: str, timeout_s: float = CONNECT_TIMEOUT_S
) -> SharedConnection:
    """The running loop's connection to servers; `release` it in the end.

    Args:
        address: the servers.
        name: what the server shows of the connection, if it is a new one.
        timeout_s: how long to try to connect, in seconds.

    Raises:
        NatsUnusable: there is no connection in time.
    """
    connections = _shared.setdefault(asyncio.get_running_loop(), {})
    connection = connections.get(address)
    if connection is None:
        connection = connections[address] = SharedConnection(address, name)
    connection.users += 1
    try:
        async with connection.opening:
            await connection.connect(timeout_s)
    except BaseException:
        await release(connection)
        raise
    return connection


async def release(connection: SharedConnection) -> None:
    """Close a connection, unless others use it still."""
    connection.users -= 1
    if not connection.users:
        _shared.get(asyncio.get_running_loop(), {}).pop(connection.address, None)
        await connection.close()
