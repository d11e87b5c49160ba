"""Results on their way to the manager: each is kept until it has been acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterator
from typing import TypeAlias

from ...messages import BacklogFull, TaskId

Kept: TypeAlias = tuple[tuple[TaskId, int], bytes]
"""An attempt, as task and number, and its encoded result."""


class ResultOutbox:
    """Keeps a worker's results, through broken conversations, until a manager has them."""

    def __init__(self) -> None:
        # Bounded by the attempts that a worker was given: without a manager it gets no more.
        self._waiting: deque[Kept] = deque()
        # Each with its number in the conversation.
        self._under_way: deque[tuple[int, Kept]] = deque()

    def keys(self) -> Iterator[tuple[TaskId, int]]:
        """The attempts whose results no manager has acknowledged, as task and number."""
        yield from (key for _, (key, _) in self._under_way)
        yield from (key for key, _ in self._waiting)

    def add(self, key: tuple[TaskId, int], message: bytes) -> None:
        """Keep a result, to be sent.

        Args:
            key: the attempt, as task and number.
            message: its encoded result.
        """
        self._waiting.append((key, message))

    def send(self, post: Callable[[bytes], int]) -> None:
        """Send what waits, as far as there is room.

        Args:
            post: sends a message, and returns its number in the conversation.
        """
        waiting = self._waiting
        while waiting:
            try:
                number = post(waiting[0][1])
            except BacklogFull:
                return
            self._under_way.append((number, waiting.popleft()))

    def forget(self, keys: Container[tuple[TaskId, int]]) -> None:
        """Keep some results no longer, which are not under way.

        Args:
            keys: their attempts, as task and number.
        """
        self._waiting = deque(kept for kept in self._waiting if kept[0] not in keys)

    def confirm(self, acknowledged: int) -> None:
        """Forget what has arrived.

        Args:
            acknowledged: the number of the conversation's first message that has not.
        """
        under_way = self._under_way
        while under_way and under_way[0][0] < acknowledged:
            under_way.popleft()

    def take_back(self) -> None:
        """Let what was under way wait again: the conversation has broken off."""
        self._waiting.extendleft(kept for _, kept in reversed(self._under_way))
        self._under_way.clear()
