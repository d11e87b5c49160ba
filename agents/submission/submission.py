"""Submits tasks for their results: one, or any number with backpressure."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, overload

from ...messages import MusterError, Payload, Task, TaskId, TaskResult, WrongCall
from ..execution.typed_function import (
    ParametersT,
    ReadResult,
    task_to_submit,
    typed_function_of,
)
from .parts import PartsSource, StreamedPart, stream_parts
from .result_source import Outcome, ResultSource, call_in, fulfil
from .task_flow import BATCH_SIZE, MAX_WAITING, TaskFlow, TaskSource


class Submission:
    """The methods that submit tasks and return their results, of a manager and of a client.

    A failure is a result whose `success` is False. A task that was cancelled, or that no worker
    could do, also has a result; its `error_message` says why. To stop waiting does not cancel a
    task: it continues, and its result can be read later.
    """

    _awaited: ResultSource

    @property
    @abstractmethod
    def _parts(self) -> PartsSource:
        """Tells the parts of tasks."""

    @overload
    async def submit(self, /, task: Task) -> TaskResult: ...

    @overload
    async def submit(
        self,
        task: Callable[ParametersT, Any],
        /,
        *arguments: ParametersT.args,
        **named: ParametersT.kwargs,
    ) -> TaskResult: ...

    async def submit(self, /, *task: Any, **named: Any) -> TaskResult:
        """Add a task and wait for its recorded result, in any event loop of any thread.

        Args:
            task: the task. Its id is an idempotency key: if the manager has this task already, also
                from before a restart, it is not done again, and its one result is returned. Or a
                typed function that is registered with `@handlers.task`, and its arguments; the
                result's output is of the type that it declares.
            named: arguments of the function by name.

        Raises:
            WrongCall: these are not the function's arguments; names each fault.
            RunEnded: the run has ended, or ends before the task is settled.
            DuplicateTask: a different task has its id; the message names the fields that differ.
            InvalidTask: a dependency is unknown.
            EncodeError: its data have no plain form; names the place.
            StoreUnusable: the store can't be written to.
        """
        wanted, read = task_to_submit(task, named)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[TaskResult] = loop.create_future()

        def settle(_: TaskId, outcome: Outcome) -> None:
            call_in(loop, fulfil, future, outcome)

        self._awaited.add((wanted,), settle)
        return await future if read is None else read(await future)

    @overload
    def submit_nowait(self, /, task: Task) -> Future[TaskResult]: ...

    @overload
    def submit_nowait(
        self,
        task: Callable[ParametersT, Any],
        /,
        *arguments: ParametersT.args,
        **named: ParametersT.kwargs,
    ) -> Future[TaskResult]: ...

    def submit_nowait(self, /, *task: Any, **named: Any) -> Future[TaskResult]:
        """Add a task, from any thread, without waiting for its result.

        A task that the manager has already is not added again, as with `submit`, which has the same
        arguments.

        Returns:
            A future of the result; it raises `RunEnded` if the run ends before. Cancelling it does
            not cancel the task. Do not block on it in the manager's own event loop; use `submit`
            there.

        Raises:
            WrongCall: these are not the function's arguments; names each fault.
            RunEnded: the run has ended.
            DuplicateTask: a different task has its id; the message names the fields that differ.
            InvalidTask: a dependency is unknown.
            EncodeError: its data have no plain form; names the place.
            StoreUnusable: the store can't be written to.
        """
        wanted, read = task_to_submit(task, named)
        future: Future[TaskResult] = Future()

        def settle(_: TaskId, outcome: Outcome) -> None:
            if future.set_running_or_notify_cancel():
                fulfil(future, outcome if read is None else _read_outcome(outcome, read))

        self._awaited.add((wanted,), settle)
        return future

    def submit_together(self, tasks: Sequence[Task]) -> list[Future[TaskResult]]:
        """Add tasks, all or none, from any thread, without waiting for their results.

        Returns:
            The futures of their results; see `submit_nowait`, also for what is raised.
        """
        futures: dict[TaskId, list[Future[TaskResult]]] = {}
        given: list[Future[TaskResult]] = []
        for task in tasks:
            future: Future[TaskResult] = Future()
            futures.setdefault(task.id, []).append(future)
            given.append(future)

        def settle(task_id: TaskId, outcome: Outcome) -> None:
            # A task that was given twice has its one result twice.
            future = futures[task_id].pop()
            if future.set_running_or_notify_cancel():
                fulfil(future, outcome)

        self._awaited.add(tasks, settle)
        return given

    async def map(
        self,
        task_type: str | Callable[..., Any],
        items: Iterable[Payload],
        /,
        *more: Iterable[Payload],
        max_waiting: int = MAX_WAITING,
    ) -> AsyncGenerator[TaskResult, None]:
        """Submit a task of one type for each item, and yield the results in the items' order.

        Args:
            task_type: the type of the tasks; or a typed function, whose first argument each item
                is. The outputs are of the type that it declares.
            items: the data of each task; more are taken only when there is room for them.
            more: the further arguments of the function, as for Python's `map`; it ends with the
                shortest of them.
            max_waiting: how many tasks there may be at a time, 1 or more.

        Raises:
            WrongCall: an item is no argument of the function; raised after the results of those
                before it.
        """
        read: ReadResult | None = None
        if isinstance(task_type, str):
            if more:
                raise WrongCall("only a function takes several arguments, not a type of tasks")
            tasks = (Task(type=task_type, data=item) for item in items)
        else:
            typed = typed_function_of(task_type)
            read = typed.read
            tasks = (typed.task(*each) for each in zip(items, *more, strict=False))
        async for result in self.submit_many(tasks, max_waiting=max_waiting, in_order=True):
            yield result if read is None else read(result)

    def submit_many(
        self,
        tasks: TaskSource,
        *,
        batch_size: int = BATCH_SIZE,
        max_waiting: int = MAX_WAITING,
        in_order: bool = False,
        forget: bool = False,
    ) -> AsyncGenerator[TaskResult, None]:
        """Add any number of tasks in batches, and yield their results as they are recorded.

        ```python
        async for result in manager.submit_many(tasks):
            ...
        ```

        It starts when the first result is requested, in any event loop of any thread. It takes no
        more tasks from the source than there is room for: at most `max_waiting` of the added tasks
        are unsettled or have results that were not yielded yet. When you leave the `async for`,
        the tasks that were added continue, and no more are added.

        Args:
            tasks: an iterable or async iterable. Tasks are added when it makes us wait or a batch
                is full. A task may depend on others of its batch or of earlier batches. One that
                the manager has already is not done again; each time it is given, its one result is
                yielded.
            batch_size: how many tasks are added at once, 1 or more; at most half of `max_waiting`
                is used.
            max_waiting: how many tasks there may be at a time, 1 or more.
            in_order: yield the results in the order of the tasks; a slow task holds back the
                results after it.
            forget: let the manager forget each task after its result was yielded, unless a task
                that it keeps depends on it. Otherwise it keeps all tasks for its report, and its
                memory grows with them.

        Raises:
            InvalidInput: a number is below 1.
            RunEnded: the run has ended, or ends before all tasks are settled; raised after the
                results that there are.
            InvalidTask: a batch is not valid, and none of it is added; raised after the results of
                the earlier batches, as are `EncodeError`, `StoreUnusable` and any exception of the
                iterable.
        """
        flow = TaskFlow(
            self._awaited,
            tasks,
            batch_size=batch_size,
            max_waiting=max_waiting,
            in_order=in_order,
            forget=self._forget if forget else None,
        )
        return flow.results()

    @overload
    def stream(self, /, task: Task | TaskId) -> AsyncGenerator[StreamedPart, None]: ...

    @overload
    def stream(
        self,
        task: Callable[ParametersT, Any],
        /,
        *arguments: ParametersT.args,
        **named: ParametersT.kwargs,
    ) -> AsyncGenerator[StreamedPart, None]: ...

    def stream(self, /, *task: Any, **named: Any) -> AsyncGenerator[StreamedPart, None]:
        """Yield the parts of a task's output as its handler yields them, until the task is settled.

        ```python
        async for part in manager.stream(Task(type="write", data="a poem")):
            print(part.data, end="")
        ```

        The handler is a generator, async or plain; a task of another handler has no parts. If the
        task is tried again, its parts begin anew, with `begins_anew`. Only the latest 1,000 parts
        of a task, and 1 MiB, are kept: whoever reads late or slowly misses those before, and
        `missed` says how many. They do not outlive the manager, as the task does.

        Args:
            task: the task, which is added as by `submit`, or the id of one that was added before.
                Or a typed generator function that is registered with `@handlers.task`, and its
                arguments.
            named: arguments of the function by name.

        Raises:
            TaskFailed: the task has failed or was cancelled; raised after its parts.
            UnknownTask: the manager has no such task.
            RunEnded: the run ends before the task is settled.
            MusterError: what the manager says against the task; see `submit`.
        """
        wanted: Task | TaskId = task[0] if task else named.get("task", "")
        if not isinstance(wanted, int | str):
            wanted, _ = task_to_submit(task, named)
        return stream_parts(self._awaited, self._parts, wanted)

    @abstractmethod
    def _forget(self, task_ids: Sequence[TaskId]) -> None:
        """Let the manager forget settled tasks, as `submit_many(forget=True)` asks."""


def _read_outcome(outcome: Outcome, read: ReadResult) -> Outcome:
    if isinstance(outcome, MusterError):
        return outcome
    try:
        return read(outcome)
    except MusterError as fault:
        return fault
