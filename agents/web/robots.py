"""Checks and caches the robots.txt of sites, by RFC 9309."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from protego import Protego

from ...messages import RobotsForbid

ROBOT_NAME = "ceylon-muster"
CACHE_LIFETIME_S = 3600.0
MAX_CACHED_SITES = 500
MAX_ROBOTS_BYTES = 500_000


@dataclass(frozen=True, slots=True)
class SiteRules:
    """The rules of one site for robots.

    Args:
        rules: its robots.txt; None if it can't be loaded, which forbids everything.
        error: why it can't be loaded.
    """

    rules: Protego | None
    error: str = ""

    @classmethod
    def read(cls, status: int, text: str) -> SiteRules:
        """Parse the response to a request for robots.txt; a missing file allows everything.

        Args:
            status: the HTTP status.
            text: the body.
        """
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's successes
            return cls(Protego.parse(text))
        if 400 <= status < 500:  # noqa: PLR2004 - HTTP's client errors
            return cls(Protego.parse(""))
        return cls(None, f"its status was {status}")

    def check(self, url: str, longest_pause_s: float) -> float:
        """Check that a page may be fetched.

        Args:
            url: the page.
            longest_pause_s: the longest crawl delay to accept, in seconds.

        Returns:
            The crawl delay of the site, in seconds; 0 if it sets none.

        Raises:
            RobotsForbid: the page may not be fetched.
        """
        if self.rules is None:
            raise RobotsForbid(
                f"{url} is not fetched, because its site's robots.txt can't be loaded: {self.error}"
            )
        if not self.rules.can_fetch(url, ROBOT_NAME):
            raise RobotsForbid(f"the robots.txt of its site forbids {url} to {ROBOT_NAME!r}")
        pause_s = float(self.rules.crawl_delay(ROBOT_NAME) or 0.0)
        if pause_s > longest_pause_s:
            raise RobotsForbid(
                f"{url} is not fetched, because its site requires {pause_s:g} s between requests; "
                f"the limit is {longest_pause_s:g} s"
            )
        return pause_s


class RobotsCache:
    """The rules of recently visited sites."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, SiteRules]] = OrderedDict()

    def get(self, site: str) -> SiteRules | None:
        """The rules of a site, if they are cached and not too old."""
        known = self._known.get(site)
        if known is None or asyncio.get_running_loop().time() - known[0] > CACHE_LIFETIME_S:
            return None
        return known[1]

    def put(self, site: str, rules: SiteRules) -> None:
        """Cache the rules of a site, unless they could not be loaded."""
        if rules.rules is None:
            return
        self._known[site] = (asyncio.get_running_loop().time(), rules)
        self._known.move_to_end(site)
        if len(self._known) > MAX_CACHED_SITES:
            self._known.popitem(last=False)
