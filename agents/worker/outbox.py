"""A worker's unacknowledged results, which it sends again on a new connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Container, Iterator
from typing import Protocol, TypeAlias

from ...messages import BacklogFull, TaskId
from ..transport.endpoint import Endpoint

BATCHING_S = 0.01
"""How long a result may wait for further ones."""

PendingResult: TypeAlias = tuple[tuple[TaskId, int], bytes]
"""An attempt, as task and number, and its encoded result."""


class Conversation(Protocol):
    """The attributes of a manager session that decide where results go."""

    endpoint: Endpoint

    @property
    def manager(self) -> str | None:
        """The manager's address; None while there is no conversation."""
        ...

    @property
    def asks_again(self) -> bool:
        """Whether it is not known if the conversation goes on."""
        ...


class ResultOutbox:
    """Keeps a worker's results, through broken connections, until a manager has them."""

    def __init__(self) -> None:
        self._conversation: Conversation | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_batching = False
        # Bounded by the attempts that the worker was given: without a manager it gets no more.
        self._waiting: deque[PendingResult] = deque()
        # Each with its number in the conversation.
        self._unacknowledged: deque[tuple[int, PendingResult]] = deque()

    def use(self, conversation: Conversation) -> None:
        """Send results by a conversation from now on."""
        self._conversation = conversation

    def keys(self) -> Iterator[tuple[TaskId, int]]:
        """The attempts whose results no manager has acknowledged, as task and number."""
        yield from (key for _, (key, _) in self._unacknowledged)
        yield from (key for key, _ in self._waiting)

    def add(
        self,
        key: tuple[TaskId, int],
        message: bytes,
        *,
        batches: bool = False,
        is_last: bool = False,
    ) -> None:
        """Keep a result, and send it together with others that are ready in this loop turn.

        Args:
            key: the attempt, as task and number.
            message: its encoded result.
            batches: whether to wait a little for further results, to share a frame with them.
            is_last: whether no others can be ready in this loop turn.
        """
        self._waiting.append((key, message))
        if is_last:
            self.send()
        elif self._timer is None or (self._is_batching and not batches):
            if self._timer is not None:
                self._timer.cancel()
            self._is_batching = batches
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(BATCHING_S if batches else 0, self.send)

    def send(self) -> None:
        """Send what waits, as far as there is room."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        conversation = self._conversation
        if conversation is None or conversation.manager is None or conversation.asks_again:
            return
        endpoint, manager = conversation.endpoint, conversation.manager
        self._drop_acknowledged(endpoint, manager)
        waiting = self._waiting
        while waiting:
            try:
                number = endpoint.post_encoded(manager, waiting[0][1])
            except BacklogFull:
                return
            self._unacknowledged.append((number, waiting.popleft()))

    def discard(self, keys: Container[tuple[TaskId, int]]) -> None:
        """Drop results that have not been sent.

        Args:
            keys: their attempts, as task and number.
        """
        self._waiting = deque(each for each in self._waiting if each[0] not in keys)

    def take_back(self) -> None:
        """Have what was sent and not acknowledged wait again: the conversation is over."""
        conversation = self._conversation
        if conversation is not None and conversation.manager is not None:
            self._drop_acknowledged(conversation.endpoint, conversation.manager)
        self._waiting.extendleft(each for _, each in reversed(self._unacknowledged))
        self._unacknowledged.clear()

    def _drop_acknowledged(self, endpoint: Endpoint, manager: str) -> None:
        unacknowledged = self._unacknowledged
        if unacknowledged:
            acknowledged = endpoint.acknowledged(manager)
            while unacknowledged and unacknowledged[0][0] < acknowledged:
                unacknowledged.popleft()
