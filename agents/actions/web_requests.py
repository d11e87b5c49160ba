"""HTTP requests of the actions: checks URLs, also of redirects, and limits the kinds of errors."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from ...messages import InvalidInput, PageUnavailable
from ...messages.wording import show

REQUEST_FAULTS = (httpx.HTTPError, httpx.InvalidURL, PageUnavailable)
"""What `request` and its response raise on errors."""

_LAST_PORT = 65_535
_HOST = re.compile(rb"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[\w.-]+)?")
_RULE = "it must start with http:// or https:// and a host"


def show_url(url: str) -> str:
    """A URL without user, password and query, which may be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition(':')[0]}://…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_url(url: object) -> None:
    """Check that a value is an http or https URL.

    Raises:
        InvalidInput: it is not; the message contains neither user, password nor query.
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
    """Create a client that follows redirects, but only to URLs that `check_url` accepts.

    Args:
        transport: sends the requests; None allows every address.
        timeout_s: the timeout of each step, in seconds; None is no timeout.
        headers: headers of every request.
    """
    return httpx.AsyncClient(
        transport=transport,
        follow_redirects=True,
        timeout=timeout_s,
        headers=headers,
        event_hooks={"request": [_check_request]},
    )


@asynccontextmanager
async def request(
    client: httpx.AsyncClient,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> AsyncGenerator[httpx.Response]:
    """Send a GET request; the body of the response is not read yet.

    Args:
        client: a client from `open_client`.
        url: the URL.
        headers: headers of this request only.
        parameters: the query.

    Raises:
        httpx.HTTPError: there is no response.
        httpx.InvalidURL: a redirect is not an http or https URL.
        PageUnavailable: the host can't be resolved or reached.
        AddressRefused: the transport refuses the address.
    """
    try:
        built = client.build_request("GET", url, headers=headers, params=parameters)
        response = await client.send(built, stream=True)
    except ValueError as fault:
        # httpx raises a plain ValueError for host names that are invalid in IDNA.
        raise httpx.InvalidURL(f"its host can't be read: {fault}") from None
    try:
        yield response
    finally:
        await response.aclose()


async def _check_request(request: httpx.Request) -> None:
    if (fault := _fault_of(request.url)) is not None:
        raise httpx.InvalidURL(f"it redirects to {show_url(str(request.url))}: {fault}")


def _fault_of(url: httpx.URL) -> str | None:
    if url.scheme not in {"http", "https"}:
        return f"its scheme is {url.scheme!r}"
    try:
        host = url.host
    except ValueError as fault:
        return f"its host can't be read: {fault}"
    if not host:
        return "it has no host"
    if not _HOST.fullmatch(url.raw_host):
        return f"its host is {url.raw_host.decode('ascii')!r}"
    if url.port is not None and not 1 <= url.port <= _LAST_PORT:
        return f"its port is {url.port}; it must be 1 to {_LAST_PORT:,}"
    return None
