"""What a worker is doing: runs what it is assigned, so many at a time, and tells how it went."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from ..messages import CancelTask, TaskAssignment, TaskId, TaskProgress, TaskResult
from .clock import now
from .handlers import TaskContext, current_context

PROGRESS_EVERY_S = 0.1
MAX_ERROR_CHARACTERS = 10_000

_STOPPING_S = 1.0


@dataclass(slots=True)
class _Job:
    assignment: TaskAssignment
    context: TaskContext
    work: asyncio.Task[None]
    has_begun: bool = False


class Jobs:
    """Runs assignments beside one another, and stops those that are to be stopped.

    It knows nothing of the manager, and outlives the way to it.

    Args:
        worker: the worker's name, for the results.
        slots: how many assignments run at once; others wait.
        perform: does a task; whatever it raises becomes the task's error.
        hand_in: takes each result.
        tell_progress: takes progress, not more often than a manager can use.
    """

    def __init__(
        self,
        worker: str,
        slots: int,
        perform: Callable[[TaskAssignment], Awaitable[TaskResult]],
        hand_in: Callable[[TaskResult], None],
        tell_progress: Callable[[TaskProgress], None],
    ) -> None:
        self._worker = worker
        self._perform = perform
        self._hand_in = hand_in
        self._tell_progress = tell_progress
        self._free_slots = asyncio.Semaphore(slots)
        # Bounded by what the manager assigns, which goes by the slots.
        self._jobs: dict[tuple[TaskId, int], _Job] = {}
        self._are_stopped = False

    @property
    def running(self) -> list[TaskAssignment]:
        """What is being done right now."""
        return [job.assignment for job in self._jobs.values()]

    @property
    def keys(self) -> Iterable[tuple[TaskId, int]]:
        """The attempts that are being done, as task and number."""
        return self._jobs.keys()

    def take(self, assignment: TaskAssignment) -> None:
        """Begin an attempt, unless it is being done already."""
        key = (assignment.task.id, assignment.attempt)
        if key in self._jobs or self._are_stopped:
            return
        context = TaskContext(assignment, self._progress_of(assignment), asyncio.get_running_loop())
        work = asyncio.ensure_future(self._work(assignment, context))
        self._jobs[key] = _Job(assignment, context, work)

    def cancel(self, order: CancelTask) -> None:
        """Stop an attempt, if it is being done."""
        job = self._jobs.get((order.task_id, order.attempt))
        if job is not None:
            job.context.mark_cancelled(order.reason or "cancelled")
            # A cancel may come with the assignment. A coroutine that is cancelled before its first
            # step never takes one, and nobody would hear how the attempt ended.
            if job.has_begun:
                job.work.cancel()

    async def stop(self) -> None:
        """Stop all; what is unfinished stays so."""
        self._are_stopped = True
        works = [job.work for job in self._jobs.values()]
        for job in self._jobs.values():
            job.context.mark_cancelled("worker stopped")
            job.work.cancel()
        if works:
            # A handler that runs in a thread, or ignores its cancel, is not waited for.
            await asyncio.wait(works, timeout=_STOPPING_S)

    def drop(self) -> None:
        """Stop all, and wait for none."""
        self._are_stopped = True
        for job in self._jobs.values():
            job.work.cancel()

    async def _work(self, assignment: TaskAssignment, context: TaskContext) -> None:
        key = (assignment.task.id, assignment.attempt)
        self._jobs[key].has_begun = True
        try:
            if context.cancel_reason is not None:
                self._report(assignment, failure(context.cancel_reason), 0.0)
                return
            async with self._free_slots:
                started_at = now()
                outcome = await self._attempt(assignment, context)
                self._report(assignment, outcome, now() - started_at)
        except asyncio.CancelledError:
            if context.cancel_reason is None or self._are_stopped:
                raise
            self._report(assignment, failure(context.cancel_reason), 0.0)
        finally:
            del self._jobs[key]

    async def _attempt(self, assignment: TaskAssignment, context: TaskContext) -> TaskResult:
        current_context.set(context)
        try:
            return await self._perform(assignment)
        except asyncio.CancelledError:
            # Who stops has not failed the task: it is unfinished, and the manager knows.
            if context.cancel_reason is None or self._are_stopped:
                raise
            return failure(context.cancel_reason)
        except KeyboardInterrupt:
            raise
        except BaseException as fault:  # noqa: BLE001 - a handler may even call sys.exit()
            return failure(describe_fault(fault))

    def _report(self, assignment: TaskAssignment, outcome: TaskResult, took_s: float) -> None:
        self._hand_in(
            TaskResult(
                task_id=assignment.task.id,
                worker=self._worker,
                success=outcome.success,
                execution_time=outcome.execution_time or max(took_s, 0.0),
                error_message=None
                if outcome.success
                else outcome.error_message or "failed: no reason",
                attempt=assignment.attempt,
                output=outcome.output,
            )
        )

    def _progress_of(self, assignment: TaskAssignment) -> Callable[[float, str], None]:
        """Takes progress and passes on the newest, not more often than a manager can use."""
        newest: list[tuple[float, str]] = []
        timer: list[asyncio.TimerHandle] = []
        key = (assignment.task.id, assignment.attempt)

        def pass_on() -> None:
            timer.clear()
            if newest and key in self._jobs:
                percent, note = newest.pop()
                self._tell_progress(
                    TaskProgress(
                        task_id=key[0],
                        worker=self._worker,
                        attempt=key[1],
                        percent=percent,
                        note=note[:1_000],
                    )
                )
                timer.append(asyncio.get_running_loop().call_later(PROGRESS_EVERY_S, pass_on))

        def tell(percent: float, note: str) -> None:
            newest[:] = [(percent, note)]
            if not timer:
                pass_on()

        return tell


def describe_fault(fault: BaseException) -> str:
    """An exception as "Type: text", whatever its `__str__` does."""
    text = ""
    with contextlib.suppress(Exception):
        text = str(fault)
    name = type(fault).__name__
    return (f"{name}: {text}" if text else name)[:MAX_ERROR_CHARACTERS]


def failure(reason: str) -> TaskResult:
    """The outcome of an attempt that went wrong."""
    return TaskResult(task_id=1, worker="", success=False, error_message=reason)
