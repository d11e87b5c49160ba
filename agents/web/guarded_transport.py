"""An httpx transport that connects only to addresses that the address rules allow.

Each request resolves its host, checks every address, and connects to one of these literal
addresses. The name is not resolved a second time, which defeats DNS rebinding.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import httpx
from typing_extensions import override

from ...messages import AddressRefused, PageUnavailable
from .addresses import AddressRules

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Resolves a host and port to the host's addresses."""

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_ADDRESSES_TRIED = 4


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver for the addresses of a host.

    Raises:
        PageUnavailable: there is no such host.
    """
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise PageUnavailable(f"the host {host!r} can't be resolved: {fault}") from None
    # A dict keeps the resolver's order and removes duplicates.
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends requests only to addresses that the rules allow.

    Connections are not reused: httpx would find them by address, and a request to another host
    with the same address must not use them.

    Args:
        rules: which addresses are allowed.
        resolve: resolves a host to its addresses.
        inner: sends a request to the address in its URL.
    """

    def __init__(
        self,
        rules: AddressRules,
        resolve: Resolve = resolve_by_system,
        inner: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._inner = inner or httpx.AsyncHTTPTransport(
            trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode("ascii")
        port = request.url.port or DEFAULT_PORTS[request.url.scheme]
        addresses = await self._resolve(host, port)
        if not addresses:
            raise PageUnavailable(f"the host {host!r} has no address")
        for address in addresses:
            if why := self._rules.refusal(address):
                raise AddressRefused(
                    f"{host!r} is at {address}, which is {why}; "
                    "to fetch pages from there, allow its network"
                )
        fault: Exception | None = None
        for address in addresses[:MAX_ADDRESSES_TRIED]:
            try:
                return await self._inner.handle_async_request(_pinned(request, host, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as refused:
                fault = refused
        raise PageUnavailable(f"{host!r} can't be reached: {fault}") from fault

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()


def _pinned(request: httpx.Request, host: str, address: str) -> httpx.Request:
    """The same request to a literal address; the certificate must still match the host name."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": host},
    )
