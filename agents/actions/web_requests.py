"""How the actions ask the web: only at addresses that can be, with faults of few kinds."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from ...messages import InvalidInput, PageUnavailable
from ...messages.wording import show

REQUEST_FAULTS = (httpx.HTTPError, httpx.InvalidURL, PageUnavailable)
"""What `ask` and its response raise where no answer is to be had."""

_LAST_PORT = 65_535
_HOST = re.compile(rb"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[\w.-]+)?")
_RULE = "it must begin with http:// or https:// and a host"


def show_url(url: str) -> str:
    """An address without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition(':')[0]}://…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_url(url: object) -> None:
    """See that something is an address of the web.

    Raises:
        InvalidInput: it is none; the message shows neither user, password nor query.
    """
    if not isinstance(url, str):
        raise InvalidInput(f"url is {show(url)}; {_RULE}")
    try:
        fault = _fault_of(httpx.URL(url))
    except (httpx.InvalidURL, ValueError) as unreadable:
        fault = f"it can't be read: {unreadable}"
    if fault is not None:
        raise InvalidInput(f"url is {show(show_url(url))}: {fault}; {_RULE}")


def open_client(
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    timeout_s: float | None,
    headers: Mapping[str, str] | None = None,
) -> httpx.AsyncClient:
    """A client that follows redirects, each only to an address that `check_url` would take.

    Args:
        transport: sends the requests; None lets httpx send them anywhere.
        timeout_s: how long to wait for each step, in seconds; None waits for ever.
        headers: sent with each request.
    """
    return httpx.AsyncClient(
        transport=transport,
        follow_redirects=True,
        timeout=timeout_s,
        headers=headers,
        event_hooks={"request": [_check_request]},
    )


@asynccontextmanager
async def ask(
    client: httpx.AsyncClient,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> AsyncGenerator[httpx.Response]:
    """Ask for an address; the body of the response is not read yet.

    Args:
        client: from `open_client`.
        url: the address.
        headers: sent with this request alone.
        parameters: the query.

    Raises:
        httpx.HTTPError: there is no answer.
        httpx.InvalidURL: it redirects to what is no address of the web.
        PageUnavailable: its host can't be found or reached.
        AddressRefused: the transport does not go to that address.
    """
    try:
        request = client.build_request("GET", url, headers=headers, params=parameters)
        response = await client.send(request, stream=True)
    except ValueError as fault:
        # httpx lets those of host names that IDNA does not know escape.
        raise httpx.InvalidURL(f"its host can't be read: {fault}") from None
    try:
        yield response
    finally:
        await response.aclose()


async def _check_request(request: httpx.Request) -> None:
    if (fault := _fault_of(request.url)) is not None:
        raise httpx.InvalidURL(f"it leads to {show_url(str(request.url))}: {fault}")


def _fault_of(url: httpx.URL) -> str | None:
    if url.scheme not in {"http", "https"}:
        return f"its scheme is {url.scheme!r}"
    try:
        host = url.host
    except ValueError as fault:
        return f"its host can't be read: {fault}"
    if not host:
        return "it names no host"
    if not _HOST.fullmatch(url.raw_host):
        return f"its host is {url.raw_host.decode('ascii')!r}"
    if url.port is not None and not 1 <= url.port <= _LAST_PORT:
        return f"its port is {url.port}; ports go from 1 to {_LAST_PORT:,}"
    return None
