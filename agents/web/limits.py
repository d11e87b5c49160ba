"""The limits of one fetch: size, redirects, time, and the pause between requests to a host."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...messages import InvalidInput

MAX_TEXT_CHARACTERS = 200_000
"""The maximum length of a page's text in a result, and of a text to summarize."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The limits of one fetch.

    Args:
        max_bytes: the maximum size of a page, both as transferred and after decompression.
        max_redirects: the maximum number of redirects.
        timeout_s: seconds for all requests of one fetch together, without the wait for the host.
        pause_s: seconds between the end of one request to a host and the next.
        longest_pause_s: the longest crawl delay of a robots.txt to accept, in seconds; the pages
            of a site with a longer one count as forbidden.

    Raises:
        InvalidInput: a limit is negative, or `max_bytes` or `timeout_s` is 0.
    """

    max_bytes: int = 5_000_000
    max_redirects: int = 5
    timeout_s: float = 30.0
    pause_s: float = 1.0
    longest_pause_s: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least_is_excluded = field.name in {"max_bytes", "timeout_s"}
            if not (value > 0 or (value == 0 and not least_is_excluded)):
                least = "above 0" if least_is_excluded else "0 or more"
                raise InvalidInput(f"{field.name} is {value!r}; it must be {least}")
