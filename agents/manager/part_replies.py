"""Replies to the clients that read the parts of tasks, once there are some."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from ...messages import (
    InvalidInput,
    ManagerReply,
    ManagerRequest,
    MusterError,
    Payload,
    TaskId,
)
from ...messages.wording import show
from ..submission.parts import PartsRead
from .task_parts import TaskParts

MAX_READINGS = 1_000
"""How many streams one client may read at a time; the one that waited longest is to ask again."""


class PartReplies:
    """Replies to requests for parts; none of these replies is kept, since asking again is harmless.

    Args:
        parts: tells the parts.
        reply: sends a reply to the client at an address.
    """

    def __init__(self, parts: TaskParts, reply: Callable[[str, ManagerReply], None]) -> None:
        self._parts = parts
        self._reply = reply
        # By address, the numbers of the requests that wait, with their tasks.
        self._waiting: dict[str, OrderedDict[int, TaskId]] = {}

    def take(self, address: str, request: ManagerRequest, task_id: TaskId) -> None:
        """Reply to a request now or later.

        Raises:
            InvalidInput: an argument is no number.
            UnknownTask: there is no such task.
            RunEnded: the run has ended before the task was settled.
        """
        attempt = _number(request.arguments, "attempt")
        after = _number(request.arguments, "after")
        number = request.number
        waiting = self._waiting.setdefault(address, OrderedDict())
        waiting[number] = task_id

        def take(outcome: PartsRead | MusterError) -> None:
            waiting.pop(number, None)
            self._reply(address, _reply_to(number, outcome))

        try:
            self._parts.read((address, number), task_id, attempt, after, take)
        except MusterError:
            del waiting[number]
            raise
        if len(waiting) > MAX_READINGS:
            surplus, task_id = waiting.popitem(last=False)
            self._parts.stop_reading((address, surplus), task_id)
            self._reply(address, _reply_to(surplus, None))

    def drop(self, address: str) -> None:
        """Reply no more to a client that has gone."""
        waiting = self._waiting.pop(address, None)
        if waiting is not None:
            for number, task_id in waiting.items():
                self._parts.stop_reading((address, number), task_id)


def _reply_to(number: int, outcome: PartsRead | MusterError | None) -> ManagerReply:
    if isinstance(outcome, MusterError):
        return ManagerReply(number=number, error_kind=type(outcome).__name__, error=str(outcome))
    if outcome is None:
        return ManagerReply(number=number, value={})
    value: dict[str, Payload] = {"attempt": outcome.attempt, "first": outcome.first}
    if outcome.missed:
        value["missed"] = outcome.missed
    if outcome.parts:
        value["parts"] = outcome.parts
    if outcome.is_over:
        value["is_over"] = True
    failure = outcome.failure
    if failure is not None:
        value["failure"] = list(failure.args[1:])
    return ManagerReply(number=number, value=value)


def _number(arguments: Mapping[str, Payload], name: str) -> int:
    value: object = arguments.get(name, 0)
    if type(value) is not int or value < 0:
        raise InvalidInput(f"{name} is {show(value)}; it must be an integer of 0 or more")
    return value
