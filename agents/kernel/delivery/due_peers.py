"""Which conversations of a member have something due, and when the next one will."""

from __future__ import annotations

import math
from collections.abc import Mapping
from heapq import heappop, heappush, heapreplace

from .stream import Stream

_AT_ONCE = -math.inf


class DuePeers:
    """The peers whose streams have something due, or will have.

    Args:
        streams: the streams by peer, which their owner changes.

    Attributes:
        peers: the peers with something due, as an ordered set: one that was served moves to the
            end.
        owing: the peers that an acknowledgement is owed to, as an ordered set.
    """

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        self._streams = streams
        self.peers: dict[str, None] = {}
        self.owing: dict[str, None] = {}
        # No entry is later than its stream's `due_at`. When an entry comes up, it is corrected if
        # it is too early, and dropped if it is outdated: there are a few for each peer.
        self._timers: list[tuple[float, str]] = []
        self._timer_of: dict[str, float] = {}

    def reconsider(self, peer: str, stream: Stream) -> None:
        """Note when a peer's stream has something due, after the stream has changed."""
        if stream.ack_due_at is not None:
            self.owing[peer] = None
        else:
            self.owing.pop(peer, None)
        alarm = stream.due_at
        if alarm is None:
            return
        if alarm == _AT_ONCE:
            self.peers.setdefault(peer)
        elif alarm < self._timer_of.get(peer, math.inf):
            heappush(self._timers, (alarm, peer))
            self._timer_of[peer] = alarm

    def served(self, peer: str, stream: Stream, now: float) -> bool:
        """Note that a due peer was served; return whether it has more, and so stays due."""
        del self.peers[peer]
        has_more = stream.due_at is not None and stream.due_at <= now
        if has_more:
            self.peers[peer] = None
        self.reconsider(peer, stream)
        return has_more

    def forget(self, peer: str) -> None:
        """Forget a peer whose stream was closed."""
        self.peers.pop(peer, None)
        self.owing.pop(peer, None)

    def wake(self, now: float) -> None:
        """Find the peers that have something due by `now`, in seconds."""
        while self._timers and self._timers[0][0] <= now:
            alarm, peer = heappop(self._timers)
            if self._timer_of.get(peer) != alarm:
                continue
            del self._timer_of[peer]
            stream = self._streams.get(peer)
            if stream is None:
                continue
            if stream.due_at is not None and stream.due_at <= now:
                self.peers.setdefault(peer)
            else:
                self.reconsider(peer, stream)

    def next_timer(self) -> float | None:
        """When something will be due next that is not due yet, in seconds; None if nothing will."""
        while self._timers:
            alarm, peer = self._timers[0]
            stream = self._streams.get(peer)
            due_at = stream.due_at if stream is not None else None
            if self._timer_of.get(peer) != alarm:
                heappop(self._timers)
            elif due_at is None:
                heappop(self._timers)
                del self._timer_of[peer]
            elif due_at > alarm:
                heapreplace(self._timers, (due_at, peer))
                self._timer_of[peer] = due_at
            else:
                return alarm
        return None
