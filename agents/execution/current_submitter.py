"""Where `add.submit(1, 2)` submits to: the client or manager of the code that is running."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol


class Submitter(Protocol):
    """What tasks can be submitted to, such as a client."""

    def submit(self, /, *task: Any, **named: Any) -> Any:
        """Submit a task, or a typed function with its arguments."""
        ...


current_submitter: ContextVar[Submitter | None] = ContextVar("muster_submitter", default=None)
"""The innermost client or manager whose `with` or `async with` statement the code runs in."""


class SubmitterScope:
    """Makes a client or manager the current one within its `with` or `async with` statement.

    Args:
        submitter: the client or manager.
    """

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter
        self._outer: Submitter | None = None

    def enter(self) -> None:
        """Begin; call it in the code that the statement runs in."""
        self._outer = current_submitter.get()
        current_submitter.set(self._submitter)

    def exit(self) -> None:
        """End; the one before is the current one again."""
        # A fixture may end in another context than it began in, which has its own value.
        if current_submitter.get() is self._submitter:
            current_submitter.set(self._outer)
