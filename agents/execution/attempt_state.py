"""What user code says about the attempt that it performs: by attributes, and by broadcasts."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...messages import Task, TaskAssignment, TaskResult


@dataclass(slots=True, eq=False)
class AttemptState:
    """One attempt, from its start until its result is known.

    Attributes that a handler sets on its worker belong to the attempt that the handler performs. So
    each of several handlers that run concurrently sees its own values.

    Args:
        worker: the agent that performs it.
        assignment: the assignment.
        is_own: whether a method of the user's subclass performs it.
        current_task: the task, or what user code has set in its place.
        has_task: what user code has set; the attempt itself does not count.
        broadcast: the result that was broadcast last.
        sent_bytes: whether bytes were broadcast that hold none of our messages.
        default: the result that `WorkerAgent.handle_task` returned to an override.
        is_over: whether its result is known.
    """

    worker: object
    assignment: TaskAssignment
    is_own: bool
    current_task: Task | None
    has_task: bool = False
    broadcast: TaskResult | None = None
    sent_bytes: bool = False
    default: TaskResult | None = None
    is_over: bool = False


current_attempt: ContextVar[AttemptState | None] = ContextVar(
    "muster_current_attempt", default=None
)
"""The attempt that the running code belongs to; it may be over if code outlives its attempt."""


class AttemptStates:
    """The attempts that one worker is running.

    Args:
        worker: the agent that performs them.
    """

    def __init__(self, worker: object) -> None:
        self._worker = worker
        self._running: dict[int, AttemptState] = {}

    def begin(self, assignment: TaskAssignment, *, is_own: bool) -> AttemptState:
        """Record that an attempt begins, in the current context."""
        state = AttemptState(self._worker, assignment, is_own, assignment.task)
        self._running[id(state)] = state
        current_attempt.set(state)
        return state

    def end(self, state: AttemptState) -> None:
        """Record that an attempt has ended."""
        state.is_over = True
        del self._running[id(state)]

    @property
    def here(self) -> AttemptState | None:
        """This worker's attempt that the running code belongs to, or None."""
        state = current_attempt.get()
        return state if state is not None and self._is_running(state) else None

    @property
    def own_here(self) -> AttemptState | None:
        """The same, if a method of the user's subclass performs it."""
        state = self.here
        return state if state is not None and state.is_own else None

    def note_broadcast(self, result: TaskResult) -> bool:
        """Take a broadcast result as that of its attempt; False if no such attempt is running."""
        here = self.here
        candidates = [] if here is None else [here]
        candidates += reversed(self._running.values())
        for state in candidates:
            assignment = state.assignment
            # Results that user code makes name no attempt, so they claim to be of the first.
            if assignment.task.id == result.task_id and result.attempt in (1, assignment.attempt):
                state.broadcast = result
                return True
        return False

    def _is_running(self, state: AttemptState) -> bool:
        return state.worker is self._worker and not state.is_over
