"""Sends the parts that a worker's handlers yield, and holds back those that yield too fast."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from ...messages import (
    MAX_PART_BYTES,
    EncodeError,
    PartsTaken,
    TaskId,
    TaskPart,
    encode_message,
    to_plain,
)
from ...messages.codec import pack

WINDOW_PARTS = 64
"""How many parts of one attempt may be on their way; its handler waits before it yields more."""

WINDOW_BYTES = 1024 * 1024
"""How many bytes of parts of one attempt may be on their way."""

_Key: TypeAlias = tuple[TaskId, int]

PostPart: TypeAlias = Callable[[bytes], bool]
"""Sends an encoded `TaskPart` to the manager; False if there is none now, or no room for it."""


class PartSender:
    """Numbers and sends the parts of one attempt.

    Args:
        key: the attempt, as task and number.
        post: sends each; None sends nothing: there is no manager.
    """

    def __init__(self, key: _Key, post: PostPart | None) -> None:
        self._key = key
        self._post = post
        self._number = 0
        self._unacknowledged: deque[tuple[int, bytes]] = deque()
        self._posted = 0
        self._bytes = 0
        self._room: asyncio.Future[None] | None = None
        self.is_over = False

    @property
    def is_idle(self) -> bool:
        """Whether the attempt is over, and the manager has all its parts."""
        return self.is_over and not self._unacknowledged

    async def send(self, part: object) -> bytes:
        """Send a part, and return when there is room for the next one.

        Returns:
            The encoded part.

        Raises:
            EncodeError: it has no plain form, or it is too large.
        """
        number = self._number + 1
        packed = encode_part(part, f"part {number}")
        self._number = number
        if self._post is not None and not self.is_over:
            task_id, attempt = self._key
            message = encode_message(
                TaskPart(task_id=task_id, attempt=attempt, number=number, part=packed)
            )
            self._unacknowledged.append((number, message))
            self._bytes += len(message)
            self.post()
            while self._is_full and not self.is_over:
                self._room = asyncio.get_running_loop().create_future()
                await self._room
        return packed

    @property
    def _is_full(self) -> bool:
        return len(self._unacknowledged) >= WINDOW_PARTS or self._bytes >= WINDOW_BYTES

    def taken(self, number: int) -> None:
        """Forget the parts up to a number: the manager has taken them."""
        while self._unacknowledged and self._unacknowledged[0][0] <= number:
            self._bytes -= len(self._unacknowledged.popleft()[1])
        if not self._is_full:
            self._wake()

    def post(self) -> None:
        """Send what was not sent yet, as far as there is room."""
        for number, message in self._unacknowledged:
            if number > self._posted and self._post is not None:
                if not self._post(message):
                    return
                self._posted = number

    def send_again(self) -> None:
        """Send what no manager has taken: another conversation has begun."""
        self._posted = 0
        self.post()

    def end(self) -> None:
        """Hold nobody back any more: the attempt is over, or is to stop."""
        self.is_over = True
        self._wake()

    def _wake(self) -> None:
        if self._room is not None:
            with contextlib.suppress(asyncio.InvalidStateError):
                self._room.set_result(None)
            self._room = None


class PartSenders:
    """The senders of a worker's attempts that yield parts.

    Args:
        post: sends a part to the manager; None sends nothing: there is no manager.
    """

    def __init__(self, post: PostPart | None = None) -> None:
        self._post = post
        # Bounded by the attempts that the worker was given: without a manager it gets no more.
        self._senders: dict[_Key, PartSender] = {}

    def __len__(self) -> int:
        return len(self._senders)

    def open(self, key: _Key) -> PartSender:
        """The sender of an attempt that begins to yield parts."""
        sender = self._senders.get(key)
        if sender is None:
            sender = self._senders[key] = PartSender(key, self._post)
        return sender

    def taken(self, message: PartsTaken) -> None:
        """Take note that the manager has taken parts."""
        key = (message.task_id, message.attempt)
        sender = self._senders.get(key)
        if sender is not None:
            sender.taken(message.number)
            self._drop_if_idle(key)

    def end(self, key: _Key) -> None:
        """Take note that an attempt is over."""
        sender = self._senders.get(key)
        if sender is not None:
            sender.end()
            self._drop_if_idle(key)

    def send(self) -> None:
        """Send what was not sent yet, as far as there is room."""
        for sender in self._senders.values():
            sender.post()

    def send_again(self) -> None:
        """Send what no manager has taken: another conversation has begun."""
        for sender in self._senders.values():
            sender.send_again()

    def _drop_if_idle(self, key: _Key) -> None:
        if self._senders[key].is_idle:
            del self._senders[key]


def encode_part(part: object, name: str = "a part") -> bytes:
    """Encode a part of a handler's output.

    Args:
        part: the part.
        name: what to call it in an error.

    Raises:
        EncodeError: it has no plain form, or is over `MAX_PART_BYTES`.
    """
    try:
        packed = _pack(part)
    except EncodeError as fault:
        raise EncodeError(f"{name} can't be sent: {fault}") from None
    if len(packed) > MAX_PART_BYTES:
        raise EncodeError(
            f"{name} can't be sent: it has {len(packed):,} bytes, the limit is "
            f"{MAX_PART_BYTES:,}; yield smaller parts, or return large data as the output"
        )
    return packed


def _pack(part: object) -> bytes:
    try:
        return pack(part)
    except EncodeError:
        return pack(to_plain(part, "part"))
