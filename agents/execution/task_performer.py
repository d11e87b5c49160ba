"""Performs one task by the method or handler that is responsible for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ...messages import Task, TaskAssignment, TaskProgress, TaskResult
from ..kernel.matching.policies import SPECIALTY_BONUS
from ..runtime.clock import now
from .attempt_state import AttemptState, AttemptStates
from .handlers import Handlers, TaskContext, current_context
from .outcome import judge_output, result_of
from .reviews import result_of_review
from .task_runner import TaskRunner

if TYPE_CHECKING:
    from ..transport.ceylon_api import AgentDetail
    from .handler_executor import HandlerExecutor
    from .own_method import OwnMethod


class Performer(Protocol):
    """The attributes of a worker that decide how it performs a task; each may change later."""

    name: str
    skill_level: int
    specialties: list[str]
    time_scale: float
    handlers: Handlers


class TaskPerformer:
    """Performs tasks: by a method of the user's subclass, by a handler, or by simulating work.

    Args:
        worker: the worker's present attributes.
        executor: runs plain functions.
        attempts: the attempts that are running.
        find_method: returns the subclass's method that performs tasks, or None.
        manager: returns the agent that assigns the tasks.
    """

    def __init__(
        self,
        worker: Performer,
        executor: HandlerExecutor,
        attempts: AttemptStates,
        find_method: Callable[[], OwnMethod | None],
        manager: Callable[[], AgentDetail],
    ) -> None:
        self._worker = worker
        self._executor = executor
        self._attempts = attempts
        self._find_method = find_method
        self._manager = manager

    async def perform(self, assignment: TaskAssignment) -> TaskResult:
        """Perform an assigned task by whichever method or handler is responsible.

        Raises:
            Exception: what that raised.
        """
        if assignment.reviewed is not None:
            return await self._review(assignment)
        return await self._perform_by(assignment, self._find_method())

    async def _review(self, assignment: TaskAssignment) -> TaskResult:
        """Review the result of another worker."""
        attempt = self._attempts.begin(assignment, is_own=False)
        try:
            reviewing = self._worker.handlers.start_review(assignment, self._executor)
            return await result_of_review(assignment, reviewing, now)
        finally:
            self._attempts.end(attempt)

    async def _perform_by(self, assignment: TaskAssignment, method: OwnMethod | None) -> TaskResult:
        attempt = self._attempts.begin(assignment, is_own=method is not None)
        try:
            if method is None:
                return await self._perform_by_handler(assignment, attempt)
            return await method.perform(attempt, self._manager(), self._executor)
        finally:
            self._attempts.end(attempt)

    async def perform_by_default(self, assignment: TaskAssignment) -> TaskResult:
        """Perform a task by its handler or by simulating it, for a method that calls `super()`.

        Raises:
            Exception: what the handler raised.
        """
        result = await self._perform_by_handler(assignment, self._attempts.here)
        attempt = self._attempts.own_here
        if attempt is not None:
            attempt.default = result
        return result

    async def _perform_by_handler(
        self, assignment: TaskAssignment, attempt: AttemptState | None
    ) -> TaskResult:
        started_at = now()
        work = self._worker.handlers.start(assignment, self._executor)
        if work is None:
            return await self._simulate(assignment, started_at)
        output = await work
        return judge_output(assignment, attempt, output, now() - started_at)

    async def _simulate(self, assignment: TaskAssignment, started_at: float) -> TaskResult:
        worker, task = self._worker, assignment.task
        await asyncio.sleep(task.get_processing_time() * worker.time_scale)
        skill = worker.skill_level
        if task.type in worker.specialties:
            skill += SPECIALTY_BONUS
        took_s = now() - started_at
        if skill >= task.difficulty:
            return result_of(assignment, success=True, took_s=took_s)
        error = f"too difficult: skill {skill} is below difficulty {task.difficulty}"
        return result_of(assignment, success=False, error=error, took_s=took_s)

    async def execute(self, task: Task) -> TaskResult:
        """Perform a task without a manager; see `WorkerAgent.execute_task`."""
        outcome: asyncio.Future[TaskResult] = asyncio.get_running_loop().create_future()
        attempt = self._attempts.own_here
        name = self._worker.name
        assignment = TaskAssignment(task=task, assigned_at=int(now()), worker=name)
        context: TaskContext | None = None
        perform: Callable[[TaskAssignment], Awaitable[TaskResult]]
        if attempt is None:
            method = self._find_method()
            if method is not None and not method.takes_assignment:
                method = None
            perform = partial(self._perform_by, method=method)
        else:
            # An override calls this: calling the override again would never end.
            perform = partial(self._perform_by_handler, attempt=attempt)
            if attempt.assignment.task.id == task.id:
                assignment = attempt.assignment.model_copy(update={"task": task})
                context = current_context.get(None)
        runner = TaskRunner(
            name,
            1,
            perform,
            outcome.set_result,
            _pass_progress_to(context),
            # A handler that waits gives back the slot of the attempt that called this.
            calls=None if context is None else context.calls,
            keeper=None if context is None else context.slots,
            senders=None if context is None else context.senders,
        )
        runner.take(assignment)
        try:
            result = await outcome
        finally:
            await runner.stop()
        if attempt is not None:
            attempt.default = result
        return result


def _pass_progress_to(context: TaskContext | None) -> Callable[[TaskProgress], None]:
    """A function that passes progress on to a context; without one it drops it."""

    def pass_on(progress: TaskProgress) -> None:
        if context is not None:
            context.progress(progress.percent, progress.note)

    return pass_on
