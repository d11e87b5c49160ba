"""Tells clients which tasks are settled, from the time on at which one first asks."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from itertools import islice

from ...messages import InvalidInput, ManagerReply, ManagerRequest, Payload, TaskId
from ...messages.wording import show

MAX_KEPT = 10_000
"""How many settled tasks are remembered; who asks too late misses the oldest."""

MAX_TOLD = 1_000
"""How many tasks one reply has at most."""

TOLD_WITHIN_S = 0.01
"""How long a reply waits for further tasks, in seconds."""


class SettledTasks:
    """Replies to clients that follow the results of all tasks.

    Args:
        follow: has a function called with the id of each task that is settled from then on.
        reply: sends a reply to the client at an address.
    """

    def __init__(
        self,
        follow: Callable[[Callable[[TaskId], None]], None],
        reply: Callable[[str, ManagerReply], None],
    ) -> None:
        self._follow = follow
        self._reply = reply
        # Numbers of another manager, or of another start of this one, mean nothing here.
        self._log_id = secrets.token_hex(8)
        self._settled: deque[TaskId] | None = None
        self._count = 0
        # By address: the number of the request that waits, and after which task.
        self._waiting: dict[str, tuple[int, int]] = {}
        self._is_telling = False

    def take(self, address: str, request: ManagerRequest) -> None:
        """Reply to a request, as soon as there is something to tell.

        Raises:
            InvalidInput: an argument is no number.
        """
        after: object = request.arguments.get("after")
        if after is not None and (type(after) is not int or after < 0):
            raise InvalidInput(f"after is {show(after)}; it must be an integer of 0 or more")
        if self._settled is None:
            self._settled = deque(maxlen=MAX_KEPT)
            self._follow(self._note)
        if request.arguments.get("log_id") != self._log_id:
            # To a client that followed another manager, all that this one remembers is new.
            after = None if after is None else 0
        if after is None or after < self._count:
            self._tell(address, request.number, self._count if after is None else after)
        else:
            self._waiting[address] = (request.number, after)

    def drop(self, address: str) -> None:
        """Reply no more to a client that has gone."""
        self._waiting.pop(address, None)

    def _note(self, task_id: TaskId) -> None:
        assert self._settled is not None
        self._settled.append(task_id)
        self._count += 1
        if self._waiting and not self._is_telling:
            self._is_telling = True
            asyncio.get_running_loop().call_later(TOLD_WITHIN_S, self._tell_all)

    def _tell_all(self) -> None:
        self._is_telling = False
        waiting, self._waiting = self._waiting, {}
        for address, (number, after) in waiting.items():
            self._tell(address, number, after)

    def _tell(self, address: str, number: int, after: int) -> None:
        assert self._settled is not None
        oldest = self._count - len(self._settled)
        first = max(after, oldest)
        told = list(islice(self._settled, first - oldest, first - oldest + MAX_TOLD))
        value: dict[str, Payload] = {
            "log_id": self._log_id,
            "after": first + len(told),
            "task_ids": told,
            "missed": first - after,
        }
        self._reply(address, ManagerReply(number=number, value=value))
