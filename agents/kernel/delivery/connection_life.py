"""Decides whether a direct connection still works, and when to request another one.

A connection counts as alive at the time when this end sent the newest keepalive that was answered.
A delayed answer therefore never extends its life.
"""

from __future__ import annotations

from collections import deque

SILENT_HEARTBEATS = 3.0
"""After how many heartbeats without an answer a connection is closed."""

DOUBTFUL_AFTER_S = 0.03
"""After how long without an answer, in seconds, the link's round trip is measured for comparison.
"""

TIMES_SLOWER = 3.0
"""A connection is closed if it is this many times slower than the link."""

GIVEN_UP_AFTER_S = 0.5
"""How long a connection must have been that slow before it is closed, in seconds."""

SETTLED_FOR_S = 30.0
"""How long a connection is not compared again after it turned out not to be slower, in seconds."""

UNANSWERED_AFTER_S = 2.0
"""How long to try to measure a link that does not answer, in seconds."""

STEADY_S = 60.0
"""How long a connection must have worked so that the next one is requested at once, in seconds."""

FIRST_PAUSE_S = 0.05
FIRST_PAUSE_AFTER_LOSS_S = 2.0
LONGEST_PAUSE_S = 60.0
"""The delays before another connection is requested, in seconds: the first one after a refusal, the
first one after a connection that ended before it was steady, and the maximum."""


class ConnectionLife:
    """The state of a connection according to its keepalives, at the end that requested it.

    Args:
        now: the time in seconds, at which the other end answered.
    """

    def __init__(self, now: float) -> None:
        self._proved_at = now
        self._round_trip_s = 0.0
        self._doubtful_since: float | None = None
        # Until then, a delay of up to `_settled_delay_s` is accepted.
        self._settled_until = now
        self._settled_delay_s = 0.0
        # Bounded: a connection without answers is closed.
        self._sent: deque[tuple[int, float]] = deque()

    def sent(self, number: int, now: float) -> None:
        """Record that a keepalive was sent.

        Args:
            number: how many records this end had sent, including it.
            now: the time in seconds.
        """
        self._sent.append((number, now))

    def answered(self, number: int, now: float) -> None:
        """Record that the other end has received this many records."""
        while self._sent and self._sent[0][0] <= number:
            self._proved_at = self._sent.popleft()[1]
            self._round_trip_s = now - self._proved_at

    def is_doubtful(self, now: float) -> bool:
        """Whether answers are so slow that the link should be measured for comparison."""
        delay_s = self._delay_s(now)
        is_settled = now < self._settled_until and delay_s <= self._settled_delay_s
        if is_settled or delay_s <= DOUBTFUL_AFTER_S:
            self._doubtful_since = None
        elif self._doubtful_since is None:
            self._doubtful_since = now
        return self._doubtful_since is not None

    def fault(self, heartbeat_s: float, link_round_trip_s: float | None, now: float) -> str | None:
        """Why the connection should be closed; None if it should be kept.

        Args:
            heartbeat_s: how often a keepalive is sent, in seconds.
            link_round_trip_s: the link's last round trip in seconds; None if it is unknown.
            now: the time in seconds.
        """
        silent_s = now - self._proved_at
        if silent_s > SILENT_HEARTBEATS * heartbeat_s:
            return f"its other end has not answered for {silent_s:.1f} s"
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
                f"answers take {1000 * delay_s:.0f} ms; over the link they take "
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
    """The delay before a connection is requested again; it doubles with each failure."""

    def __init__(self) -> None:
        self._pause_s = FIRST_PAUSE_S

    def after_refusal(self) -> float:
        """The delay after a refusal, in seconds."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s

    def after_end(self, lasted_s: float) -> float:
        """The delay after a connection has ended, in seconds.

        Args:
            lasted_s: how long it lasted, in seconds.
        """
        if lasted_s >= STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        else:
            self._pause_s = max(self._pause_s, FIRST_PAUSE_AFTER_LOSS_S)
        return self.after_refusal()
