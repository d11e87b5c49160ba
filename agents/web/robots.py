"""What a site's robots.txt allows, remembered for an hour; the rules are those of RFC 9309."""

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
    """What one site asks of robots.

    Args:
        rules: its robots.txt; None if everything is forbidden, since it could not be had.
        trouble: why it could not be had.
    """

    rules: Protego | None
    trouble: str = ""

    @classmethod
    def read(cls, status: int, text: str) -> SiteRules:
        """Take the answer to a request for robots.txt: none there means all is allowed.

        Args:
            status: the answer's HTTP status.
            text: the answer.
        """
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's successes
            return cls(Protego.parse(text))
        if 400 <= status < 500:  # noqa: PLR2004 - HTTP's faults of the asker
            return cls(Protego.parse(""))
        return cls(None, f"the answer was {status}")

    def check(self, url: str, longest_pause_s: float) -> float:
        """See that a page may be fetched.

        Args:
            url: the page.
            longest_pause_s: the longest pause that is waited for, in seconds.

        Returns:
            The pause between requests that the site wants, in seconds; 0 if it names none.

        Raises:
            RobotsForbid: it may not.
        """
        if self.rules is None:
            raise RobotsForbid(
                f"{url} is left alone: its site's robots.txt, which might forbid it, "
                f"can't be had: {self.trouble}"
            )
        if not self.rules.can_fetch(url, ROBOT_NAME):
            raise RobotsForbid(f"the robots.txt of its site forbids {url} to {ROBOT_NAME!r}")
        pause_s = float(self.rules.crawl_delay(ROBOT_NAME) or 0.0)
        if pause_s > longest_pause_s:
            raise RobotsForbid(
                f"{url} is left alone: its site wants {pause_s:g} s between requests, "
                f"and {longest_pause_s:g} s is the longest pause that is waited for"
            )
        return pause_s


class RobotsCache:
    """The rules of the sites that were asked lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, SiteRules]] = OrderedDict()

    def recall(self, site: str) -> SiteRules | None:
        """The rules of a site, if they are known and not too old."""
        known = self._known.get(site)
        if known is None or asyncio.get_running_loop().time() - known[0] > CACHE_LIFETIME_S:
            return None
        return known[1]

    def keep(self, site: str, rules: SiteRules) -> None:
        """Remember the rules of a site, if it has told them; trouble may soon be over."""
        if rules.rules is None:
            return
        self._known[site] = (asyncio.get_running_loop().time(), rules)
        self._known.move_to_end(site)
        if len(self._known) > MAX_CACHED_SITES:
            self._known.popitem(last=False)
