"""Where `add.submit(1, 2)` submits to: the handler, client or manager whose code is running."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol


class Submitter(Protocol):
    """What tasks can be submitted to, such as a client."""

    def submit(self, /, *task: Any, **named: Any) -> Any:
        """Submit a task, or a typed function with its arguments."""
        ...


_entered: ContextVar[tuple[Submitter, ...]] = ContextVar("muster_submitters", default=())
"""The clients and managers whose `with` statements the code runs in, the innermost last."""


handler_context: ContextVar[Submitter] = ContextVar("muster_task_context")
"""The context of the handler that the code runs in."""


def current_submitter() -> Submitter | None:
    """Where to submit to, or None.

    In a handler it is the context, which makes subtasks. Otherwise it is the client or manager
    whose `with` or `async with` statement the code runs in.
    """
    context = handler_context.get(None)
    if context is not None:
        return context
    entered = _entered.get()
    return entered[-1] if entered else None


def enter_submitter(submitter: Submitter) -> None:
    """Begin a `with` statement of a client or manager, in the code that it contains."""
    _entered.set((*_entered.get(), submitter))


def exit_submitter(submitter: Submitter) -> None:
    """End it. It may be another task than began it that ends it, as in a test's fixture."""
    _entered.set(tuple(each for each in _entered.get() if each is not submitter))
