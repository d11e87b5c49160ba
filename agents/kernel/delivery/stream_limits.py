"""The bounds of a conversation, and the counters of what delivery does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """The bounds of a stream; both ends need the same window.

    Args:
        window_messages: how many messages may be unacknowledged; 1 or more.
        window_bytes: how many bytes may be unacknowledged; a larger message is still sent, alone.
        backlog_messages: how many messages may wait to be sent.
        backlog_bytes: how many bytes may wait to be sent.
        first_retry_after_s: how long to wait for an acknowledgement before any was measured, in
            seconds.
        shortest_retry_after_s: the minimum wait, however fast the other end is, in seconds.
        longest_retry_after_s: the maximum wait, however often the other end failed to answer, in
            seconds.
        ack_after_s: how long an acknowledgement waits for data to carry it, in seconds.
    """

    window_messages: int = 1024
    window_bytes: int = 1024 * 1024
    backlog_messages: int = 100_000
    backlog_bytes: int = 256 * 1024 * 1024
    first_retry_after_s: float = 0.3
    shortest_retry_after_s: float = 0.2
    longest_retry_after_s: float = 5.0
    ack_after_s: float = 0.02


DEFAULT_LIMITS = StreamLimits()


@dataclass(slots=True)
class DeliveryCounters:
    """Counters of delivery, in messages unless the name says otherwise.

    Args:
        frames_sent: frames that were built.
        frames_received: frames that were decoded, without this member's own.
        sent: numbered messages that were sent for the first time.
        resent: numbered messages that were sent again.
        delivered: numbered messages that arrived, each counted once.
        duplicates: numbered messages that had already arrived.
        absurd_segments: segments with impossible numbers; ignored.
        foreign_segments: segments of other conversations; ignored.
        broken_letters: letters that could not be decoded; ignored.
        datagrams_dropped: loose messages that were dropped because too many waited.
    """

    frames_sent: int = 0
    frames_received: int = 0
    sent: int = 0
    resent: int = 0
    delivered: int = 0
    duplicates: int = 0
    absurd_segments: int = 0
    foreign_segments: int = 0
    broken_letters: int = 0
    datagrams_dropped: int = 0
