"""Runs uvicorn in the manager's event loop, with limits on connections and requests."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import socket
from collections import deque
from collections.abc import Generator

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ..runtime.repeated_warning import RepeatedWarning
from ..transport.connection_limits import (
    ConnectionLimits,
    LimitedConnection,
    LimitedListener,
    affordable,
)
from .feed import MAX_PAGES
from .guard import BODY_TIMEOUT_S

LIMITS = ConnectionLimits(connections=2 * MAX_PAGES, ask_within_s=BODY_TIMEOUT_S + 2.0, reserved=4)
"""A request whose body times out is answered before its connection is closed."""

ANSWERS_PER_TURN = 4
"""How many requests start per turn of the event loop, since the run needs it as well."""

HEALTH = frozenset({"/healthz", "/readyz"})
"""Paths that are answered even if all connections are in use or no file descriptor is free."""

_FEED = "/api/events"
_SHUTDOWN_TIMEOUT_S = 1


class HttpServer(uvicorn.Server):
    """Serves an application on one socket; does not handle signals.

    Args:
        application: the application.
        listening: the socket; it closes it in the end.
    """

    def __init__(self, application: ASGIApp, listening: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http="h11",
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
            )
        )
        limits = dataclasses.replace(LIMITS, connections=affordable(LIMITS.connections))
        self._limiter = TurnLimiter(ANSWERS_PER_TURN)
        self._listener = LimitedListener(listening, "live page", limits, self._make_protocol)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        del sockets
        self.servers = []
        self._listener.start()
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests under way, within a timeout, and close all connections."""
        try:
            await self._listener.stop()
            await super().shutdown(sockets)
        finally:
            await self._listener.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Do not handle signals."""
        yield

    def _make_protocol(self, connection: LimitedConnection) -> H11Protocol:
        return _HttpConnection(connection, self._limiter, self.config, self.server_state)


class TurnLimiter:
    """Limits how many callers continue per turn of the event loop; the first come first.

    Args:
        per_turn: how many.
    """

    def __init__(self, per_turn: int) -> None:
        self._per_turn = per_turn
        self._passed = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Wait until the caller may continue."""
        loop = asyncio.get_running_loop()
        if self._passed == 0:
            loop.call_soon(self._turn)
        self._passed += 1
        if self._passed > self._per_turn:
            waiting = loop.create_future()
            self._waiting.append(waiting)
            await waiting

    def _turn(self) -> None:
        for _ in range(min(self._per_turn, len(self._waiting))):
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
        self._passed = self._per_turn + len(self._waiting) if self._waiting else 0
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)


class _HttpConnection(H11Protocol):
    """Reports to the listener whether its connection waits for a request or is answered.

    Args:
        connection: the listener's view of the connection.
        limiter: limits how many requests start at once.
        config: the server's configuration.
        state: the server's state.
    """

    def __init__(
        self,
        connection: LimitedConnection,
        limiter: TurnLimiter,
        config: uvicorn.Config,
        state: ServerState,
    ) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self.logger = _logger
        self._connection = connection
        self._limiter = limiter
        self._application: ASGIApp = self.app
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        connection = self._connection

        async def receive_and_note() -> Message:
            message = await receive()
            if connection.is_waiting and not message.get("more_body", False):
                connection.begin_answer(may_take_any_time=path == _FEED)
            return message

        if self.cycle.more_body:
            # The request is complete when its body is, which has the same timeout as the headers.
            connection.await_question()
        else:
            connection.begin_answer(may_take_any_time=path == _FEED)
        if path not in HEALTH:
            await self._limiter.wait()
        if connection.is_reserved:
            send = _then_close(send)
            if path not in HEALTH:
                error = "too many requests at the same time; try again later"
                await JSONResponse({"error": error}, 503)(scope, receive, send)
                return
        await self._application(scope, receive_and_note, send)

    def on_response_complete(self) -> None:
        """Called when a request has been answered."""
        self._connection.await_question()
        super().on_response_complete()


def _then_close(send: Send) -> Send:
    async def send_last(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return send_last


class _LogRateLimit(logging.Filter):
    """Limits uvicorn's log, which gets an entry for each request that it can't read."""

    def __init__(self) -> None:
        super().__init__()
        self._warning = RepeatedWarning("the live page received invalid requests")
        self._error = RepeatedWarning("the live page failed to answer requests")

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            self._warning.tell(of=record.getMessage())
        else:
            self._error.tell(of=record.getMessage().strip(), exc_info=record.exc_info)
        return False


_logger = logging.getLogger("muster.live.http")
_logger.setLevel(logging.WARNING)
_logger.addFilter(_LogRateLimit())
