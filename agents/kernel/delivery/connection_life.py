"""Whether a direct connection still works, and when another is worth asking for.

A connection counts as alive as of when this end sent the newest keepalive that the other end has
answered. What was merely held up on the way therefore never prolongs its life.
"""

from __future__ import annotations

from collections import deque

SILENT_HEARTBEATS = 3.0
"""After how many heartbeats without an answer a connection is given up."""

DOUBTFUL_AFTER_S = 0.03
"""How long an answer may take before it is looked whether the link is faster, in seconds."""

TIMES_SLOWER = 3.0
"""How many times as slow as the link a connection must be to be given up."""

GIVEN_UP_AFTER_S = 0.5
"""For how long it must have been so slow, in seconds."""

SETTLED_FOR_S = 30.0
"""For how long a connection is not doubted again that turned out not to be slower than the link."""

UNANSWERED_AFTER_S = 2.0
"""For how long the link is looked at, in seconds, if it answers nothing."""

STEADY_S = 60.0
"""How long a connection must have worked so that the next is asked for at once if it ends."""

FIRST_PAUSE_S = 0.05
FIRST_PAUSE_AFTER_LOSS_S = 2.0
LONGEST_PAUSE_S = 60.0
"""How long to wait before another connection is asked for: if none was to be had, at first; if one
ended before it was steady, at first; at most."""


class ConnectionLife:
    """What keepalives tell of a connection, at the end that asked for it.

    Args:
        now: the time in seconds, at which the other end was heard.
    """

    def __init__(self, now: float) -> None:
        self._proved_at = now
        self._round_trip_s = 0.0
        self._doubtful_since: float | None = None
        # Until then, so long a delay is no reason for doubt.
        self._settled_until = now
        self._settled_delay_s = 0.0
        # Bounded: a connection without answers is given up after a while.
        self._sent: deque[tuple[int, float]] = deque()

    def sent(self, number: int, now: float) -> None:
        """Take note that a keepalive left.

        Args:
            number: how many records this end had sent with it.
            now: the time in seconds.
        """
        self._sent.append((number, now))

    def answered(self, number: int, now: float) -> None:
        """Take note that the other end has had so many records of this end."""
        while self._sent and self._sent[0][0] <= number:
            self._proved_at = self._sent.popleft()[1]
            self._round_trip_s = now - self._proved_at

    def is_doubtful(self, now: float) -> bool:
        """Whether answers take so long that it is worth a look how fast the link is."""
        delay_s = self._delay_s(now)
        is_settled = now < self._settled_until and delay_s <= self._settled_delay_s
        if is_settled or delay_s <= DOUBTFUL_AFTER_S:
            self._doubtful_since = None
        elif self._doubtful_since is None:
            self._doubtful_since = now
        return self._doubtful_since is not None

    def fault(self, heartbeat_s: float, link_round_trip_s: float | None, now: float) -> str | None:
        """Why the connection is to be given up; None as long as it is not.

        Args:
            heartbeat_s: how often a keepalive leaves, in seconds.
            link_round_trip_s: how long an answer by the link has just taken, in seconds; None if
                that is not known.
            now: the time in seconds.
        """
        silent_s = now - self._proved_at
        if silent_s > SILENT_HEARTBEATS * heartbeat_s:
            return f"its other end has answered nothing for {silent_s:.1f} s"
        if not self.is_doubtful(now):
            return None
        assert self._doubtful_since is not None
        doubted_s, delay_s = now - self._doubtful_since, self._delay_s(now)
        if link_round_trip_s is None:
            if doubted_s >= UNANSWERED_AFTER_S:
                self._settle(2 * delay_s, now)
        elif delay_s <= TIMES_SLOWER * link_round_trip_s:
            self._settle(TIMES_SLOWER * link_round_trip_s, now)
        elif doubted_s >= GIVEN_UP_AFTER_S:
            return (
                f"answers take {1000 * delay_s:.0f} ms, and by Ceylon "
                f"{1000 * link_round_trip_s:.0f} ms"
            )
        return None

    def _settle(self, delay_s: float, now: float) -> None:
        self._settled_delay_s = delay_s
        self._settled_until = now + SETTLED_FOR_S
        self._doubtful_since = None

    def _delay_s(self, now: float) -> float:
        waiting_s = now - self._sent[0][1] if self._sent else 0.0
        return max(self._round_trip_s, waiting_s)


class ConnectionPause:
    """How long to wait before a connection is asked for again; it doubles with each failure."""

    def __init__(self) -> None:
        self._pause_s = FIRST_PAUSE_S

    def after_refusal(self) -> float:
        """How long to wait if none was to be had, in seconds."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s

    def after_end(self, lasted_s: float) -> float:
        """How long to wait after one has ended.

        Args:
            lasted_s: how long there was one, in seconds.
        """
        if lasted_s >= STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        else:
            self._pause_s = max(self._pause_s, FIRST_PAUSE_AFTER_LOSS_S)
        return self.after_refusal()
