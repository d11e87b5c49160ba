"""Handlers: the functions that perform tasks, by task type, and the context that they get.

```python
from muster.agents import Handlers

handlers = Handlers()

@handlers.task("count_words")
def count_words(task, context):
    context.progress(50, "half of the file")
    return len(task.data["text"].split())
```
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace as replaced
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, TypeAlias, TypeVar, cast, overload

from ...messages import (
    InvalidInput,
    Payload,
    Task,
    TaskAssignment,
    TaskId,
    UnknownName,
)
from .current_submitter import handler_context
from .handler_executor import HandlerExecutor
from .handler_log import make_handler_log
from .handler_output import HandlerOutput
from .handler_report import HandlerReport
from .marked_methods import find_marked_methods
from .parameters import name_of
from .part_sender import PartSenders
from .person_questions import PersonQuestions
from .registered_call import call_registered
from .reviews import ReviewCall, Reviewer
from .signature import PlannedCall, plan_call
from .streaming import stream_parts_of
from .told_functions import ToldFunctions
from .typed_call import TypedCall
from .typed_function import (
    ParametersT,
    ReturnedT,
    TaskDecorator,
    TaskT,
    TypedFunction,
    attach,
    attach_to_method,
)

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

Handler: TypeAlias = Callable[..., Payload | Awaitable[Payload]]
ReviewerT = TypeVar("ReviewerT", bound=Reviewer)


class TaskContext(HandlerOutput, HandlerReport, PersonQuestions):
    """What a running handler can read and report; safe to use from a thread.

    Args:
        assignment: the task, its attempt number and its inputs.
        report: takes progress; called in the agent's event loop.
        loop: the agent's event loop.
        senders: send the parts of a handler that is a generator; None sends none.
    """

    def __init__(
        self,
        assignment: TaskAssignment,
        report: Callable[[float, str], None],
        loop: asyncio.AbstractEventLoop,
        senders: PartSenders | None = None,
    ) -> None:
        self._assignment = assignment
        self._senders = senders
        self._report = report
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self.cancel_reason: str | None = None

    @cached_property
    def task(self) -> Task:
        """The task."""
        return self._assignment.task

    @cached_property
    def attempt(self) -> int:
        """The number of this attempt at the task, from 1."""
        return self._assignment.attempt

    @cached_property
    def inputs(self) -> Mapping[TaskId, Payload]:
        """The outputs of the tasks that this task depends on, by task id."""
        return self._assignment.inputs

    @cached_property
    def upstream_errors(self) -> Mapping[TaskId, str]:
        """Why tasks that this task depends on were not completed, by task id; see `Task.run_if`."""
        return self._assignment.upstream_errors

    @cached_property
    def log(self) -> BoundLogger:
        """A structlog logger that is bound to the task's id, the attempt and the worker.

        It follows the program's configuration of structlog; without one it writes to the standard
        logger "muster.handler".
        """
        return make_handler_log(self._assignment)

    @property
    def is_cancelled(self) -> bool:
        """Whether this attempt was cancelled; a long plain function should check this regularly."""
        return self.cancel_reason is not None

    def progress(self, percent: float, note: str = "") -> None:
        """Report to the manager how far the work has come.

        Args:
            percent: 0 to 100.
            note: a short text for people.

        Raises:
            InvalidInput: percent is out of range.
        """
        if not 0 <= percent <= 100:  # noqa: PLR2004 - percent
            raise InvalidInput(f"progress is {percent!r}; it goes from 0 to 100")
        if threading.get_ident() == self._loop_thread:
            self._report(percent, note)
        else:
            self._loop.call_soon_threadsafe(self._report, percent, note)

    def mark_cancelled(self, reason: str) -> None:
        """Note that this attempt is to stop; called by the agent."""
        self.cancel_reason = reason
        self.end_stream()
        self.cancel_waits()


class Handlers(ToldFunctions):
    """The functions that perform a worker's tasks or review results, by task type."""

    def __init__(self) -> None:
        super().__init__()
        self._by_type: dict[str, PlannedCall] = {}
        self._reviewers: dict[str, PlannedCall] = {}

    @overload
    def task(  # pyright: ignore[reportOverlappingOverload] - a task is not just any argument
        self, task_type: Callable[Concatenate[TaskT, ParametersT], ReturnedT], /
    ) -> Callable[Concatenate[TaskT, ParametersT], ReturnedT]: ...

    @overload
    def task(
        self, task_type: Callable[ParametersT, ReturnedT], /
    ) -> TypedFunction[ParametersT, ReturnedT]: ...

    @overload
    def task(self, task_type: str | None = None, *, replace: bool = False) -> TaskDecorator: ...

    def task(self, task_type: Any = None, *, replace: bool = False) -> Any:
        """Register the decorated function for a task type.

        The function takes the `Task` and, if it has a parameter for it, the `TaskContext`: one that
        is called `context` or annotated as `TaskContext`, by position or by name, with or without a
        default; or a second parameter without a default. An async function runs in the agent's
        event loop, a plain one in a thread or in the worker's executor; what it returns is awaited
        if it can be. Its return value becomes the result's output; an exception becomes the error
        message. What a generator function, async or plain, yields is sent as it comes; see
        `TaskManager.stream` and `TaskContext.result`.

        A function whose parameters are annotated with other types takes arguments instead, which
        are checked, as is what it returns: `def add(x: int, y: int = 3) -> int`. See
        `TypedFunction`.

        Args:
            task_type: the type; without it, and for `@handlers.task` without brackets, it is the
                function's name.
            replace: whether the function may take the place of another one for the type.

        Raises:
            InvalidInput: the type is blank or already has a handler, or the function can't be
                called with a task; the message says what to write.
        """
        return _register(self._by_type, task_type, "handler", ("task",), replace=replace)

    @overload
    def review(self, task_type: ReviewerT, /) -> ReviewerT: ...

    @overload
    def review(
        self, task_type: str | None = None, *, replace: bool = False
    ) -> Callable[[ReviewerT], ReviewerT]: ...

    def review(
        self, task_type: str | ReviewerT | None = None, *, replace: bool = False
    ) -> ReviewerT | Callable[[ReviewerT], ReviewerT]:
        """Register the decorated function as the reviewer of results for a task type.

        It gets the results of tasks with `review=True` that other workers ran. It takes the `Task`,
        the `TaskResult` and, if it has a parameter for it, the `TaskContext`, as a handler does. It
        returns a grade from 0 to 1, a bool, or a `Review(grade, reason)`; a grade below 0.5 or
        `raise Rejected(reason)` rejects the result, and None accepts it without a grade. Any other
        exception is a failure of the reviewer, not of the reviewed worker.

        Args:
            task_type: the type; without it, and for `@handlers.review` without brackets, it is the
                function's name.
            replace: whether the function may take the place of another one for the type.

        Raises:
            InvalidInput: the type is blank or already has a reviewer, or the function can't be
                called with a task and a result; the message says what to write.
        """
        return _register(
            self._reviewers, task_type, "reviewer", ("task", "result"), replace=replace
        )

    @staticmethod
    def of(owner: object) -> Handlers:
        """The methods of an object, such as an agent, that are marked as handlers or reviewers.

        `task_method` and `review_method` mark them.
        Their forms are those of functions under `task` and `review`. Async ones run in the event
        loop, in which the agent has its conversations too; plain ones in a thread beside it.

        Args:
            owner: the object. If it is one of Ceylon's agents, it needs no change but the marks.

        Raises:
            InvalidInput: it has no marked method, two have the same type, or one can't be called
                with a task.
        """
        handlers = Handlers()
        for role, task_type, method in find_marked_methods(owner):
            if role == "reviewer":
                handlers.review(task_type)(method)
            else:
                attach_to_method(method, handlers.task(task_type)(method))
        return handlers

    def update(self, others: Handlers, *, replace: bool = False) -> None:
        """Add all handlers and reviewers of another collection.

        Args:
            others: the other collection.
            replace: whether they may take the place of those that are here for the same types.

        Raises:
            InvalidInput: both collections have a handler for the same type.
        """
        for task_type in () if replace else others:
            if task_type in self._by_type:
                raise InvalidInput(f"there are two handlers for tasks of type {task_type!r}")
        for task_type in () if replace else others._reviewers:
            if task_type in self._reviewers:
                raise InvalidInput(f"there are two reviewers for tasks of type {task_type!r}")
        self._by_type.update(others._by_type)
        self._reviewers.update(others._reviewers)

    def check(self, task: Task) -> None:
        """Check that a typed function here can be called with the data of a task of its type.

        Raises:
            WrongCall: it can't; names each fault.
        """
        registered = self._by_type.get(task.type)
        if registered is not None and isinstance(registered.function, TypedCall):
            registered.function.arguments.read(task.data)

    def __iter__(self) -> Iterator[str]:
        """The task types that have a handler."""
        return iter(self._by_type)

    def __len__(self) -> int:
        return len(self._by_type)

    @property
    def task_types(self) -> tuple[str, ...] | None:
        """The task types that have a handler; None if there are neither handlers nor reviewers."""
        return tuple(self._by_type) if self._by_type or self._reviewers else None

    @property
    def review_types(self) -> tuple[str, ...]:
        """The task types that have a reviewer."""
        return tuple(self._reviewers)

    @property
    def at_most_once_types(self) -> tuple[str, ...]:
        """The task types of which a lost attempt is not repeated, because it may have acted."""
        return ()

    @property
    def has_plain(self) -> bool:
        """Whether a handler or reviewer is not async, so that it needs an executor."""
        return any(not each.is_async for _, each in self._all())

    def _all(self) -> Iterator[tuple[str, PlannedCall]]:
        yield from ((f"handler for {each!r}", it) for each, it in self._by_type.items())
        yield from ((f"reviewer for {each!r}", it) for each, it in self._reviewers.items())

    def refuse_contexts(self) -> None:
        """Check that no plain function takes a context, which it gets in a thread only.

        Raises:
            InvalidInput: one takes a context.
        """
        for name, registered in self._all():
            if registered.yields and not registered.is_async:
                raise InvalidInput(
                    f"the {name} is a plain generator, whose parts can't leave the process where "
                    "the worker's executor runs it; run it in threads, make it an async generator, "
                    "or return a list"
                )
            if registered.needs_context and not registered.is_async:
                raise InvalidInput(
                    f"the {name} takes a context, which can't go where the worker's executor runs "
                    "it; run it in threads, let it take no context, or write "
                    "`context: TaskContext | None = None`"
                )

    def start(
        self, assignment: TaskAssignment, executor: HandlerExecutor
    ) -> Awaitable[Payload] | None:
        """What performs a task once it is awaited, with as few layers around it as possible.

        Args:
            assignment: the task.
            executor: runs plain functions.

        Returns:
            The awaitable; None if there are no handlers at all, so that work is simulated.

        Raises:
            UnknownName: there are handlers, but none for this type.
        """
        # Nearly all calls find a handler here; everything else is decided by `run`.
        if getattr(self.run, "__func__", None) is Handlers.run:
            registered = self._by_type.get(assignment.task.type)
            if registered is not None:
                return call_registered(registered, assignment.task, executor)
        return self.run(assignment, executor) if len(self) else None

    async def run(self, assignment: TaskAssignment, executor: HandlerExecutor | None) -> Payload:
        """Perform a task by its handler.

        Args:
            assignment: the task.
            executor: runs plain functions; async ones need none.

        Raises:
            UnknownName: there is no handler for the type.
        """
        task_type = assignment.task.type
        registered = self._by_type.get(task_type)
        if registered is None:
            raise UnknownName("handler for tasks of type", task_type, self._by_type)
        return await call_registered(registered, assignment.task, executor)

    def start_review(
        self, assignment: TaskAssignment, executor: HandlerExecutor | None
    ) -> Awaitable[object]:
        """What reviews a result once it is awaited.

        Args:
            assignment: the assignment of the review.
            executor: runs plain functions; async ones need none.

        Raises:
            UnknownName: there is no reviewer for the type.
        """
        task_type, result = assignment.task.type, assignment.reviewed
        registered = self._reviewers.get(task_type)
        if registered is None or result is None:
            raise UnknownName("reviewer for tasks of type", task_type, self._reviewers)
        call = ReviewCall(cast("Reviewer", registered.function), result)
        bound = replaced(registered, function=call)
        return call_registered(bound, assignment.task, executor)


current_context = cast("ContextVar[TaskContext]", handler_context)
"""The context of the task that the running code belongs to."""


def _register(
    registered: dict[str, PlannedCall],
    task_type: str | Callable[..., object] | None,
    role: str,
    given: tuple[str, ...],
    *,
    replace: bool,
) -> Any:
    """Register a function for a type, or return the decorator that does it."""
    if task_type is not None and not isinstance(task_type, str):
        # A decorator without brackets gets the function itself.
        return _register(registered, None, role, given, replace=replace)(task_type)
    if task_type is not None:
        _check_type(registered, task_type, role, replace=replace)

    def register(function: Callable[..., object]) -> object:
        planned = plan_call(function, given, role, TaskContext)
        wanted = _type_from_name(function, role) if task_type is None else task_type
        _check_type(registered, wanted, role, replace=replace)
        registered[wanted] = stream_parts_of(planned) if planned.yields else planned
        if isinstance(planned.function, TypedCall):
            return attach(TypedFunction(wanted, planned.function.arguments))
        return function

    return register


def _check_type(
    registered: Mapping[str, PlannedCall], task_type: str, role: str, *, replace: bool
) -> None:
    if not task_type.strip():
        raise InvalidInput(f"a {role} needs a type of task, not the blank {task_type!r}")
    if task_type in registered and not replace:
        raise InvalidInput(
            f"there is a {role} for tasks of type {task_type!r} already: "
            f"{name_of(registered[task_type].function)}; choose another type, or pass replace=True"
        )


def _type_from_name(function: Callable[..., object], role: str) -> str:
    name = getattr(function, "__name__", None)
    if isinstance(name, str) and name.isidentifier():
        return name
    raise InvalidInput(
        f"{name_of(function)} has no name to take as the type of its tasks; give the type: "
        f"`handlers.{'task' if role == 'handler' else 'review'}(TYPE)(function)`"
    )
