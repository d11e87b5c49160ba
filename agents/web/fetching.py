"""Fetches pages politely and safely: checks addresses and robots.txt, limits size and rate."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import version
from typing import Any, TypeVar

import httpx

from ...messages import InvalidInput, PageUnavailable, WebError
from ..runtime.timeouts import within
from .addresses import AddressRules
from .guarded_transport import DEFAULT_PORTS, GuardedTransport
from .host_rate_limiter import HostRateLimiter, HostSlot
from .limits import FetchLimits
from .response_body import ACCEPTED_ENCODINGS, decode_page, read_bounded
from .robots import MAX_ROBOTS_BYTES, ROBOT_NAME, RobotsCache, SiteRules

MAX_URL_CHARACTERS = 8_000
LAST_PORT = 65_535
READABLE_TYPES = ("text/html", "application/xhtml+xml", "text/plain")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A fetched page.

    Args:
        url: its URL after all redirects.
        media_type: its media type, such as "text/html".
        language: the header Content-Language, or "".
        text: the decoded page.
        is_cut: whether the text is only the beginning of the page.
    """

    url: str
    media_type: str
    language: str
    text: str
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: httpx.Headers
    body: bytes


class Fetcher:
    """Fetches pages; those of one host one after another.

    A fetcher belongs to one event loop. Share one among all scrapers of a process, so that the
    limits for each host apply to all of them.

    Args:
        limits: the limits of one fetch.
        allow: networks to allow although they are not public; see `AddressRules`.
        transport: sends the requests; by default it connects only to checked addresses.
    """

    def __init__(
        self,
        limits: FetchLimits | None = None,
        allow: Iterable[str] = (),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.limits = limits or FetchLimits()
        self._transport = transport or GuardedTransport(AddressRules(allow))
        self._hosts = HostRateLimiter(self.limits.pause_s)
        self._robots = RobotsCache()

    async def fetch(self, url: str) -> FetchedPage:
        """Fetch a page.

        Args:
            url: an http or https URL.

        Raises:
            InvalidInput: it is not such a URL.
            AddressRefused: its address, or that of a redirect, is not allowed.
            RobotsForbid: the robots.txt of its site forbids it.
            PageUnavailable: it can't be fetched within the limits.
        """
        where = read_url(url)
        budget = _Budget(self.limits.timeout_s, url)
        for _ in range(self.limits.max_redirects + 1):
            async with self._hosts.acquire(where.host) as host:
                await self._check_robots(where, host, budget)
                await host.pause()
                try:
                    response = await budget.spend(self._request(where, self.limits.max_bytes))
                finally:
                    host.request_ended()
            if (target := _redirect_of(response)) is None:
                return _page_of(where, response)
            where = _follow(where, target)
        raise PageUnavailable(f"{url} redirects more than {self.limits.max_redirects} times")

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def _check_robots(self, where: httpx.URL, host: HostSlot, budget: _Budget) -> None:
        site = f"{where.scheme}://{where.netloc.decode('ascii')}"
        rules = self._robots.get(site)
        if rules is None:
            await host.pause()
            rules = await self._fetch_robots(httpx.URL(f"{site}/robots.txt"), budget)
            self._robots.put(site, rules)
        pause_s = rules.check(str(where), self.limits.longest_pause_s)
        host.pause_s = max(self.limits.pause_s, pause_s)

    async def _fetch_robots(self, where: httpx.URL, budget: _Budget) -> SiteRules:
        for _ in range(self.limits.max_redirects + 1):
            try:
                response = await budget.spend(self._request(where, MAX_ROBOTS_BYTES))
            except WebError as fault:
                return SiteRules(None, str(fault))
            if (target := _redirect_of(response)) is None:
                return SiteRules.read(response.status, decode_page(response.body, "utf-8"))
            where = _follow(where, target)
        return SiteRules.read(404, "")

    async def _request(self, where: httpx.URL, max_bytes: int) -> _Response:
        timeout = httpx.Timeout(self.limits.timeout_s).as_dict()
        headers = {
            "User-Agent": f"{ROBOT_NAME}/{version('ceylon-muster')}",
            "Accept": ", ".join(READABLE_TYPES),
            "Accept-Encoding": ACCEPTED_ENCODINGS,
            "Connection": "close",
        }
        request = httpx.Request("GET", where, headers=headers, extensions={"timeout": timeout})
        try:
            response = await self._transport.handle_async_request(request)
            try:
                encoding = response.headers.get("Content-Encoding", "")
                is_wanted = not response.is_redirect
                body = (
                    await read_bounded(response.aiter_raw(), encoding, max_bytes, str(where))
                    if is_wanted
                    else b""
                )
            finally:
                await response.aclose()
        except httpx.HTTPError as fault:
            what = str(fault) or type(fault).__name__
            raise PageUnavailable(f"{where} can't be fetched: {what}") from None
        return _Response(response.status_code, response.headers, body)


def read_url(url: str) -> httpx.URL:
    """Parse a URL and check that it can be fetched.

    Raises:
        InvalidInput: it can't be.
    """
    shown = repr(url if len(url) <= 200 else f"{url[:200]}…")  # noqa: PLR2004 - enough to see
    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidInput(f"the URL {shown} has more than {MAX_URL_CHARACTERS:,} characters")
    try:
        read = httpx.URL(url.strip())
    except httpx.InvalidURL as fault:
        raise InvalidInput(f"{shown} is not a URL: {fault}") from None
    if read.scheme not in {"http", "https"}:
        raise InvalidInput(f"{shown} can't be fetched: a URL must start with http:// or https://")
    if not 0 < (read.port or DEFAULT_PORTS[read.scheme]) <= LAST_PORT:
        raise InvalidInput(f"{shown} has the port {read.port}; it must be 1 to {LAST_PORT:,}")
    if not read.host:
        raise InvalidInput(f"{shown} has no host")
    if read.userinfo:
        # The message does not contain the URL, which would put the password into logs.
        raise InvalidInput(f"the URL at {read.host!r} contains a user or password; remove it")
    return read.copy_with(fragment=None)


class _Budget:
    """The time limit that all requests of one fetch share."""

    def __init__(self, timeout_s: float, url: str) -> None:
        self._timeout_s = timeout_s
        self._left_s = timeout_s
        self._url = url

    async def spend(self, request: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            return await within(self._left_s, request)
        except asyncio.TimeoutError:
            raise PageUnavailable(
                f"{self._url} took more than {self._timeout_s:g} s, the limit for a page"
            ) from None
        finally:
            self._left_s -= loop.time() - began_s


def _redirect_of(response: _Response) -> str | None:
    return response.headers.get("Location") if 300 <= response.status < 400 else None  # noqa: PLR2004


def _follow(where: httpx.URL, target: str) -> httpx.URL:
    try:
        return read_url(str(where.join(target)))
    except (httpx.InvalidURL, InvalidInput) as fault:
        raise PageUnavailable(f"{where} has an invalid redirect: {fault}") from None


def _page_of(where: httpx.URL, response: _Response) -> FetchedPage:
    if not 200 <= response.status < 300:  # noqa: PLR2004 - HTTP's successes
        raise PageUnavailable(f"{where} answered {response.status} {_phrase(response)}".rstrip())
    content = Message()
    content["Content-Type"] = response.headers.get("Content-Type", "text/html")
    media_type = content.get_content_type()
    if media_type not in READABLE_TYPES:
        raise PageUnavailable(
            f"{where} has the type {media_type}; only these are supported: "
            f"{', '.join(READABLE_TYPES)}"
        )
    charset = content.get_content_charset()
    return FetchedPage(
        url=str(where),
        media_type=media_type,
        language=response.headers.get("Content-Language", ""),
        text=decode_page(response.body, charset),
    )


def _phrase(response: _Response) -> str:
    phrase = httpx.codes.get_reason_phrase(response.status)
    wait = response.headers.get("Retry-After")
    return f"{phrase}; Retry-After: {wait}" if wait else phrase
