"""One question to the metrics' port, and its answer.

It is answered in this thread: whoever asks at the same time waits, and no thread is made for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from ..runtime.http_host import is_our_host
from ..runtime.repeated_warning import RepeatedWarning
from ..transport.connection_limits import LimitedConnection

if TYPE_CHECKING:
    from types import TracebackType

Application: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application."""

MAX_HEAD_BYTES = 16 * 1024
_HEAD_ENDS = b"\r\n\r\n"
_METHODS = frozenset({"GET", "HEAD"})
_PATH = "/metrics"
_ASKED_BY = {"accept": "HTTP_ACCEPT", "accept-encoding": "HTTP_ACCEPT_ENCODING"}

_failure = RepeatedWarning("the metrics can't be told")


class Scrape(asyncio.Protocol):
    """Answers one HTTP request, and closes the connection.

    Args:
        connection: as the listener knows it.
        application: tells the metrics.
    """

    def __init__(self, connection: LimitedConnection, application: Application) -> None:
        self._connection = connection
        self._application = application
        self._transport: asyncio.Transport | None = None
        self._head = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called when somebody has come."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called with what was asked, wherever it is cut."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._head += data
        head, ends, _ = self._head.partition(_HEAD_ENDS)
        if not ends and len(self._head) <= MAX_HEAD_BYTES:
            return
        self._connection.begin_answer()
        if len(head) > MAX_HEAD_BYTES:
            answer = _tell("431 Request Header Fields Too Large", "the headers are too long")
        else:
            answer = self._answer(bytes(head))
        transport.write(answer)
        transport.close()

    def _answer(self, head: bytes) -> bytes:
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, path, version
            return _tell("400 Bad Request", "this is not an HTTP request")
        method, target, _ = words
        headers = [(name.lower(), value.strip()) for name, _, value in map(_split, lines)]
        hosts = [value for name, value in headers if name == "host"]
        if len(hosts) != 1 or not is_our_host(hosts[0]):
            return _tell(
                "421 Misdirected Request",
                "the request names a host that is not this one; call it by its address",
            )
        path, _, query = target.partition("?")
        if path.rstrip("/") != _PATH:
            return _tell("404 Not Found", f"the metrics are at {_PATH}")
        if method not in _METHODS:
            return _tell("405 Method Not Allowed", "the metrics can only be read")
        environment = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query}
        for name, value in headers:
            if name in _ASKED_BY:
                environment[_ASKED_BY[name]] = value
        return self._ask(environment, with_body=method == "GET")

    def _ask(self, environment: dict[str, Any], *, with_body: bool) -> bytes:
        status, headers = "500 Internal Server Error", list[tuple[str, str]]()

        def start(
            told: str, named: list[tuple[str, str]], fault: TracebackType | None = None
        ) -> None:
            nonlocal status
            del fault
            status = told
            headers.extend(named)

        try:
            body = b"".join(self._application(environment, start))
        except Exception as fault:  # noqa: BLE001 - whatever it is, it must not end the server
            _failure.tell(exc_info=fault)
            return _tell("500 Internal Server Error", f"the metrics can't be told: {fault}")
        return _pack(status, headers, body, with_body=with_body)


def _split(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def _tell(status: str, error: str) -> bytes:
    body = f"{error}\n".encode()
    return _pack(status, [("Content-Type", "text/plain; charset=utf-8")], body)


def _pack(
    status: str, headers: Iterable[tuple[str, str]], body: bytes, *, with_body: bool = True
) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        *(f"{name}: {value}" for name, value in headers),
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join(lines).encode("latin-1") + _HEAD_ENDS + (body if with_body else b"")
