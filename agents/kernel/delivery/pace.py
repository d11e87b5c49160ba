"""How fast frames may follow each other.

A link may take whatever it is given and say nothing, as Ceylon does: what the network can't carry
then waits in its queues, older and older, and heartbeats with it. That acknowledgements take long
is the only sign.
"""

from __future__ import annotations

USUAL_ROUND_TRIP_S = 0.1
"""A network that answers within this needs no rest."""

LONGEST_REST_S = 0.5

_DECAY = 8


class Pace:
    """Learns from round trips how long to rest after a frame.

    Whatever becomes due meanwhile shares the next frame, and acknowledgements ride on answers: a
    slow network has less to carry.
    """

    def __init__(self) -> None:
        self._slowest_s = 0.0

    def learn(self, round_trip_s: float) -> float:
        """Take in how long some peer's acknowledgements take now.

        A slow peer counts at once, and is forgotten as others turn out to be faster.

        Args:
            round_trip_s: the peer's round trip in seconds.

        Returns:
            How long to wait after a frame before the next, in seconds.
        """
        self._slowest_s -= (self._slowest_s - round_trip_s) / _DECAY
        self._slowest_s = max(self._slowest_s, round_trip_s)
        return min(max((self._slowest_s - USUAL_ROUND_TRIP_S) / 2, 0.0), LONGEST_REST_S)
