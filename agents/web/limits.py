"""What one fetch may take: bytes, redirects, seconds, and the pause that a host is given."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...messages import InvalidInput

MAX_TEXT_CHARACTERS = 200_000
"""How much text of a page is kept, and how much is summarized: what a result may weigh."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What one fetch may take.

    Args:
        max_bytes: of a page, as it comes and when it is unpacked.
        max_redirects: how often it may be sent elsewhere.
        timeout_s: seconds for all requests of one fetch together, besides waiting for its turn.
        pause_s: seconds between the end of one request to a host and the next.
        longest_pause_s: seconds above which a pause that robots.txt wants is not waited for, so
            that its pages count as forbidden.

    Raises:
        InvalidInput: one of them is below 0, or leaves no room for a page.
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
