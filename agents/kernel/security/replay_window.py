"""A sliding window of the frame numbers that were received in a session, against replays."""

from __future__ import annotations

WINDOW_COUNTERS = 4096
"""How far a frame may lag behind the newest of its session before it counts as too old."""

_ALL_SEEN = (1 << WINDOW_COUNTERS) - 1


class ReplayWindow:
    """Accepts each number once, in any order within the window.

    Args:
        floor: this number and all below it count as seen.
    """

    __slots__ = ("_highest", "_seen")

    def __init__(self, floor: int = 0) -> None:
        self._highest = floor
        # Bit n stands for the number that is n below the highest.
        self._seen = _ALL_SEEN

    def accept(self, number: int) -> bool:
        """Record a number; return False if it was seen before, or is too old to tell."""
        ahead = number - self._highest
        if ahead > 0:
            kept = self._seen << ahead if ahead < WINDOW_COUNTERS else 0
            self._seen = (kept | 1) & _ALL_SEEN
            self._highest = number
            return True
        bit = 1 << -ahead if -ahead < WINDOW_COUNTERS else 0
        if not bit or self._seen & bit:
            return False
        self._seen |= bit
        return True
