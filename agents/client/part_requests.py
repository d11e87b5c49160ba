"""Reads the parts of tasks by a client's conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ...messages import MusterError, Payload, TaskFailed, TaskId
from ..submission.parts import PartsRead, TakeParts
from .conversation import ClientConversation


class PartRequests:
    """Reads the parts of tasks of the manager with which a client converses.

    Args:
        conversation: the conversation.
    """

    def __init__(self, conversation: ClientConversation) -> None:
        self._conversation = conversation

    def read_parts(
        self, task_id: TaskId, attempt: int, after: int, take: TakeParts
    ) -> Callable[[], None]:
        """Read the parts after a certain one; see `PartsSource`."""
        asked: dict[str, Payload] = {"task_id": task_id, "attempt": attempt, "after": after}

        def read(reply: Payload) -> PartsRead:
            told = cast("Mapping[str, Any]", reply)
            failure = told.get("failure")
            return PartsRead(
                told.get("attempt", attempt),
                told.get("first", after + 1),
                told.get("missed", 0),
                tuple(told.get("parts", ())),
                told.get("is_over", False),
                None if failure is None else TaskFailed(task_id, *failure),
            )

        def replied(reply: Payload | MusterError) -> None:
            take(reply if isinstance(reply, MusterError) else read(reply))

        self._conversation.ask("read_parts", asked, replied)
        # A reply that nobody waits for is ignored.
        return lambda: None
