"""What a worker is doing: its current task, its latest results and its status."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

from ...messages import NotConnected, Task, TaskResult
from ..transport.ceylon_agent import CeylonAgent
from .history import TaskHistory

if TYPE_CHECKING:
    from ..execution.attempt_state import AttemptStates
    from .hooks import Around
    from .shell import WorkerShell

WorkerStatus: TypeAlias = Literal["Stopped", "Connecting", "Idle", "Busy"]
"""What a worker is doing, in one word."""


class WorkerActivity(CeylonAgent):
    """What every `WorkerAgent` tells about itself while it works."""

    dials_again: bool
    _shell: WorkerShell
    _attempt_states: AttemptStates
    # What was set outside of an attempt, or before `__init__`.
    _has_task_by_hand = False
    _current_task_by_hand: Task | None = None

    # A subclass may set these attributes before it calls `__init__`.

    @property
    def has_task(self) -> bool:
        """Whether it is performing any task.

        In an override of `handle_task` it is False until the override sets it: neither the
        override's own attempt nor concurrent ones count there.
        """
        if not self._is_made:
            return self._has_task_by_hand
        attempt = self._attempt_states.own_here
        if attempt is not None:
            return attempt.has_task
        return self._has_task_by_hand or bool(self._shell.running)

    @has_task.setter
    def has_task(self, has_task: bool) -> None:
        attempt = self._attempt_states.own_here if self._is_made else None
        if attempt is None:
            self._has_task_by_hand = has_task
        else:
            attempt.has_task = has_task

    @property
    def current_task(self) -> Task | None:
        """The running task that began last, or None; in an override of `handle_task`, its task.

        An override may set it; that holds until it returns.
        """
        if not self._is_made:
            return self._current_task_by_hand
        attempt = self._attempt_states.own_here
        if attempt is not None:
            return attempt.current_task
        running = self._shell.running
        return running[-1].task if running else self._current_task_by_hand

    @current_task.setter
    def current_task(self, task: Task | None) -> None:
        attempt = self._attempt_states.own_here if self._is_made else None
        if attempt is None:
            self._current_task_by_hand = task
        else:
            attempt.current_task = task

    @property
    def task_history(self) -> TaskHistory:
        """Its latest results: up to 10,000, or as many of them as fit into 16 MiB.

        A list. A result that an override of `handle_task` appends counts as the result of its
        attempt, and is not counted twice.
        """
        if self._is_made:
            return self._shell.history
        return vars(self).setdefault("_history_before", TaskHistory())

    @task_history.setter
    def task_history(self, results: Iterable[TaskResult]) -> None:
        history = results if isinstance(results, TaskHistory) else TaskHistory(results)
        if self._is_made:
            self._shell.history = history
        else:
            vars(self)["_history_before"] = history

    def get_worker_status(self) -> WorkerStatus:
        """What it is doing, in one word.

        Returns:
            "Stopped" before its start and after its end, "Connecting" while no manager answers,
            "Busy" while it performs a task, and otherwise "Idle".
        """
        shell = self._shell
        if shell.is_over or not (shell.has_begun or self.dials_again):
            return "Stopped"
        if not shell.is_member:
            return "Connecting"
        return "Busy" if shell.running else "Idle"

    async def ping(self) -> None:
        """Check that its manager answers.

        Raises:
            NotConnected: it does not answer.
        """
        if self._shell.is_over or not self._shell.is_member:
            raise NotConnected(self.name, self.get_worker_status())

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages it could not read, by what was wrong with them."""
        return self._shell.dropped

    @property
    def _is_made(self) -> bool:
        return "_attempt_states" in vars(self)

    def _adopt_history(self) -> None:
        """Use the history that a subclass has set before it called `__init__`, if any."""
        self._shell.history = vars(self).pop("_history_before", self._shell.history)

    def surround(self, around: Around) -> None:
        """Have a function called around each task that is performed; call this before the start.

        Args:
            around: takes the function that performs a task, and the assignment.
        """
        self._shell.surround(around)
