"""A method of a user's subclass that does the tasks which a worker is assigned."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...messages import InvalidInput, Task, TaskResult
from ..runtime.async_functions import is_async
from ..runtime.clock import now
from ..transport.arrival_time import ArrivalTime
from ..transport.ceylon_api import AgentDetail
from ..transport.user_handlers import call_with
from .outcome import judge_outcome

if TYPE_CHECKING:
    from .attempt_state import AttemptState
    from .handler_executor import HandlerExecutor


@dataclass(frozen=True, slots=True)
class OwnMethod:
    """A subclass's method that does tasks.

    Args:
        function: the method, bound to its worker; it need not be async.
        takes_assignment: whether it takes the assignment, as `handle_task` does, or the task alone,
            as `execute_task` does: then whatever it returns is the task's output.
    """

    function: Callable[..., Any]
    takes_assignment: bool = True

    @property
    def name(self) -> str:
        """What to call it in an error."""
        return getattr(self.function, "__qualname__", repr(self.function))

    async def do(
        self, attempt: AttemptState, sender: AgentDetail, workplace: HandlerExecutor
    ) -> TaskResult:
        """Call it, and make a result of what it returns and what it said meanwhile.

        Args:
            attempt: what is to be done.
            sender: the manager.
            workplace: where it runs if it is not async.

        Raises:
            InvalidInput: it is not async, and runs in no thread.
            Exception: what the method raised.
        """
        outcome = await self._call(attempt, sender, workplace)
        return judge_outcome(
            attempt, outcome, method=self.name, may_be_output=not self.takes_assignment
        )

    async def _call(
        self, attempt: AttemptState, sender: AgentDetail, workplace: HandlerExecutor
    ) -> object:
        function, assignment = self.function, attempt.assignment
        given = assignment if self.takes_assignment else assignment.task
        named = {"time": ArrivalTime(now()), "agent": sender}
        if is_async(function):
            return await call_with(function, (given,), named)
        await workplace.open()
        if workplace.surely_carries_no_context:
            raise InvalidInput(
                f"{self.name} is not async, so it runs in a thread, and the executor of worker "
                f"{assignment.worker!r} has none; make it async"
            )

        def call(task: Task) -> object:
            del task
            return call_with(function, (given,), named)

        outcome = await workplace.run(call, assignment.task)
        # A plain function may hand over what is to be awaited.
        return await outcome if inspect.isawaitable(outcome) else outcome
