"""Which peers have a working direct connection, and the loose messages to send over it."""

from __future__ import annotations

from collections import deque

from .datagram_queue import MAX_DATAGRAMS


class DirectPeers:
    """The peers whose direct connections are known to work.

    Attributes:
        working: those peers.
        waiting: loose messages for them, with their addresses; if too many wait, the oldest are
            dropped.
    """

    def __init__(self) -> None:
        self.working: set[str] = set()
        self.waiting: deque[tuple[str, bytes]] = deque(maxlen=MAX_DATAGRAMS)
        # The first message for a connection that does not work yet.
        self._first: dict[str, bytes] = {}

    def add(self, peer: str) -> None:
        """Record that a peer's connection works; its first message, if any, is queued now."""
        self.working.add(peer)
        if peer in self._first:
            self.waiting.append((peer, self._first.pop(peer)))

    def remove(self, peer: str) -> None:
        """Record that a peer's connection is not reliable."""
        self.working.discard(peer)

    def queue(self, peer: str, message: bytes, *, may_wait: bool) -> None:
        """Queue a loose message for a peer.

        Args:
            peer: its address.
            message: the encoded message.
            may_wait: keep it as the first message for the peer if no connection works yet.
        """
        if peer in self.working:
            self.waiting.append((peer, message))
        elif may_wait:
            self._first[peer] = message

    def forget(self, peer: str) -> None:
        """Drop the first message for a peer. Whether its connection works is kept."""
        self._first.pop(peer, None)
