"""An httpx transport that connects only to addresses that were checked, and to no other.

Each request resolves its host, has every answer checked, and connects to a literal address out of
these answers. The name is never resolved a second time, so a name server that answers differently
the next moment changes nothing.
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
"""Takes a host and a port, and gives the host's addresses."""

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
        raise PageUnavailable(f"the host {host!r} can't be found: {fault}") from None
    # A dict keeps the resolver's order and drops what it says twice.
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends requests to addresses that the rules allow.

    Connections are not kept: they would be found again by address, where another host of the same
    address must not find them.

    Args:
        rules: which addresses are allowed.
        resolve: finds the addresses of a host.
        inner: what sends a request to the address that stands in its URL.
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
                    "allow its network if pages are to be fetched from there"
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
    """The same request to a literal address; its certificate must still be the host's."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": host},
    )
