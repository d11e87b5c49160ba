"""TCP listeners that clients can't use to exhaust this process.

asyncio's own servers accept every connection, keep it forever, and log a traceback for each
connection that finds no file descriptor. Here the number of connections is limited. Each connection
has a limited time to send a request, and to read its response. When all places are taken, a new
connection replaces one that is only waiting, from the address with the most such connections. So
idle connections keep nobody out.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..kernel.security.token_bucket import TokenBucket
from ..runtime.repeated_warning import RepeatedWarning

SHARE_OF_DESCRIPTORS = 8
"""One listener may use one part in this many of the process's descriptors."""

FEWEST_CONNECTIONS = 8

BACKLOG = 64
"""How many connections wait in the operating system to be accepted."""

ACCEPTED_PER_S = 500.0
"""The maximum rate of accepted connections, in the long run: the event loop has other work."""

LOOK_EVERY_S = 1.0
"""How often connections are checked for timeouts, in seconds."""

_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NO_ROOM_PAUSE_S = 0.1
_PAUSE_S = 0.001
_IPV6_SITE_BITS = 64


@dataclass(frozen=True)
class ConnectionLimits:
    """The limits of one listener.

    Args:
        connections: the maximum number at once; see also `affordable`.
        ask_within_s: how long a connection may take to send a request, in seconds, from its start
            or from the last response on, however many bytes it sends meanwhile.
        answer_within_s: how long a response may take until the other end has it, in seconds.
        read_within_s: how long the other end may read nothing of what it is sent, in seconds.
        reserved: how many more connections are accepted when none of the others is merely waiting,
            and how many descriptors are reserved in case the process has no others.
    """

    connections: int
    ask_within_s: float = 10.0
    answer_within_s: float = 60.0
    read_within_s: float = 20.0
    reserved: int = 0


def affordable(connections: int) -> int:
    """This many connections, or fewer if the process may have only few descriptors."""
    try:
        import resource  # noqa: PLC0415 - Windows has none, nor such a limit
    except ImportError:
        return connections
    limit: int = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return connections
    return min(connections, max(limit // SHARE_OF_DESCRIPTORS, FEWEST_CONNECTIONS))


class LimitedConnection:
    """One of a listener's connections; its protocol reports its state.

    Args:
        accepted: its socket.
        site: the network that it comes from.
        at: when it was accepted, by the loop's clock, in seconds.
        is_reserved: whether it has a reserved place.
    """

    def __init__(self, accepted: socket.socket, site: str, at: float, *, is_reserved: bool) -> None:
        self.site = site
        self.is_reserved = is_reserved
        self.transport: asyncio.Transport | None = None
        self._accepted = accepted
        self._loop = asyncio.get_running_loop()
        self._since = at
        self._is_waiting = True
        self._may_take_s: float | None = None
        self._unsent = 0
        self._read_at = at
        self._is_released = False

    def begin_answer(self, *, may_take_any_time: bool = False) -> None:
        """Record that a request has arrived; the connection keeps its place until the response.

        Args:
            may_take_any_time: whether the response has no end, such as a feed.
        """
        self._is_waiting = False
        self._may_take_s = float("inf") if may_take_any_time else None
        self._since = self._loop.time()

    def await_question(self) -> None:
        """Record that the response was sent, and that another request may follow."""
        self._is_waiting = True
        self._since = self._loop.time()

    def release(self) -> None:
        """Stop limiting it: it has another owner now."""
        self._is_released = True

    @property
    def is_waiting(self) -> bool:
        """Whether it has no request to answer."""
        return self._is_waiting

    @property
    def is_over(self) -> bool:
        """Whether it no longer needs a place."""
        return self._is_released or self._accepted.fileno() < 0

    def find_excess(self, limits: ConnectionLimits) -> str | None:
        """Which limit it exceeds; None if it exceeds none."""
        at = self._loop.time()
        unsent = 0 if self.transport is None else self.transport.get_write_buffer_size()
        if unsent == 0 or unsent < self._unsent:
            self._read_at = at
        self._unsent = unsent
        if at - self._read_at > limits.read_within_s:
            return "it does not read"
        took_s = at - self._since
        if self._is_waiting:
            return "it asks for nothing" if took_s > limits.ask_within_s else None
        may_take_s = limits.answer_within_s if self._may_take_s is None else self._may_take_s
        return "the answer takes too long" if took_s > may_take_s else None

    def abort(self) -> None:
        """Close it at once."""
        if self.transport is not None:
            self.transport.abort()


class LimitedListener:
    """Accepts connections on one socket, within limits, in the running loop.

    Args:
        listening: the socket, which the listener closes.
        name: the listener's name, for the log.
        limits: the limits.
        make_protocol: creates the protocol of a new connection.
    """

    def __init__(
        self,
        listening: socket.socket,
        name: str,
        limits: ConnectionLimits,
        make_protocol: Callable[[LimitedConnection], asyncio.BaseProtocol],
    ) -> None:
        self._listening = listening
        self._name = name
        self._limits = limits
        self._make_protocol = make_protocol
        self._connections: list[LimitedConnection] = []
        self._spare: list[int] = []
        # A connection that uses a spare descriptor gets a reserved place.
        self._is_next_reserved = False
        self._allowance = TokenBucket(ACCEPTED_PER_S, 2 * limits.connections)
        self._warning = RepeatedWarning("connections are closed or turned away")
        self._failure = RepeatedWarning("handling a new connection failed")
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start to accept connections."""
        self._listening.setblocking(False)
        self._listening.listen(BACKLOG)
        self._keep_spare()
        self._running = [
            asyncio.ensure_future(self._accept_all()),
            asyncio.ensure_future(self._look_after()),
        ]

    async def stop(self) -> None:
        """Stop accepting; open connections stay open, within their limits."""
        try:
            await _end_tasks(self._running[:1])
        finally:
            if self._listening.fileno() >= 0:
                # The loop must stop watching it before its descriptor is reused.
                self._stop_watching()
                self._listening.close()

    async def close(self) -> None:
        """Stop accepting and close all connections, even if it is cancelled meanwhile."""
        try:
            await self.stop()
            await _end_tasks(self._running)
        finally:
            for task in self._running:
                task.cancel()
            while self._spare:
                os.close(self._spare.pop())
            for connection in self._connections:
                if not connection.is_over:
                    connection.abort()
            self._connections.clear()

    # ------------------------------------------------------------------ accepting

    async def _accept_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._allowance.take(loop.time()):  # noqa: ASYNC110 - it is time that fills it
                await asyncio.sleep(4 / ACCEPTED_PER_S)
            try:
                accepted, address = await self._accept()
            except OSError as fault:
                if self._listening.fileno() < 0:
                    return
                # Otherwise the other end has already disconnected.
                is_full = fault.errno in _NO_ROOM
                await asyncio.sleep(self._free_a_descriptor(fault) if is_full else _PAUSE_S)
                continue
            await self._let_in(accepted, _site_of(str(address[0])))

    async def _accept(self) -> tuple[socket.socket, tuple[object, ...]]:
        """Wait for the next connection, and accept it when the call can't be cancelled any more.

        The loop's `sock_accept` loses a connection that it accepts while it is cancelled.
        """
        loop = asyncio.get_running_loop()
        while True:
            with suppress(BlockingIOError, InterruptedError):
                return self._listening.accept()
            is_there: asyncio.Future[None] = loop.create_future()
            try:
                loop.add_reader(self._listening, _settle, is_there)
            except NotImplementedError:
                # This is the default loop on Windows.
                return await loop.sock_accept(self._listening)
            try:
                await is_there
            finally:
                if self._listening.fileno() >= 0:
                    self._stop_watching()

    def _stop_watching(self) -> None:
        with suppress(NotImplementedError):
            asyncio.get_running_loop().remove_reader(self._listening)

    async def _let_in(self, accepted: socket.socket, site: str) -> None:
        loop = asyncio.get_running_loop()
        is_reserved, self._is_next_reserved = self._is_next_reserved, False
        if not is_reserved:
            is_reserved = not self._make_place(self._limits.connections, is_reserved=False)
        if is_reserved and not self._make_place(self._limits.reserved, is_reserved=True):
            self._warn("all are busy")
            accepted.close()
            await asyncio.sleep(0)
            return
        # asyncio does this only for sockets that name their protocol. Otherwise the second of two
        # messages waits until the other end acknowledges the first, for up to 40 ms.
        with suppress(OSError):
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = LimitedConnection(accepted, site, loop.time(), is_reserved=is_reserved)
        self._connections.append(connection)
        try:
            connection.transport, _ = await loop.connect_accepted_socket(
                lambda: self._make_protocol(connection), accepted
            )
        except Exception as fault:  # noqa: BLE001 - one connection must not end the listener
            accepted.close()
            if not isinstance(fault, OSError):
                self._failure.tell(listener=self._name, exc_info=fault)

    def _make_place(self, places: int, *, is_reserved: bool) -> bool:
        """Whether there is a place of a kind; if necessary, a waiting connection is closed."""
        if len(self._connections) < places:
            return True
        self._connections = [each for each in self._connections if not each.is_over]
        there = [each for each in self._connections if each.is_reserved is is_reserved]
        return len(there) < places or self._end_one_that_waits(there)

    def _end_one_that_waits(self, there: Sequence[LimitedConnection]) -> bool:
        waiting = [each for each in there if each.is_waiting and each.transport]
        if not waiting:
            return False
        by_site = Counter(each.site for each in waiting)
        # They are in the order in which they were accepted.
        chosen = max(waiting, key=lambda each: by_site[each.site])
        self._end(chosen, "another needs its place")
        return True

    def _free_a_descriptor(self, fault: OSError) -> float:
        """Make a descriptor available; returns how long to wait for it, in seconds."""
        self._warn(str(fault.strerror))
        if self._spare:
            os.close(self._spare.pop())
            self._is_next_reserved = True
            return 0.0
        self._end_one_that_waits(self._connections)
        return _NO_ROOM_PAUSE_S

    # ------------------------------------------------------------------ looking after them

    async def _look_after(self) -> None:
        every_s = min(LOOK_EVERY_S, self._limits.ask_within_s / 4)
        while True:
            await asyncio.sleep(every_s)
            self._connections = [each for each in self._connections if not each.is_over]
            for connection in tuple(self._connections):
                reason = connection.find_excess(self._limits)
                if reason is not None:
                    self._end(connection, reason)
            self._keep_spare()

    def _keep_spare(self) -> None:
        taken = sum(each.is_reserved for each in self._connections)
        with suppress(OSError):
            while len(self._spare) + taken < self._limits.reserved:
                self._spare.append(os.open(os.devnull, os.O_RDONLY))

    def _end(self, connection: LimitedConnection, reason: str) -> None:
        self._warn(reason)
        connection.abort()
        self._connections.remove(connection)

    def _warn(self, reason: str) -> None:
        self._warning.tell(listener=self._name, reason=reason, open=len(self._connections))


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _end_tasks(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _site_of(host: str) -> str:
    """Where somebody comes from: an IPv4 address, or the network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if parsed.version == 4:  # noqa: PLR2004 - IPv4
        return host
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_SITE_BITS), strict=False))
