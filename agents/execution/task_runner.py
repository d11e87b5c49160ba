"""What a worker is doing: runs what it is assigned, so many at a time, and tells how it went."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from ...messages import CancelTask, TaskAssignment, TaskId, TaskProgress, TaskResult
from ...messages.wording import show
from ..runtime.clock import now
from ..runtime.error_text import describe_fault
from .attempt_outcome import describe_stray_cancellation, is_cancellation, is_from_signal
from .contained_tasks import contain_attempts, is_in_attempt
from .handlers import TaskContext, current_context
from .held_slots import OverdueAttempt

PROGRESS_EVERY_S = 0.1

_STOPPING_S = 1.0
_TURNS_OF_A_STOP = 3
"""In how many turns of the loop a worker that is cancelled along with its attempts has said so."""

_TICKS_PER_S = 2**20

Key: TypeAlias = tuple[TaskId, int]
"""An attempt, as task and number."""


# Not told with the asyncio task that does it: what it carries is nobody's business.
@dataclass(slots=True, repr=False)
class _Job:
    assignment: TaskAssignment
    context: TaskContext
    work: asyncio.Task[None] | None = None
    has_begun: bool = False
    has_ended: bool = False
    told_to_stop_at: float | None = None

    @property
    def is_alive(self) -> bool:
        """Whether anything still works on it, so that there will be a result."""
        return self.work is not None and not self.work.done()

    def stop(self) -> None:
        if self.work is not None:
            self.work.cancel()


class TaskRunner:
    """Runs assignments beside one another, and stops those that are to be stopped.

    It knows nothing of the manager, and outlives the way to it. Whatever an attempt does, it ends
    in a result, and its slot comes back; only what is stopped with the worker stays unfinished.

    Args:
        worker: the worker's name, for the results.
        slots: how many assignments run at once; others wait, and begin in the order in which they
            came.
        perform: does a task; whatever it raises becomes the task's error, also what would end a
            program, such as SystemExit. Only what Ctrl-C raises goes through.
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
        self._slots = slots
        self._perform = perform
        self._hand_in = hand_in
        self.tell_progress = tell_progress
        # All are bounded by what the manager assigns: the slots, and what is sent ahead of them.
        self._jobs: dict[Key, _Job] = {}
        self._waiting: dict[Key, tuple[TaskAssignment, Context]] = {}
        self._progress: dict[Key, _Progress] = {}
        self._are_stopped = False

    @property
    def running(self) -> list[TaskAssignment]:
        """What is being done right now."""
        return [job.assignment for job in self._jobs.values()]

    @property
    def keys(self) -> Iterable[Key]:
        """The attempts that are being done or wait for a slot."""
        alive = (key for key, job in self._jobs.items() if job.is_alive)
        return (*alive, *self._waiting)

    def name_of(self, work: asyncio.Task[Any]) -> str | None:
        """Which attempt an asyncio task works on, in words; None if on none of these.

        Any thread may ask.
        """
        # Those that a handler began have its context; before Python 3.12 nobody can ask for it.
        get_context: Callable[[], Context] | None = getattr(work, "get_context", None)
        context = None if get_context is None else get_context().get(current_context)
        for (task_id, number), job in tuple(self._jobs.items()):
            if job.work is work or job.context is context:
                kind = job.assignment.task.type
                told = f"attempt {number}, type {kind!r}" if kind else f"attempt {number}"
                return f"worker {self._worker!r}: task {task_id} ({told})"
        return None

    def overdue(self) -> Iterator[OverdueAttempt]:
        """The attempts that were told to stop and have not."""
        for (task_id, number), job in self._jobs.items():
            if job.told_to_stop_at is not None:
                reason = job.context.cancel_reason or "cancelled"
                yield OverdueAttempt(task_id, number, job.told_to_stop_at, reason)

    @property
    def has_waiting(self) -> bool:
        """Whether attempts wait for a slot."""
        return bool(self._waiting)

    def is_running(self, key: Key) -> bool:
        """Whether an attempt is being done right now."""
        return key in self._jobs

    def take(self, assignment: TaskAssignment) -> None:
        """Begin an attempt as soon as there is a slot, unless it was taken already."""
        key = (assignment.task.id, assignment.attempt)
        if key in self._jobs or key in self._waiting or self._are_stopped:
            return
        if len(self._jobs) < self._slots:
            self._begin(key, assignment)
        else:
            # It begins when another ends, and must see nothing of what that one set.
            self._waiting[key] = assignment, copy_context()

    def give_back(self, keys: Iterable[Key]) -> list[Key]:
        """Let go of those attempts that have not begun; which they are."""
        return [key for key in keys if self._waiting.pop(key, None) is not None]

    def cancel(self, order: CancelTask) -> bool:
        """Stop an attempt, if it is being done, and let go of it if it waits; False if neither."""
        key = (order.task_id, order.attempt)
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._report(key, failure(order.reason or "cancelled"), 0.0)
        job = self._jobs.get(key)
        if job is not None:
            job.context.mark_cancelled(order.reason or "cancelled")
            if job.told_to_stop_at is None:
                job.told_to_stop_at = now()
            # A cancel may come with the assignment. A coroutine that is cancelled before its first
            # step never takes one, and nobody would hear how the attempt ended.
            if job.has_begun:
                job.stop()
        return waiting is not None or job is not None

    async def stop(self) -> None:
        """Stop all; what is unfinished stays so."""
        works = [job.work for job in self._jobs.values() if job.work is not None]
        for job in self._jobs.values():
            job.context.mark_cancelled("worker stopped")
        self.drop()
        if works:
            # A handler that runs in a thread, or ignores its cancel, is not waited for.
            await asyncio.wait(works, timeout=_STOPPING_S)

    def drop(self) -> None:
        """Stop all, and wait for none."""
        self._are_stopped = True
        self._waiting.clear()
        for job in self._jobs.values():
            job.stop()

    def _begin(self, key: Key, assignment: TaskAssignment) -> None:
        loop = asyncio.get_running_loop()
        contain_attempts(loop)
        context = TaskContext(assignment, partial(self._take_progress, key), loop)
        job = self._jobs[key] = _Job(assignment, context)
        job.work = loop.create_task(self._work(key, job))
        # Whatever becomes of an asyncio task, this is called.
        job.work.add_done_callback(partial(self._end, key, job))

    def _end(self, key: Key, job: _Job, work: asyncio.Task[None]) -> None:
        del self._jobs[key]
        # Its frame may live on in what it raised.
        job.work = None
        if self._progress:
            self._progress.pop(key, None)
        # Asked for here, or asyncio complains that nobody has.
        fault = asyncio.CancelledError() if work.cancelled() else work.exception()
        try:
            if not (job.has_ended or self._are_stopped):
                # Cancelled before its first step, or its result could not be handed in.
                self._report(key, failure(_describe_end(fault)), 0.0)
        finally:
            if self._waiting and len(self._jobs) < self._slots:
                self._follow()

    def _follow(self) -> None:
        """Begin what has waited longest."""
        key = next(iter(self._waiting))
        assignment, came_in = self._waiting.pop(key)
        came_in.run(self._begin, key, assignment)

    def _take_progress(self, key: Key, percent: float, note: str) -> None:
        if key in self._jobs:
            progress = self._progress.get(key)
            if progress is None:
                progress = self._progress[key] = _Progress(self, self._worker, key)
            progress.take(percent, note)

    async def _work(self, key: Key, job: _Job) -> None:
        job.has_begun = True
        assignment, context = job.assignment, job.context
        if context.cancel_reason is not None:
            job.has_ended = True
            self._report(key, failure(context.cancel_reason), 0.0)
            return
        current_context.set(context)
        is_in_attempt.set(True)
        own_task = asyncio.current_task()
        started_at = now()
        try:
            outcome = await self._perform(assignment)
        except BaseException as fault:
            if is_from_signal(fault) or _is_thrown_away(own_task):
                job.has_ended = True
                raise
            # A handler may also exit, or raise what the interpreter itself knows.
            reason = await self._judge(job, fault)
            if reason is None:
                job.has_ended = True
                return
            outcome = failure(reason)
        took_s = now() - started_at
        try:
            self._report(key, outcome, took_s)
        except Exception as fault:  # noqa: BLE001 - what a handler returned may be of any kind
            told = f"{describe_fault(fault)}; its result was {show(outcome)}"
            self._report(key, failure(told), took_s)
        job.has_ended = True

    async def _judge(self, job: _Job, fault: BaseException) -> str | None:
        """Why an attempt failed; None if it did not, but was stopped together with the worker."""
        is_cancelled = is_cancellation(fault)
        if is_cancelled and job.context.cancel_reason is None:
            # Who ends a loop cancels all its tasks at once, attempts and worker alike.
            for _ in range(_TURNS_OF_A_STOP):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
        # Who stops has not failed the task: it is unfinished, and the manager knows.
        if self._are_stopped:
            return None
        if not is_cancelled:
            return describe_fault(fault)
        return job.context.cancel_reason or describe_stray_cancellation(fault)

    def _report(self, key: Key, outcome: object, took_s: float) -> None:
        if not isinstance(outcome, TaskResult):
            raise TypeError(f"a task must end in a TaskResult, not a {type(outcome).__name__}")
        # Whoever did the task may have measured it already.
        took_s = 0.0 if outcome.execution_time else took_s
        # Where pydantic keeps the fields: to ask it for each takes three times as long.
        told: Mapping[str, Any] = outcome.__dict__
        is_complete = (
            # A manager may not know a class of the user's.
            type(outcome) is TaskResult
            and told["success"] is True
            and told["error_message"] is None
            and (told["task_id"], told["attempt"]) == key
            and told["worker"] == self._worker
            and (
                0 < told["execution_time"] < math.inf
                or not (told["execution_time"] or in_ticks(took_s))
            )
        )
        if is_complete:
            self._hand_in(outcome)
            return
        self._hand_in(
            TaskResult(
                task_id=key[0],
                worker=self._worker,
                success=outcome.success,
                execution_time=outcome.execution_time or in_ticks(took_s),
                error_message=None
                if outcome.success
                else outcome.error_message or "failed: no reason",
                attempt=key[1],
                output=outcome.output,
            )
        )


class _Progress:
    """Takes an attempt's progress and passes on the newest, as often as a manager can use it."""

    __slots__ = ("_jobs", "_key", "_newest", "_timer", "_worker")

    def __init__(self, jobs: TaskRunner, worker: str, key: Key) -> None:
        self._jobs = jobs
        self._worker = worker
        self._key = key
        self._newest: tuple[float, str] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def take(self, percent: float, note: str) -> None:
        self._newest = (percent, note)
        if self._timer is None:
            self._pass_on()

    def _pass_on(self) -> None:
        self._timer = None
        if self._newest is None or not self._jobs.is_running(self._key):
            return
        (percent, note), self._newest = self._newest, None
        task_id, attempt = self._key
        self._jobs.tell_progress(
            TaskProgress(
                task_id=task_id,
                worker=self._worker,
                attempt=attempt,
                percent=percent,
                note=note[:1_000],
            )
        )
        self._timer = asyncio.get_running_loop().call_later(PROGRESS_EVERY_S, self._pass_on)


def in_ticks(seconds: float) -> float:
    """A duration in whole 2**-20ths of a second: of so few digits a compressed frame takes little.

    Args:
        seconds: the duration; below 0 counts as 0.
    """
    return round(seconds * _TICKS_PER_S) / _TICKS_PER_S if seconds > 0 else 0.0


def _is_thrown_away(own_task: asyncio.Task[Any] | None) -> bool:
    """Whether a coroutine is closed unfinished by whoever forgets it, as the loop is gone."""
    try:
        return asyncio.current_task() is not own_task
    except RuntimeError:
        return True


def _describe_end(fault: BaseException | None) -> str:
    if fault is None:
        return "failed: no result"
    is_stray = is_cancellation(fault)
    return describe_stray_cancellation(fault) if is_stray else describe_fault(fault)


def failure(reason: str) -> TaskResult:
    """The outcome of an attempt that went wrong."""
    return TaskResult(task_id=1, worker="", success=False, error_message=reason)
