"""A method of a user's subclass that performs the tasks assigned to a worker."""

from __future__ import annotations

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
    """A subclass's method that performs tasks.

    Args:
        function: the method, bound to its worker; it need not be async.
        takes_assignment: whether it takes the assignment, as `handle_task` does, or only the task,
            as `execute_task` does; then whatever it returns is the task's output.
    """

    function: Callable[..., Any]
    takes_assignment: bool = True

    @property
    def name(self) -> str:
        """Its name for error messages."""
        return getattr(self.function, "__qualname__", repr(self.function))

    async def perform(
        self, attempt: AttemptState, sender: AgentDetail, executor: HandlerExecutor
    ) -> TaskResult:
        """Call the method, and make a result from what it returned and broadcast.

        Args:
            attempt: the attempt to perform.
            sender: the manager.
            executor: runs the method if it is not async.

        Raises:
            InvalidInput: the method is not async, and the executor does not run threads.
            Exception: what the method raised.
        """
        outcome = await self._call(attempt, sender, executor)
        return judge_outcome(
            attempt, outcome, method=self.name, may_be_output=not self.takes_assignment
        )

    async def _call(
        self, attempt: AttemptState, sender: AgentDetail, executor: HandlerExecutor
    ) -> object:
        function, assignment = self.function, attempt.assignment
        argument = assignment if self.takes_assignment else assignment.task
        keywords = {"time": ArrivalTime(now()), "agent": sender}
        if is_async(function):
            return await call_with(function, (argument,), keywords)
        await executor.open()
        if executor.is_known_to_pass_no_context:
            raise InvalidInput(
                f"{self.name} is not async, so it runs in a thread, and the executor of worker "
                f"{assignment.worker!r} has none; make it async"
            )

        def call(task: Task) -> object:
            del task
            return call_with(function, (argument,), keywords)

        return await executor.run(call, assignment.task)
