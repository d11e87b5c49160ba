"""A queue for loose messages: messages that may get lost, such as heartbeats."""

from __future__ import annotations

from collections import deque

from ....messages import MAX_MESSAGE_BYTES
from ....messages.frame import Datagram, Section, encode_letter
from .stream import MESSAGE_OVERHEAD_BYTES, message_too_long
from .stream_limits import DeliveryCounters

MAX_DATAGRAMS = 10_000
MAX_DATAGRAM_BYTES = 64 * 1024 * 1024
"""How many loose messages, and how many bytes of them, may wait; the oldest are dropped."""

SECTION_OVERHEAD_BYTES = 12
_DATAGRAM_OVERHEAD_BYTES = 8


class DatagramQueue:
    """A bounded queue of loose messages for any address.

    Args:
        counters: counts dropped messages.

    Attributes:
        waiting: the messages and their addresses. Only this class changes it.
    """

    def __init__(self, counters: DeliveryCounters) -> None:
        self.waiting: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._counters = counters

    def add(self, to: str, message: bytes) -> None:
        """Queue a message. If too many messages or bytes wait, the oldest are dropped.

        Raises:
            EncodeError: the message is over `MAX_MESSAGE_BYTES`.
        """
        if len(message) > MAX_MESSAGE_BYTES:
            raise message_too_long(len(message))
        self.waiting.append((to, message))
        self._bytes += len(message)
        while len(self.waiting) > MAX_DATAGRAMS or self._bytes > MAX_DATAGRAM_BYTES:
            self._bytes -= len(self.waiting.popleft()[1])
            self._counters.datagrams_dropped += 1

    def take(self, room_bytes: int, *, for_one_address: bool = False) -> tuple[list[Section], int]:
        """Remove the messages that fit into a frame, at least one if any waits.

        Args:
            room_bytes: the maximum length of their sections.
            for_one_address: whether to take only messages that follow one another for one address.

        Returns:
            A section for each address, and how many bytes they take.
        """
        used_bytes = 0
        messages_for: dict[str, list[bytes]] = {}
        while self.waiting:
            to, message = self.waiting[0]
            if for_one_address and messages_for and to not in messages_for:
                break
            size = len(message) + MESSAGE_OVERHEAD_BYTES
            if to not in messages_for:
                size += section_overhead_bytes(to) + _DATAGRAM_OVERHEAD_BYTES
            if messages_for and used_bytes + size > room_bytes:
                break
            self.waiting.popleft()
            self._bytes -= len(message)
            messages_for.setdefault(to, []).append(message)
            used_bytes += size
        sections = [
            Section(to, encode_letter(Datagram(tuple(messages))))
            for to, messages in messages_for.items()
        ]
        return sections, used_bytes


def section_overhead_bytes(to: str) -> int:
    """The maximum length of a section without its letter."""
    return SECTION_OVERHEAD_BYTES + len(to.encode())
