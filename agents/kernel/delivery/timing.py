"""How long to wait for an acknowledgement (RFC 6298, Karn's rule), and between two frames."""

from __future__ import annotations

_MAX_KEPT_BACK_OFF = 4

USUAL_ROUND_TRIP_S = 0.1
"""A network that answers within this time needs no delay between frames, in seconds."""

MAX_PACING_DELAY_S = 0.5
"""The longest delay between frames, in seconds."""

_PACING_DECAY = 8


class Pacing:
    """Learns from round trips how long to wait between two frames.

    A link may accept everything and report nothing, as Ceylon does. What the network can't carry
    then waits in the link's queues, and heartbeats wait with it. Slow acknowledgements are the only
    sign. What becomes due during the delay shares the next frame, so that a slow network has less
    to carry.

    Attributes:
        delay_s: how long to wait after a frame before the next one, in seconds.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self._slowest_s = 0.0

    def learn(self, round_trip_s: float) -> None:
        """Learn from the current round trip of one peer, in seconds.

        A slow peer counts at once. Round trips of faster peers then reduce the delay step by step.
        """
        self._slowest_s -= (self._slowest_s - round_trip_s) / _PACING_DECAY
        self._slowest_s = max(self._slowest_s, round_trip_s)
        self.delay_s = min(max((self._slowest_s - USUAL_ROUND_TRIP_S) / 2, 0.0), MAX_PACING_DELAY_S)


class RetryTimer:
    """Learns how long an acknowledgement takes.

    Attributes:
        round_trip_s: the smoothed round trip in seconds; None before one was measured.
        retry_after_s: how long to wait for an acknowledgement, in seconds.

    Args:
        first_s: the wait before anything was measured, in seconds.
        shortest_s: the minimum wait, in seconds.
        longest_s: the maximum wait, in seconds.
        pacing: learns from each round trip as well.
    """

    def __init__(
        self, first_s: float, shortest_s: float, longest_s: float, pacing: Pacing | None = None
    ) -> None:
        self._pacing = pacing
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self.round_trip_s: float | None = None
        self._variation_s = 0.0
        self._measured_retry_after_s = first_s
        self.retry_after_s = first_s

    def measure(self, round_trip_s: float) -> None:
        """Learn from a certain round trip: one of messages that were sent only once."""
        if self.round_trip_s is None:
            self.round_trip_s, self._variation_s = round_trip_s, round_trip_s / 2
        else:
            deviation_s = abs(self.round_trip_s - round_trip_s)
            self._variation_s += (deviation_s - self._variation_s) / 4
            self.round_trip_s += (round_trip_s - self.round_trip_s) / 8
        self._measured_retry_after_s = self.retry_after_s = min(
            max(self.round_trip_s + 4 * self._variation_s, self._shortest_s),
            self._longest_s,
        )
        if self._pacing is not None:
            self._pacing.learn(self.round_trip_s)

    def back_off(self, retry_after_s: float) -> float:
        """The wait after one that was too short."""
        return min(2 * retry_after_s, self._longest_s)

    def keep(self, retry_after_s: float, round_trip_at_least_s: float) -> None:
        """Keep a wait that was long enough until a round trip can be measured.

        Args:
            retry_after_s: the wait of a run that was resent and has now been acknowledged.
            round_trip_at_least_s: how long ago it was last sent. Whichever copy was acknowledged,
                the round trip was no shorter.
        """
        # If the first wait is too short for the network, every run is resent before it is
        # acknowledged. Without learning from those, the wait would stay too short forever.
        if round_trip_at_least_s > (self.round_trip_s or self._measured_retry_after_s):
            kept_s = self.retry_after_s
            self.measure(round_trip_at_least_s)
            self.retry_after_s = max(self.retry_after_s, kept_s)
        # With many losses there may be nothing to measure for a long time. Without a bound, waits
        # would then grow from run to run although the other end is as fast as before.
        bound_s = min(_MAX_KEPT_BACK_OFF * self._measured_retry_after_s, self._longest_s)
        self.retry_after_s = max(self.retry_after_s, min(retry_after_s, bound_s))
