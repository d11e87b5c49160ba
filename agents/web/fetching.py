"""Fetches pages as a guest would: only from where it may, as much as it can take, one at a time."""

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
from .charset import decode_page
from .guarded_transport import DEFAULT_PORTS, GuardedTransport
from .host_turns import HostTurns, Turn
from .limits import FetchLimits
from .response_body import ACCEPTED_ENCODINGS, read_bounded
from .robots import LARGEST_ROBOTS_BYTES, ROBOT_NAME, RobotsMemory, SiteRules

MAX_URL_CHARACTERS = 8_000
LAST_PORT = 65_535
READABLE_TYPES = ("text/html", "application/xhtml+xml", "text/plain")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A page as it came.

    Args:
        url: where it was found after all redirects.
        media_type: such as "text/html".
        language: what the server says of its language; "" if nothing.
        text: the page, decoded.
        is_cut: whether that is only its beginning.
    """

    url: str
    media_type: str
    language: str
    text: str
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes


class Fetcher:
    """Fetches pages; those of one host one after another, however many ask for them.

    A fetcher belongs to one event loop. Give one to all that scrape in a process, so that they
    share its turns.

    Args:
        limits: what one fetch may take.
        allow: networks that may be fetched from although they are not public; see `AddressRules`.
        transport: sends the requests; by default one that connects to checked addresses alone.
    """

    def __init__(
        self,
        limits: FetchLimits | None = None,
        allow: Iterable[str] = (),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.limits = limits or FetchLimits()
        self._transport = transport or GuardedTransport(AddressRules(allow))
        self._turns = HostTurns(self.limits.pause_s)
        self._robots = RobotsMemory()

    async def fetch(self, url: str) -> FetchedPage:
        """Fetch a page.

        Args:
            url: an http or https address.

        Raises:
            InvalidInput: it is not such an address.
            AddressRefused: it, or where it redirects to, is at an address that is not allowed.
            RobotsForbid: its site asks robots to stay away.
            PageUnavailable: it can't be had, or not within the limits.
        """
        where = read_url(url)
        budget = _Budget(self.limits.timeout_s, url)
        for _ in range(self.limits.max_redirects + 1):
            async with self._turns.take(where.host) as turn:
                await self._heed_robots(where, turn, budget)
                await turn.pause()
                try:
                    answer = await budget.spend(self._ask(where, self.limits.max_bytes))
                finally:
                    turn.requested()
            if (target := _redirect_of(answer)) is None:
                return _page_of(where, answer)
            where = _follow(where, target)
        raise PageUnavailable(f"{url} redirects more than {self.limits.max_redirects} times")

    async def aclose(self) -> None:
        """Let go of what it holds."""
        await self._transport.aclose()

    async def _heed_robots(self, where: httpx.URL, turn: Turn, budget: _Budget) -> None:
        site = f"{where.scheme}://{where.netloc.decode('ascii')}"
        rules = self._robots.recall(site)
        if rules is None:
            await turn.pause()
            rules = await self._ask_for_robots(httpx.URL(f"{site}/robots.txt"), budget)
            self._robots.keep(site, rules)
        pause_s = rules.check(str(where), self.limits.longest_pause_s)
        turn.pause_s = max(self.limits.pause_s, pause_s)

    async def _ask_for_robots(self, where: httpx.URL, budget: _Budget) -> SiteRules:
        for _ in range(self.limits.max_redirects + 1):
            try:
                answer = await budget.spend(self._ask(where, LARGEST_ROBOTS_BYTES))
            except WebError as fault:
                return SiteRules(None, str(fault))
            if (target := _redirect_of(answer)) is None:
                return SiteRules.read(answer.status, decode_page(answer.body, "utf-8"))
            where = _follow(where, target)
        return SiteRules.read(404, "")

    async def _ask(self, where: httpx.URL, max_bytes: int) -> _Answer:
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
            raise PageUnavailable(f"{where} can't be had: {what}") from None
        return _Answer(response.status_code, response.headers, body)


def read_url(url: str) -> httpx.URL:
    """Take an address that may be fetched.

    Raises:
        InvalidInput: it is not one.
    """
    shown = repr(url if len(url) <= 200 else f"{url[:200]}…")  # noqa: PLR2004 - enough to see
    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidInput(f"the address {shown} has more than {MAX_URL_CHARACTERS:,} characters")
    try:
        read = httpx.URL(url.strip())
    except httpx.InvalidURL as fault:
        raise InvalidInput(f"{shown} is not an address: {fault}") from None
    if read.scheme not in {"http", "https"}:
        raise InvalidInput(
            f"{shown} can't be fetched: an address must begin with http:// or https://"
        )
    if not 0 < (read.port or DEFAULT_PORTS[read.scheme]) <= LAST_PORT:
        raise InvalidInput(f"{shown} names the port {read.port}; ports go from 1 to {LAST_PORT:,}")
    if not read.host:
        raise InvalidInput(f"{shown} names no host")
    if read.userinfo:
        # Not shown: it would be a password in somebody's log.
        raise InvalidInput(f"the address at {read.host!r} holds a user or a password; leave it out")
    return read.copy_with(fragment=None)


class _Budget:
    """The seconds that the requests of one fetch have together."""

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
                f"{self._url} took more than the {self._timeout_s:g} s that a page may take"
            ) from None
        finally:
            self._left_s -= loop.time() - began_s


def _redirect_of(answer: _Answer) -> str | None:
    return answer.headers.get("Location") if 300 <= answer.status < 400 else None  # noqa: PLR2004


def _follow(where: httpx.URL, target: str) -> httpx.URL:
    try:
        return read_url(str(where.join(target)))
    except (httpx.InvalidURL, InvalidInput) as fault:
        raise PageUnavailable(f"{where} redirects to where nothing can be had: {fault}") from None


def _page_of(where: httpx.URL, answer: _Answer) -> FetchedPage:
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's successes
        raise PageUnavailable(f"{where} answered {answer.status} {_phrase(answer)}".rstrip())
    content = Message()
    content["Content-Type"] = answer.headers.get("Content-Type", "text/html")
    media_type = content.get_content_type()
    if media_type not in READABLE_TYPES:
        raise PageUnavailable(
            f"{where} is {media_type}, not a page that can be read: {', '.join(READABLE_TYPES)}"
        )
    charset = content.get_content_charset()
    return FetchedPage(
        url=str(where),
        media_type=media_type,
        language=answer.headers.get("Content-Language", ""),
        text=decode_page(answer.body, charset),
    )


def _phrase(answer: _Answer) -> str:
    phrase = httpx.codes.get_reason_phrase(answer.status)
    wait = answer.headers.get("Retry-After")
    return f"{phrase}; it asks to come back after {wait}" if wait else phrase
