"""Subtasks: what a handler submits, and waits for without holding its slot."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from ...messages import (
    DuplicateTask,
    InvalidInput,
    InvalidTask,
    MusterError,
    Payload,
    Task,
    TaskId,
    WrongCall,
)
from ...messages.codec import encode_whole_task
from ...messages.wording import show, summarize
from .handler_calls import HandlerCalls, SubtaskOutcome
from .handler_waiting import HandlerCall, HandlerWaiting
from .subtask_ids import make_subtask_id, next_place_in_part
from .suspension import FOR_SUBTASK
from .typed_function import ReadResult, task_to_submit, typed_function_of

MAX_AT_ONCE = 1_000
"""How many of the tasks of one `map` are unsettled at a time."""

ADDED_AT_ONCE = 250
"""How many of them are submitted together at most."""

MAX_KEY_CHARACTERS = 100

OnParentCancel: TypeAlias = Literal["cancel", "keep"]


class Subtask(HandlerCall[Payload]):
    """A task that a handler has submitted. `await` it, or call `result` in a thread.

    That gives the task's output. If it failed, it raises `TaskFailed`.

    Args:
        context: the context of the handler.
        task_id: its id.
        unwrap: whether its output is given, and a failure raised; or its `TaskResult`.
        read: makes the output what a typed function declares; None for a task without function.
        taken: called when its outcome is known, in the worker's event loop.
    """

    def __init__(
        self,
        context: SubtaskCalls,
        task_id: TaskId,
        *,
        unwrap: bool,
        read: ReadResult | None = None,
        taken: Callable[[Subtask, SubtaskOutcome], None] | None = None,
    ) -> None:
        super().__init__(context, self._wait)
        self.task_id = task_id
        self._context = context
        self._unwrap = unwrap
        self._read = read
        self._outcome: SubtaskOutcome | None = None
        self._settled: asyncio.Event | None = None
        self._taken = taken

    @property
    def is_settled(self) -> bool:
        """Whether the outcome is known."""
        return self._outcome is not None

    def __repr__(self) -> str:
        return f"Subtask({self.task_id!r})"

    def take(self, _: TaskId, outcome: SubtaskOutcome) -> None:
        """Take the outcome, in the worker's event loop."""
        self._outcome = outcome
        if self._settled is not None:
            self._settled.set()
        if self._taken is not None:
            self._taken(self, outcome)

    async def settled(self) -> None:
        """Return when the outcome is known; whoever calls this gives back the slot."""
        if self._outcome is None:
            if self._settled is None:
                self._settled = asyncio.Event()
            await self._settled.wait()

    def open(self) -> Payload:
        """The output, or the result if it was asked for.

        Raises:
            TaskFailed: it failed.
            MusterError: the manager refused it.
        """
        outcome = self._outcome
        assert outcome is not None
        if self._read is not None and not isinstance(outcome, MusterError):
            outcome = self._read(outcome)
        return open_outcome(outcome, unwrap=self._unwrap)

    async def _wait(self) -> Payload:
        if self._outcome is None:
            async with self._context.waiting(FOR_SUBTASK):
                await self.settled()
        return self.open()


class SubtaskCalls(HandlerWaiting):
    """The part of a handler's context that submits subtasks."""

    # Class attributes, since most attempts submit nothing and should not pay for it.
    calls: HandlerCalls | None = None
    """Asks the manager; None for a handler that runs without one."""
    _positions: Iterator[int] | None = None
    # Those whose outcome is not known, by id.
    _open: dict[TaskId, Subtask] | None = None

    def submit(
        self,
        task: Task | str | Callable[..., Any],
        /,
        *arguments: Any,
        key: str | None = None,
        on_parent_cancel: OnParentCancel = "cancel",
        unwrap: bool = True,
        **fields: Any,
    ) -> Subtask:
        """Submit a subtask, and go on; `await` what this returns, or call its `result`.

            total = await context.submit("add", [1, 2])
            total = await context.submit(add, 1, y=2)

        While the handler waits, its slot is free for other tasks, and its timeout stands still. The
        subtask's id is made of that of this task and of its position among the submissions of the
        handler. So a handler that is begun again finds the subtasks that there are, with their
        results, if it submits them in the same order. Those that failed begin anew.

        Args:
            task: the task, which gets another id; the type of a new one; or a typed function.
            arguments: the data of a new task; or the arguments of the function.
            key: identifies the subtask in place of its position, for handlers that submit in no
                fixed order; not blank, 100 characters at most, and different for each subtask.
            on_parent_cancel: what happens to it when this task is cancelled or fails: "cancel", or
                "keep" to let it go on.
            unwrap: whether its output is returned and its failure raised, or its `TaskResult`
                returned.
            fields: further fields of a new task, such as `timeout`; or arguments of the function by
                name. It has the priority of this task unless that is given, as by
                `add.with_options(priority=5)`.

        Raises:
            WrongCall: these are not the function's arguments; names each fault.
            InvalidTask: a field is not valid.
            InvalidInput: an argument is not valid, or the handler runs without a manager.
            EncodeError: the data have no plain form.
        """
        calls = self._handler_calls()
        read: ReadResult | None = None
        if callable(task):
            task, read = task_to_submit((task, *arguments), fields)
            arguments, fields = (), {}
        if len(arguments) > 1:
            raise WrongCall("only a function takes several arguments; a task has one value as data")
        data = arguments[0] if arguments else fields.pop("data", None)
        place = self._next_place(key)
        subtask_id = make_subtask_id(self._assignment.task.id, place)
        child = self._make(task, data, subtask_id, on_parent_cancel, fields)
        packed = encode_whole_task(child)
        subtask = Subtask(self, subtask_id, unwrap=unwrap, read=read)
        self._in_loop(self._begin, calls, [subtask], (packed,))
        return subtask

    def map(
        self,
        task_type: str | Callable[..., Any],
        items: Iterable[Payload],
        /,
        *more: Iterable[Payload],
        key: str | None = None,
        on_parent_cancel: OnParentCancel = "cancel",
        unwrap: bool = True,
        **fields: Any,
    ) -> HandlerCall[list[Payload]]:
        """Submit a subtask for each item; `await` the list of their outputs, in the items' order.

            parts = await context.map("count", chunks)
            sums = await context.map(add, [1, 2], [10, 20])

        1,000 of them are unsettled at a time; further items are taken as there is room. The first
        failure is raised at once.

        Args:
            task_type: the type of the subtasks; or a typed function, whose first argument each item
                is.
            items: the data of each.
            more: the further arguments of the function; it ends with the shortest.
            key: identifies the call in place of its position; see `submit`.
            on_parent_cancel: as in `submit`.
            unwrap: whether the outputs are returned and a failure raised, or the `TaskResult` of
                each.
            fields: further fields of the tasks, if they have no function.

        Raises:
            WrongCall: an item is no argument of the function, or only a function takes `more`.
            InvalidInput: an argument is not valid, or the handler runs without a manager.
        """
        calls = self._handler_calls()
        if isinstance(items, str | bytes):
            raise InvalidInput(
                f"items is {show(items)}; it must be a list, with data for each task"
            )
        typed = None if isinstance(task_type, str) else typed_function_of(task_type)
        if typed is None and more:
            raise WrongCall("only a function takes several arguments, not a type of tasks")
        place = self._next_place(key)

        def make(number: int, given: tuple[Payload, ...]) -> Task:
            subtask_id = make_subtask_id(self._assignment.task.id, f"{place}.{number}")
            if typed is not None:
                return self._make(typed.task(*given), None, subtask_id, on_parent_cancel, fields)
            return self._make(task_type, given[0], subtask_id, on_parent_cancel, fields)

        async def run() -> list[Payload]:
            numbered = enumerate(zip(items, *more, strict=False), 1)
            return await self._map(calls, numbered, make, unwrap, typed and typed.read)

        return HandlerCall(self, run)

    def gather(self, *subtasks: Subtask) -> HandlerCall[list[Payload]]:
        """Wait for several subtasks; `await` the list of their outputs, in their order.

        The handler gives back its slot once, and has one again when all are settled.

        Args:
            subtasks: what `submit` has returned.

        Raises:
            InvalidInput: something else is among them.
        """
        for each in subtasks:
            if not isinstance(each, Subtask):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise InvalidInput(
                    f"gather takes what context.submit returns, not {show(each)}; await other "
                    "things with asyncio.gather"
                )

        async def run() -> list[Payload]:
            left = [each for each in subtasks if not each.is_settled]
            if left:
                async with self.waiting(_for_subtasks(len(left))):
                    for each in left:
                        await each.settled()
            return [each.open() for each in subtasks]

        return HandlerCall(self, run)

    def stop_waiting(self) -> None:
        """Wait for no more outcomes, because the attempt has ended; called by the worker."""
        if self._open and self.calls is not None:
            for task_id, subtask in self._open.items():
                self.calls.stop_waiting((task_id,), subtask.take)
            self._open.clear()

    # ------------------------------------------------------------------ in the event loop

    def _begin(
        self, calls: HandlerCalls, subtasks: list[Subtask], packed: tuple[bytes, ...]
    ) -> None:
        by_id = {each.task_id: each for each in subtasks}
        known = self._open = {} if self._open is None else self._open
        known.update(by_id)

        def settle(task_id: TaskId, outcome: SubtaskOutcome) -> None:
            subtask = by_id[task_id]
            known.pop(task_id, None)
            subtask.take(task_id, outcome)

        calls.add(
            list(by_id),
            packed,
            settle,
            (self._assignment.task.id, self._assignment.attempt),
        )

    async def _map(
        self,
        calls: HandlerCalls,
        items: Iterator[tuple[int, tuple[Payload, ...]]],
        make: Callable[[int, tuple[Payload, ...]], Task],
        unwrap: bool,
        read: ReadResult | None,
    ) -> list[Payload]:
        subtasks: list[Subtask] = []
        news = asyncio.Event()
        unsettled = 0
        failed: list[Subtask] = []

        def taken(part: Subtask, outcome: SubtaskOutcome) -> None:
            nonlocal unsettled
            unsettled -= 1
            news.set()
            if isinstance(outcome, MusterError) or (unwrap and not outcome.success):
                failed.append(part)

        has_more = True
        async with self.waiting("waits for the subtasks of a map"):
            while (has_more or unsettled) and not failed:
                room = min(MAX_AT_ONCE - unsettled, ADDED_AT_ONCE)
                if has_more and room >= ADDED_AT_ONCE:
                    tasks = [make(*each) for each in itertools.islice(items, room)]
                    has_more = len(tasks) == room
                    if tasks:
                        added: list[Subtask] = [
                            Subtask(self, each.id, unwrap=unwrap, read=read, taken=taken)
                            for each in tasks
                        ]
                        subtasks += added
                        unsettled += len(added)
                        self._begin(calls, added, tuple(map(encode_whole_task, tasks)))
                    continue
                news.clear()
                await news.wait()
        for each in failed:
            each.open()
        return [each.open() for each in subtasks]

    def _in_loop(self, function: Callable[..., None], *arguments: object) -> None:
        if threading.get_ident() == self._loop_thread:
            function(*arguments)
        else:
            self._loop.call_soon_threadsafe(function, *arguments)

    # ------------------------------------------------------------------ arguments

    def _handler_calls(self) -> HandlerCalls:
        if self.calls is None:
            raise InvalidInput(
                "this handler runs without a manager, so it can't submit subtasks; let a manager "
                "give the task to a worker"
            )
        return self.calls

    def _next_place(self, key: str | None) -> str:
        if key is None:
            if self._positions is None:
                self._positions = itertools.count(1)
            return next_place_in_part() or f"/{next(self._positions)}"
        if not isinstance(key, str) or not key.strip() or len(key) > MAX_KEY_CHARACTERS:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInput(
                f"key is {show(key)}; it must be text that is not blank, {MAX_KEY_CHARACTERS} "
                "characters at most"
            )
        return f":{key}"

    def _make(
        self,
        task: object,
        data: Payload,
        subtask_id: str,
        on_parent_cancel: OnParentCancel,
        fields: dict[str, Any],
    ) -> Task:
        if on_parent_cancel not in ("cancel", "keep"):
            raise InvalidInput(
                f"on_parent_cancel is {show(on_parent_cancel)}; it must be 'cancel' or 'keep'"
            )
        own: dict[str, Any] = {
            "id": subtask_id,
            "parent_id": self._assignment.task.id,
            "on_parent_cancel": on_parent_cancel,
        }
        if isinstance(task, Task):
            if data is not None or fields:
                raise InvalidInput(
                    "a task is submitted as it is; set its data and fields where it is made"
                )
            if "priority" not in task.model_fields_set:
                own["priority"] = self._assignment.task.priority
            return task.model_copy(update=own)
        if not isinstance(task, str) or not task.strip():
            raise InvalidInput(f"{show(task)} is neither a Task nor the type of one")
        twice = own.keys() & fields.keys()
        if twice:
            raise InvalidInput(
                f"a subtask's {', '.join(sorted(twice))} can't be given; its handler's task and "
                "its position or `key` decide"
            )
        given: dict[str, Any] = {"priority": self._assignment.task.priority, **fields, **own}
        try:
            return Task(type=task, data=data, **given)
        except ValidationError as fault:
            raise InvalidTask(f"the subtask is invalid: {summarize(fault)}") from None


def open_outcome(outcome: SubtaskOutcome, *, unwrap: bool) -> Payload:
    """The output of a subtask, or its result.

    Args:
        outcome: its outcome.
        unwrap: whether its output is returned and its failure raised.

    Raises:
        TaskFailed: it failed, and is unwrapped.
        MusterError: the manager refused it.
    """
    if isinstance(outcome, DuplicateTask):
        raise DuplicateTask(
            f"{outcome}. The id of a subtask is its position among those that its handler submits: "
            "submit the same ones in the same order in each attempt, or give each a `key`"
        )
    if isinstance(outcome, MusterError):
        raise outcome
    return outcome.unwrap() if unwrap else outcome


def _for_subtasks(count: int) -> str:
    return FOR_SUBTASK if count == 1 else f"waits for {count:,} subtasks"
