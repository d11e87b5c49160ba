"""Whether a direct connection still works, and when another is worth asking for.

A connection counts as alive as of when this end sent the newest keepalive that the other end has
answered. What was merely held up on the way therefore never prolongs its life.
"""

from __future__ import annotations

from collections import deque

SILENT_HEARTBEATS = 3.0
"""After how many heartbeats without an answer a connection is given up."""

SLOW_ROUND_TRIP_S = 0.5
"""What a keepalive may take there and back; one frame by Ceylon takes a few milliseconds."""

SLOW_IN_A_ROW = 3
"""How many keepalives in a row must be slow until the connection is given up."""

STEADY_S = 60.0
"""How long a connection must have worked so that the next is asked for at once if it ends."""

FIRST_PAUSE_S = 0.05
FIRST_PAUSE_AFTER_LOSS_S = 2.0
LONGEST_PAUSE_S = 60.0
"""How long to wait before another connection is asked for: if none was to be had, at first; if one
ended before it was steady, at first; at most."""


class WireLife:
    """What keepalives tell of a connection, at the end that asked for it.

    Args:
        now: the time in seconds, at which the other end was heard.
    """

    def __init__(self, now: float) -> None:
        self._proved_at = now
        # Bounded: a connection without answers is given up after a few.
        self._sent: deque[tuple[int, float]] = deque()
        self._slow = 0

    def sent(self, number: int, now: float) -> None:
        """Take note that a keepalive left.

        Args:
            number: how many records this end had sent with it.
            now: the time in seconds.
        """
        self._sent.append((number, now))

    def answered(self, number: int, now: float) -> None:
        """Take note that the other end has had so many records of this end."""
        answered_at: float | None = None
        while self._sent and self._sent[0][0] <= number:
            answered_at = self._sent.popleft()[1]
        if answered_at is not None:
            self._proved_at = answered_at
            self._slow = self._slow + 1 if now - answered_at > SLOW_ROUND_TRIP_S else 0

    def fault(self, heartbeat_s: float, now: float) -> str | None:
        """Why the connection is to be given up; None as long as it is not.

        Args:
            heartbeat_s: how often a keepalive leaves, in seconds.
            now: the time in seconds.
        """
        silent_s = now - self._proved_at
        if silent_s > SILENT_HEARTBEATS * heartbeat_s:
            return f"its other end has answered nothing for {silent_s:.1f} s"
        if self._slow >= SLOW_IN_A_ROW:
            return f"{self._slow} answers in a row took longer than {SLOW_ROUND_TRIP_S:g} s"
        return None


class WirePause:
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
