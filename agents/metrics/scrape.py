"""Answers one HTTP request to the metrics port.

Requests are answered one after the other in the thread of the loop, without further threads.
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
_PASSED_HEADERS = {"accept": "HTTP_ACCEPT", "accept-encoding": "HTTP_ACCEPT_ENCODING"}

_failure = RepeatedWarning("the metrics can't be collected")


class Scrape(asyncio.Protocol):
    """Answers one HTTP request, and closes the connection.

    Args:
        connection: the connection, as the listener tracks it.
        application: the WSGI application that returns the metrics.
    """

    def __init__(self, connection: LimitedConnection, application: Application) -> None:
        self._connection = connection
        self._application = application
        self._transport: asyncio.Transport | None = None
        self._head = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called when a client has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called with each part of the request."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._head += data
        head, ends, _ = self._head.partition(_HEAD_ENDS)
        if not ends and len(self._head) <= MAX_HEAD_BYTES:
            return
        self._connection.begin_answer()
        if len(head) > MAX_HEAD_BYTES:
            answer = _error("431 Request Header Fields Too Large", "the headers are too long")
        else:
            answer = self._answer(bytes(head))
        transport.write(answer)
        transport.close()

    def _answer(self, head: bytes) -> bytes:
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, path, version
            return _error("400 Bad Request", "this is not an HTTP request")
        method, target, _ = words
        headers = [(name.lower(), value.strip()) for name, _, value in map(_split, lines)]
        hosts = [value for name, value in headers if name == "host"]
        if len(hosts) != 1 or not is_our_host(hosts[0]):
            return _error(
                "421 Misdirected Request",
                "the Host header names another host; use the address of this one",
            )
        path, _, query = target.partition("?")
        if path.rstrip("/") != _PATH:
            return _error("404 Not Found", f"the metrics are at {_PATH}")
        if method not in _METHODS:
            return _error("405 Method Not Allowed", "the metrics can only be read")
        environment = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query}
        for name, value in headers:
            if name in _PASSED_HEADERS:
                environment[_PASSED_HEADERS[name]] = value
        return self._ask(environment, with_body=method == "GET")

    def _ask(self, environment: dict[str, Any], *, with_body: bool) -> bytes:
        status, headers = "500 Internal Server Error", list[tuple[str, str]]()

        def start(
            status_line: str,
            response_headers: list[tuple[str, str]],
            fault: TracebackType | None = None,
        ) -> None:
            nonlocal status
            del fault
            status = status_line
            headers.extend(response_headers)

        try:
            body = b"".join(self._application(environment, start))
        except Exception as fault:  # noqa: BLE001 - no exception may end the server
            _failure.tell(exc_info=fault)
            return _error("500 Internal Server Error", f"the metrics can't be collected: {fault}")
        return _pack(status, headers, body, with_body=with_body)


def _split(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def _error(status: str, error: str) -> bytes:
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
