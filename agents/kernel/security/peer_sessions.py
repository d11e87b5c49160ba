"""The known clients of a manager session: their keys, and replay windows for their frames."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

from ....messages import DecodeError, Flaw
from .sealed_frame import FrameKey, Header, KeyRing, Speaker

MAX_SENDERS = 16_384
"""How many clients' passes are remembered; about 1 kB each."""


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


class _Sender(NamedTuple):
    key: FrameKey
    window: ReplayWindow


class PeerSessions:
    """Opens the frames of clients that are bound to one manager session, each frame once.

    Only a frame that can be decrypted creates an entry. If there are too many, the one with the
    lowest pass is dropped. That pass and all below it then count as stale, so that dropping the
    entry does not allow replays. A client that is still there then gets a new pass.
    """

    def __init__(self, keys: KeyRing, limit: int = MAX_SENDERS) -> None:
        self._keys = keys
        self._limit = limit
        self._senders: dict[tuple[int, Speaker], _Sender] = {}
        self._oldest_first: list[tuple[int, Speaker]] = []
        self._stale_pass = 0

    def is_stale(self, header: Header) -> bool:
        """Whether the pass of a frame is too old to detect replays."""
        return header.pass_number <= self._stale_pass

    def open(self, header: Header, data: bytes) -> bytes:
        """Decrypt a client's frame whose pass is not stale.

        Raises:
            DecodeError: it can't be decrypted, or has already arrived.
        """
        name = (header.pass_number, header.speaker)
        sender = self._senders.get(name)
        if sender is None:
            sender = _Sender(self._keys.key_for(header), ReplayWindow())
        content = sender.key.open(header, data)
        if not sender.window.accept(header.counter):
            raise DecodeError(Flaw.REPLAYED, "a client's frame that has already arrived")
        if name not in self._senders:
            self._remember(name, sender)
        return content

    def _remember(self, name: tuple[int, Speaker], sender: _Sender) -> None:
        self._senders[name] = sender
        heappush(self._oldest_first, name)
        while len(self._senders) > self._limit:
            oldest = heappop(self._oldest_first)
            del self._senders[oldest]
            self._stale_pass = max(self._stale_pass, oldest[0])
