"""A reliable, ordered stream over an unreliable link: numbers, acknowledges and resends messages.

Messages that were sent together form a run. If the acknowledgement of the oldest run is late, that
whole run is sent again. Later runs are not: they have often arrived and wait for the oldest one at
the other end. Acknowledgements are cumulative, and piggybacked on data where possible.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import islice

from ....messages import MAX_MESSAGE_BYTES, BacklogFull, EncodeError
from ....messages.frame import Segment
from .stream_limits import DEFAULT_LIMITS, DeliveryCounters, StreamLimits
from .timing import Pacing, RetryTimer

MESSAGE_OVERHEAD_BYTES = 5
"""The maximum overhead of a message in a letter."""

_SEGMENT_OVERHEAD_BYTES = 32
_AT_ONCE = -math.inf
_ACK_EVERY_NTH_OF_WINDOW = 4


@dataclass(slots=True)
class _Run:
    """Messages that were sent together, from number `first` up to but not including `after`."""

    first: int
    after: int
    sent_at: float
    retry_after_s: float
    is_direct: bool = False
    resent: bool = False

    @property
    def late_at(self) -> float:
        return self.sent_at + self.retry_after_s


HURRY_S = 0.3
"""The maximum delay before what was sent over a failed direct connection is sent again, in seconds.
"""


class Stream:
    """One end of a conversation.

    It retries without limit: its owner decides when a silent peer is lost.

    Attributes:
        due_at: when `collect` returns a segment next, in seconds; minus infinity if one is due
            already; None if none is due until a message is posted or accepted.
        ack_due_at: when a pending acknowledgement is due; None if none is pending.
        last_received_at: when the last segment of the conversation arrived, in seconds; None if
            none has.
        round_trip_s: the smoothed time until an acknowledgement, in seconds; None if unknown.
        min_retry_after_s: the minimum time to wait for an acknowledgement, in seconds, whatever was
            measured. Over a direct connection nothing is lost: a late peer is busy.
        section_bytes: the length of a section for the peer without its letter.

    Args:
        conversation: names the two sessions; segments of another conversation are ignored.
        limits: the bounds of the conversation.
        counters: where to count; several streams may share one.
        pacing: learns from the round trips; several streams may share one.
    """

    def __init__(
        self,
        conversation: str,
        limits: StreamLimits = DEFAULT_LIMITS,
        counters: DeliveryCounters | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        self.conversation = conversation
        self.due_at: float | None = None
        self.ack_due_at: float | None = None
        self.last_received_at: float | None = None
        self.round_trip_s: float | None = None
        self.min_retry_after_s = 0.0
        self.section_bytes = 0
        self.counters = DeliveryCounters() if counters is None else counters
        self._limits = limits
        self._envelope_bytes = _SEGMENT_OVERHEAD_BYTES + len(conversation.encode())
        self._timer = RetryTimer(
            limits.first_retry_after_s,
            limits.shortest_retry_after_s,
            limits.longest_retry_after_s,
            pacing,
        )

        # Bounded by the backlog limits.
        self._queue: deque[bytes] = deque()
        self._queue_bytes = 0

        # Bounded by the window: messages sent from `_oldest` up to but without `_next`.
        self._in_flight: deque[bytes] = deque()
        self._in_flight_bytes = 0
        self._runs: deque[_Run] = deque()
        self._oldest = 0
        self._next = 0
        # Runs from before the last retransmission don't measure the round trip: their
        # acknowledgement may have waited for the retransmitted one.
        self._measurable_from = 0
        self._runs_per_retry = 1

        # Bounded by the window.
        self._early: dict[int, bytes] = {}
        self._early_bytes = 0
        self._expected = 0
        self._unanswered_messages = 0
        self._unanswered_bytes = 0

    @property
    def idle(self) -> bool:
        """Whether everything posted has been acknowledged."""
        return not self._queue and not self._in_flight

    @property
    def acknowledged(self) -> int:
        """The number of the first message that was not acknowledged."""
        return self._oldest

    @property
    def unacknowledged(self) -> int:
        """How many messages were sent but not acknowledged."""
        return len(self._in_flight)

    @property
    def backlog(self) -> int:
        """How many messages wait to be sent for the first time."""
        return len(self._queue)

    @property
    def held(self) -> int:
        """How many messages arrived early and wait for earlier ones."""
        return len(self._early)

    @property
    def retry_after_s(self) -> float:
        """How long a message sent now may stay unacknowledged before it is sent again."""
        return self._timer.retry_after_s

    def post(self, message: bytes) -> int:
        """Queue a message and return its number, from 0.

        Raises:
            BacklogFull: the maximum of messages or bytes is already queued.
            EncodeError: the message is over `MAX_MESSAGE_BYTES`.
        """
        limits, queue, size = self._limits, self._queue, len(message)
        if size > MAX_MESSAGE_BYTES:
            raise message_too_long(size)
        too_many = len(queue) >= limits.backlog_messages
        if too_many or (queue and self._queue_bytes + size > limits.backlog_bytes):
            raise BacklogFull(
                f"{len(self._queue):,} messages of {self._queue_bytes:,} bytes wait in "
                f"conversation {self.conversation!r}; the limits are "
                f"{limits.backlog_messages:,} messages and {limits.backlog_bytes:,} bytes; "
                "send less, or wait until some have been sent"
            )
        queue.append(message)
        self._queue_bytes += size
        if self.due_at != _AT_ONCE:
            self._update_due()
        return self._next + len(queue) - 1

    def has(self, segment: Segment) -> bool:
        """Whether messages of a segment have already arrived."""
        return (
            segment.conversation == self.conversation
            and bool(segment.messages)
            and segment.first < self._expected
        )

    def accept(self, segment: Segment, now: float) -> list[bytes]:
        """Receive a segment.

        Args:
            segment: what arrived; segments with impossible numbers are counted and ignored.
            now: the time in seconds.

        Returns:
            The messages that can be delivered now: in order, each exactly once.
        """
        if segment.conversation != self.conversation:
            self.counters.foreign_segments += 1
            return []
        after = segment.first + len(segment.messages)
        if (
            not 0 <= segment.ack <= self._next
            or segment.first < 0
            or after > self._expected + self._limits.window_messages
        ):
            self.counters.absurd_segments += 1
            return []
        self.last_received_at = now
        if segment.ack > self._oldest:
            self._settle(segment.ack, now)
        delivered: list[bytes] = []
        if segment.messages and segment.first > self._expected:
            self._hold(segment)
        elif segment.messages:
            delivered = self._deliver(segment, now)
        self._update_due()
        return delivered

    def collect(
        self,
        now: float,
        room_bytes: int,
        early_ack: bool = False,
        *,
        is_direct: bool = False,
        largest_room_bytes: float = 0,
    ) -> Segment | None:
        """Build the segment that is due.

        Args:
            now: the time in seconds.
            room_bytes: the maximum length of the section with the encoded letter.
            early_ack: send an owed acknowledgement before it is due, since a frame is sent anyway.
            is_direct: whether the segment will be sent over a direct connection.
            largest_room_bytes: the maximum length if the next message needs more room.

        Returns:
            Late or new messages, or an acknowledgement alone; None if nothing is due that fits.
                Call it again: there may be more.
        """
        overhead_bytes = self._envelope_bytes + self.section_bytes
        room_bytes -= overhead_bytes
        is_late = self.is_late(now)
        if largest_room_bytes:
            needed_bytes = self._next_size_bytes(is_late)
            if needed_bytes + overhead_bytes <= largest_room_bytes:
                room_bytes = max(room_bytes, needed_bytes)
        if room_bytes < 0:
            return None
        first, messages = self._next, ()
        if is_late:
            first, messages = self._oldest, self._send_again(now, room_bytes, is_direct)
        elif self._may_send():
            messages = self._send_new(now, room_bytes, is_direct)
        if not messages and not self._must_acknowledge(now, early_ack):
            return None
        self.ack_due_at = None
        self._unanswered_messages = self._unanswered_bytes = 0
        self._update_due()
        return Segment(self.conversation, first, self._expected, messages)

    def _next_size_bytes(self, is_late: bool) -> int:
        if is_late:
            return MESSAGE_OVERHEAD_BYTES + len(self._in_flight[0])
        return MESSAGE_OVERHEAD_BYTES + len(self._queue[0]) if self._may_send() else 0

    def _update_due(self) -> None:
        if self._may_send():
            self.due_at = _AT_ONCE
            return
        late_at = self._runs[0].late_at if self._runs else None
        if late_at is None or self.ack_due_at is None:
            self.due_at = self.ack_due_at if late_at is None else late_at
        else:
            self.due_at = min(late_at, self.ack_due_at)

    def hurry(self) -> None:
        """Retry soon: what is in flight over a direct connection may be lost."""
        self.min_retry_after_s = 0.0
        for run in self._runs:
            run.is_direct = False
            # The measured value may come from a stalled direct connection.
            hurried_s = min(self._timer.retry_after_s, HURRY_S)
            run.retry_after_s = min(run.retry_after_s, hurried_s)
        self._update_due()

    def is_late(self, now: float) -> bool:
        """Whether an acknowledgement is late."""
        return bool(self._runs) and self._runs[0].late_at <= now

    def is_late_direct(self, now: float) -> bool:
        """Whether the late messages were sent over a direct connection, which loses nothing."""
        return self.is_late(now) and self._runs[0].is_direct

    def _may_send(self) -> bool:
        if not self._queue:
            return False
        return not self._in_flight or (
            len(self._in_flight) < self._limits.window_messages
            and self._in_flight_bytes + len(self._queue[0]) <= self._limits.window_bytes
        )

    def _must_acknowledge(self, now: float, early: bool) -> bool:
        return self.ack_due_at is not None and (early or self.ack_due_at <= now)

    def _send_new(self, now: float, room_bytes: int, is_direct: bool) -> tuple[bytes, ...]:
        messages: list[bytes] = []
        queue, in_flight, limits = self._queue, self._in_flight, self._limits
        room = limits.window_messages - len(in_flight)
        sent_bytes = 0
        while queue and room > 0:
            size = len(queue[0])
            room_bytes -= size + MESSAGE_OVERHEAD_BYTES
            if room_bytes < 0:
                break
            if self._in_flight_bytes + sent_bytes + size > limits.window_bytes and in_flight:
                break
            message = queue.popleft()
            messages.append(message)
            in_flight.append(message)
            sent_bytes += size
            room -= 1
        if not messages:
            return ()
        self._queue_bytes -= sent_bytes
        self._in_flight_bytes += sent_bytes
        after = self._next + len(messages)
        retry_after_s = max(self._timer.retry_after_s, self.min_retry_after_s)
        self._runs.append(_Run(self._next, after, now, retry_after_s, is_direct))
        self._next = after
        self.counters.sent += len(messages)
        return tuple(messages)

    def _send_again(self, now: float, room_bytes: int, is_direct: bool) -> tuple[bytes, ...]:
        until = self._oldest
        for run in islice(self._runs, self._runs_per_retry):
            if run.late_at > now:
                break
            until = run.after
        messages: list[bytes] = []
        for message in islice(self._in_flight, until - self._oldest):
            room_bytes -= len(message) + MESSAGE_OVERHEAD_BYTES
            if room_bytes < 0:
                break
            messages.append(message)
        if not messages:
            return ()
        after = self._oldest + len(messages)
        retry_after_s = max(
            self._timer.back_off(self._runs[0].retry_after_s), self.min_retry_after_s
        )
        self._drop_runs(after)
        self._runs.appendleft(_Run(self._oldest, after, now, retry_after_s, is_direct, resent=True))
        self._measurable_from = self._next
        # Usually one run is lost. If one gap follows another, the link was down for a while, and
        # repairing one gap per round trip would take too long.
        self._runs_per_retry = min(2 * self._runs_per_retry, self._limits.window_messages)
        self.counters.resent += len(messages)
        return tuple(messages)

    def _settle(self, ack: int, now: float) -> None:
        take = self._in_flight.popleft
        self._in_flight_bytes -= sum([len(take()) for _ in range(ack - self._oldest)])
        self._oldest = ack
        measured: _Run | None = None
        for run in self._drop_runs(ack):
            if run.resent:
                self._timer.keep(run.retry_after_s, max(0.0, now - run.sent_at))
                self.round_trip_s = self._timer.round_trip_s
            elif run.first >= self._measurable_from:
                measured = run
        if measured is not None:
            self._timer.measure(max(0.0, now - measured.sent_at))
            self.round_trip_s = self._timer.round_trip_s
            self._runs_per_retry = 1

    def _drop_runs(self, until: int) -> list[_Run]:
        dropped: list[_Run] = []
        while self._runs and self._runs[0].after <= until:
            dropped.append(self._runs.popleft())
        if self._runs:
            self._runs[0].first = max(self._runs[0].first, until)
        return dropped

    def _hold(self, segment: Segment) -> None:
        for number, message in enumerate(segment.messages, segment.first):
            if number in self._early:
                self.counters.duplicates += 1
            elif self._early_bytes + len(message) <= self._limits.window_bytes:
                self._early[number] = message
                self._early_bytes += len(message)

    def _deliver(self, segment: Segment, now: float) -> list[bytes]:
        known = min(self._expected - segment.first, len(segment.messages))
        self.counters.duplicates += known
        delivered = list(segment.messages[known:])
        if self._early:
            for number in range(self._expected, self._expected + len(delivered)):
                self.counters.duplicates += self._release(number) is not None
            while (message := self._release(self._expected + len(delivered))) is not None:
                delivered.append(message)
        self._expected += len(delivered)
        self.counters.delivered += len(delivered)
        self._owe_acknowledgement(delivered, now)
        return delivered

    def _release(self, number: int) -> bytes | None:
        message = self._early.pop(number, None)
        if message is not None:
            self._early_bytes -= len(message)
        return message

    def _owe_acknowledgement(self, delivered: list[bytes], now: float) -> None:
        self._unanswered_messages += len(delivered)
        self._unanswered_bytes += sum(map(len, delivered))
        limits, share = self._limits, _ACK_EVERY_NTH_OF_WINDOW
        # Repeated messages were not acknowledged in time, and a full window stops the sender.
        if (
            not delivered
            or self._unanswered_messages * share >= limits.window_messages
            or self._unanswered_bytes * share >= limits.window_bytes
        ):
            self.ack_due_at = _AT_ONCE
        elif self.ack_due_at is None:
            self.ack_due_at = now + limits.ack_after_s


def message_too_long(size_bytes: int) -> EncodeError:
    """The error for a message that is over `MAX_MESSAGE_BYTES`."""
    return EncodeError(
        f"a message of {size_bytes:,} bytes can't be sent; the limit is "
        f"{MAX_MESSAGE_BYTES:,}; pass large data by reference"
    )
