"""What a user's code says of the attempt that it is doing: by attributes, and by broadcasts."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...messages import Task, TaskAssignment, TaskResult


@dataclass(slots=True, eq=False)
class AttemptState:
    """One attempt, from when a worker begins it until its result is known.

    Attributes that a handler sets on its worker belong to the attempt that the handler does. So a
    worker with several slots, whose handlers run beside one another, shows each of them its own.

    Args:
        worker: the agent that does it.
        assignment: what is done.
        is_own: whether the user's own method does it, in place of `WorkerAgent.handle_task`.
        current_task: the task, or what the user's code put in its place.
        has_task: what the user's code said; the attempt itself does not count.
        broadcast: the result that was broadcast last.
        sent_bytes: whether bytes were broadcast in which there was no message of ours.
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
"""The attempt whose code runs here; it may be over, where that code left something behind."""


class AttemptStates:
    """The attempts that one worker is doing.

    Args:
        worker: the agent that does them.
    """

    def __init__(self, worker: object) -> None:
        self._worker = worker
        self._running: dict[int, AttemptState] = {}

    def begin(self, assignment: TaskAssignment, *, is_own: bool) -> AttemptState:
        """Note that an attempt begins, in the context that runs here."""
        state = AttemptState(self._worker, assignment, is_own, assignment.task)
        self._running[id(state)] = state
        current_attempt.set(state)
        return state

    def end(self, state: AttemptState) -> None:
        """Note that an attempt has ended."""
        state.is_over = True
        del self._running[id(state)]

    @property
    def here(self) -> AttemptState | None:
        """This worker's attempt whose code runs here, or None."""
        state = current_attempt.get()
        return state if state is not None and self._is_running(state) else None

    @property
    def own_here(self) -> AttemptState | None:
        """The same, if it is done by the user's own method."""
        state = self.here
        return state if state is not None and state.is_own else None

    def note_broadcast(self, result: TaskResult) -> bool:
        """Take a result that was broadcast for that of its attempt; False if none is being done."""
        here = self.here
        candidates = [] if here is None else [here]
        candidates += reversed(self._running.values())
        for state in candidates:
            assignment = state.assignment
            # The documents' results know nothing of attempts, and so claim to be of the first.
            if assignment.task.id == result.task_id and result.attempt in (1, assignment.attempt):
                state.broadcast = result
                return True
        return False

    def _is_running(self, state: AttemptState) -> bool:
        return state.worker is self._worker and not state.is_over
