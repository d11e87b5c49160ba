"""The calls that `Muster` has submitted and that are not done: their tasks, futures and results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeGuard

from pydantic import ValidationError

from ...messages import (
    IllegalTransition,
    InvalidInput,
    MusterError,
    Task,
    TaskId,
    TaskResult,
    UnknownTask,
)
from ...messages.task_ids import new_task_id
from ...messages.wording import show, summarize
from ..manager.task_manager import TaskManager
from ..runtime.error_text import HandlerFailed
from ..submission.call_future import CallFuture
from .calling import make_request
from .future_arguments import when_done, with_results
from .workers import Call, ProcessSource

KEPT_CALLS = 10_000
"""How many calls that are done are kept for the report."""

FORGOTTEN_AT_ONCE = 1_000

_MAX_DESCRIPTION = 120


class PendingCalls:
    """Hands calls to a manager as tasks, and sets the results of their futures.

    Args:
        manager: the manager.
        call_soon: calls a function in the manager's event loop, from any thread.
    """

    def __init__(self, manager: TaskManager, call_soon: Callable[..., None]) -> None:
        self._manager = manager
        self._call_soon = call_soon
        self.source: ProcessSource | None = None
        """Gives the processes that call the functions; None for threads."""
        self.futures: dict[TaskId, CallFuture[Any]] = {}
        """The futures that are not done."""
        self._calls: dict[TaskId, Call] = {}
        self._scheduled: dict[str, Call] = {}
        self._settled: deque[TaskId] = deque()

    def submit(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any],
    ) -> Task:
        """Register a call and its future; `hand_in` submits its task."""
        task = self.register(function, args, kwargs, options)
        self.futures[task.id] = CallFuture(task.id, self._cancel)
        return task

    def schedule(self, name: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Task:
        """Register a call that a schedule makes again and again; returns its task."""
        task = self.register(function, args, {}, {})
        # The tasks of the schedule have ids of their own.
        self._scheduled[name] = self._calls.pop(task.id)
        return task.model_copy(update={"type": name})

    def clear(self) -> None:
        """Cancel all futures: no more results will come."""
        for future in tuple(self.futures.values()):
            future.cancel()
        self.futures.clear()
        self._calls.clear()

    def register(
        self,
        function: Callable[..., object],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any],
    ) -> Task:
        """Make the task of a call, and keep the call for whichever worker gets it."""
        request = None
        if self.source is not None:
            request = make_request(function, args, kwargs)
            self.source.learn(request)
        task = make_task(function, args, options)
        self._calls[task.id] = Call(function, args, kwargs, request)
        return task

    def hand_in(self, tasks: list[Task]) -> None:
        """Submit tasks that were registered; if that fails, nothing is left of them."""
        try:
            results = self._manager.submit_together(tasks) if tasks else []
        except BaseException:
            for task in tasks:
                self._drop(task.id)
            raise
        for result in results:
            result.add_done_callback(self._settle)

    def submit_later(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any],
        waits_for: list[CallFuture[Any]],
    ) -> CallFuture[Any]:
        """Submit a call when the futures among its arguments are done."""
        task_id = new_task_id()
        future: CallFuture[Any] = CallFuture(task_id, self._cancel)
        self.futures[task_id] = future
        # The thread that submits is the one that may fork.
        request = None if self.source is None else make_request(function, (), {})
        if request is not None and self.source is not None:
            self.source.learn(request)

        def submit() -> None:
            try:
                if not future.cancelled():
                    arguments, keywords = with_results(args, kwargs)
                    given = {**options, "id": task_id}
                    self.hand_in([self.register(function, arguments, keywords, given)])
            except BaseException as fault:  # noqa: BLE001 - raised to whoever waits
                self._drop(task_id)
                if future.set_running_or_notify_cancel():
                    future.set_exception(fault)
            finally:
                if request is not None:
                    request.release()

        when_done(waits_for, lambda: self._call_soon(submit))
        return future

    def _cancel(self, task_id: TaskId) -> None:
        self._call_soon(self._cancel_now, task_id)

    def _cancel_now(self, task_id: TaskId) -> None:
        try:
            self._manager.cancel_task(task_id)
        except (IllegalTransition, UnknownTask):
            # It was done at the same moment, or waits for others.
            self._drop(task_id)

    def _settle(self, settled: Future[TaskResult]) -> None:
        """Set the result of a future, in the thread of the manager."""
        fault = settled.exception()
        if fault is not None:
            # The run has ended; `stop` cancels all futures.
            return
        result = settled.result()
        future = self.futures.get(result.task_id)
        call = self._drop(result.task_id)
        if future is not None and call is not None and future.set_running_or_notify_cancel():
            reply = call.reply
            if result.success:
                future.set_result(reply.value)
            elif _is_whole(reply.fault) and result.error_message == reply.error:
                if call.request is not None and reply.traceback:
                    # Its traceback in the process, as text; that of the exception did not travel.
                    reply.fault.__cause__ = _failure_of(result).__cause__
                future.set_exception(reply.fault)
            else:
                future.set_exception(_failure_of(result))
        self._settled.append(result.task_id)
        if len(self._settled) > KEPT_CALLS + FORGOTTEN_AT_ONCE:
            self._manager.forget_tasks([self._settled.popleft() for _ in range(FORGOTTEN_AT_ONCE)])

    def find(self, task: Task) -> Call:
        """The call that a task is for."""
        return self._calls.get(task.id) or self._scheduled[task.type]

    def _drop(self, task_id: TaskId) -> Call | None:
        self.futures.pop(task_id, None)
        call = self._calls.pop(task_id, None)
        if call is not None and call.request is not None:
            call.request.release()
        return call


def make_task(
    function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> Task:
    """Make the task of a call.

    Raises:
        InvalidInput: there is no such option, or its value is invalid.
    """
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    shown = ", ".join(show(each) for each in arguments[:5])
    description = f"{name}({shown})"[:_MAX_DESCRIPTION]
    try:
        return Task.model_validate({"type": name[-200:], "description": description, **options})
    except ValidationError as fault:
        raise InvalidInput(f"no task can be made with these options: {summarize(fault)}") from None


def _is_whole(fault: BaseException | None) -> TypeGuard[BaseException]:
    """Whether there is an exception that is more than a text."""
    return fault is not None and not isinstance(fault, HandlerFailed)


def _failure_of(result: TaskResult) -> MusterError:
    try:
        result.unwrap()
    except MusterError as fault:
        return fault
    raise AssertionError("a failed result")  # pragma: no cover
