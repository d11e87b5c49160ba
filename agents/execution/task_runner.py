"""Runs the attempts assigned to a worker, up to its slots at a time, and reports their results."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...messages import (
    AttemptResumed,
    AttemptSuspended,
    CancelTask,
    ChangeGrant,
    TaskAssignment,
    TaskProgress,
    TaskResult,
)
from ...messages.wording import show
from ..runtime.clock import now
from ..runtime.error_text import describe_fault
from ..runtime.error_traceback import format_traceback
from .attempt_outcome import (
    describe_end,
    describe_stray_cancellation,
    is_cancellation,
    is_from_signal,
    is_garbage_collected,
)
from .attempt_progress import PROGRESS_EVERY_S, AttemptProgress
from .contained_tasks import ContainingTaskFactory, contain_attempts, is_in_attempt
from .failure_log import FailureLog
from .handler_calls import HandlerCalls
from .handler_requests import outcome_of, request_in
from .handlers import TaskContext, current_context
from .held_slots import OverdueAttempt
from .outcome import completed, failure, in_ticks
from .part_sender import PartSenders
from .suspended_attempts import SuspendedAttempts
from .suspension import AttemptKey, SlotKeeper
from .task_data import with_outputs_as_data

__all__ = ["PROGRESS_EVERY_S", "TaskRunner"]

_STOPPING_S = 1.0
_LOOP_TURNS_UNTIL_STOPPED = 3
"""If the worker is cancelled together with its attempts, it is stopped within so many turns of the
event loop."""


# Without a repr, which would show the payload wherever asyncio shows the callback.
@dataclass(slots=True, repr=False)
class _RunningAttempt:
    assignment: TaskAssignment
    context: TaskContext
    work: asyncio.Task[None] | None = None
    has_begun: bool = False
    is_reported: bool = False
    cancelled_at: float | None = None

    @property
    def is_alive(self) -> bool:
        """Whether its asyncio task still runs, so that there will be a result."""
        return self.work is not None and not self.work.done()

    def stop(self) -> None:
        if self.work is not None:
            self.work.cancel()


class TaskRunner:
    """Runs attempts concurrently, and stops those that are cancelled.

    The attempts whose handlers wait for something that the manager will deliver are suspended: they
    hold no slot. One that goes on gets the next free slot, before any attempt that has not begun.

    It is independent of the connection to the manager, and outlives it. Whatever an attempt does,
    it ends in a result and its slot becomes free; only attempts that are stopped together with the
    worker stay unfinished.

    Args:
        worker: the worker's name, for the results.
        slots: how many attempts run at once; others wait, and begin in the order in which they
            arrived.
        perform: performs a task. Whatever it raises becomes the task's error, even what would end
            a program, such as SystemExit; only what Ctrl-C raises propagates.
        report_result: takes each result.
        report_progress: takes progress, at most once every `PROGRESS_EVERY_S` for each attempt.
        sends_tracebacks: whether results have the tracebacks of what handlers raised.
        senders: send the parts of handlers that are generators; None sends none.
        report_state: takes what is to be told of attempts that are suspended and resumed.
        calls: asks the manager what handlers ask; None without a manager.
        keeper: has the slots that the attempts hold; None for this object itself.
    """

    def __init__(
        self,
        worker: str,
        slots: int,
        perform: Callable[[TaskAssignment], Awaitable[TaskResult]],
        report_result: Callable[[TaskResult], None],
        report_progress: Callable[[TaskProgress], None],
        *,
        sends_tracebacks: bool = True,
        senders: PartSenders | None = None,
        report_state: Callable[[AttemptSuspended | AttemptResumed], None] | None = None,
        calls: HandlerCalls | None = None,
        keeper: SlotKeeper | None = None,
    ) -> None:
        self._worker = worker
        self._senders = senders
        self._sends_tracebacks = sends_tracebacks
        self._failure_log = FailureLog(worker)
        self._slots = slots
        self._perform = perform
        self._report_result = report_result
        self.report_progress = report_progress
        self._calls = calls
        self._keeper: SlotKeeper = self if keeper is None else keeper
        # All are bounded by what the manager assigns: the slots, and what it prefetches.
        self._attempts: dict[AttemptKey, _RunningAttempt] = {}
        self._waiting: OrderedDict[AttemptKey, tuple[TaskAssignment, Context]] = OrderedDict()
        self._progress: dict[AttemptKey, AttemptProgress] = {}
        self.suspended = SuspendedAttempts(report_state)
        self._is_stopped = False

    @property
    def running(self) -> list[TaskAssignment]:
        """The assignments that are running."""
        return [attempt.assignment for attempt in self._attempts.values()]

    @property
    def keys(self) -> Iterable[AttemptKey]:
        """The attempts that run or wait for a slot."""
        alive = (key for key, attempt in self._attempts.items() if attempt.is_alive)
        return (*alive, *self._waiting)

    def name_of(self, work: asyncio.Task[Any]) -> str | None:
        """Describe the attempt that an asyncio task belongs to; None if it belongs to none.

        Safe to call from any thread.
        """
        # Tasks that a handler started share its context; it can be read from Python 3.12 on.
        get_context: Callable[[], Context] | None = getattr(work, "get_context", None)
        context = None if get_context is None else get_context().get(current_context)
        for (task_id, number), attempt in tuple(self._attempts.items()):
            if attempt.work is work or attempt.context is context:
                kind = attempt.assignment.task.type
                details = f"attempt {number}, type {kind!r}" if kind else f"attempt {number}"
                return f"worker {self._worker!r}: task {task_id} ({details})"
        return None

    def overdue(self) -> Iterator[OverdueAttempt]:
        """The attempts that were cancelled and still run."""
        for (task_id, number), attempt in self._attempts.items():
            # One that is suspended holds no slot.
            if attempt.cancelled_at is not None and (task_id, number) not in self.suspended.waiting:
                reason = attempt.context.cancel_reason or "cancelled"
                yield OverdueAttempt(task_id, number, attempt.cancelled_at, reason)

    @property
    def has_waiting(self) -> bool:
        """Whether attempts wait for a slot."""
        return bool(self._waiting)

    @property
    def has_one(self) -> bool:
        """Whether there is one attempt, running or ending, and no other."""
        return len(self._attempts) == 1 and not self._waiting

    def is_running(self, key: AttemptKey) -> bool:
        """Whether an attempt is running."""
        return key in self._attempts

    def take(self, assignment: TaskAssignment) -> None:
        """Begin an attempt as soon as a slot is free, unless it is here already."""
        key = (assignment.task.id, assignment.attempt)
        if key in self._attempts or key in self._waiting or self._is_stopped:
            return
        if self.working_count < self._slots:
            self._begin(key, assignment)
        else:
            # It begins when another attempt ends, whose context variables it must not see.
            self._waiting[key] = assignment, copy_context()

    def give_back(self, keys: Iterable[AttemptKey] | None = None) -> list[AttemptKey]:
        """Drop those of the attempts, or of all, that have not begun, and return them."""
        named = tuple(self._waiting if keys is None else keys)
        return [key for key in named if self._waiting.pop(key, None) is not None]

    def cancel(self, request: CancelTask) -> bool:
        """Stop an attempt if it runs, and drop it if it waits; False if it does neither."""
        key = (request.task_id, request.attempt)
        reason = request.reason or "cancelled"
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._report(key, failure(reason))
        attempt = self._attempts.get(key)
        if attempt is not None:
            attempt.context.mark_cancelled(reason)
            if attempt.cancelled_at is None:
                attempt.cancelled_at = now()
            # A cancel may arrive together with the assignment. A coroutine that is cancelled before
            # its first step never runs, and so would never report a result.
            if attempt.has_begun:
                attempt.stop()
        return waiting is not None or attempt is not None

    async def stop(self) -> None:
        """Stop all attempts; what is unfinished stays so."""
        works = [attempt.work for attempt in self._attempts.values() if attempt.work is not None]
        for attempt in self._attempts.values():
            attempt.context.mark_cancelled("worker stopped")
        self.drop()
        if works:
            # Do not wait longer for a handler in a thread, or one that ignores its cancellation.
            await asyncio.wait(works, timeout=_STOPPING_S)

    def drop(self) -> None:
        """Stop all attempts without waiting."""
        self._is_stopped = True
        self._waiting.clear()
        self.suspended.drop()
        for attempt in self._attempts.values():
            attempt.stop()

    # ------------------------------------------------------------------ slots

    def change_grant(self, change: ChangeGrant) -> None:
        """Let a suspended attempt go on as soon as there is a slot, or not without a grant."""
        self.suspended.change_grant(change)
        self._fill_slots()

    @property
    def suspended_count(self) -> int:
        """How many attempts are suspended."""
        return len(self.suspended.waiting)

    @property
    def working_count(self) -> int:
        """How many attempts hold a slot."""
        return len(self._attempts) - len(self.suspended.waiting)

    def give_back_slot(self, key: AttemptKey, reason: str) -> None:
        """Suspend an attempt: others may run in its slot."""
        if key not in self._attempts or self._is_stopped:
            return
        self.suspended.suspend(key, reason)
        self._fill_slots()

    def take_slot(self, key: AttemptKey) -> asyncio.Future[None]:
        """Give a suspended attempt the next free slot; done when it has it."""
        if self._is_stopped or key not in self.suspended.waiting:
            slot = asyncio.get_running_loop().create_future()
            slot.cancel()
        else:
            slot = self.suspended.go_on(key)
            self._fill_slots()
        return slot

    def _fill_slots(self) -> None:
        ready = self.suspended.ready
        while (ready or self._waiting) and self.working_count < self._slots:
            if ready:
                self.suspended.resume_next()
            else:
                self._begin_next()

    # ------------------------------------------------------------------ one attempt

    def _begin(self, key: AttemptKey, assignment: TaskAssignment) -> None:
        loop = asyncio.get_running_loop()
        if assignment.task.takes_output:
            assignment = with_outputs_as_data(assignment)
        if type(loop.get_task_factory()) is not ContainingTaskFactory:
            contain_attempts(loop)
        context = TaskContext(assignment, partial(self._take_progress, key), loop, self._senders)
        context.slots, context.calls = self._keeper, self._calls
        attempt = self._attempts[key] = _RunningAttempt(assignment, context)
        attempt.work = loop.create_task(self._work(key, attempt))
        attempt.work.add_done_callback(partial(self._end, key, attempt))  # however it ends

    def _end(self, key: AttemptKey, attempt: _RunningAttempt, work: asyncio.Task[None]) -> None:
        del self._attempts[key]
        if self.suspended.known:
            self.suspended.end(key)
        attempt.context.stop_waiting()
        # An exception's traceback may keep the task's frame, and with it this attempt, alive.
        attempt.work = None
        if self._progress:
            self._progress.pop(key, None)
        attempt.context.close_stream()
        # Retrieved here, or asyncio logs that it never was.
        fault = asyncio.CancelledError() if work.cancelled() else work.exception()
        try:
            if not (attempt.is_reported or self._is_stopped):
                # It was cancelled before its first step, or reporting its result failed.
                self._report(key, failure(describe_end(fault)))
        finally:
            if self._waiting or self.suspended.ready:
                self._fill_slots()

    def _begin_next(self) -> None:
        """Begin the attempt that has waited longest."""
        key, (assignment, context) = self._waiting.popitem(last=False)
        context.run(self._begin, key, assignment)

    def _take_progress(self, key: AttemptKey, percent: float, note: str) -> None:
        if key in self._attempts:
            progress = self._progress.get(key)
            if progress is None:
                progress = self._progress[key] = AttemptProgress(self, self._worker, key)
            progress.take(percent, note)

    async def _work(self, key: AttemptKey, attempt: _RunningAttempt) -> None:
        attempt.has_begun = True
        assignment, context = attempt.assignment, attempt.context
        if context.cancel_reason is not None:
            attempt.is_reported = True
            self._report(key, failure(context.cancel_reason))
            return
        current_context.set(context)
        is_in_attempt.set(True)
        own_task = asyncio.current_task()
        started_at = now()
        try:
            outcome: object = await self._perform(assignment)
        except BaseException as fault:
            if is_from_signal(fault) or is_garbage_collected(own_task):
                attempt.is_reported = True
                raise
            # Handlers may also call `sys.exit`, or raise an exception that asyncio gives a meaning.
            request = request_in(fault)
            reason = "" if request else await self._explain(attempt, fault)
            if reason is None or self._is_stopped:
                attempt.is_reported = True
                return
            outcome = outcome_of(request) if request else self._failed(attempt, reason, fault)
        try:
            self._report(key, completed(outcome, context), started_at + context.suspended_s)
        except Exception as fault:  # noqa: BLE001 - what a handler returned may be of any kind
            error = f"{describe_fault(fault)}; its result was {show(outcome)}"
            outcome = completed(failure(error), context)
            self._report(key, outcome, started_at + context.suspended_s)
        attempt.is_reported = True

    def _failed(self, attempt: _RunningAttempt, reason: str, fault: BaseException) -> TaskResult:
        """Log what a handler raised, and return the outcome of its attempt."""
        if reason is attempt.context.cancel_reason:
            return failure(reason)
        assignment, traceback = attempt.assignment, format_traceback(fault)
        task = assignment.task
        self._failure_log.tell(task.id, assignment.attempt, task.type, reason, traceback)
        return failure(reason, traceback if self._sends_tracebacks else None)

    async def _explain(self, attempt: _RunningAttempt, fault: BaseException) -> str | None:
        """Why an attempt failed; None if it was stopped together with the worker instead."""
        is_cancelled = is_cancellation(fault)
        if is_cancelled and attempt.context.cancel_reason is None:
            # Ending an event loop cancels all its tasks at once, attempts and worker alike.
            for _ in range(_LOOP_TURNS_UNTIL_STOPPED):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
        # A worker that stops has not failed the task: it stays unfinished, as the manager knows.
        if self._is_stopped:
            return None
        if not is_cancelled:
            return describe_fault(fault)
        return attempt.context.cancel_reason or describe_stray_cancellation(fault)

    def _report(self, key: AttemptKey, outcome: object, started_at: float | None = None) -> None:
        if not isinstance(outcome, TaskResult):
            raise TypeError(f"a task must end in a TaskResult, not a {type(outcome).__name__}")
        # Reading pydantic's own dictionary takes a third of the time of reading its attributes.
        fields: Mapping[str, Any] = outcome.__dict__
        # Whoever performed the task may have measured it already.
        took_s: float = fields["execution_time"]
        if not took_s and started_at is not None:
            took_s = in_ticks(now() - started_at)
        is_complete = (
            # A manager may not know a subclass that the user has made.
            type(outcome) is TaskResult
            and fields["success"] is True
            and fields["error_message"] is None
            and (fields["task_id"], fields["attempt"]) == key
            and fields["worker"] == self._worker
            and fields["execution_time"] == took_s
            and 0 <= took_s < math.inf
            and fields["cost"] is None
            and fields["quality"] is None
            and fields["declined"] is False
            and fields["error_traceback"] is None
            and fields["retry_after_s"] is None
            and fields["gives_up"] is False
            and fields["usage"] is None
        )
        if is_complete:
            self._report_result(outcome)
            return
        # It may be anything if the result was made without validation, which follows here.
        success = False if outcome.declined else outcome.success
        no_reason = "no reason given" if outcome.declined else "failed: no reason"
        self._report_result(
            TaskResult(
                task_id=key[0],
                worker=self._worker,
                success=success,
                execution_time=took_s,
                error_message=None if success else outcome.error_message or no_reason,
                attempt=key[1],
                output=outcome.output,
                cost=outcome.cost,
                cost_unit=outcome.cost_unit,
                quality=outcome.quality,
                declined=outcome.declined,
                error_traceback=None if success else outcome.error_traceback,
                retry_after_s=None if success else outcome.retry_after_s,
                gives_up=not success and outcome.gives_up,
                usage=outcome.usage,
            )
        )
